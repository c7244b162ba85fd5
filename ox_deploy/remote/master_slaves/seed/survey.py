"""Print what a server has, as far as a seeding has to know: what would be copied, and what would be lost."""

from __future__ import annotations

import contextlib
import os
import re
import shutil

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.seed.definitions import broken_definitions
from ox_deploy.remote.master_slaves.seed.features import has, needs
from ox_deploy.remote.master_slaves.seed.plugin import cloning_now, has_plugin
from ox_deploy.remote.mysql.session import connect, dialect, user_databases

BACKUP = "mariadb-backup"
# In which a server has to be as its master is, some of it only to run on its data; what one does not have is left out.
ALIKE = (
    "version_compile_os",
    "version_compile_machine",
    "innodb_page_size",
    "innodb_data_file_path",
    "lower_case_table_names",
    "character_set_server",
    "collation_server",
)


def seed_survey(wanted: Document) -> Document:
    """Return all of it; without a server that answers, the programs only."""
    missing = [name for name in wanted["programs"] if shutil.which(name) is None]
    try:
        session = connect(wanted["option_file"])
    except Exception:
        return {"missing": missing}
    with session, session.cursor() as cursor:
        cursor.execute(dialect(session)["fresh_statistics"])
        names = user_databases(session)
        return {
            "missing": missing,
            "databases": [contents_of(session, name) for name in names],
            "not_transactional": not_transactional(session, names),
            "directory_bytes": size_of(rows(session, "SELECT @@datadir AS path")[0]["path"]),
            "can_clone": can_clone(session),
            "cloned_by": cloning_now(session),
            "alike": alike(session),
            "backup_version": backup_version() if BACKUP in {*wanted["programs"]} - {*missing} else "",
            "broken": broken_definitions(session, names),
            **needs(session, names),
            **has(session),
        }


def contents_of(session: Session, name: str) -> Document:
    """Return how much is in a database; the server estimates rows and bytes."""
    query = (
        "SELECT COUNT(*) AS tables, COALESCE(SUM(TABLE_ROWS), 0) AS number,"
        " COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) AS bytes FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
    )
    (found,) = rows(session, query, [name])
    return {"name": name, "tables": found["tables"], "rows": int(found["number"]), "bytes": int(found["bytes"])}


def not_transactional(session: Session, names: list[str]) -> list[str]:
    """Return tables that no snapshot covers."""
    query = (
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS name FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA IN %s AND TABLE_TYPE = 'BASE TABLE' AND ENGINE <> 'InnoDB' ORDER BY 1 LIMIT 20"
    )
    return [row["name"] for row in rows(session, query, [names])] if names else []


def can_clone(session: Session) -> bool:
    """Tell whether the server has the plugin that clones it, or could load it."""
    (folder,) = rows(session, "SELECT @@plugin_dir AS path")
    return has_plugin(session) or os.path.exists(os.path.join(folder["path"], "mysql_clone.so"))


def alike(session: Session) -> Document:
    """Return in what a server has to be as its master is."""
    listed = rows(session, "SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", [ALIKE])
    return {row["Variable_name"]: row["Value"] for row in listed}


def backup_version() -> str:
    """Return for which server's version the program is that copies data directories."""
    done = run([BACKUP, "--version"])
    found = re.search(r"based on MariaDB server (\S+)", done.stdout + done.stderr)
    return found[1] if found else ""


def size_of(directory: str) -> int:
    """Return how many bytes a directory takes on its disk."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            # The server works on: a file may be gone by now.
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total

"""What the data and accounts of a server need of one that is to have them, and what a server has of that."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator

from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.seed.slave import data_directory
from ox_deploy.remote.mysql.session import dialect

ENGINES = """
SELECT ENGINE AS used, MIN(CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)) AS example FROM information_schema.TABLES
WHERE TABLE_SCHEMA IN %s AND ENGINE IS NOT NULL GROUP BY ENGINE
"""
# Where a collation stands: a dump names all of these.
COLLATIONS = [
    f"SELECT {column} AS used, MIN({name}) AS example FROM information_schema.{table}"  # noqa: S608 - names of ours
    f" WHERE {where}_SCHEMA IN %s AND {column} IS NOT NULL GROUP BY {column}"
    for table, column, name, where in (
        ("TABLES", "TABLE_COLLATION", "CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)", "TABLE"),
        ("COLUMNS", "COLLATION_NAME", "CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)", "TABLE"),
        ("VIEWS", "COLLATION_CONNECTION", "CONCAT(TABLE_SCHEMA, '.', TABLE_NAME)", "TABLE"),
        ("ROUTINES", "COLLATION_CONNECTION", "CONCAT(ROUTINE_SCHEMA, '.', ROUTINE_NAME)", "ROUTINE"),
        ("TRIGGERS", "COLLATION_CONNECTION", "CONCAT(TRIGGER_SCHEMA, '.', TRIGGER_NAME)", "TRIGGER"),
        ("EVENTS", "COLLATION_CONNECTION", "CONCAT(EVENT_SCHEMA, '.', EVENT_NAME)", "EVENT"),
    )
]
OF_DATABASES = """
SELECT DEFAULT_COLLATION_NAME AS used, MIN(SCHEMA_NAME) AS example FROM information_schema.SCHEMATA
WHERE SCHEMA_NAME IN %s GROUP BY DEFAULT_COLLATION_NAME
"""
# What keeps a server from taking data or accounts.
HINDERING = ("super_read_only", "strict_password_validation")
LOGS = ("log_bin_basename", "relay_log_basename")


def needs(session: Session, databases: list[str]) -> Document:
    """Return engines and collations with an example of each, plugins with their accounts, and what is encrypted."""
    return {
        "engines": examples(session, [ENGINES], databases),
        "collations": examples(session, [OF_DATABASES, *COLLATIONS], databases),
        "account_plugins": account_plugins(session),
        "encrypted": [row["name"] for row in rows(session, dialect(session)["encrypted"])],
    }


def examples(session: Session, queries: list[str], databases: list[str]) -> dict[str, str]:
    """Return what is used, with an object that uses it."""
    if not databases:
        return {}
    found = [row for query in queries for row in rows(session, query, [databases])]
    # The first one that names it.
    return {row["used"]: row["example"] for row in reversed(found)}


def account_plugins(session: Session) -> dict[str, list[str]]:
    """Return the accounts of each plugin, without those that each server has of its own."""
    names = dialect(session)
    accounts = plugins_of_mariadb(session) if names["server"] == "MariaDB" else plugins_of_mysql(session)
    found = defaultdict[str, list[str]](list)
    for user, host, plugins in accounts:
        if (user, host) not in names["own_accounts"]:
            for plugin in sorted(plugins - {""}):
                found[plugin].append(f"'{user}'@'{host}'")
    return dict(found)


def plugins_of_mariadb(session: Session) -> Iterator[tuple[str, str, set[str]]]:
    """Go through the accounts; each may log in by one of several plugins."""
    for row in rows(session, "SELECT User AS user, Host AS host, Priv AS details FROM mysql.global_priv ORDER BY 1, 2"):
        stored = json.loads(row["details"])
        # A role has none.
        yield row["user"], row["host"], {way.get("plugin", "") for way in (stored, *stored.get("auth_or", []))}


def plugins_of_mysql(session: Session) -> Iterator[tuple[str, str, set[str]]]:
    """Go through the accounts; each may have to log in by several plugins."""
    query = "SELECT User AS user, Host AS host, plugin, User_attributes AS details FROM mysql.user ORDER BY 1, 2"
    for row in rows(session, query):
        more = json.loads(row["details"] or "{}").get("Multi_factor_authentication", [])
        yield row["user"], row["host"], {row["plugin"], *(factor.get("plugin", "") for factor in more)}


def has(session: Session) -> Document:
    """Return what a server has of that, and what else keeps it from taking data."""
    names = dialect(session)
    plugins = rows(
        session,
        "SELECT PLUGIN_NAME AS name, PLUGIN_TYPE AS kind FROM information_schema.PLUGINS"
        " WHERE PLUGIN_STATUS = 'ACTIVE' ORDER BY 1",
    )
    engines = rows(session, "SELECT ENGINE AS name FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')")
    listed = rows(session, "SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", [HINDERING])
    return {
        "plugins": [row["name"] for row in plugins],
        "checks_passwords": any(row["kind"] == "PASSWORD VALIDATION" for row in plugins),
        "known_engines": [row["name"] for row in engines],
        "known_collations": known_collations(session),
        "can_encrypt": bool(rows(session, names["can_encrypt"])),
        "has_time_zones": bool(rows(session, "SELECT 1 FROM mysql.time_zone_name LIMIT 1")),
        "settings": {row["Variable_name"]: row["Value"] for row in listed},
        "places": places(session),
    }


def known_collations(session: Session) -> list[str]:
    """Return their names; MariaDB has short ones, too, of those that several character sets have."""
    # Older ones have one column less.
    listed = rows(session, "SELECT * FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY")
    columns = ("COLLATION_NAME", "FULL_COLLATION_NAME")
    return sorted({row[column] for row in listed for column in columns if row.get(column)})


def places(session: Session) -> list[Document]:
    """Return where data, what is beside it, logs and temporary files are, and what is free there."""
    datadir = data_directory(session)
    listed = rows(session, "SHOW GLOBAL VARIABLES WHERE Variable_name IN %s", [(*LOGS, "tmpdir")])
    values = {row["Variable_name"]: row["Value"] or "" for row in listed}
    paths = [("data", datadir), ("beside", os.path.dirname(datadir))]
    paths += [("logs", os.path.dirname(values[name])) for name in LOGS if values.get(name)]
    paths += [("temporary", path) for path in values.get("tmpdir", "").split(":") if path]
    return [place(use, path) for use, path in paths if os.path.isdir(path)]


def place(use: str, path: str) -> Document:
    """Return what is free there, and on which file system that is."""
    found = os.statvfs(path)
    return {"use": use, "path": path, "device": os.stat(path).st_dev, "free": found.f_bavail * found.f_frsize}

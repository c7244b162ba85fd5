"""The part of a server's state that is about replication, asked in the session that asks for the rest."""

from __future__ import annotations

import os

from ox_deploy.mysql.dialects import FENCES
from ox_deploy.remote.common.files import STATE_DIRECTORY, read
from ox_deploy.remote.common.fingerprints import fingerprint
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.replication.status import (
    is_using_gtid,
    named_connections,
    replica_status,
    without_statement,
)
from ox_deploy.remote.master_slaves.switch.fence import decided_in
from ox_deploy.remote.mysql.session import dialect

# What keeps something out of the binary log, or out of a replica.
FILTERS = (
    "binlog_do_db",
    "binlog_ignore_db",
    "replicate_do_db",
    "replicate_ignore_db",
    "replicate_do_table",
    "replicate_ignore_table",
    "replicate_wild_do_table",
    "replicate_wild_ignore_table",
    "replicate_rewrite_db",
)


def replication_of(session: Session, variables: Document, values: Document, log: Document | None) -> Document:
    """Return how a server replicates, from whom and to whom, and the filters of its connections and its binary log."""
    replica, named = replicas_of(session, variables)
    filters = filters_in(values) | filters_to_be(session)
    for each in (log, replica, *named):
        filters |= each.pop("filters") if each else {}
    return {
        "replica": replica,
        "named": named,
        "filters": filters,
        "slaves": {str(row["Server_id"]): row["Host"] for row in listed_replicas(session)},
        "parallel": int(values.get(dialect(session)["parallel"]) or 0),
    }


def marks() -> Document:
    """Return what is on the disk of a seeding and of a switch, if one is not complete."""
    return {"seeding": os.path.exists(os.path.join(STATE_DIRECTORY, "seeding")), **decided()}


def replicas_of(session: Session, variables: Document) -> tuple[Document | None, list[Document]]:
    """Return where this server replicates from and how it goes, or None if it does not; then those with a name."""
    row, datadir = replica_status(session), variables["datadir"]
    password = stored_password(session, datadir) if row else None
    named = [connection_of(session, other) for other in named_connections(session)]
    return {**connection_of(session, row), "password": password} if row else None, named


def connection_of(session: Session, row: Document) -> Document:
    """Return where a server replicates from by one of its connections, and how it goes."""
    names = dialect(session)
    return {
        "name": row.get(names["connection"]) or "",
        "host": row["Master_Host"],
        "port": int(row["Master_Port"]),
        "user": row["Master_User"],
        "io_running": row["Slave_IO_Running"],
        "sql_running": row["Slave_SQL_Running"],
        "io_error": row["Last_IO_Error"],
        "sql_error": without_statement(row["Last_SQL_Error"]),
        "file": row["Relay_Master_Log_File"],
        "position": row["Exec_Master_Log_Pos"],
        "password": None,
        "seconds_behind": row.get("Seconds_Behind_Master"),
        "delay": row.get("SQL_Delay") or 0,
        "filters": filters_in(row),
        "read_file": row.get("Master_Log_File") or "",
        "using_gtid": is_using_gtid(row, names),
        "received": row.get(names["received"]) or "",
        "ca": trusted(row),
        "semi_synchronous": is_semi_synchronous(session, names),
    }


def is_semi_synchronous(session: Session, names: Document) -> bool:
    """Tell whether the replica acknowledges what it receives, and its master wants that."""
    listed = rows(session, "SHOW GLOBAL STATUS LIKE %s", [names["semi_sync_slave_status"]])
    return bool(listed) and listed[0]["Value"] == "ON"


def trusted(row: Document) -> str:
    """Return the file by which a replica knows its master, or "" if it does not ask for an encrypted connection."""
    asks = row["Master_SSL_Allowed"] == row["Master_SSL_Verify_Server_Cert"] == "Yes"
    return row["Master_SSL_CA_File"] if asks else ""


def stored_password(session: Session, datadir: str) -> Document | None:
    """Return a fingerprint of the password the replica logs in with: of MariaDB's file, of MySQL's file or table."""
    if dialect(session)["server"] == "MySQL":
        for row in rows(
            session, "SELECT User_password AS password FROM mysql.slave_master_info WHERE Channel_name = ''"
        ):
            return fingerprint(row["password"])
    lines = (read(os.path.join(datadir, "master.info")) or b"").decode().split("\n")
    return fingerprint(lines[5]) if len(lines) > 5 else None


def filters_in(values: Document) -> Document:
    """Return those filters that are set, of columns or variables of any case."""
    return {name.lower(): str(value) for name, value in values.items() if name.lower() in FILTERS and value}


def filters_to_be(session: Session) -> Document:
    """Return the filters that a connection will have, where variables do not tell."""
    query = dialect(session)["filters"]
    return filters_in({row["name"]: row["rule"] for row in rows(session, query)}) if query else {}


def decided() -> Document:
    """Return to whom this server hands over or from whom it takes over, if a switch is not complete."""
    texts = [(read(path) or b"").decode(errors="replace") for path in FENCES.values()]
    found = decided_in("\n".join(texts))
    return {"handed_to": found.get("to", ""), "taken_from": found.get("from", "")}


def listed_replicas(session: Session) -> list[Document]:
    """Return who reads from here just now."""
    found = rows(session, dialect(session)["show_replicas"])
    return [{**row, "Server_id": row.get("Server_id", row.get("Server_Id"))} for row in found]

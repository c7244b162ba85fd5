"""Print what is registered in configdb."""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum

from ox_deploy.remote.common.files import STATE_DIRECTORY
from ox_deploy.remote.common.fingerprints import fingerprint
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.configdb.session import connect, settings


class RegistrationState(StrEnum):
    """What configdb is like, seen from its write host."""

    NO_ACCESS = "no access"
    # The account still has the throw-away password of a creation.
    INTERRUPTED = "interrupted"
    ABSENT = "absent"
    # Tables are missing, and there is no registration, or some.
    INCOMPLETE = "incomplete"
    DAMAGED = "damaged"
    COMPLETE = "complete"


def configdb_state(wanted: Document) -> Document:
    """Return all of it, or why it could not be asked."""
    if os.path.exists(os.path.join(STATE_DIRECTORY, "configdb.password")):
        return {"state": RegistrationState.INTERRUPTED}
    try:
        server = settings(wanted["file"])
        session = connect(server)
    except Exception as error:
        return {"state": RegistrationState.NO_ACCESS, "error": str(error)}
    with session:
        listed = rows(session, "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")
        if server["database"] not in {row["name"] for row in listed}:
            return {"state": RegistrationState.ABSENT}
        session.select_db(server["database"])
        return {"state": RegistrationState.COMPLETE, **registrations(session, wanted["tables"], wanted["contexts"])}


def registrations(session: Session, tables: Mapping[str, bool], contexts: list[int]) -> Document:
    """Return what configdb holds; some of its tables are missing where its creation was interrupted.

    `tables` are those that it should have, and whether rows in them are registrations.
    """
    found = {next(iter(row.values())) for row in rows(session, "SHOW TABLES")}
    missing = sorted(tables.keys() - found)
    if missing:
        filled = [name for name, tells in tables.items() if tells and name in found and has_rows(session, name)]
        state = RegistrationState.DAMAGED if filled else RegistrationState.INCOMPLETE
        return {"state": state, "error": ", ".join(missing)}
    pools = rows(session, "SELECT db_pool_id AS id, name, url, login, password FROM db_pool")
    clusters = rows(session, "SELECT write_db_pool_id AS writer, read_db_pool_id AS reader FROM db_cluster")
    return {
        "servers": [row["name"] for row in rows(session, "SELECT name FROM server")],
        "filestores": [row["uri"] for row in rows(session, "SELECT uri FROM filestore")],
        "pools": [{**pool, "password": fingerprint(pool["password"])} for pool in pools],
        "clusters": {row["writer"]: row["reader"] for row in clusters},
        "contexts": [context_state(session, row) for row in context_rows(session, contexts)],
    }


def has_rows(session: Session, table: str) -> bool:
    """Tell whether a table of ours holds anything."""
    return bool(rows(session, f"SELECT 1 FROM `{table}` LIMIT 1"))  # noqa: S608 - a name of ours


def context_rows(session: Session, contexts: list[int]) -> list[Document]:
    """Return id and user schema of the contexts that exist."""
    query = (
        "SELECT context.cid AS id, MIN(db_schema) AS db_schema FROM context "
        "LEFT JOIN context_server2db_pool USING (cid) WHERE cid IN %s GROUP BY cid"
    )
    return rows(session, query, [contexts]) if contexts else []


def context_state(session: Session, row: Document) -> Document:
    """Return a context with the names of its users."""
    users = []
    if row["db_schema"]:
        query = "SELECT uid FROM `{}`.login2user WHERE cid = %s".format(row["db_schema"])  # noqa: S608 - Open-Xchange's name
        users = [user["uid"] for user in rows(session, query, [row["id"]])]
    return {"id": row["id"], "users": users}

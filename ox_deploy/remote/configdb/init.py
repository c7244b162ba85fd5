"""Create configdb with initconfigdb, which wants a password on its command line: it gets one that ends with it.

The account's password is set to a random one, which stands in a root-only file until the real one is back,
so that a run that dies in between can be put right by the next.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping

from ox_deploy.remote.common.commands import run_or_fail
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import STATE_DIRECTORY, read
from ox_deploy.remote.common.sql import rows, value_of
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.configdb.session import connect
from ox_deploy.remote.configdb.state import RegistrationState, registrations

TEMPORARY = os.path.join(STATE_DIRECTORY, "configdb.password")


def stored_hash(password: str) -> str:
    """Return a password as the server stores it, so that no statement or log holds it in clear."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324 - the server's way


def set_password(server: Document, current: str, new: str) -> None:
    """Change the password of the account that we are logged in with."""
    with connect(server, password=current) as session, session.cursor() as cursor:
        # MySQL takes the password itself only, and writes another statement to its logs.
        is_mariadb = "MariaDB" in session.get_server_info()
        cursor.execute("SET PASSWORD = %s", [stored_hash(new) if is_mariadb else new])


def restore_password(server: Document) -> None:
    """Give the account its real password again if an earlier run could not."""
    temporary = read(TEMPORARY)
    if temporary is None:
        return
    try:
        connect(server).close()
    except Exception:
        set_password(server, temporary.decode(), server["password"])
    os.unlink(TEMPORARY)


@contextlib.contextmanager
def temporary_password(server: Document) -> Iterator[str]:
    """Let the account have a random password for a while."""
    password = secrets.token_hex(16)
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    with open(os.open(TEMPORARY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(password)
    set_password(server, server["password"], password)
    try:
        yield password
    finally:
        restore_password(server)


def recheck(session: Session, database: str, tables: Mapping[str, bool], recreate: bool) -> None:
    """Stop unless configdb is still absent, or still half made without a registration, right before it is (re)made."""
    if value_of(session, "@@GLOBAL.read_only"):
        fail("the database server is read-only, so it is not the writer; nothing was changed; run again")
    query = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
    if not rows(session, query, [database]):
        return
    session.select_db(database)
    state = registrations(session, tables, []).get("state", RegistrationState.COMPLETE)
    if not recreate or state != RegistrationState.INCOMPLETE:
        fail(f"{database} exists by now ({state}); nothing was changed; run again")


def configdb_init(session: Session, server: Document, tables: Mapping[str, bool], recreate: bool) -> None:
    """Create configdb; `recreate` drops one whose creation was interrupted before anything was registered.

    The session holds the lock of `alone` until all is done.
    """
    recheck(session, server["database"], tables, recreate)
    with temporary_password(server) as password:
        run_or_fail(
            [
                "/opt/open-xchange/sbin/initconfigdb",
                "--configdb-user=" + server["user"],
                "--configdb-host=" + server["host"],
                "--configdb-port=" + str(server["port"]),
                "--configdb-pass=" + password,
                *(["-i"] if recreate else []),
            ]
        )

"""How the MySQL programs reach the server of their host."""

from __future__ import annotations

import os
from typing import Any

from ox_deploy.mysql.dialects import dialect_of
from ox_deploy.remote.common.sql import FIXED_MODE, driver, rows
from ox_deploy.remote.common.types import Document, Session

SOCKET = "/run/mysqld/mysqld.sock"
# How long a server may take to let somebody in: one that hangs while it starts or stops never says a word.
GREETING_SECONDS = 30
SYSTEM_DATABASES = {"information_schema", "mysql", "performance_schema", "sys"}


def connect(option_file: str | None, **limits: Any) -> Session:
    """Open a session as root; without an option file the socket tells the server who we are."""
    options: Document = {"read_default_file": option_file} if option_file else {"user": "root"}
    return opened(unix_socket=SOCKET, **options, **limits)


def opened(read_timeout: float | None = None, **options: Any) -> Session:
    """Open a session; `read_timeout` is for how many seconds its statements may be silent."""
    pymysql = driver()
    cursor = pymysql.cursors.DictCursor
    greeting = read_timeout or GREETING_SECONDS
    session: Session = pymysql.connect(
        cursorclass=cursor, autocommit=True, read_timeout=greeting, init_command=FIXED_MODE, **options
    )
    # What follows may take another time than the greeting.
    session._read_timeout = read_timeout  # type: ignore[attr-defined]  # no option sets it later
    return session


def connect_to(server: Document, **options: Any) -> Session:
    """Open a session at another server; with `ca`, an encrypted one, where it shows a certificate from there."""
    if server["ca"]:
        if not os.path.exists(server["ca"]):
            raise RuntimeError("{} is missing; deploy this host".format(server["ca"]))
        options["ssl"] = {"ca": server["ca"]}
    login = {name: server[name] for name in ("host", "port", "user", "password")}
    session = opened(**login, **options)
    # The driver goes on in clear where the server, or somebody in between, offers nothing else.
    if server["ca"] and not session._secure:  # type: ignore[attr-defined]  # nothing public tells
        session.close()
        raise RuntimeError("{} offers no encrypted connection".format(server["host"]))
    return session


def dialect(session: Session) -> Document:
    """Return what the server of a session calls things."""
    # MariaDB 10 pretends to be a 5.5 to old replicas.
    version: str = session.get_server_info()
    return dialect_of(version.removeprefix("5.5.5-"))


def user_databases(session: Session) -> list[str]:
    """Return the names of all databases that are not the server's own."""
    names = {row["name"] for row in rows(session, "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA")}
    # A directory that the server did not make, such as lost+found.
    return sorted(name for name in names - SYSTEM_DATABASES if not name.startswith("#mysql50#"))

"""How a groupware node reaches configdb: with the account and the write host of its own configuration."""

from __future__ import annotations

import re
import ssl

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import read_present
from ox_deploy.remote.common.sql import FIXED_MODE, driver, value_of
from ox_deploy.remote.common.types import Document, Session


def settings(file: str) -> Document:
    """Return host, port, database, user and password from a file of the node's configuration."""
    values = {}
    for line in read_present(file).decode().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            values[key.strip()] = value.strip()
    match = re.match(r"jdbc:mysql://([^:/]+)(?::(\d+))?/(\w+)", values["writeUrl"])
    assert match, values["writeUrl"]
    properties = dict(values[name].split("=", 1) for name in values if name.startswith("writeProperty."))
    return {
        "host": match[1],
        "port": int(match[2] or 3306),
        "database": match[3],
        "user": properties["user"],
        "password": properties["password"],
    }


def connect(server: Document, database: str | None = None, password: str | None = None) -> Session:
    """Open a session on the write host."""
    pymysql = driver()
    session: Session = pymysql.connect(
        host=server["host"],
        port=server["port"],
        user=server["user"],
        password=password or server["password"],
        database=database,
        autocommit=True,
        connect_timeout=10,
        read_timeout=60,
        init_command=FIXED_MODE,
        cursorclass=pymysql.cursors.DictCursor,
        ssl=encrypted(),
    )
    return session


def encrypted() -> ssl.SSLContext:
    """Return how to encrypt where the server can do it, whoever it is.

    The driver's own way would read all certificates of the host, and then trust anybody, too.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def alone(session: Session) -> None:
    """Let no other node change configdb for as long as this session lasts; stop if one does just now."""
    if value_of(session, "GET_LOCK('ox-deploy.configdb', 5)") != 1:
        fail("another node is changing configdb; nothing was changed; run again when it has ended")

"""How a seeding asks the master."""

from __future__ import annotations

import time

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.mysql.session import connect_to, dialect

# Before all tables of a MySQL master are locked, no statement may run longer than that, and so long that is waited for.
LONG_SECONDS = 2
CALM_SECONDS = 60
LONG_STATEMENTS = """
SELECT MAX(TIME) AS longest FROM information_schema.PROCESSLIST
WHERE COMMAND IN ('Query', 'Execute') AND USER <> 'system user' AND ID <> CONNECTION_ID()
"""


def login_at_master(master: Document, user: str | None = None, password: str | None = None) -> Session:
    """Open a session at the master, as the throw-away account if nothing else is said."""
    login = {"user": user or master["user"], "password": password or master["password"]}
    return connect_to({**master, **login}, connect_timeout=20)


def wait_for_calm(master: Session) -> None:
    """Wait until no statement runs long on a MySQL master.

    Who locks all tables waits for it, and who wants a table that it uses then waits for its end, whether the lock is
    given up or not.
    """
    if dialect(master)["server"] != "MySQL":
        return
    deadline = time.monotonic() + CALM_SECONDS
    while True:
        seconds = rows(master, LONG_STATEMENTS)[0]["longest"] or 0
        if seconds < LONG_SECONDS:
            return
        if time.monotonic() > deadline:
            text = "a statement has run on the master for {} seconds; others would wait while all tables are locked"
            fail(text.format(seconds) + "; wait until it ends (`SHOW PROCESSLIST`), and seed again")
        time.sleep(0.5)


def gtid_state_of_master(master: Session) -> str:
    """Return the last transaction of each server in the master's binary log; on MySQL, all of them."""
    query = "SELECT @@GLOBAL.{gtid_state} AS state".format(**dialect(master)["variables"])
    state: str = rows(master, query)[0]["state"]
    return state

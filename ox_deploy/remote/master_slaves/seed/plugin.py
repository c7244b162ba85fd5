"""MySQL's plugin that clones a server: it is there for the time of a seeding, unless it was there before."""

from __future__ import annotations

import os
import time

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import STATE_DIRECTORY
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Session

# Is there while the plugin is one that we installed.
OURS = "clone-plugin"
END_SECONDS = 120
NO_SUCH_THREAD = 1094


def lend_plugin(session: Session) -> None:
    """Have the plugin. Nothing of this is replicated."""
    if has_plugin(session):
        return
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    open(os.path.join(STATE_DIRECTORY, OURS), "w").close()
    with session.cursor() as cursor:
        cursor.execute("INSTALL PLUGIN clone SONAME 'mysql_clone.so'")


def return_plugin(session: Session) -> None:
    """Remove the plugin if we installed it and nobody uses it just now."""
    ours = os.path.join(STATE_DIRECTORY, OURS)
    if not os.path.exists(ours) or cloning_now(session):
        return
    if has_plugin(session):
        with session.cursor() as cursor:
            cursor.execute("UNINSTALL PLUGIN clone")
    os.unlink(ours)


def has_plugin(session: Session) -> bool:
    """Tell whether the plugin is installed."""
    return bool(rows(session, "SELECT 1 FROM information_schema.PLUGINS WHERE PLUGIN_NAME = 'clone'"))


def cloning_now(session: Session) -> list[str]:
    """Return the addresses to which this server is sending itself."""
    query = "SELECT DISTINCT HOST AS host FROM information_schema.PROCESSLIST WHERE COMMAND = 'clone'"
    return sorted({row["host"].rpartition(":")[0] for row in rows(session, query)})


def end_clone(session: Session) -> None:
    """End what a seeding that died left here: at its end it would replace all that came after it."""
    if not has_plugin(session):
        return
    # One whose server died has no session any more, and stays in progress.
    query = "SELECT PID AS id FROM performance_schema.clone_status WHERE STATE = 'In Progress' AND PID > 0"
    deadline = time.monotonic() + END_SECONDS
    while True:
        left = rows(session, query)
        if not left:
            return
        if time.monotonic() > deadline:
            fail("an earlier clone does not end; restart this server, and seed again")
        for row in left:
            kill(session, "CONNECTION", row["id"])
        time.sleep(0.5)


def end_sessions(session: Session, user: str, host: str) -> None:
    """End what an account still does here; its other side may be gone without a word."""
    query = "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = %s AND HOST LIKE CONCAT(%s, ':%%')"
    for row in rows(session, query, [user, host]):
        kill(session, "CONNECTION", row["id"])


def kill(session: Session, what: str, number: int) -> None:
    """End a session or its statement; it may have ended by now."""
    try:
        with session.cursor() as cursor:
            cursor.execute(f"KILL {what} {int(number)}")
    except Exception as error:
        if error.args[0] != NO_SUCH_THREAD:
            raise

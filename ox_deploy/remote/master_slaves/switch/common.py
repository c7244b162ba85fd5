"""What the programs of a switch share: the locks by which they agree, and how they reach the other server.

Three parties take part in giving up the old master: the program that stops writes there, a guard that opens them again
unless somebody takes over, and the program that opens the new master. They meet in user locks of the old master's
server, which end with the session that holds them:

  GUARD  the guard is at work; only who holds it may open the old master again
  CLAIM  the new master is about to be opened; a guard that sees this ends and opens nothing
  ABORT  writes should be opened again now

Who claims waits until GUARD is free, and then looks whether the old master is still read-only. So at no time are both
open.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ox_deploy.remote.common.sql import value_of
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.mysql.session import connect_to, dialect

CLAIM, ABORT = "ox-deploy.claim", "ox-deploy.abort"
# How long the new master and the guard are waited for, in seconds.
REACH_SECONDS = 3
ANSWER_SECONDS = 20
AGREE_SECONDS = 5


def reach(server: Document) -> Session:
    """Open a session on another database server, with the account of its replicas."""
    return connect_to(server, connect_timeout=REACH_SECONDS, read_timeout=ANSWER_SECONDS)


def last_transaction(session: Session) -> str:
    """Return the GTIDs of all that a server wrote, in its own form."""
    # MySQL breaks long lists into lines.
    gtids: str = value_of(session, "@@GLOBAL.{gtid_binlog}".format(**dialect(session)["variables"]))
    return gtids.replace("\n", "")


def arrives(session: Session, gtids: str, seconds: float) -> bool:
    """Wait for transactions; tell whether they came."""
    return bool(value_of(session, dialect(session)["wait_for_gtid"], [gtids, seconds]) == 0)


def take(session: Session, lock: str) -> bool:
    """Take a lock without waiting; tell whether it was free."""
    return bool(value_of(session, "GET_LOCK(%s, 0)", [lock]) == 1)


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Wait for a condition; tell whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def write_fence(path: str, text: str) -> None:
    """Have on the disk what this server is when it starts, whatever becomes of us."""
    with open(path + ".new", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def remove_fence(path: str) -> None:
    """Let this server start as its configuration says."""
    if os.path.exists(path):
        os.unlink(path)

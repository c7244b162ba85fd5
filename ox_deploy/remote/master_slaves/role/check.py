"""Look once more at a server's role, under the host's lock, right before something is done that depends on it."""

from __future__ import annotations

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.sql import value_of
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.replication.status import replica_status
from ox_deploy.remote.mysql.session import dialect, user_databases

# Who holds this user lock may open an old master again (switch/common.py).
GUARD = "ox-deploy.guard"


def is_read_only(session: Session) -> bool:
    """Tell whether only we may write."""
    return bool(value_of(session, "@@GLOBAL.read_only"))


def holder(session: Session, lock: str) -> int | None:
    """Return the session that holds a lock, or None."""
    number: int | None = value_of(session, "IS_USED_LOCK(%s)", [lock])
    return number


def role_of(session: Session) -> Document:
    """Return what tells a master from a replica, as `MysqlStatus.role` has it."""
    status = replica_status(session)
    source = "{Master_Host}:{Master_Port}".format(**status) if status else None
    return {"read_only": is_read_only(session), "source": source}


def shown_role(role: Document) -> str:
    """Return a role in words."""
    takes = "read-only" if role["read_only"] else "open for writes"
    return "{} and {}".format(takes, "a replica of " + role["source"] if role["source"] else "not a replica")


def check_no_switch(session: Session) -> None:
    """Stop if the master is being switched."""
    if holder(session, GUARD):
        fail("the master is being switched; nothing was changed here; run again when that has ended")


def check_role(session: Session, seen: Document | None) -> None:
    """Stop unless the server is what it was `seen` to be, and stays so; None is for what no role matters to."""
    if not seen:
        return
    check_no_switch(session)
    now = role_of(session)
    if now != {name: seen[name] for name in now}:
        text = "this server is {}, but was {} when this run looked; nothing was changed here; run again"
        fail(text.format(shown_role(now), shown_role(seen)))


def check_unchanged(session: Session, seen: Document | None) -> None:
    """Like `check_role`, for a server whose data has to be what it was, too."""
    check_role(session, seen)
    if seen and not seen["source"]:
        written = value_of(session, "@@GLOBAL.{gtid_binlog}".format(**dialect(session)["variables"]))
        if (written or "").replace("\n", "") != seen["written"] or user_databases(session) != seen["databases"]:
            fail("this server was written to after this run had looked; nothing was changed here; run again")

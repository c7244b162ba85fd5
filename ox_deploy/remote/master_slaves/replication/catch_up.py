"""Let this host's replica reach its master now, instead of when its next attempt is due, and wait for what it lacks."""

from __future__ import annotations

from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.replication.start import run_replica
from ox_deploy.remote.master_slaves.replication.status import replica_status
from ox_deploy.remote.master_slaves.switch.common import arrives, wait_until
from ox_deploy.remote.mysql.session import connect

WAITING = "Connecting"


def is_waiting(session: Session) -> bool:
    """Tell whether the replica waits for its next attempt."""
    return bool((replica_status(session) or {}).get("Slave_IO_Running") == WAITING)


def replication_catch_up(job: Document) -> None:
    """Do it; how far the replica has come is looked at by who comes next."""
    with connect(job["option_file"]) as session:
        if is_waiting(session):
            run_replica(session, "STOP {replica} IO_THREAD", "START {replica} IO_THREAD")
            if not wait_until(lambda: not is_waiting(session), job["seconds"]):
                return
        if job["gtids"]:
            arrives(session, job["gtids"], job["seconds"])

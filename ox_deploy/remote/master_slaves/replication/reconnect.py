"""Let this host's replica try now to reach its master, instead of when its next attempt is due."""

from __future__ import annotations

import time

from ox_deploy.remote.common.types import Document
from ox_deploy.remote.master_slaves.replication.start import run_replica
from ox_deploy.remote.master_slaves.replication.status import replica_status
from ox_deploy.remote.mysql.session import connect

WAITING = "Connecting"


def replication_reconnect(job: Document) -> None:
    """Do it, and wait a while for the connection; whether it is there is looked at by who comes next."""
    with connect(job["option_file"]) as session:
        if (replica_status(session) or {}).get("Slave_IO_Running") != WAITING:
            return
        run_replica(session, "STOP {replica} IO_THREAD", "START {replica} IO_THREAD")
        deadline = time.monotonic() + job["seconds"]
        while (replica_status(session) or {}).get("Slave_IO_Running") == WAITING and time.monotonic() < deadline:
            time.sleep(0.1)

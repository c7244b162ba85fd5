"""Seed this replica with a clone of its master's data, which its server fetches itself, and then restarts with."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from ox_deploy.remote.common.commands import run, run_or_fail
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.common.units import active_state
from ox_deploy.remote.master_slaves.replication.start import run_replica
from ox_deploy.remote.master_slaves.role.check import check_role
from ox_deploy.remote.master_slaves.seed.common import Progress, no_data_came, work
from ox_deploy.remote.master_slaves.seed.plugin import kill, lend_plugin, return_plugin
from ox_deploy.remote.master_slaves.seed.slave import (
    check_logins,
    check_room,
    clean_up,
    data_directory,
    disable_events,
    drop_throw_away,
    finish,
    marked,
    recover,
    set_all,
)
from ox_deploy.remote.mysql.session import connect

# Its data directory is prepared before it answers again.
RESTART_SECONDS = 3600
# What the server says whose data has come: nobody is there to restart it, or it is restarting.
RESTARTS = (3707, 2006, 2013)
STATUS = (
    "SELECT STATE AS state, ERROR_NO AS number, ERROR_MESSAGE AS error,"
    " BINLOG_FILE AS file, BINLOG_POSITION AS position, GTID_EXECUTED AS gtid FROM performance_schema.clone_status"
)
# Accounts come along, and so does the password of root.
NO_RIGHTS = (1045, 1698)
COPYING = ("FILE COPY", "PAGE COPY", "REDO COPY")
# Nothing that came along may run on its own before this server replicates.
FENCE = """# Written by ox-deploy for the time of a seeding.
[mysqld]
event_scheduler = OFF
loose_skip_replica_start = ON
"""


def seed_clone(job: Document) -> None:
    """Do all of it."""
    work(seed, job)


def seed(job: Document, progress: Progress, folder: str) -> str:
    """Go through the steps; returns what came of it in words."""
    progress.stage("checks")
    recover(job)
    check_logins(job)
    with connect(job["option_file"]) as session:
        check_role(session, job.get("seen"))
        clean_up(session)
        datadir = data_directory(session)
        check_room(datadir, job["bytes"], job["freed"])
        scheduler = rows(session, "SELECT @@GLOBAL.event_scheduler AS value")[0]["value"]
        lend_plugin(session)
        with marked(datadir) as touched:
            name_donor(session, job["master"])
            write_fence(job["fence"])
            touched()
            # The threads would wait for the clone, and the clone for them. What has nothing is nobody's replica.
            run_replica(session, "STOP {replica}", "RESET {replica} ALL")
            progress.stage("copies")
            clone(session, job, progress)
            progress.stage("changes over")
            return resume_as_slave(job, progress, scheduler)


def resume_as_slave(job: Document, progress: Progress, scheduler: str) -> str:
    """Make the server that runs on the new data a replica."""
    with restarted(job) as session:
        count_all(session, progress)
        position = cloned_at(session)
        drop_throw_away(session, job["master"])
        return_plugin(session)
        disable_events(session)
        os.unlink(job["fence"])
        set_all(session, {"event_scheduler": scheduler} if scheduler == "ON" else {})
        return finish(session, job, position, progress)


def name_donor(session: Session, master: Document) -> None:
    """Say from where this server may be cloned, and how it knows that server."""
    donor = "{}:{}".format(master["host"], master["port"])
    set_all(session, {"clone_valid_donor_list": donor, "clone_ssl_ca": master["ca"]})


def write_fence(path: str) -> None:
    """Write the file that the server reads when it restarts."""
    with open(path + ".new", "w") as file:
        file.write(FENCE)
    os.rename(path + ".new", path)


def clone(session: Session, job: Document, progress: Progress) -> None:
    """Fetch the data; the server restarts after that."""
    master = job["master"]
    number = rows(session, "SELECT CONNECTION_ID() AS id")[0]["id"]
    values = [master["user"], master["host"], master["port"], master["password"]]
    with watched(job, number, progress), session.cursor() as cursor:
        try:
            cursor.execute("CLONE INSTANCE FROM %s@%s:%s IDENTIFIED BY %s REQUIRE SSL", values)
        except Exception as error:
            if error.args[0] not in RESTARTS:
                fail(why_not_cloned(error, progress, master["password"]))


def why_not_cloned(error: Exception, progress: Progress, password: str) -> str:
    """Say what the server says, and what to do."""
    if progress.stalled:
        return no_data_came()
    return "the master cannot be cloned ({}); seed again".format(str(error).replace(password, "..."))


@contextlib.contextmanager
def watched(job: Document, number: int, progress: Progress) -> Iterator[None]:
    """Count what a clone fetches, and end it when nothing comes any more."""
    over = threading.Event()
    thread = threading.Thread(target=count_clone, args=(job, number, progress, over), daemon=True)
    thread.start()
    with progress.moving(RunningStatement(job, number)):
        yield
    over.set()


class RunningStatement:
    """A statement of another session, which is ended as a process is."""

    def __init__(self, job: Document, number: int) -> None:
        self.job, self.number = job, number

    def kill(self) -> None:
        """End it; a server that is about to restart takes no more sessions."""
        with contextlib.suppress(Exception), connect(self.job["option_file"]) as session:
            kill(session, "QUERY", self.number)

    def wait(self) -> None:
        """Who runs it knows when it ends."""


def count_clone(job: Document, number: int, progress: Progress, over: threading.Event) -> None:
    """Tell how much has come until it is over, or the server is gone."""
    query = (
        "SELECT STAGE AS stage, STATE AS state, DATA AS bytes FROM performance_schema.clone_progress"
        " WHERE ID IN (SELECT ID FROM performance_schema.clone_status WHERE PID = %s)"
    )
    with contextlib.suppress(Exception), connect(job["option_file"]) as session:
        while not over.wait(0.25):
            stages = rows(session, query, [number])
            new = sum(stage["bytes"] for stage in stages) - progress.state["bytes"]
            # Dropping what was there, and writing it all to the disk, moves no bytes that are counted.
            if new or not any(row["stage"] in COPYING and row["state"] == "In Progress" for row in stages):
                progress.count(int(new))


def count_all(session: Session, progress: Progress) -> None:
    """Tell how much has come at last; a small clone is through before anybody looks."""
    (row,) = rows(session, "SELECT COALESCE(SUM(DATA), 0) AS bytes FROM performance_schema.clone_progress")
    progress.count(int(row["bytes"]) - progress.state["bytes"])


@contextlib.contextmanager
def restarted(job: Document) -> Iterator[Session]:
    """Wait for the server that runs on the new data, and open a session."""
    deadline = time.monotonic() + RESTART_SECONDS
    while not is_cloned(job):
        if time.monotonic() > deadline:
            fail("the server does not answer with its master's data; see `journalctl -u {}`".format(job["unit"]))
        time.sleep(0.5)
    with connect(job["option_file"]) as session:
        yield session


def is_cloned(job: Document) -> bool:
    """Tell whether the server runs on the new data; start one that does not restart itself."""
    if active_state(job["unit"]) in ("inactive", "failed"):
        run(["systemctl", "reset-failed", job["unit"]])
        run_or_fail(["systemctl", "start", job["unit"]])
    try:
        with connect(job["option_file"]) as session:
            # What came along may not name it.
            lend_plugin(session)
            (found,) = rows(session, STATUS)
    except Exception as error:
        if error.args and error.args[0] in NO_RIGHTS:
            text = (
                "root of the master cannot log in here as this host's `mysql_option_file` says ({}); make the two equal"
            )
            fail(text.format(error))
        return False
    # A server that died half way says that it is still at it, and why it is not.
    if found["state"] == "Failed" or found["number"]:
        fail("the clone of the master failed ({}); seed again".format(found["error"]))
    return bool(found["state"] == "Completed")


def cloned_at(session: Session) -> Document:
    """Return where in the master's binary log the data was taken."""
    (found,) = rows(session, STATUS)
    return {"file": found["file"], "position": found["position"], "gtid": found["gtid"].replace("\n", "")}

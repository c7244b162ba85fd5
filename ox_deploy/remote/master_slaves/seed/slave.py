"""What both ways of seeding do on the replica before and after the data comes: checks, the mark, replication."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ox_deploy.remote.common.commands import run_or_fail
from ox_deploy.remote.common.ending import Failure, fail
from ox_deploy.remote.common.files import STATE_DIRECTORY, read
from ox_deploy.remote.common.sql import rows
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.common.units import wait_until_settled
from ox_deploy.remote.master_slaves.replication.start import (
    CONNECT_SECONDS,
    change_master,
    run_replica,
    wait_until_caught_up,
)
from ox_deploy.remote.master_slaves.seed.accounts import identifier
from ox_deploy.remote.master_slaves.seed.common import MARK, Progress
from ox_deploy.remote.master_slaves.seed.compare import compare
from ox_deploy.remote.master_slaves.seed.directories import put_back
from ox_deploy.remote.master_slaves.seed.master import login_at_master
from ox_deploy.remote.master_slaves.seed.plugin import end_clone, return_plugin
from ox_deploy.remote.mysql.session import dialect

# The server's settings before those for a dump.
NOTE = "seeding-settings"
# A replica that has to wait so long for nothing else than its master's new data has caught up.
NEAR_SECONDS = 5
CATCH_UP_SECONDS = 86400
# What the server may make of a dump's bytes.
ROOM = 1.1


def check_logins(job: Document) -> None:
    """Find out before anything is touched whether both accounts can log in at the master."""
    source = job["source"]
    remedy = "deploy the master, which sets its password and address"
    for who, options, todo in (
        (job["master"]["user"], {}, "seed again"),
        (source["user"], {"user": source["user"], "password": source["password"]}, remedy),
    ):
        try:
            login_at_master(job["master"], **options).close()
        except Exception as error:
            where = "{}:{}".format(job["master"]["host"], job["master"]["port"])
            fail(f"the account {who} cannot log in to the master {where} ({error}); {todo}")


def check_room(path: str, needed: float, freed: float = 0) -> None:
    """Find out whether the data has room on the disk."""
    free = shutil.disk_usage(path).free + freed
    if free < needed * ROOM:
        text = "the disk of {} has {} MB, but the data needs {} MB; make room, and seed again"
        fail(text.format(path, free // 1000000, int(needed * ROOM) // 1000000))


@contextlib.contextmanager
def marked(datadir: str) -> Iterator[Callable[[], None]]:
    """Mark the replica as half seeded; the mark stays if anything fails once `touched` was called."""
    known = os.path.exists(MARK)
    touched = []
    if not known:
        with open(MARK + ".new", "w") as file:
            file.write(datadir)
            file.flush()
            os.fsync(file.fileno())
        os.rename(MARK + ".new", MARK)
    try:
        yield lambda: touched.append(True)
    except (Exception, Failure):
        if not known and not touched:
            os.unlink(MARK)
        raise
    os.unlink(MARK)


def recover(job: Document) -> None:
    """Put back what a seeding left that died while it changed the data directories, and have the server run."""
    datadir = (read(MARK) or b"").decode()
    if not datadir:
        return
    remove_fence(job)
    put_back(datadir, job["unit"])
    wait_until_settled(job["unit"])
    run_or_fail(["systemctl", "start", job["unit"]])


def clean_up(session: Session) -> None:
    """Undo what a seeding that died left in the server."""
    end_clone(session)
    return_plugin(session)
    put_back_settings(session)


def note(values: Mapping[str, Any]) -> None:
    """Write down settings of the server, for the next seeding if this one dies."""
    path = os.path.join(STATE_DIRECTORY, NOTE)
    with open(path + ".new", "w") as file:
        json.dump(values, file)
    os.rename(path + ".new", path)


def put_back_settings(session: Session) -> None:
    """Set what was noted."""
    path = os.path.join(STATE_DIRECTORY, NOTE)
    values = read(path)
    if values is not None:
        set_all(session, json.loads(values))
        os.unlink(path)


def remove_fence(job: Document) -> None:
    """Remove the file for the restart on the new data, and with a restart what it says."""
    if job["fence"] and os.path.exists(job["fence"]):
        wait_until_settled(job["unit"])
        os.unlink(job["fence"])
        run_or_fail(["systemctl", "restart", job["unit"]])


def data_directory(session: Session) -> str:
    """Return where the server keeps its data."""
    path: str = rows(session, "SELECT @@datadir AS path")[0]["path"]
    return os.path.realpath(path)


def follow(session: Session, job: Document, position: Document) -> None:
    """Replicate from exactly there. What this server wrote to its own binary log was before that time."""
    disable_events(session)
    run_replica(session, "STOP {replica}", "RESET {replica} ALL")
    if dialect(session)["server"] == "MariaDB":
        run_replica(session, "{reset_log}")
        # A server that follows this one some day must not think that the log begins with the first transaction.
        set_all(session, {"gtid_binlog_state": with_last(position["before"], position["gtid"])})
    place = {} if job["source"]["by_gtid"] else {"file": position["file"], "position": position["position"]}
    change_master(session, {**job["source"], **place, "gtid": position["gtid"]})
    run_replica(session, "START {replica}")


def disable_events(session: Session) -> None:
    """Let events run on the master only."""
    events = rows(session, "SELECT * FROM information_schema.EVENTS WHERE STATUS = 'ENABLED'")
    with session.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        for event in events:
            cursor.execute(disable(event, dialect(session)))


def set_all(session: Session, values: Mapping[str, Any]) -> None:
    """Set settings of the server."""
    with session.cursor() as cursor:
        for name, value in values.items():
            cursor.execute(f"SET GLOBAL {name} = %s", [value])


def with_last(state: str, last: Any) -> str:
    """Return the last transaction of each server, some of which are older than those that are the last by now."""
    numbers = {}
    for gtid in filter(None, (state + "," + last).split(",")):
        origin, _, number = gtid.rpartition("-")
        numbers[origin] = number
    return ",".join("{}-{}".format(*each) for each in numbers.items())


def disable(event: Document, names: Document) -> str:
    """Return the statement with which only the master runs an event, as if it had come by replication."""
    definer = "@".join(identifier(name) for name in event["DEFINER"].rsplit("@", 1))
    name = "{}.{}".format(identifier(event["EVENT_SCHEMA"]), identifier(event["EVENT_NAME"]))
    return "ALTER DEFINER = {} EVENT {} {}".format(definer, name, names["disable_event"])


def drop_throw_away(session: Session, master: Document) -> None:
    """Drop the account that came along."""
    with session.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        for row in rows(session, "SELECT User AS user, Host AS host FROM mysql.user WHERE User = %s", [master["user"]]):
            cursor.execute("DROP USER %s@%s", [row["user"], row["host"]])


def catch_up(session: Session, job: Document) -> None:
    """Wait until the replica has all but what the master wrote in the last seconds."""
    while True:
        begun = time.monotonic()
        target = position_of_master(job)
        wait_until_caught_up(session, target, CATCH_UP_SECONDS)
        if time.monotonic() - begun < NEAR_SECONDS:
            return


def position_of_master(job: Document) -> Document:
    """Return where the master's binary log stands; wait for a master that is just restarting."""
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            with login_at_master(job["master"]) as master:
                names = dialect(master)
                (row,) = rows(master, names["show_log"])
                query = "SELECT @@GLOBAL.{gtid_binlog} AS gtid".format(**names["variables"])
                gtid = rows(master, query)[0]["gtid"] if job["source"]["by_gtid"] else ""
                return {"file": row["File"], "position": row["Position"], "gtid": gtid}
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def finish(session: Session, job: Document, position: Document, progress: Progress) -> str:
    """Replicate, catch up, compare; returns what there was to compare."""
    progress.stage("catches up")
    follow(session, job, position)
    catch_up(session, job)
    progress.stage("compares")
    return compare(session, job)

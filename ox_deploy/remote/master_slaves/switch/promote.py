"""Open the new master for writes, and let it forget its own one.

The file that says that it took over is the point of no return. All before it can be given up; all after it can be
repeated, also if this host dies: its server starts open then.
"""

from __future__ import annotations

import re
import time

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.sql import value_of
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.replication.start import drain_relay_log, run_replica
from ox_deploy.remote.master_slaves.replication.status import (
    is_using_gtid,
    replica_status,
    status_as_replica,
    without_statement,
)
from ox_deploy.remote.master_slaves.role.check import GUARD, holder, is_read_only
from ox_deploy.remote.master_slaves.switch.common import (
    AGREE_SECONDS,
    CLAIM,
    arrives,
    last_transaction,
    reach,
    take,
    wait_until,
    write_fence,
)
from ox_deploy.remote.master_slaves.switch.fence import TAKEN_OVER, fence_text
from ox_deploy.remote.master_slaves.switch.reach import switch_reach
from ox_deploy.remote.mysql.session import connect, dialect

# A claim that took longer to be confirmed may be a dead one.
CLAIM_SECONDS = 5
APPLY_SECONDS = 60


def open_writes(session: Session, job: Document) -> None:
    """Pass the point of no return: on the disk, in the binary log, then in the server."""
    write_fence(job["fence"], fence_text("from", job["from"], False))
    leave_mark(session)
    with session.cursor() as cursor:
        cursor.execute("SET GLOBAL read_only = 0")


def leave_mark(session: Session) -> None:
    """Leave a transaction of our own behind the last one of the old master, before anybody else writes.

    It shows later who took over from whom, also where nobody has written since, and where this server is read-only.
    """
    with session.cursor() as cursor:
        if dialect(session)["server"] == "MariaDB":
            cursor.execute("FLUSH PRIVILEGES")
            return
        cursor.execute("SET SESSION gtid_next = %s", [f"{TAKEN_OVER}:{next_number(last_transaction(session))}"])
        cursor.execute("BEGIN")
        cursor.execute("COMMIT")
        cursor.execute("SET SESSION gtid_next = 'AUTOMATIC'")


def next_number(gtids: str) -> int:
    """Return the time in seconds, or more where the clock of who took over before was ahead."""
    found = re.search(TAKEN_OVER + r"((?::\d+(?:-\d+)?)+)", gtids)
    last = max(map(int, re.findall(r"\d+", found[1]))) if found else 0
    return max(int(time.time()), last + 1)


def check_old(here: Session, old: Session, job: Document) -> None:
    """Stop unless the old master takes no writes and this server has all of its transactions."""
    if not is_read_only(old):
        fail("{} takes writes again; nothing was changed; run again".format(job["old"]["name"]))
    if not arrives(here, last_transaction(old), AGREE_SECONDS):
        fail("{} has transactions that did not arrive; nothing was changed; run again".format(job["old"]["name"]))


def take_over(here: Session, job: Document) -> None:
    """Open this server when nobody can open the old master any more."""
    try:
        old = reach(job["old"])
    except Exception as error:
        fail("{} cannot be asked: {}; nothing was changed; run again".format(job["old"]["name"], error))
    with old:
        check_old(here, old, job)
        since = time.monotonic()
        if not take(old, CLAIM):
            fail("another run is about to switch; nothing was changed; run again when it has ended")
        if not wait_until(lambda: not holder(old, GUARD), AGREE_SECONDS):
            fail("the guard of {} does not answer; nothing was changed; run again".format(job["old"]["name"]))
        check_old(here, old, job)
        if time.monotonic() - since > CLAIM_SECONDS:
            fail("{} answers too slowly; run again".format(job["old"]["name"]))
        open_writes(here, job)


def apply_received(here: Session) -> None:
    """Bring in what the dead master has sent, and is not in the tables yet."""
    if replica_status(here) is None:
        return
    drain_relay_log(here)
    status = status_as_replica(here)
    names = dialect(here)
    # What MySQL received by GTID are whole transactions; a position may be in the middle of one that never ends.
    if is_using_gtid(status, names) or (names["server"] == "MySQL" and status[names["received"]]):
        arrived = arrives(here, status[names["received"]], APPLY_SECONDS)
    else:
        read = [status["Master_Log_File"], status["Read_Master_Log_Pos"], APPLY_SECONDS]
        waited = value_of(here, names["wait_for_position"], read)
        arrived = waited is not None and waited >= 0
    if not arrived:
        error = without_statement(status_as_replica(here)["Last_SQL_Error"]) or "run again when it has"
        fail(f"it has not applied all that it received within {APPLY_SECONDS} s: {error}")


def check_dead(lost: Document) -> None:
    """Stop if the old master answers after all."""
    if switch_reach(lost)["answers"]:
        fail("{} answers, so it is alive; nothing was changed: use the switchover".format(lost["name"]))


def forget_master(here: Session) -> None:
    """Replicate from nobody."""
    if replica_status(here) is not None:
        run_replica(here, "STOP {replica}", "RESET {replica} ALL")


def switch_promote(job: Document) -> None:
    """Do all of it; without an old master, take what is here."""
    with connect(job["option_file"]) as here:
        if not job["old"]:
            apply_received(here)
        if is_read_only(here):
            if job["old"]:
                take_over(here, job)
            else:
                check_dead(job["lost"])
                open_writes(here, job)
        elif replica_status(here) is not None:
            # Who opened it died before that.
            leave_mark(here)
        forget_master(here)

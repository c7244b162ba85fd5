"""Open the old master again after a while, unless the new one is about to be opened. Run by systemd, with no one else.

It has one session, and what it holds and does there ends together.
"""

from __future__ import annotations

from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.master_slaves.role.check import GUARD, holder
from ox_deploy.remote.master_slaves.switch.common import ABORT, CLAIM, remove_fence, take, wait_until
from ox_deploy.remote.mysql.session import connect


def switch_guard(job: Document) -> None:
    """Do it."""
    with connect(job["option_file"]) as session:
        if not take(session, GUARD):
            fail("another switch is under way; run again when it has ended")
        wait_until(lambda: holder(session, CLAIM) or holder(session, ABORT), job["seconds"])
        if holder(session, CLAIM):
            print("the new master is being opened")
            return
        with session.cursor() as cursor:
            cursor.execute("SET GLOBAL read_only = 0")
        remove_fence(job["fence"])
        print("writes are open again")

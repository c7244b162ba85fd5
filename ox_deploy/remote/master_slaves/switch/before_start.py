"""Look, before this host's database server starts, whether another one is the master by now; start read-only then.

A failover takes the place of a master that is dead, and cannot tell it. If its host comes back, both would take writes.
"""

from __future__ import annotations

import os
import re
from typing import Any

from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.sql import value_of
from ox_deploy.remote.common.types import Document, Session
from ox_deploy.remote.master_slaves.role.check import is_read_only
from ox_deploy.remote.master_slaves.switch.common import write_fence
from ox_deploy.remote.master_slaves.switch.fence import TAKEN_OVER, fence_text
from ox_deploy.remote.mysql.options import plain, settings_in
from ox_deploy.remote.mysql.session import connect_to, dialect


def switch_before_start(job: Document) -> None:
    """Do it, within a few seconds; who cannot be asked is not waited for."""
    settings = settings_in([job["configuration"], job["fence"]])
    if plain(settings.get("read_only", "ON")) != 0:
        return
    for peer in job["peers"]:
        if is_successor(peer, settings, job):
            write_fence(job["fence"], fence_text("to", peer["name"], True))
            print("{} has taken over, so this server starts read-only; deploy it as a replica".format(peer["name"]))
            return


def is_successor(peer: Document, settings: dict[str, Any], job: Document) -> bool:
    """Tell whether another server takes writes, and has taken over from this one."""
    try:
        with connect_to(peer, connect_timeout=job["seconds"], read_timeout=job["seconds"]) as session:
            return not is_read_only(session) and took_over(session, settings, job["logs"])
    except Exception as error:
        print("{} was not asked: {}".format(peer["name"], error))
        return False


def took_over(session: Session, settings: dict[str, Any], logs: str) -> bool:
    """Tell whether what another server wrote is later than what this one did.

    A replica that somebody opened by mistake has less of its own than of its master.
    """
    if dialect(session)["server"] == "MariaDB":
        own, its = (
            last_of(value_of(session, "@@GLOBAL.gtid_binlog_state"), server)
            for server in (settings["server_id"], str(value_of(session, "@@GLOBAL.server_id")))
        )
        return its > own
    marks = re.search(TAKEN_OVER + r"((?::\d+(?:-\d+)?)+)", value_of(session, "@@GLOBAL.gtid_executed"))
    return marks is not None and max(map(int, re.findall(r"\d+", marks[1]))) > last_written(logs)


def last_of(state: str, server: str) -> int:
    """Return the number of the last transaction that a server wrote, by MariaDB's state of the binary log."""
    found = [gtid.strip().split("-") for gtid in state.split(",") if gtid]
    return max((int(number) for _, writer, number in found if writer == server), default=0)


def last_written(logs: str) -> float:
    """Return when this server wrote to its binary log last, in seconds since 1970; now if nobody knows."""
    base = settings_in([logs]).get("log_bin", "")
    index = re.sub(r"\.[^./]*$", "", base) + ".index"
    files = (read(index) or b"").decode(errors="surrogateescape").split()
    times = [os.path.getmtime(os.path.join(os.path.dirname(index), file)) for file in files[-1:]]
    return max(times, default=float("inf"))

"""What of a running database server is not as the cluster needs it, whatever its role is. Pure: nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ox_deploy.facts.mysql import Difference, MysqlStatus
from ox_deploy.findings import Finding, Level
from ox_deploy.mysql.server_options import TUNABLE, owned

DIFFERS = "server setting differs"
ENCRYPTED_ONLY = "encryption demanded"
MASTER_READ_ONLY = "master read-only"
# What to do about the last one.
WRITE_AGAIN = (
    "run `SET GLOBAL read_only = 0` there if nobody is switching the master right now, then find out who set it; a "
    "deploy does not fix it, because it compares only files"
)


@dataclass(frozen=True)
class Fault:
    """A named state of a server: what is, in words that follow its name, what should be, and what to do.

    With an obstacle, a deploy would only lock somebody out.
    """

    state: str
    level: Level
    found: str
    wanted: str
    remedy: str
    is_obstacle: bool = False

    def finding(self, host: str) -> Finding:
        """Return it as status and verify show it."""
        return Finding(
            state=self.state,
            level=self.level,
            host=host,
            found=f"it {self.found}",
            wanted=self.wanted,
            remedy=self.remedy,
        )


def faults(status: MysqlStatus, encrypted: bool) -> list[Fault]:
    """Return all that is not right.

    + encrypted: whether the replicas log in over encrypted connections
    """
    found = [_differs(each) for each in deviations(status)]
    if status.variables.get("require_secure_transport") == "ON" and not encrypted:
        found.append(_encrypted_only(status.set_in.get("require_secure_transport", "")))
    return found


def deviations(status: MysqlStatus) -> Sequence[Difference]:
    """Return where the server differs from our file in what is ours; `read_only` has states of its own."""
    return [
        each
        for each in status.differences
        if owned(each.name) and each.name not in TUNABLE and each.name != "read_only"
    ]


def refusal(status: MysqlStatus) -> str | None:
    """Return a sentence if a server does not do what our files say, though nothing is to be written there."""
    for each in deviations(status):
        if each.overruled:
            return f"this server does not do what our file says: {each.found}; {each.why}."
    return None


def _differs(each: Difference) -> Fault:
    level = Level.CRITICAL if each.overruled else Level.WARNING
    return Fault(DIFFERS, level, f"says that {each.found}", f"`{each.name}` is {each.wanted}", each.why)


def _encrypted_only(place: str) -> Fault:
    return Fault(
        ENCRYPTED_ONLY,
        Level.CRITICAL,
        "takes encrypted connections only (`require_secure_transport` is ON), while `replication_tls` is off",
        "replicas and groupware nodes can log in",
        f"switch it off{f' ({place})' if place else ' there'}, or set `replication_tls`, if the groupware nodes log in "
        "encrypted, too",
        is_obstacle=True,
    )

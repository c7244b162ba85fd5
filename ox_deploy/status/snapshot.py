"""The state of the whole cluster at one time, as it is shown, printed as JSON, and compared with the last one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel

from ox_deploy.findings import Finding, Level


class LinkKind(StrEnum):
    """What an arrow of the picture is for."""

    BALANCING = "balancing"
    CACHES = "caches"
    DATABASE = "database"
    NFS = "nfs"
    REPLICATION = "replication"

    @property
    def text(self) -> str:
        """Return it as people read it."""
        return "NFS" if self is LinkKind.NFS else self.value


class HostView(BaseModel, frozen=True):
    """One host. `details` are lines of label and text, such as "disk of /var/lib/mysql" and "12 % of 40 GB".

    The most telling ones come first; the terminal shows no others.
    """

    name: str
    address: str
    # Groups of the inventory, and "filestore" for the host that exports it.
    roles: list[str]
    level: Level
    reachable: bool
    details: dict[str, str]
    # package -> version, of the packages that the deploy installs
    versions: dict[str, str]


class Link(BaseModel, frozen=True):
    """An arrow of the picture between two hosts, at most one of a kind. `target` is "" for the external filestore."""

    kind: LinkKind
    source: str
    target: str
    level: Level
    # Short, such as "route OX-1" or "lag 0 s".
    text: str


class Snapshot(BaseModel, frozen=True):
    """All of it. `findings` are sorted: the worst first."""

    time: datetime
    web_name: str
    product: str
    hosts: list[HostView]
    links: list[Link]
    findings: list[Finding]
    # The external NFS server, "" where one of the hosts exports the filestore.
    external_filestore: str = ""

    @property
    def level(self) -> Level:
        """Return the worst of all."""
        return max((finding.level for finding in self.findings), default=Level.FINE)


class Changes(BaseModel, frozen=True):
    """What is different from the last time: `since` is when that was, None if there was none."""

    since: datetime | None
    new: list[Finding]
    gone: list[Finding]


def compare(before: Snapshot | None, now: Snapshot) -> Changes:
    """Return which findings came and which went.

    One that got worse counts as new, and not as gone; one with other figures in its text is still the same.
    """
    if before is None:
        return Changes(since=None, new=[], gone=[])
    known = {_key(finding): finding.level for finding in before.findings}
    here = {_key(finding) for finding in now.findings}
    return Changes(
        since=before.time,
        new=[finding for finding in now.findings if finding.level > known.get(_key(finding), Level.FINE)],
        gone=[finding for finding in before.findings if _key(finding) not in here],
    )


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.state, finding.host, finding.about

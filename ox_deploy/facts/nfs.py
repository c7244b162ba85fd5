"""Whether a host has the filestore mounted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ox_deploy.facts.service import ServiceStatus, asked, parse_status
from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


@dataclass(frozen=True)
class Mount:
    """What is mounted at the mount point; a server that has another name there is called as it was asked for."""

    source: str
    type: str


@dataclass(frozen=True)
class BareDirectory:
    """What lies under the mount: whether nobody can write to it, and the first names in it."""

    protected: bool
    entries: list[str]


@dataclass(frozen=True)
class MountStatus:
    """The mount point of the filestore on one host; `bare` is None where there is no such directory.

    `real` is its path without links, "" where nothing is known.
    """

    service: ServiceStatus = field(default_factory=ServiceStatus)
    foreign_line: str | None = None
    foreign_unit: str | None = None
    real: str = ""
    mount: Mount | None = None
    answers: bool = False
    bare: BareDirectory | None = None


class FilestoreMount(JsonFact[MountStatus]):
    """The mount at `path`, and the files of ours that belong to it."""

    def command(self, path: str, service: str, files: dict[str, str | None], source: str = "") -> Program:
        """Ask for the mount, and for `files` (path -> name of our block in it, or None) of a `service` of ours.

        + source: what should be mounted there
        """
        wanted = asked(service, files, [], {"fstab": {"path": path, "source": source}} if source else None)
        return Program("filestore_state", {"path": path, "service": wanted, **({"source": source} if source else {})})

    def parse(self, document: dict[str, Any]) -> MountStatus:
        """Return the typed form."""
        if not document:
            return MountStatus()
        mount, bare = document["mount"], document["bare"]
        return MountStatus(
            service=parse_status(document["service"]),
            foreign_line=document["foreign_line"],
            foreign_unit=document["foreign_unit"],
            real=document["real"],
            mount=Mount(**mount) if mount else None,
            answers=document["answers"],
            bare=BareDirectory(**bare) if bare else None,
        )

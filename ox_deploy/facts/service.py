"""The state of a service's files and systemd units."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


@dataclass(frozen=True)
class FileState:
    """What is at a path; `digest` is the SHA-256 of the file, or of our block in a shared file."""

    mode: str
    owner: str
    group: str
    target: str | None
    digest: str | None


@dataclass(frozen=True)
class UnitState:
    """What systemd says of a unit."""

    active: bool
    enabled: bool


@dataclass(frozen=True)
class HandMade:
    """A file, or `lines` of one (the first and the last of each run), that somebody made for what ours do.

    `why` says what it is; `digest` is the SHA-256 of the whole file, `copy` where that is kept from then on.
    """

    path: str
    lines: list[list[int]]
    why: str
    digest: str
    copy: str

    @property
    def place(self) -> str:
        """Return where it is: the file with the number of the line."""
        numbers = ", ".join("-".join(map(str, dict.fromkeys(span))) for span in self.lines)
        return f"{self.path}:{numbers}" if numbers else self.path


@dataclass(frozen=True)
class ServiceStatus:
    """Files (None: absent), units, and whether files were written that the service does not use yet.

    `hand_made` is what ours take the place of, `kept` what of our texts has to be replaced by what.
    """

    files: dict[str, FileState | None] = field(default_factory=dict)
    units: dict[str, UnitState] = field(default_factory=dict)
    pending: bool = False
    hand_made: list[HandMade] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)


class Service(JsonFact[ServiceStatus]):
    """Files and units of one service, asked in one command."""

    def command(
        self,
        service: str,
        files: dict[str, str | None],
        units: list[str],
        hand_made: dict[str, dict[str, Any]] | None = None,
    ) -> Program:
        """Ask for `files` (path -> name of our block in it, or None), `units`, and what was made by hand, by kind."""
        return Program("service_state", asked(service, files, units, hand_made))

    def parse(self, document: dict[str, Any]) -> ServiceStatus:
        """Return the typed form."""
        return parse_status(document)


def asked(
    service: str,
    files: dict[str, str | None],
    units: list[str],
    hand_made: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return what service_state.py is asked."""
    found = {"hand_made": hand_made} if hand_made else {}
    return {"name": service, "files": files, "units": units, **found}


def parse_status(document: dict[str, Any]) -> ServiceStatus:
    """Return the typed form of what service_state.py prints."""
    return ServiceStatus(
        files={path: state and FileState(**state) for path, state in document.get("files", {}).items()},
        units={unit: UnitState(**state) for unit, state in document.get("units", {}).items()},
        pending=document.get("pending", False),
        hand_made=[HandMade(**part) for part in document.get("hand_made", [])],
        kept=document.get("kept", {}),
    )

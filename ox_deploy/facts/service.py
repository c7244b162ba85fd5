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
class ServiceStatus:
    """Files (None: absent), units, and whether files were written that the service does not use yet."""

    files: dict[str, FileState | None] = field(default_factory=dict)
    units: dict[str, UnitState] = field(default_factory=dict)
    pending: bool = False


class Service(JsonFact[ServiceStatus]):
    """Files and units of one service, asked in one command."""

    def command(self, service: str, files: dict[str, str | None], units: list[str]) -> Program:
        """Ask for `files` (path -> name of our block in it, or None) and `units`."""
        return Program("service_state", {"name": service, "files": files, "units": units})

    def parse(self, document: dict[str, Any]) -> ServiceStatus:
        """Return the typed form."""
        return parse_status(document)


def parse_status(document: dict[str, Any]) -> ServiceStatus:
    """Return the typed form of what service_state.py prints."""
    return ServiceStatus(
        files={path: state and FileState(**state) for path, state in document.get("files", {}).items()},
        units={unit: UnitState(**state) for unit, state in document.get("units", {}).items()},
        pending=document.get("pending", False),
    )

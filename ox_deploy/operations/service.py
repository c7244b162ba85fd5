"""A service's files, written together, checked by the service itself, and in use when the operation ends."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.service import FileState, HandMade, Service, ServiceStatus
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.question import Question

# By kind: what to look for, see remote/hand_made/find.py.
Replaced = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ManagedFile:
    """One wanted path: a file with `content`, a link to `target`, a directory, or nothing at all.

    With `block`, only the part of the file between our marks is ours; the rest is left as it is.
    """

    path: str
    content: str | None = None
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    target: str | None = None
    block: str | None = None
    directory: bool = False
    # Whether a directory that is not empty and is somebody else's may be given to `owner`.
    adopt: bool = True
    # Others may have put it there, and it stays: a link, or a file in its place; a directory that others can enter.
    shared: bool = False
    # Whether it is only kept up to date where it is there.
    optional: bool = False

    def keeping(self, kept: Mapping[str, str]) -> ManagedFile:
        """Return the file with what is to be replaced in its text, so that nobody loses what is in use."""
        text = self.content
        for own, other in kept.items() if text else ():
            text = text and text.replace(own, other)
        return replace(self, content=text)

    def differs(self, state: FileState | None) -> bool:
        """Tell whether the path has to be written."""
        if self.optional and state is None:
            return False
        if self.shared and state is not None:
            return self.directory and (state.mode, state.owner) == ("0700", "root")
        if self.target is not None:
            return state is None or state.target != self.target
        if self.content is None and not self.directory:
            return state is not None and (self.block is None or state.digest is not None)
        if state is None or self._digest() not in (None, state.digest):
            return True
        found = (state.mode, state.owner, state.group)
        return self.block is None and found != (self.mode, self.owner, self.group)

    def _digest(self) -> str | None:
        return None if self.content is None else hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True)
class DatabaseProbe:
    """A database server where root can log in, and that has what `files` (paths) say of the variables `names`."""

    files: tuple[str, ...]
    names: tuple[str, ...]
    option_file: str | None = None


@dataclass(frozen=True)
class SiteProbe:
    """A web server that answers at `address` as each virtual host in `file` (path), with the certificate it names."""

    file: str
    address: str


@dataclass(frozen=True)
class ExportProbe:
    """An NFS server at `address` with the exports that `pattern` finds in `file` (path), which `list` shows."""

    file: str
    address: str
    port: int
    pattern: str
    list: tuple[str, ...]


@dataclass(frozen=True)
class Probe:
    """How the service is asked whether it works, besides its units; what it says is compared with the files in place.

    `logs` (paths) are shown if it does not. A database server needs the programs that log in, see `roles.configure`.
    """

    database: DatabaseProbe | None = None
    site: SiteProbe | None = None
    export: ExportProbe | None = None
    logs: tuple[str, ...] = ()


UNITS_ONLY = Probe()


def changes(files: Sequence[ManagedFile], status: ServiceStatus) -> list[ManagedFile]:
    """Return the files that have to be written."""
    found = [file.keeping(status.kept) for file in files]
    return [file for file in found if file.differs(status.files.get(file.path))]


def idle_units(units: Sequence[str], status: ServiceStatus) -> list[str]:
    """Return the units that do not run or are not started at boot."""
    return [
        unit
        for unit in units
        if unit not in status.units or not (status.units[unit].active and status.units[unit].enabled)
    ]


def configure_job(
    service: str,
    files: Sequence[ManagedFile],
    units: Sequence[str] = (),
    on_change: str = "restart",
    check: Sequence[str] = (),
    commands: Sequence[Sequence[str]] = (),
    probe: Probe = UNITS_ONLY,
    seconds: int | None = None,
    hand_made: Sequence[HandMade] = (),
) -> dict[str, Any]:
    """Return what remote/service/configure.py needs to write `files` and to make `units` use them.

    + service, files, units, on_change, check, commands, probe: as for `configure`
    + seconds: how long each of `commands` may take, None for what is usual
    + hand_made: what goes out of the way, see `take_over`
    """
    paths = [*(file.path for file in files), *(part.path for part in hand_made)]
    return {
        "name": service,
        "files": [asdict(file) for file in files],
        "units": list(units),
        "on_change": on_change,
        "check": list(check),
        "commands": [list(command) for command in commands],
        "probe": asdict(probe),
        "seconds": seconds,
        "daemon_reload": _concerns_systemd(paths),
        **({"hand_made": [asdict(part) for part in hand_made]} if hand_made else {}),
    }


def take_over(status: ServiceStatus) -> list[HandMade]:
    """Tell what was made by hand on the current host, and return it; its place is that of our files from then on."""
    for part in status.hand_made:
        host.log(
            f"{part.place}: {part.why}, made by hand; ox-deploy takes it over and keeps the old "
            f"{'lines' if part.lines else 'file'} in {part.copy}"
        )
    return status.hand_made


def _concerns_systemd(paths: Sequence[str]) -> bool:
    return any(path.startswith(("/etc/systemd/", "/etc/fstab")) for path in paths)


def question(
    service: str,
    files: Sequence[ManagedFile],
    units: Sequence[str] = (),
    replaces: Replaced | None = None,
    **_: Any,
) -> Question[ServiceStatus]:
    """Return what has to be known of a service."""
    asked = {"service": service, "files": {file.path: file.block for file in files}, "units": list(units)}
    return Question(Service, **asked, **({"hand_made": replaces} if replaces else {}))


@prefetch.asks(question)
@operation()
def configure(
    service: str,
    files: Sequence[ManagedFile],
    units: Sequence[str] = (),
    on_change: Literal["restart", "reload"] = "restart",
    check: Sequence[str] = (),
    commands: Sequence[Sequence[str]] = (),
    probe: Probe = UNITS_ONLY,
    replaces: Replaced | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Write a service's files, have them checked, and make the service use them.

    + service: name under which an unfinished change is remembered on the host
    + files: all files, blocks and links of the service
    + units: systemd units that should run now and at boot
    + on_change: what a running unit needs to use changed files
    + check: command that refuses a wrong configuration; the old files are put back then
    + commands: what to run when a file changed, before the units are started, restarted or reloaded
    + probe: how the service is asked whether it works, for up to 30 seconds; the old files are put back if not
    + replaces: kinds of things that somebody may have made by hand for the same purpose, with what to look for; they
      are moved aside together with the change, and kept

    Idempotent: nothing is done if files and units are right and no earlier run died half way.
    If the check or the unit refuses, all files are as before and the operation fails with the service's words.
    """
    job = job_for(service, files, units, on_change, check, commands, probe, replaces)
    if job:
        yield order("service_configure", job)
    else:
        host.noop(f"{service} is configured and runs")


def job_for(
    service: str,
    files: Sequence[ManagedFile],
    units: Sequence[str],
    on_change: str,
    check: Sequence[str],
    commands: Sequence[Sequence[str]],
    probe: Probe = UNITS_ONLY,
    replaces: Replaced | None = None,
) -> dict[str, Any] | None:
    """Ask the current host, and return what is to be done there to configure a service; None if that is nothing.

    + service, files, units, on_change, check, commands, probe, replaces: as for `configure`
    """
    status = ask(host, question(service, files, units, replaces))
    changed, parts = changes(files, status), take_over(status)
    if not (changed or parts or status.pending or idle_units(units, status)):
        return None
    job = configure_job(service, changed, units, on_change, check, commands, probe, hand_made=parts)
    # systemd may not know yet of what an earlier run wrote before it died.
    job["daemon_reload"] |= status.pending and _concerns_systemd([file.path for file in files])
    return job

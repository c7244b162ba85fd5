"""The mount of the filestore. Its export is files of a service, see deploys/filestore.py."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.nfs import FilestoreMount, MountStatus
from ox_deploy.operations.service import ManagedFile, changes, configure_job, take_over
from ox_deploy.operations.stop import stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.order import order
from ox_deploy.questions.question import Question


def find_obstacle(status: MountStatus, source: str, path: str) -> str | None:
    """Return a sentence for what has to be put right by a person, or None."""
    if status.foreign_line:
        return (
            f"/etc/fstab: {path} has the line `{status.foreign_line}`, which ox-deploy did not write; remove the line "
            "and unmount it, or choose another `filestore_path`."
        )
    if status.foreign_unit:
        return (
            f"{status.foreign_unit}: it mounts {path} at boot, but ox-deploy did not write it, and it takes precedence "
            "over /etc/fstab; stop and remove that unit, run `systemctl daemon-reload`, or choose another "
            "`filestore_path`."
        )
    if status.mount and status.mount.source != source and status.answers:
        return (
            f"{path}: {status.mount.source} is mounted there; it should be {source}; if another database "
            "server became the writer, add a group `filestore` with the host that serves it; otherwise stop "
            "Open-Xchange on this host, unmount it and run again."
        )
    if status.bare and status.bare.entries:
        names = ", ".join(status.bare.entries)
        return (
            f"{path}: the directory under the mount is not empty ({names}), and the mount would hide its files; move "
            "them into the filestore or away, and run again."
        )
    return None


def _wanted_files(source: str, path: str, options: str, files: Sequence[ManagedFile]) -> list[ManagedFile]:
    line = f"{source} {path} nfs {options} 0 0\n"
    return [ManagedFile("/etc/fstab", line, block="filestore"), *files]


def _at(file: ManagedFile, path: str, real: str) -> ManagedFile:
    return replace(file, content=file.content and file.content.replace(path, real))


def _question(source: str, path: str, options: str, files: Sequence[ManagedFile], **_: Any) -> Question[MountStatus]:
    paths = {file.path: file.block for file in _wanted_files(source, path, options, files)}
    return Question(FilestoreMount, path=path, service="filestore", files=paths, source=source)


@prefetch.asks(_question)
@operation()
def mount(
    source: str, path: str, options: str, files: Sequence[ManagedFile], user: str
) -> Generator[StringCommand, None, None]:
    """
    Mount the filestore now and at boot, over a directory that not even root can write to.

    + source: what to mount, `host:/path`
    + path: the mount point, the same on all nodes; a link there is followed
    + options: mount options for fstab
    + files: what else belongs to the mount, such as systemd drop-ins of services that need it; they name `path`
    + user: who works with it, and has to be able to look at what is in it

    Idempotent. A mount that no longer answers is replaced. One that is new and does not answer its user is taken away
    again, and the old files come back. A line of fstab or a unit for the same mount point
    that is not ours, another source in use, or files under the mount point stop the operation.
    Guide: Distributed file storage, Installation of NFS clients.
    """
    status = ask(host, _question(source, path, options, files))
    if not status.answers:
        # Whoever uses the mount would lose it: not on an answer of before.
        prefetch.forget()
        status = ask(host, _question(source, path, options, files))
    real = status.real or path
    wanted = _wanted_files(source, real, options, [_at(file, path, real) for file in files])
    obstacle = find_obstacle(status, source, real)
    if obstacle:
        yield stop(obstacle)
        return
    changed = changes(wanted, status.service)
    stale = status.mount is not None and not status.answers
    missing = status.mount is None or stale
    unprotected = status.bare is None or not status.bare.protected
    parts = take_over(status.service)
    if changed or parts or missing or unprotected or status.service.pending:
        job = {
            "path": real,
            "stale": stale,
            "user": user,
            "service": configure_job("filestore", changed, hand_made=parts),
        }
        yield order("filestore_mount", job)
    else:
        host.noop(f"{source} is mounted")

"""What a host is like before anything of ours is on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import FactBase

from ox_deploy.questions import lease
from ox_deploy.questions.lease import Taking, with_lease
from ox_deploy.questions.program import QUESTION_SECONDS, FactCommand, combined, shell_question
from ox_deploy.questions.question import Question

# How long an earlier run's program may still be at work on a host.
WAIT_SECONDS = 600


@dataclass(frozen=True)
class UserEntry:
    """A line of the user database."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class GroupEntry:
    """A line of the group database."""

    name: str
    gid: int


@dataclass(frozen=True)
class Room:
    """How many bytes are free on the file system (by its number) that a directory is on."""

    free: int
    file_system: int
    path: str


@dataclass
class HostStatus:
    """One host: system, addresses, packages installed (name -> version), and who has the wanted ids.

    `time` is its clock in seconds since 1970, 0 if that is not known.
    `answers` are those to the questions asked along with it, None for one that has to be asked on its own. `lease` is
    what the host said when it was asked for that; without it, nothing else is known.
    """

    system: str = ""
    init: str = ""
    architecture: str = ""
    time: float = 0
    rooms: list[Room] = field(default_factory=list)
    has_python: bool = False
    busy: bool = False
    start_block: bool = False
    broken_packages: bool = False
    addresses: list[str] = field(default_factory=list)
    packages: dict[str, str] = field(default_factory=dict)
    user_by_name: UserEntry | None = None
    user_by_id: UserEntry | None = None
    group_by_name: GroupEntry | None = None
    group_by_id: GroupEntry | None = None
    answers: list[dict[str, Any] | None] = field(default_factory=list)
    lease: lease.Answer | None = None


class HostState(FactBase[HostStatus]):
    """All that the preparation of a host depends on, in one command that needs no Python there."""

    def command(
        self,
        user: str,
        uid: int,
        gid: int,
        packages: list[str],
        questions: Sequence[Question[Any]] = (),
        wait: int = WAIT_SECONDS,
        taking: Taking | None = None,
    ) -> FactCommand:
        """Ask for `user` and group by name or by `uid` and `gid`, for `packages`, and `questions` along with it.

        `wait` is for how many seconds to wait for an earlier run's work to end, `taking` the lease to be taken first,
        which waits itself.
        """
        look = ("host_state", user, str(uid), str(gid), "" if taking else str(wait), *packages)
        asking = FactCommand("printf 'answers '; ", combined([question.program for question in questions]))
        if taking:
            return with_lease(taking, asking, look)
        others = ("; ", asking) if questions else ()
        return FactCommand(shell_question(*look), *others, seconds=wait + QUESTION_SECONDS)

    def process(self, output: list[str]) -> HostStatus:
        """Return the typed form of the program's lines."""
        status = HostStatus(lease=lease.answer_of([line for line in output if line.startswith("lease ")]))
        for line in output:
            key, _, value = line.partition(" ")
            _note(status, key, value)
        return status


def _note(status: HostStatus, key: str, value: str) -> None:
    if key == "address":
        status.addresses.append(value)
    elif key == "package":
        name, state, version = (*value.split(" "), "", "")[:3]
        if state == "installed":
            status.packages[name] = version
    elif key == "answers":
        # A host without Python has one answer to everything: nothing is there.
        status.answers = json.loads(value) or []
    elif key == "python":
        status.has_python = True
    elif key in ("busy", "start_block", "broken_packages"):
        setattr(status, key, True)
    elif key == "time":
        status.time = float(value)
    elif key == "disk":
        block, blocks, number, path = value.split(" ", 3)
        status.rooms.append(Room(int(block) * int(blocks), int(number), path))
    elif key in ("system", "init", "architecture"):
        setattr(status, key, value)
    elif key in ("user_by_name", "user_by_id") and value:
        name, _, uid, gid, *_ = value.split(":")
        setattr(status, key, UserEntry(name, int(uid), int(gid)))
    elif key in ("group_by_name", "group_by_id") and value:
        name, _, gid, *_ = value.split(":")
        setattr(status, key, GroupEntry(name, int(gid)))

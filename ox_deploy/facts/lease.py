"""The lease of a host, and the answers to all questions along with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import FactBase

from ox_deploy.questions import lease
from ox_deploy.questions.lease import Taking, with_lease
from ox_deploy.questions.program import FactCommand, combined
from ox_deploy.questions.question import Question


@dataclass
class LeaseReply:
    """What a host said: about its lease, and to the questions, None for one that has to be asked on its own.

    `busy` tells that the program of an earlier run was at work to the end of the time to wait.
    """

    lease: lease.Answer | None = None
    answers: list[dict[str, Any] | None] = field(default_factory=list)
    busy: bool = False


class TakeLease(FactBase[LeaseReply]):
    """Has an effect: takes the lease of the host, if it is free. Without it, nothing is asked."""

    def command(self, taking: Taking, questions: Sequence[Question[Any]]) -> FactCommand:
        """Take it as `taking` says, wait for the program of an earlier run, then ask all `questions` in one go."""
        asking = combined([question.program for question in questions])
        return with_lease(taking, FactCommand("printf 'answers '; ", asking))

    def process(self, output: list[str]) -> LeaseReply:
        """Return the typed form of the host's lines."""
        looked = LeaseReply(lease.answer_of([line for line in output if line.startswith("lease ")]))
        for line in output:
            if line.startswith("answers "):
                # A host without Python has one answer to everything: nothing is there.
                looked.answers = json.loads(line.removeprefix("answers ")) or []
            elif line == "busy yes":
                looked.busy = True
        return looked


class BreakLease(FactBase[lease.Answer | None]):
    """Has an effect: ends whoever's lease of the host. Returns who had it."""

    def command(self) -> FactCommand:
        """Count on, so that orders of who had it are refused."""
        return FactCommand(lease.command("break", "nobody"))

    def process(self, output: list[str]) -> lease.Answer | None:
        """Return who had it, None if nobody."""
        return lease.answer_of([line for line in output if line.startswith("lease ")])

"""A database that travels from the master to its replicas.

The fact leaves something on the host for a moment: what it makes, a later step takes away, and systemd does so after
two minutes if that step never comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ox_deploy.facts.verify import Trial
from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


class CanaryTrial(Trial, frozen=True):
    """`age` is that of the row in seconds when it was seen first, None if it did not come; `gone` of the database."""

    age: float | None = None
    gone: bool = False


class Canary(JsonFact[CanaryTrial]):
    """A database that travels from the master to its replicas. Has an effect: it makes the database and drops it."""

    def command(
        self,
        step: Literal["create", "see", "drop", "gone"],
        run: str,
        option_file: str | None = None,
        ticket: Sequence[int | str] = (),
    ) -> Program:
        """Go through a step: `create` and `drop` on the master, at the same time `see` and `gone` on its replicas.

        + run: makes the name of the database unique
        + option_file: root-only option file, where root cannot log in over the socket
        + ticket: what the host compares with its lease before anything is written
        """
        arguments = {"step": step, "run": run, "option_file": option_file, "ticket": list(ticket)}
        return Program("master_slaves.verify_canary", arguments)

    def parse(self, document: dict[str, Any]) -> CanaryTrial:
        """Return the typed form."""
        return CanaryTrial.model_validate(document)

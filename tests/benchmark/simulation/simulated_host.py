"""A pyinfra connector whose hosts are not there: each gives its recorded answer after 20 ms, and takes no order.

It stands alone, since it is loaded beside the checkout that is measured.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import gevent
from pyinfra.connectors.fake import FakeConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

SECONDS = 0.02
PREFIX = "@simulated/"


@cache
def recordings() -> dict[str, Any]:
    """Return what each host answers, by its name in the inventory: its lines, and answers by question."""
    answers: dict[str, Any] = json.loads(Path(os.environ["SIMULATED_ANSWERS"]).read_text())
    return answers


def questions_in(command: Any) -> list[str] | None:
    """Return what the first question of a deploy asks along with its own; None for any other command.

    Their order is that in which hosts were loaded, which is not always the same.
    """
    for bit in getattr(command, "bits", ()):
        if getattr(bit, "name", "") == "answers":
            # An older checkout lists the parts of each program, the last of which is its name.
            return [
                json.dumps([program if isinstance(program, str) else program[-1], asked])
                for program, asked in bit.arguments["questions"]
            ]
        inner = questions_in(bit)
        if inner is not None:
            return inner
    return None


class SimulatedHost(FakeConnector):
    """A host of `@simulated/name`."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Return the host's name in the inventory."""
        yield f"{PREFIX}{name}", {}, []

    def run_shell_command(self, command: Any, *_: Any, **__: Any) -> tuple[bool, CommandOutput]:
        """Answer the question that begins a deploy; whatever else is asked or ordered fails."""
        gevent.sleep(SECONDS)
        questions = questions_in(command)
        if questions is None:
            return False, CommandOutput([OutputLine("stderr", "not recorded")])
        recorded = recordings()[self.host.name]
        answers = json.dumps([recorded["answers"][question] for question in questions])
        lines = [*recorded["lines"], f"answers {answers}"]
        return True, CommandOutput([OutputLine("stdout", line) for line in lines])

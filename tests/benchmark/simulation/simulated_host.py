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
def recordings() -> dict[str, list[str]]:
    """Return the lines that each host answers, by its name in the inventory."""
    answers: dict[str, list[str]] = json.loads(Path(os.environ["SIMULATED_ANSWERS"]).read_text())
    return answers


class SimulatedHost(FakeConnector):
    """A host of `@simulated/name`."""

    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        """Return the host's name in the inventory."""
        yield f"{PREFIX}{name}", {}, []

    def run_shell_command(self, command: Any, *_: Any, **__: Any) -> tuple[bool, CommandOutput]:
        """Answer the question that begins a deploy; whatever else is asked or ordered fails."""
        text = command if isinstance(command, str) else command.get_raw_value()
        gevent.sleep(SECONDS)
        if "printf 'answers '" not in text:
            return False, CommandOutput([OutputLine("stderr", f"not recorded: {text[-300:]}")])
        return True, CommandOutput([OutputLine("stdout", line) for line in recordings()[self.host.name]])

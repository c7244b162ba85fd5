"""Small programs that run on the hosts, and how a fact or an operation sends one.

A program gets its arguments as one JSON document: a fact's on the command line (they hold no secret), an
operation's on standard input, where neither a process list nor pyinfra's output shows them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from pyinfra.api import QuoteString, StringCommand


@cache
def _source(name: str) -> str:
    return files(__package__).joinpath(name).read_text()


def _program(name: str) -> str:
    shared = ["common.py", "mysql_common.py"] if name.startswith("mysql_") else ["common.py"]
    return "\n".join(_source(file) for file in [*shared, f"{name}.py"])


def question(name: str, arguments: Mapping[str, Any]) -> StringCommand:
    """Return the command of a fact: runs `name`.py with `arguments` and prints JSON.

    On a host without Python it prints `{}`, since nothing of ours can be there yet.
    """
    return StringCommand(
        "if command -v python3 >/dev/null; then python3 -c",
        QuoteString(_program(name)),
        QuoteString(json.dumps(arguments)),
        "; else echo '{}'; fi",
    )


def order(name: str, arguments: Mapping[str, Any]) -> StringCommand:
    """Return the command of an operation: runs `name`.py with `arguments` on its standard input."""
    return StringCommand("python3", "-c", QuoteString(_program(name)), _stdin=json.dumps(arguments))


def shell_question(name: str, *arguments: str) -> StringCommand:
    """Return the command of a fact for hosts that may lack Python: runs `name`.sh with `arguments`."""
    return StringCommand(
        "sh -c", QuoteString(_source(f"{name}.sh")), "probe", *(QuoteString(argument) for argument in arguments)
    )

"""The command that runs a program on a host.

A program goes by standard input with all modules that it imports, and so do its arguments: what stands on the command
line is what takes them in, and the program's name. Neither a process list nor pyinfra's output shows more. The login
shell reads that line first, whichever it is: fish changes a backslash in quotes, csh takes no new line and no `!`.
"""

from __future__ import annotations

import base64
import gzip
import json
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from pyinfra.api import QuoteString, StringCommand

from ox_deploy.questions.bundle import bundle
from ox_deploy.remote.programs import module_of

CommandT = TypeVar("CommandT", bound=StringCommand)

# How long a host that lives may take for a question.
QUESTION_SECONDS = 60
# Who sees first that it is over is the host, whose sentence says more.
SLACK_SECONDS = 30

# Files and what commands say are UTF-8, whatever the login's language is.
_PYTHON = "python3 -X utf8 -c"

# Makes the modules of a bundle importable.
_LOAD = """import base64, json, sys, zlib
sources = json.loads(zlib.decompress(base64.b64decode({bundle})))
loader = {{"__name__": "loader"}}
exec(compile(sources["ox_deploy/remote/loader.py"], "ox_deploy/remote/loader.py", "exec"), loader)
loader["load"](sources)
"""
_START = "from ox_deploy.remote.start import start\nstart(json.loads({task}))\n"
# The first line of standard input takes in the others. Who asks by pyinfra's `get_fact` sends nothing.
_NOTHING = "no program came by standard input; ask with ox_deploy.questions.ask.ask"
_BY_STDIN = f'import sys; exec(sys.stdin.readline() or sys.exit("{_NOTHING}"))'
_TAKE_IN = f"exec({_LOAD.format(bundle='sys.stdin.readline()') + _START.format(task='sys.stdin.read()')!r})"


@cache
def source(name: str) -> str:
    """Return the text of a shell program for the hosts."""
    return files("ox_deploy.remote").joinpath(name).read_text()


def bundle_of(*programs: str) -> str:
    """Return these programs with all that they import, packed."""
    roots = {"ox_deploy.remote.loader", "ox_deploy.remote.start", *map(module_of, programs)}
    return bundle(*sorted(roots))


def prelude(*programs: str) -> str:
    """Return the beginning of a Python program, after which it can import these programs and all that they import."""
    return _LOAD.format(bundle=repr(bundle_of(*programs)))


def standalone(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a Python program that needs nothing else, for systemd on the host to run."""
    task = {"as": "unit", "program": name, "arguments": arguments}
    return prelude(name) + _START.format(task=repr(json.dumps(task)))


class FactCommand(StringCommand):
    """The command of a fact; `seconds` is how long a host that lives may take for it.

    pyinfra takes the standard input of a fact's command from who asks: see ox_deploy.questions.ask.get.
    """

    def __init__(self, *bits: Any, seconds: int = QUESTION_SECONDS) -> None:
        super().__init__(*bits)
        self.seconds = seconds

    @property
    def stdin(self) -> str:
        """Return what it reads, "" if nothing; at most one of its parts does."""
        return next((bit.stdin for bit in self.bits if isinstance(bit, FactCommand) and bit.stdin), "")


class Program(FactCommand):
    """The command of a fact: runs a program with `arguments` and prints JSON; `more` are programs that it calls itself.

    On a host without Python it prints `{}`, since nothing of ours can be there yet.
    """

    def __init__(
        self, name: str, arguments: Mapping[str, Any], seconds: int = QUESTION_SECONDS, more: Sequence[str] = ()
    ) -> None:
        self.name, self.arguments, self.more = name, arguments, more
        super().__init__(
            f"if command -v python3 >/dev/null; then {_PYTHON}",
            QuoteString(_BY_STDIN),
            name,
            # Who sends has to find somebody who reads.
            "; else cat >/dev/null; echo '{}'; fi",
            seconds=seconds,
        )

    @property
    def stdin(self) -> str:
        """Return the programs and the arguments."""
        task = {"as": "question", "program": self.name, "arguments": self.arguments, "seconds": self.seconds - 5}
        return _stdin(task, *self.more)


def combined(programs: Sequence[Program]) -> Program:
    """Return the program that does the work of all these in one go and prints the list of their answers."""
    questions = [[program.name, program.arguments] for program in programs]
    return Program("answers", {"questions": questions}, more=[program.name for program in programs])


def _stdin(task: Mapping[str, Any], *more: str) -> str:
    """Return what a host reads: lines that begin, with the programs, and that say what to do with them."""
    return f"{_TAKE_IN}\n{bundle_of(task['program'], *more)}\n{json.dumps(task)}"


def operation_command(task: Mapping[str, Any], seconds: int, kind: type[CommandT]) -> CommandT:
    """Return the command of an operation, of this kind, that runs a program on a host with Python."""
    return kind(_PYTHON, QuoteString(_BY_STDIN), task["program"], _stdin=_stdin(task), _timeout=seconds)


def shell_command(name: str, *arguments: str) -> StringCommand:
    """Return the command that runs `name`.sh with `arguments`."""
    return _packed(source(f"{name}.sh"), name, *arguments)


def shell_commands(*programs: Sequence[str]) -> StringCommand:
    """Return the command that runs several of them in one shell, by names and arguments, until one fails."""
    texts = [f"(set -- {shlex.join(arguments)}\n{source(f'{name}.sh')})" for name, *arguments in programs]
    return _packed(" &&\n".join(texts), "+".join(name for name, *_ in programs))


def _packed(text: str, name: str, *arguments: str) -> StringCommand:
    """Return the command that runs a shell program; packed, since it has lines and backslashes."""
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    script = f'eval "$(echo {packed} | base64 -d | gzip -d)"'
    return StringCommand("sh -c", QuoteString(script), name, *map(QuoteString, arguments))


def secret_question(name: str, arguments: Mapping[str, Any]) -> StringCommand:
    """Return the command of an operation that runs a program with `arguments` that hold a secret, and prints JSON."""
    task = {"as": "question", "program": name, "arguments": arguments, "seconds": QUESTION_SECONDS}
    return operation_command(task, QUESTION_SECONDS + SLACK_SECONDS, StringCommand)


def shell_question(name: str, *arguments: str) -> FactCommand:
    """Return the command of a fact for hosts that may lack Python: runs `name`.sh with `arguments`."""
    return FactCommand(shell_command(name, *arguments))

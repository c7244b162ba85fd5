"""How a fact or an operation sends a program to a host.

A program goes by standard input with all modules that it imports, and so do its arguments: what stands on the command
line is what takes them in, and the program's name. Neither a process list nor pyinfra's output shows more. The login
shell reads that line first, whichever it is: fish changes a backslash in quotes, csh takes no new line and no `!`.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pyinfra.api import Host, QuoteString, StringCommand

from ox_deploy.questions import lease, prefetch
from ox_deploy.questions.bundle import bundle
from ox_deploy.questions.pyinfra_internals import current_host
from ox_deploy.remote.programs import module_of

# How long a host that lives may take, in seconds: for a question, for an order, for the one before that.
QUESTION_SECONDS, ORDER_SECONDS, LOCK_SECONDS = 60, 900, 600
# Who sees first that it is over is the host, whose sentence says more.
SLACK_SECONDS = 30
# For what starts, stops or restarts services, for which systemd has limits of its own; for an installation.
SERVICE_SECONDS, INSTALL_SECONDS = 4 * 3600, 2 * 3600
_LONGER = {
    "service_configure": SERVICE_SECONDS,
    "mysql_configure": SERVICE_SECONDS,
    "filestore_mount": SERVICE_SECONDS,
}

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
_NOTHING = "no program came by standard input; ask with ox_deploy.facts.base.ask"
_BY_STDIN = f'import sys; exec(sys.stdin.readline() or sys.exit("{_NOTHING}"))'
_TAKE_IN = f"exec({_LOAD.format(bundle='sys.stdin.readline()') + _START.format(task='sys.stdin.read()')!r})"


@dataclass(frozen=True)
class Taking:
    """What a host is told by who takes its lease: run, who that is, how long to wait for an earlier one's program.

    `dead` is the run that is known to be dead, whose lease is not waited for.
    """

    run: str
    info: str
    wait: int = 600
    dead: str = ""


@cache
def source(name: str) -> str:
    """Return the text of a shell program for the hosts."""
    return files("ox_deploy.remote").joinpath(name).read_text()


def bundle_of(*programs: str) -> str:
    """Return these programs with all that they import, packed."""
    roots = {"ox_deploy.remote.loader", "ox_deploy.remote.start", *map(module_of, programs)}
    return bundle(*sorted(roots))


def importable(*programs: str) -> str:
    """Return the beginning of a Python program, after which it can import these programs and all that they import."""
    return _LOAD.format(bundle=repr(bundle_of(*programs)))


def whole(name: str, arguments: Mapping[str, Any]) -> str:
    """Return a Python program that needs nothing else, for systemd on the host to run."""
    task = {"as": "unit", "program": name, "arguments": arguments}
    return importable(name) + _START.format(task=repr(json.dumps(task)))


class Asking(StringCommand):
    """The command of a fact; `seconds` is how long a host that lives may take for it.

    pyinfra takes the standard input of a fact's command from who asks: see ox_deploy.facts.base.get.
    """

    def __init__(self, *bits: Any, seconds: int = QUESTION_SECONDS) -> None:
        super().__init__(*bits)
        self.seconds = seconds

    @property
    def stdin(self) -> str:
        """Return what it reads, "" if nothing; at most one of its parts does."""
        return next((bit.stdin for bit in self.bits if isinstance(bit, Asking) and bit.stdin), "")


class Program(Asking):
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


def together(programs: Sequence[Program]) -> Program:
    """Return the program that does the work of all these in one go and prints the list of their answers."""
    questions = [[program.name, program.arguments] for program in programs]
    return Program("answers", {"questions": questions}, more=[program.name for program in programs])


def _stdin(task: Mapping[str, Any], *more: str) -> str:
    """Return what a host reads: lines that begin, with the programs, and that say what to do with them."""
    return f"{_TAKE_IN}\n{bundle_of(task['program'], *more)}\n{json.dumps(task)}"


def order(name: str, arguments: Mapping[str, Any], to: Host | None = None, seconds: int | None = None) -> StringCommand:
    """Return the command of an operation: runs a program with `arguments`.

    + to: the host that gets it, if it is not the current one
    + seconds: how long it may take on a host that lives, not counting an earlier one that is waited for; None for what
      is usual

    On one host one such program runs at a time, and only for the run that has the lease. No answer that was got ahead
    holds any longer.
    """
    prefetch.forget()
    seconds = seconds or _LONGER.get(name, ORDER_SECONDS)
    task = {
        "as": "order",
        "program": name,
        "arguments": arguments,
        "ticket": ticket(to),
        "lock_seconds": LOCK_SECONDS,
        "seconds": seconds,
    }
    return _command(task, LOCK_SECONDS + seconds + SLACK_SECONDS)


def _command(task: Mapping[str, Any], seconds: int) -> StringCommand:
    """Return the command of an operation that runs a program on a host with Python."""
    return StringCommand(_PYTHON, QuoteString(_BY_STDIN), task["program"], _stdin=_stdin(task), _timeout=seconds)


def ticket(to: Host | None = None) -> list[int | str]:
    """Return what an order to a host, or to the current one, shows of the lease; nothing if none was asked for."""
    if lease.current() is None:
        return []
    return lease.ticket((to or current_host()).name)


def shell_command(name: str, *arguments: str) -> StringCommand:
    """Return the command that runs `name`.sh with `arguments`; packed, since it has lines and backslashes."""
    packed = base64.b64encode(gzip.compress(source(f"{name}.sh").encode(), mtime=0)).decode()
    script = f'eval "$(echo {packed} | base64 -d | gzip -d)"'
    return StringCommand("sh -c", QuoteString(script), name, *map(QuoteString, arguments))


def lease_command(action: str, run: str, *arguments: str) -> StringCommand:
    """Return the command that runs lease.sh."""
    return shell_command("lease", action, run, *arguments)


def with_lease(taking: Taking, command: Asking) -> Asking:
    """Return the command that takes the lease of a host, and runs another one if it was given."""
    seconds = str(lease.LIFETIME_SECONDS)
    take = lease_command("take", taking.run, seconds, str(taking.wait), taking.info, taking.dead)
    # Who sends has to find somebody who reads.
    return Asking(take, "|| { cat >/dev/null; exit 0; };", command, seconds=taking.wait + QUESTION_SECONDS)


def checked(command: StringCommand) -> StringCommand:
    """Return a shell command of an operation for a host that may lack Python, for a run that has the lease only."""
    shown = ticket()
    if not shown:
        return StringCommand(*command.bits, _timeout=INSTALL_SECONDS)
    number, run = map(str, shown)
    return StringCommand(lease_command("check", run, number), "&&", command, _timeout=INSTALL_SECONDS)


def seed_order(name: str, arguments: Mapping[str, Any], to: Host | None = None) -> StringCommand:
    """Return the command of an operation that starts a program as a systemd unit and does not wait for it.

    Its arguments go the same way as those of an order, and then by a file that only root can read.
    """
    return order("seed_start", {"program": whole(name, arguments)}, to)


def secret_question(name: str, arguments: Mapping[str, Any]) -> StringCommand:
    """Return the command of an operation that runs a program with `arguments` that hold a secret, and prints JSON."""
    task = {"as": "question", "program": name, "arguments": arguments, "seconds": QUESTION_SECONDS}
    return _command(task, QUESTION_SECONDS + SLACK_SECONDS)


def shell_question(name: str, *arguments: str) -> Asking:
    """Return the command of a fact for hosts that may lack Python: runs `name`.sh with `arguments`."""
    return Asking(shell_command(name, *arguments))

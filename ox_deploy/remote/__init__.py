"""Small programs that run on the hosts, and how a fact or an operation sends one.

A program gets its arguments as one JSON document: a fact's on the command line (they hold no secret), an
operation's on standard input, where neither a process list nor pyinfra's output shows them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pyinfra.api import Host, QuoteString, StringCommand

from ox_deploy import ahead, lease
from ox_deploy.pyinfra_internals import current_host

# How long a host that lives may take, in seconds: for a question, for an order, for the one before that.
QUESTION_SECONDS, ORDER_SECONDS, LOCK_SECONDS = 60, 900, 600
# Who sees first that it is over is the host, whose sentence says more.
SLACK_SECONDS = 30
SLOW = "this has not finished within {seconds} s; find what hangs on this host, and run again"
BUSY = "an earlier run is still at work on this host, even after {seconds} s; wait for it to end, then run again"
# For what starts, stops or restarts services, for which systemd has limits of its own; for an installation.
SERVICE_SECONDS, INSTALL_SECONDS = 4 * 3600, 2 * 3600
_LONGER = {
    "service_configure": SERVICE_SECONDS,
    "mysql_configure": SERVICE_SECONDS,
    "filestore_mount": SERVICE_SECONDS,
    "daemons_start": SERVICE_SECONDS,
}

_MYSQL = ["common", "mysql_dialects", "mysql_common"]
_DAEMONS = ["common", "sockets", "ajp", "units", "service_configure", "openxchange_before"]
_SEED_SLAVE = [
    *_MYSQL,
    "mysql_role",
    "mysql_replicate",
    "units",
    "seed_common",
    "seed_plugin",
    "seed_accounts",
    "seed_slave",
    "seed_compare",
]
# What a program uses of the others; their text is put before its own.
_USES = {
    "answers": ["common"],
    "host_health": [*_MYSQL, "file_systems"],
    "ground_state": ["common"],
    "service_state": ["common"],
    "service_configure": ["common", "sockets", "service_probe", "units"],
    "mysql_state": [*_MYSQL],
    "tls_state": ["common"],
    "tls_certificate": ["common"],
    "mysql_run": [*_MYSQL, "mysql_role"],
    "mysql_replicate": [*_MYSQL, "mysql_role"],
    "mysql_configure": [*_MYSQL, "mysql_role", "sockets", "service_probe", "units", "service_configure"],
    "switch_reach": ["common"],
    "switch_guard": [*_MYSQL, "mysql_role", "switch_common"],
    "switch_stop_writes": [*_MYSQL, "mysql_role", "switch_common"],
    "switch_promote": [*_MYSQL, "mysql_role", "mysql_replicate", "switch_reach", "switch_common"],
    "filestore_state": ["common", "service_state"],
    "filestore_mount": ["common", "sockets", "service_probe", "units", "service_configure"],
    "openxchange_state": ["common"],
    "openxchange_configure": ["common", "units", "service_configure", "openxchange_before"],
    "multicast_state": ["common", "service_state"],
    "daemons_state": ["common", "sockets"],
    "daemons_start": [*_DAEMONS],
    "daemons_undo": [*_DAEMONS, "daemons_start"],
    "cache_peers": ["common", "sockets"],
    "cache_wait": ["common", "sockets", "cache_peers"],
    "configdb_state": ["common", "configdb_common"],
    "configdb_repoint": ["common", "configdb_common"],
    "configdb_restore": ["common", "configdb_common", "configdb_init"],
    "verify_canary": [*_MYSQL, "verify_common"],
    "verify_filestore": ["common", "verify_common"],
    "verify_mount": ["common", "service_state", "filestore_state", "verify_common"],
    "verify_route": ["common", "verify_common"],
    "verify_web": ["common", "verify_common", "verify_https"],
    "verify_logins": ["common", "verify_common", "verify_https"],
    "seed_start": ["common"],
    "seed_state": ["common"],
    "seed_survey": [*_MYSQL, "seed_plugin"],
    "seed_account": [
        *_MYSQL,
        "mysql_role",
        "seed_plugin",
        "seed_state",
        "mysql_run",
    ],
    "seed_logical": _SEED_SLAVE,
    "seed_clone": _SEED_SLAVE,
    "seed_physical": [*_SEED_SLAVE, "seed_stream"],
    "seed_send": [*_MYSQL, "seed_common", "seed_stream"],
    "openxchange_register": [
        *_DAEMONS,
        "configdb_common",
        "configdb_state",
        "configdb_init",
        "configdb_repoint",
        "openxchange_tools",
        "daemons_start",
    ],
}


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
    """Return the text of a program for the hosts."""
    return files(__package__).joinpath(name).read_text()


def _program(name: str, call: str) -> QuoteString:
    """Return the program that makes this call, as a word of a command."""
    return QuoteString(_program_text(name, call))


def _program_text(name: str, call: str) -> str:
    """Return the program's text with the call of its main function, which has the program's name."""
    return "\n".join([_text(name), call.format(f"{name}(arguments())")])


def _text(name: str) -> str:
    return "\n".join(source(f"{part}.py") for part in [*_USES[name], name])


class Asking(StringCommand):
    """The command of a fact; `seconds` is how long a host that lives may take for it."""

    def __init__(self, *bits: Any, seconds: int = QUESTION_SECONDS) -> None:
        super().__init__(*bits)
        self.seconds = seconds


class Program(Asking):
    """The command of a fact: runs `name`.py with `arguments` and prints JSON.

    On a host without Python it prints `{}`, since nothing of ours can be there yet.
    """

    def __init__(self, name: str, arguments: Mapping[str, Any], seconds: int = QUESTION_SECONDS) -> None:
        self.name, self.arguments = name, arguments
        super().__init__(
            "if command -v python3 >/dev/null; then python3 -c",
            _program(name, f"{_end_within(seconds - 5)}\nprint(json.dumps({{}}))"),
            QuoteString(json.dumps(arguments)),
            "; else echo '{}'; fi",
            seconds=seconds,
        )


def together(programs: Sequence[Program]) -> Program:
    """Return the program that does the work of all these in one go and prints the list of their answers."""
    parts = {program.name: [*_USES[program.name], program.name] for program in programs}
    texts = {part: source(f"{part}.py") for names in parts.values() for part in names}
    questions = [[parts[program.name], program.arguments] for program in programs]
    return Program("answers", {"texts": packed(texts), "questions": questions})


def packed(texts: Mapping[str, str]) -> str:
    """Return texts as answers.py unpacks them."""
    return base64.b64encode(zlib.compress(json.dumps(texts).encode(), 9)).decode()


def order(name: str, arguments: Mapping[str, Any], to: Host | None = None, seconds: int | None = None) -> StringCommand:
    """Return the command of an operation: runs `name`.py with `arguments` on its standard input.

    + to: the host that gets it, if it is not the current one
    + seconds: how long it may take on a host that lives, not counting an earlier one that is waited for; None for what
      is usual

    On one host one such program runs at a time, and only for the run that has the lease. No answer that was got ahead
    holds any longer.
    """
    ahead.forget()
    seconds = seconds or _LONGER.get(name, ORDER_SECONDS)
    shown = ", ".join(map(repr, ticket(to)))
    lines = [_end_within(LOCK_SECONDS, BUSY), f"lock = only_one({shown})", _end_within(seconds), "{}"]
    program = _program(name, "\n".join(lines))
    limit = LOCK_SECONDS + seconds + SLACK_SECONDS
    return StringCommand("python3", "-c", program, _stdin=json.dumps(arguments), _timeout=limit)


def _end_within(seconds: int, sentence: str = SLOW) -> str:
    """Return the line that limits a program on its host."""
    return f"end_within({seconds}, {sentence.format(seconds=seconds)!r})"


def ticket(to: Host | None = None) -> list[int | str]:
    """Return what an order to a host, or to the current one, shows of the lease; nothing if none was asked for."""
    if lease.current() is None:
        return []
    return lease.ticket((to or current_host()).name)


def lease_command(action: str, run: str, *arguments: str) -> StringCommand:
    """Return the command that runs lease.sh."""
    words = [QuoteString(word) for word in (action, run, *arguments)]
    return StringCommand("sh -c", QuoteString(source("lease.sh")), "lease", *words)


def with_lease(taking: Taking, command: StringCommand) -> Asking:
    """Return the command that takes the lease of a host, and runs another one if it was given."""
    seconds = str(lease.LIFETIME_SECONDS)
    take = lease_command("take", taking.run, seconds, str(taking.wait), taking.info, taking.dead)
    return Asking(take, "|| exit 0;", command, seconds=taking.wait + QUESTION_SECONDS)


def checked(command: str) -> StringCommand:
    """Return a shell command of an operation for a host that may lack Python, for a run that has the lease only."""
    shown = ticket()
    if not shown:
        return StringCommand(command, _timeout=INSTALL_SECONDS)
    number, run = map(str, shown)
    return StringCommand(lease_command("check", run, number), "&&", command, _timeout=INSTALL_SECONDS)


def command_line(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """Return the command with which a program on the host starts `name`.py beside it; the arguments are shown."""
    return ["python3", "-c", _program_text(name, "{}"), json.dumps(arguments)]


def seed_order(name: str, arguments: Mapping[str, Any], to: Host | None = None) -> StringCommand:
    """Return the command of an operation that starts `name`.py as a systemd unit and does not wait for it.

    Its arguments go the same way as those of an order, and then by a file that only root can read.
    """
    call = f"{name}(json.loads({json.dumps(arguments)!r}))"
    return order("seed_start", {"program": f"{_text(name)}\n{call}\n"}, to)


def secret_question(name: str, arguments: Mapping[str, Any]) -> StringCommand:
    """Return the command that runs `name`.py with `arguments` that hold a secret, and prints JSON."""
    program = _program(name, f"{_end_within(QUESTION_SECONDS)}\nprint(json.dumps({{}}))")
    return StringCommand(
        "python3", "-c", program, _stdin=json.dumps(arguments), _timeout=QUESTION_SECONDS + SLACK_SECONDS
    )


def shell_question(name: str, *arguments: str) -> Asking:
    """Return the command of a fact for hosts that may lack Python: runs `name`.sh with `arguments`."""
    return Asking(
        "sh -c",
        QuoteString(source(f"{name}.sh")),
        "probe",
        *(QuoteString(argument) for argument in arguments),
    )

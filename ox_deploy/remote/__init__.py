"""Small programs that run on the hosts, and how a fact or an operation sends one.

A program gets its arguments as one JSON document: a fact's on the command line (they hold no secret), an
operation's on standard input, where neither a process list nor pyinfra's output shows them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pyinfra.api import Host, QuoteString, StringCommand
from pyinfra.context import ctx_host

from ox_deploy import ahead, lease

_MYSQL = ["common", "mysql_dialects", "mysql_common"]
_SEED_SLAVE = [
    *_MYSQL,
    "mysql_role",
    "mysql_replicate",
    "seed_common",
    "seed_plugin",
    "seed_accounts",
    "seed_slave",
    "seed_compare",
]
# What a program uses of the others; their text is put before its own.
_USES = {
    "answers": ["common"],
    "host_health": ["common"],
    "ground_state": ["common"],
    "service_state": ["common"],
    "service_configure": ["common"],
    "mysql_state": [*_MYSQL],
    "tls_state": ["common"],
    "tls_certificate": ["common"],
    "mysql_run": [*_MYSQL, "mysql_role"],
    "mysql_replicate": [*_MYSQL, "mysql_role"],
    "mysql_configure": [*_MYSQL, "mysql_role", "service_configure"],
    "switch_reach": ["common"],
    "switch_guard": [*_MYSQL, "mysql_role", "switch_common"],
    "switch_stop_writes": [*_MYSQL, "mysql_role", "switch_common"],
    "switch_promote": [*_MYSQL, "mysql_role", "mysql_replicate", "switch_reach", "switch_common"],
    "filestore_state": ["common", "service_state"],
    "filestore_mount": ["common", "service_configure"],
    "openxchange_state": ["common"],
    "openxchange_configure": ["common"],
    "multicast_state": ["common", "service_state"],
    "daemons_state": ["common", "sockets"],
    "daemons_start": ["common", "sockets"],
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
        "common",
        "sockets",
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
    """Return the program's text with the call of its main function, which has the program's name."""
    return QuoteString("\n".join([_text(name), call.format(f"{name}(arguments())")]))


def _text(name: str) -> str:
    return "\n".join(source(f"{part}.py") for part in [*_USES[name], name])


class Program(StringCommand):
    """The command of a fact: runs `name`.py with `arguments` and prints JSON.

    On a host without Python it prints `{}`, since nothing of ours can be there yet.
    """

    def __init__(self, name: str, arguments: Mapping[str, Any]) -> None:
        self.name, self.arguments = name, arguments
        super().__init__(
            "if command -v python3 >/dev/null; then python3 -c",
            _program(name, "print(json.dumps({}))"),
            QuoteString(json.dumps(arguments)),
            "; else echo '{}'; fi",
        )


def together(programs: Sequence[Program]) -> Program:
    """Return the program that does the work of all these in one go and prints the list of their answers."""
    parts = {program.name: [*_USES[program.name], program.name] for program in programs}
    texts = {part: source(f"{part}.py") for names in parts.values() for part in names}
    questions = [[parts[program.name], program.arguments] for program in programs]
    return Program("answers", {"texts": texts, "questions": questions})


def order(name: str, arguments: Mapping[str, Any], to: Host | None = None) -> StringCommand:
    """Return the command of an operation: runs `name`.py with `arguments` on its standard input.

    + to: the host that gets it, if it is not the current one

    On one host one such program runs at a time, and only for the run that has the lease. No answer that was got ahead
    holds any longer.
    """
    ahead.forget()
    shown = ", ".join(map(repr, ticket(to)))
    program = _program(name, f"lock = only_one({shown})\n{{}}")
    return StringCommand("python3", "-c", program, _stdin=json.dumps(arguments))


def ticket(to: Host | None = None) -> list[int | str]:
    """Return what an order to a host, or to the current one, shows of the lease; nothing if none was asked for."""
    if lease.current() is None:
        return []
    target: Host = to or ctx_host.get()  # type: ignore[no-untyped-call]
    return lease.ticket(target.name)


def lease_command(action: str, run: str, *arguments: str) -> StringCommand:
    """Return the command that runs lease.sh."""
    words = [QuoteString(word) for word in (action, run, *arguments)]
    return StringCommand("sh -c", QuoteString(source("lease.sh")), "lease", *words)


def with_lease(taking: Taking, command: StringCommand) -> StringCommand:
    """Return the command that takes the lease of a host, and runs another one if it was given."""
    seconds = str(lease.LIFETIME_SECONDS)
    take = lease_command("take", taking.run, seconds, str(taking.wait), taking.info, taking.dead)
    return StringCommand(take, "|| exit 0;", command)


def checked(command: str) -> StringCommand:
    """Return a shell command of an operation for a host that may lack Python, for a run that has the lease only."""
    shown = ticket()
    if not shown:
        return StringCommand(command)
    number, run = map(str, shown)
    return StringCommand(lease_command("check", run, number), "&&", command)


def command_line(name: str, arguments: Mapping[str, Any]) -> list[str]:
    """Return the command with which a program on the host starts `name`.py beside it; the arguments are shown."""
    return ["python3", "-c", str(_program(name, "{}").obj), json.dumps(arguments)]


def seed_order(name: str, arguments: Mapping[str, Any], to: Host | None = None) -> StringCommand:
    """Return the command of an operation that starts `name`.py as a systemd unit and does not wait for it.

    Its arguments go the same way as those of an order, and then by a file that only root can read.
    """
    call = f"{name}(json.loads({json.dumps(arguments)!r}))"
    return order("seed_start", {"program": f"{_text(name)}\n{call}\n"}, to)


def secret_question(name: str, arguments: Mapping[str, Any]) -> StringCommand:
    """Return the command that runs `name`.py with `arguments` that hold a secret, and prints JSON."""
    return StringCommand("python3", "-c", _program(name, "print(json.dumps({}))"), _stdin=json.dumps(arguments))


def shell_question(name: str, *arguments: str) -> StringCommand:
    """Return the command of a fact for hosts that may lack Python: runs `name`.sh with `arguments`."""
    return StringCommand(
        "sh -c",
        QuoteString(source(f"{name}.sh")),
        "probe",
        *(QuoteString(argument) for argument in arguments),
    )

"""A pretended host, so that operations run without one."""

from __future__ import annotations

import hashlib
import inspect
import json
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from types import SimpleNamespace
from typing import Any

from pyinfra.api import FactBase, StringCommand
from pyinfra.context import ctx_config, ctx_host, ctx_inventory, ctx_state

from ox_deploy.facts.answers import Answers
from ox_deploy.facts.service import FileState
from ox_deploy.questions.pyinfra_internals import current_state

Facts = Mapping[type[FactBase[Any]], Any]

# What pyinfra's names stand for at present.
CONTEXTS: dict[str, Any] = {"config": ctx_config, "host": ctx_host, "inventory": ctx_inventory, "state": ctx_state}


@contextmanager
def current(**values: Any) -> Iterator[None]:
    """Have pyinfra's names stand for these for a while (its own `use` does not clean up after an exception).

    + values: by the names in `CONTEXTS`
    """
    before = {name: CONTEXTS[name].get() for name in values}
    for name, value in values.items():
        CONTEXTS[name].set(value)
    try:
        yield
    finally:
        for name, value in before.items():
            CONTEXTS[name].set(value)


class FakeHost:
    """Answers facts from what is given to it, and says what it knows when asked for anything else.

    An answer in a list is the next one each time, an exception is raised. Asked for several facts at once, it wants to
    be asked for each on its own.
    """

    connected = True
    # How many operations have failed on it in this run.
    error_ops = 0

    def __init__(self, facts: Facts | None = None, name: str = "node", **peers: FakeHost) -> None:
        self.name = name
        self.facts = dict(facts or {})
        self.peers = peers
        self.data: dict[str, Any] = {}
        self.asked: list[tuple[type[FactBase[Any]], dict[str, Any]]] = []
        self.noops: list[str] = []
        self.logged: list[str] = []

    @property
    def inventory(self) -> SimpleNamespace:
        return SimpleNamespace(get_host=self.peers.__getitem__)

    def get_fact(self, fact: type[FactBase[Any]], **arguments: Any) -> Any:
        if fact is Answers and fact not in self.facts:
            return [None] * len(arguments["questions"])
        if fact not in self.facts:
            known = ", ".join(known.__name__ for known in self.facts) or "none"
            raise KeyError(f"{self.name} was asked for {fact.__name__} {arguments}; it knows {known}")
        # As in pyinfra, its own arguments are no arguments of the fact.
        arguments = {key: value for key, value in arguments.items() if not key.startswith("_")}
        inspect.signature(fact().command).bind(**arguments)
        self.asked.append((fact, arguments))
        answer = self.facts[fact]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def noop(self, description: str) -> None:
        self.noops.append(description)

    def log(self, message: str) -> None:
        self.logged.append(message)


@dataclass
class Outcome:
    """What an operation did."""

    commands: list[StringCommand] = field(default_factory=list)
    noops: list[str] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)

    @property
    def jobs(self) -> list[tuple[str, dict[str, Any]]]:
        """The programs that were sent, with their input."""
        return [(program_of(command), stdin_of(command)) for command in self.commands]

    def job(self, program: str) -> dict[str, Any]:
        """The input of the only command, which has to be this program; nothing was said to be a no-op."""
        assert [name for name, _ in self.jobs] == [program]
        assert self.noops == []
        return self.jobs[0][1]

    @property
    def texts(self) -> list[str]:
        return [command.get_raw_value() for command in self.commands]

    def assert_noop(self) -> None:
        assert self.texts == []
        assert len(self.noops) == 1


def task_of(command: StringCommand) -> dict[str, Any]:
    """What a host is told to do with the programs that it gets."""
    *_, text = str(command.connector_arguments["_stdin"]).split("\n")
    task: dict[str, Any] = json.loads(text)
    assert command.bits[2] == task["program"]
    return task


def program_of(command: StringCommand) -> str:
    """The name of the program of an order."""
    task = task_of(command)
    assert task["as"] == "order"
    return str(task["program"])


def stdin_of(command: StringCommand) -> dict[str, Any]:
    """The arguments of a program."""
    arguments: dict[str, Any] = task_of(command)["arguments"]
    return arguments


@contextmanager
def in_phase(host: object, executing: bool) -> Iterator[None]:
    """Be in the middle of an operation on a host."""
    results = {peer: peer for peer in getattr(host, "peers", {}).values()}
    phase = {
        "is_executing": executing,
        "config": SimpleNamespace(),
        "results": results,
        "active_hosts": [host],
        "failed_hosts": [],
        "activated_hosts": [host],
    }
    # The run goes on through both phases.
    state = SimpleNamespace(**vars(current_state()) | phase)
    with current(host=host, state=state):
        yield


def run(operation: Any, host: FakeHost, /, executing: bool = True, **arguments: Any) -> Outcome:
    """Go through an operation as pyinfra does while it executes, or while it only looks for changes."""
    noops, logged = len(host.noops), len(host.logged)
    with in_phase(host, executing):
        generator = operation._inner(**arguments)
        # To find out whether there is a change pyinfra takes the first command only.
        commands = list(generator if executing else islice(generator, 1))
    return Outcome(commands, host.noops[noops:], host.logged[logged:])


def both_phases(operation: Any, host: FakeHost, /, **arguments: Any) -> Outcome:
    """Go through an operation in both phases; the first has to see as much of a change as the second."""
    planned = run(operation, host, executing=False, **arguments)
    done = run(operation, host, **arguments)
    assert bool(planned.commands) == bool(done.commands)
    return done


def stop_sentence(operation: Any, host: FakeHost, /, **arguments: Any) -> str:
    """The sentence with which an operation fails a host while it executes."""
    (text,) = run(operation, host, **arguments).texts
    echo, sentence, *rest = shlex.split(text)
    assert (echo, rest) == ("echo", [">&2;", "exit", "1"])
    return sentence


def file_state(text: str | None = "old\n", **other: Any) -> FileState:
    """A file (or our block in one) with this text, as it is seen on a host; None for what has no text."""
    values = {"mode": "0644", "owner": "root", "group": "root", "target": None}
    digest = None if text is None else hashlib.sha256(text.encode()).hexdigest()
    return FileState(**values | {"digest": digest} | other)

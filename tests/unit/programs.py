"""The programs for the hosts on this machine, and what they find there."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import PurePath
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ox_deploy.questions.bundle import paths_of


class Clock:
    """Stands in for the module `time`: who sleeps finds that the time is over at once."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


# What stands in the place of something in the modules, until the end of a test.
_in_place = pytest.MonkeyPatch()


def put_back() -> None:
    """Have the modules as they are; to be called at the end of each test."""
    _in_place.undo()


class UnderTest:
    """A program's module and all modules that it imports of ours, as one: names are looked up in its own one first.

    What is set here takes the place of a name wherever one of them has it, for one test.
    """

    def __init__(self, main: ModuleType) -> None:
        paths = [PurePath(path) for path in paths_of(main.__name__)]
        names = [".".join(path.with_suffix("").parts) for path in paths if path.stem != "__init__"]
        self.__dict__["_modules"] = [main, *(import_module(name) for name in names if name != main.__name__)]

    def __getattr__(self, name: str) -> Any:
        found = [vars(module)[name] for module in self._modules if name in vars(module)]
        if not found:
            raise AttributeError(name)
        if name not in vars(self._modules[0]) and any(other is not found[0] for other in found):
            raise AttributeError(f"several modules have a {name} of their own")
        return found[0]

    def __setattr__(self, name: str, value: Any) -> None:
        before = getattr(self, name)
        for module in self._modules:
            if vars(module).get(name) is before:
                _in_place.setattr(module, name, value)


def altered(module: ModuleType | SimpleNamespace, **names: Any) -> SimpleNamespace:
    """Return what stands in for a module of the standard library, with some names of its own."""
    return SimpleNamespace(**vars(module) | names)


def with_environment(program: Any, **variables: str) -> None:
    """Have a program start its commands with other environment variables than this process has."""
    start = program.started
    program.started = lambda argv, **options: start(argv, env={**os.environ, **variables}, **options)


def under_test(module: ModuleType) -> Any:
    """Return a program with a clock of its own.

    Only within a test: what is replaced is put back at its end.
    """
    assert "PYTEST_CURRENT_TEST" in os.environ
    program = UnderTest(module)
    with suppress(AttributeError):
        if not isinstance(program.time, Clock):
            program.time = Clock()
    return program


@dataclass
class Commands:
    """Stands in for `run` of the programs: notes the commands, and answers by how they begin."""

    answers: Mapping[str, str | int | list[str | int]] = field(default_factory=dict)
    done: list[list[str]] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, argv: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.done.append(list(argv))
        self.options.append(options)
        # Not the last one: a program may run several at the same time.
        line = " ".join(argv)
        answer = next((answer for begin, answer in self.answers.items() if line.startswith(begin)), "")
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, int):
            return subprocess.CompletedProcess(argv, answer, "", f"{argv[0]} says no\n" if answer else "")
        return subprocess.CompletedProcess(argv, 0, answer, "")

    @property
    def lines(self) -> list[str]:
        return [" ".join(argv) for argv in self.done]


def shown(
    *units: str, active: str = "active", enabled: str = "enabled", loaded: str = "loaded", changed: str = "no"
) -> str:
    """What `systemctl show` prints of units; `changed` says whether their files did since systemd read them."""
    block = "Id={}.service\nLoadState={}\nActiveState={}\nUnitFileState={}\nNeedDaemonReload={}\n"
    return "\n".join(block.format(unit, loaded, active, enabled, changed) for unit in units)


# As servers greet.
MARIADB = "5.5.5-10.11.14-MariaDB-0+deb12u2"
MYSQL = "9.7.4-2"


class Session:
    """A database session and its cursor: answers by how a statement begins, and notes all of them."""

    def __init__(self, answers: Mapping[str, Any] | None = None, version: str = MARIADB) -> None:
        self.answers = dict(answers or {})
        self.version = version
        self.done: list[tuple[str, Any]] = []
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def cursor(self) -> Session:
        return self

    def get_server_info(self) -> str:
        return self.version

    def begin(self) -> None:
        self.done.append(("BEGIN", None))

    def commit(self) -> None:
        self.done.append(("COMMIT", None))

    def close(self) -> None:
        self.done.append(("close", None))

    def select_db(self, name: str) -> None:
        self.done.append((f"USE {name}", None))

    def execute(self, statement: str, values: Any = None) -> None:
        self.done.append((statement, values))
        answer: Any = next((self.answers[begin] for begin in self.answers if statement.startswith(begin)), [])
        if callable(answer):
            answer = answer(values)
        if isinstance(answer, Exception):
            raise answer
        self._rows = list(answer)

    def fetchall(self) -> list[dict[str, Any]]:
        return self._rows

    def fetchone(self) -> dict[str, Any] | None:
        return self._rows[0] if self._rows else None

    @property
    def statements(self) -> list[str]:
        return [statement for statement, _ in self.done]

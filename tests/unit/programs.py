"""The programs for the hosts, loaded on this machine, and what they find there."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from ox_deploy import sending


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


def load(name: str) -> Any:
    """A program with all that it uses, joined as for a host, but not started, and with a clock of its own."""
    text = str(sending._program(name, "").obj)
    program = ModuleType(name)
    exec(compile(text, f"{name}.py", "exec"), program.__dict__)  # noqa: S102
    program.__dict__["time"] = Clock()
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

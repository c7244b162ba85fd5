"""Answer many questions in one go, each by its own program."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from ox_deploy.remote.common.once import looked_up_once
from ox_deploy.remote.common.units import unit_states
from ox_deploy.remote.programs import program

# How long one may take; some programs give up before that, and say so.
SECONDS = 3.2


def answers(wanted: Mapping[str, Any]) -> list[Any]:
    """Return each program's answer, or None where it failed or hung: it is asked on its own then, and says why."""
    signal.signal(signal.SIGALRM, give_up)
    questions = wanted["questions"]
    with looked_up_once():
        attempt(unit_states, units_in(questions))
        return [attempt(answer, name, arguments) for name, arguments in questions]


def answer(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return a program's answer."""
    return program(name)(arguments)


def attempt(look: Callable[..., Any], *arguments: Any) -> Any:
    """Return what comes of it, or None where it failed or hung."""
    try:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        return look(*arguments)
    except (Exception, SystemExit):
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def units_in(questions: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return the units of all services: systemd is asked once."""
    services = [arguments.get("service", arguments) for _, arguments in questions]
    return [unit for service in services for unit in service.get("units", ())]


def give_up(number: int, frame: FrameType | None) -> None:
    """End a question, such as one to a server that takes a connection and never answers."""
    raise TimeoutError

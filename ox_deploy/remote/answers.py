"""Answer many questions in one go, each by its own program."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any

from ox_deploy.remote.programs import program

# How long one may take; some programs give up before that, and say so.
SECONDS = 3.2


def answers(wanted: Mapping[str, Any]) -> list[Any]:
    """Return each program's answer, or None where it failed or hung: it is asked on its own then, and says why."""
    signal.signal(signal.SIGALRM, give_up)
    found = []
    for name, arguments in wanted["questions"]:
        try:
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            found.append(program(name)(arguments))
        except (Exception, SystemExit):
            found.append(None)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    return found


def give_up(number: int, frame: FrameType | None) -> None:
    """End a question, such as one to a server that takes a connection and never answers."""
    raise TimeoutError

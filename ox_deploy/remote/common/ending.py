"""How a program ends before it is done: with one sentence."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

# How long what is told to end may take for that.
GRACE_SECONDS = 10


class Failure(SystemExit):
    """Ends a program with exit code 1; its text is the sentence. No `except Exception` takes it for an error."""

    def __init__(self, message: str) -> None:
        super().__init__(1)
        self.message = message

    def __str__(self) -> str:
        return self.message


def fail(message: str) -> NoReturn:
    """Print one sentence and stop."""
    # At once: what is put right at the end may hang.
    print(message, file=sys.stderr)
    raise Failure(message)


def end_within(seconds: int, sentence: str) -> None:
    """Stop with a sentence if this program still runs then, such as on a server that never answers."""

    def give_up(number: int, frame: FrameType | None) -> None:
        # What is to be put right at the end may hang, too.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(GRACE_SECONDS)
        fail(sentence)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)

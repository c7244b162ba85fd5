"""How a program ends before it is done: with one sentence."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

# How long what is told to end may take for that.
GRACE_SECONDS = 10

_raises = False


def fail(message: str) -> NoReturn:
    """Print one sentence and stop, or raise it where `raising` says so."""
    if _raises:
        raise RuntimeError(message)
    print(message, file=sys.stderr)
    sys.exit(1)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Have `fail` raise an error: who works as a unit of systemd has no standard error that somebody reads."""
    global _raises
    before, _raises = _raises, True
    try:
        yield
    finally:
        _raises = before


def end_within(seconds: int, sentence: str) -> None:
    """Stop with a sentence if this program still runs then, such as on a server that never answers."""

    def give_up(number: int, frame: FrameType | None) -> None:
        # What is to be put right at the end may hang, too.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(GRACE_SECONDS)
        fail(sentence)

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)

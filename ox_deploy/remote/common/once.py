"""What several questions of one program want to know alike is looked up once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")

# What was looked up, by what it is; None while each one looks for itself, as who waits for something has to.
_kept: dict[str, Any] | None = None


@contextmanager
def looked_up_once() -> Iterator[None]:
    """Keep what is looked up until this ends."""
    global _kept
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def once(what: str, look_up: Callable[[], T]) -> T:
    """Return what was looked up before if that is kept, or look it up."""
    if _kept is None:
        return look_up()
    if what not in _kept:
        _kept[what] = look_up()
    found: T = _kept[what]
    return found

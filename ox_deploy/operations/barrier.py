"""Keeps the chapters of a deploy apart."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import StringCommand, operation


@operation()
def barrier() -> Generator[StringCommand, None, None]:
    """
    Let no host go on to what follows before all hosts have come here; to be called on every host.

    pyinfra orders operations host by host: one that stands late in the deploy runs early if its host has few
    before it. What follows on another host may need what stands before. Idempotent: changes nothing.
    """
    host.noop("all hosts are here")
    return
    yield

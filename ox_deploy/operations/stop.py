"""How an operation stops a host with one clear sentence."""

from __future__ import annotations

from pyinfra.api import QuoteString, StringCommand
from pyinfra.api.exceptions import OperationError
from pyinfra.context import state


def stop(sentence: str) -> StringCommand:
    """Return a command that shows the sentence and fails the host.

    While pyinfra only looks for changes there is nothing to fail yet: raises OperationError then, which ends
    the run before anything is changed. An exception during the run would come with a traceback.
    """
    if not state.is_executing:
        raise OperationError(sentence)
    return StringCommand("echo", QuoteString(sentence), ">&2; exit 1")


def failed_host() -> str | None:
    """Return the name of a host on which this run has failed, for operations that go on one host after the other.

    pyinfra itself looks for failures only when all hosts had their turn, also with `_serial` and FAIL_PERCENT = 0.
    """
    return next((other.name for other, results in state.results.items() if results.error_ops), None)

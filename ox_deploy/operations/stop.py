"""How an operation stops a host with one clear sentence."""

from __future__ import annotations

from pyinfra.api import OperationError, QuoteString, StringCommand

from ox_deploy.questions.pyinfra_internals import hosts_with_errors, is_executing


def stop(sentence: str) -> StringCommand:
    """Return a command that shows the sentence and fails the host.

    While pyinfra only looks for changes there is nothing to fail yet: raises OperationError then, which ends
    the run before anything is changed. An exception during the run would come with a traceback.
    """
    if not is_executing():
        raise OperationError(sentence)
    return StringCommand("echo", QuoteString(sentence), ">&2; exit 1")


def failed_host() -> str | None:
    """Return the name of a host on which this run has failed, for operations that go on one host after the other."""
    return next((other.name for other in hosts_with_errors()), None)

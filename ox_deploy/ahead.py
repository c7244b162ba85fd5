"""Questions that are asked ahead: one command at the start of a run brings the answers for all its operations.

An answer holds until something is changed on any host. From then on every operation asks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from pyinfra.api import Host
from pyinfra.context import ctx_host

# A question is an ox_deploy.facts.base.Question, an answer the JSON document that its program printed.
_planned: WeakKeyDictionary[Host, list[Any]] = WeakKeyDictionary()
_answers: WeakKeyDictionary[Host, dict[Any, dict[str, Any] | None]] = WeakKeyDictionary()

OperationT = TypeVar("OperationT", bound=Callable[..., Any])


def asks(question: Callable[..., Any], of: str | None = None) -> Callable[[OperationT], OperationT]:
    """Note, where a deploy calls this operation, what it is going to ask.

    + question: returns the question; called with the operation's arguments
    + of: the argument that names the host which is asked, if that is another one
    """

    def decorate(operation: OperationT) -> OperationT:
        @wraps(operation)
        def call(*positional: Any, **arguments: Any) -> Any:
            host = _current()
            asked = host.inventory.get_host(arguments[of]) if of else host
            plan(asked, question(**arguments))
            return operation(*positional, **arguments)

        return cast(OperationT, call)

    return decorate


def plan(host: Host, question: Any) -> None:
    """Note a question for this host."""
    planned = _planned.setdefault(host, [])
    if question not in planned:
        planned.append(question)


def planned() -> Sequence[Any]:
    """Return what the operations of this run are going to ask the current host."""
    return tuple(_planned.get(_current(), ()))


def keep(answers: dict[Any, dict[str, Any] | None]) -> None:
    """Keep what the current host answered just now."""
    _answers[_current()] = answers


def answer(host: Host, question: Any) -> dict[str, Any] | None:
    """Return the host's answer, or None if there is none that holds."""
    return _answers.get(host, {}).get(question)


def forget() -> None:
    """Let no answer hold any longer, on any host; called before anything is changed."""
    _answers.clear()


def _current() -> Host:
    host: Host = ctx_host.get()  # type: ignore[no-untyped-call]
    return host

"""Questions that are asked ahead: one command at the start of a run brings the answers for all its operations.

An answer holds until something is changed on any host. From then on every operation asks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from pyinfra.api import Host
from pyinfra.context import ctx_host, ctx_state

OperationT = TypeVar("OperationT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """An operation as a deploy calls it for one host, and what it is going to ask of which host.

    A question is an ox_deploy.facts.base.Question.
    """

    name: str
    operation: Callable[..., Generator[Any, None, None]]
    arguments: Mapping[str, Any]
    questions: tuple[tuple[Host, Any], ...]


_calls: WeakKeyDictionary[Host, list[Call]] = WeakKeyDictionary()
_planned: WeakKeyDictionary[Host, list[Any]] = WeakKeyDictionary()
# An answer is the JSON document that the question's program printed.
_answers: WeakKeyDictionary[Host, dict[Any, dict[str, Any] | None]] = WeakKeyDictionary()


def asks(
    question: Callable[..., Any] | None = None,
    peer: Callable[..., tuple[str, Any]] | None = None,
    peers: Callable[..., Sequence[tuple[str, Any]]] | None = None,
) -> Callable[[OperationT], OperationT]:
    """Note, where a deploy calls this operation, what it is going to ask.

    + question: returns the question; called with the operation's arguments
    + peer: returns the name of another host in the inventory and the question to that one
    + peers: the same for several hosts
    """

    def decorate(operation: OperationT) -> OperationT:
        @wraps(operation)
        def call(name: str, **arguments: Any) -> Any:
            host = _current()
            own = {key: value for key, value in arguments.items() if not key.startswith("_")}
            questions = [(host, question(**own))] if question else []
            others = [*(peers(**own) if peers else []), *([peer(**own)] if peer else [])]
            questions += [(host.inventory.get_host(name), asking) for name, asking in others]
            for asked, asking in questions:
                plan(asked, asking)
            inner = operation._inner  # type: ignore[attr-defined]
            _calls.setdefault(host, []).append(Call(name, inner, own, tuple(questions)))
            return operation(name=name, **arguments)

        return cast(OperationT, call)

    return decorate


def plan(host: Host, question: Any) -> None:
    """Note a question for this host."""
    planned = _planned.setdefault(host, [])
    if question not in planned:
        planned.append(question)


def calls(host: Host) -> Sequence[Call]:
    """Return the operations that a deploy has for the host, in their order."""
    return tuple(_calls.get(host, ()))


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
    """Let no answer hold any longer, on any host, because something is changed now.

    While pyinfra only looks for changes, none is made.
    """
    if _is_executing():
        _answers.clear()


def _current() -> Host:
    host: Host = ctx_host.get()  # type: ignore[no-untyped-call]
    return host


def _is_executing() -> bool:
    return bool(ctx_state.isset() and ctx_state.get().is_executing)  # type: ignore[no-untyped-call]

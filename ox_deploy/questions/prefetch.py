"""Questions that are asked ahead: one command at the start of a run brings the answers for all its operations.

An answer holds for some seconds, and only until something is changed on any host. From then on every operation asks
for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

from pyinfra.api import BaseStateCallback, Host, State

from ox_deploy.questions.pyinfra_internals import current_host, has_acted, inner_of, is_executing, set_inner
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import Run, current_run, run_of

OperationT = TypeVar("OperationT", bound=Callable[..., Any])


@dataclass(frozen=True)
class Call:
    """An operation as a deploy calls it for one host, and what it is going to ask of which host."""

    name: str
    operation: Callable[..., Any]
    arguments: Mapping[str, Any]
    questions: tuple[tuple[Host, Question[Any]], ...]

    def commands(self) -> Generator[Any, None, None]:
        """Yield what it has to do, without pyinfra's noting it."""
        return inner_of(self.operation)(**self.arguments)


@dataclass(frozen=True)
class KeptAnswers:
    """What a host answered: the JSON documents that the questions' programs printed, None for one that failed.

    They hold until that time, by the clock of the run.
    """

    until: float
    documents: Mapping[Question[Any], dict[str, Any] | None]


# The first operation may wait long for another host while this one has answered.
HOLD_SECONDS = 30


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
        inner = inner_of(operation)

        @wraps(operation)
        def call(*positional: Any, **named: Any) -> Any:
            host = current_host()
            # What remains are pyinfra's own arguments.
            own = {key: value for key, value in named.items() if key != "name" and not key.startswith("_")}
            arguments = signature(inner).bind(*positional, **own).arguments
            questions = [(host, question(**arguments))] if question else []
            others = [*(peers(**arguments) if peers else []), *([peer(**arguments)] if peer else [])]
            questions += [(host.inventory.get_host(name), asking) for name, asking in others]
            for asked, asking in questions:
                plan(asked, asking)
            name = named.get("name", inner.__name__)
            noted = Call(name, call, arguments, tuple(questions))
            current_run().calls.setdefault(host, []).append(noted)
            return operation(*positional, **named)

        set_inner(call, inner)
        return cast(OperationT, call)

    return decorate


def plan(host: Host, question: Question[Any]) -> None:
    """Note a question for this host."""
    planned = current_run().planned.setdefault(host, [])
    if question not in planned:
        planned.append(question)


def calls(host: Host) -> Sequence[Call]:
    """Return the operations that a deploy has for the host, in their order."""
    return tuple(current_run().calls.get(host, ()))


def planned(host: Host | None = None) -> Sequence[Question[Any]]:
    """Return what the operations of this run are going to ask a host, the current one if none is given."""
    return tuple(current_run().planned.get(host or current_host(), ()))


def keep(documents: Mapping[Question[Any], dict[str, Any] | None], host: Host | None = None) -> None:
    """Keep what a host answered just now, the current one if none is given.

    In a run that is not watched nobody would see that something is changed, so nothing is kept there.
    """
    run = current_run()
    if run.is_watched:
        run.answers[host or current_host()] = KeptAnswers(run.now() + HOLD_SECONDS, documents)


def answer(host: Host, question: Question[Any]) -> dict[str, Any] | None:
    """Return the host's answer, or None if there is none that holds."""
    run = current_run()
    kept = run.answers.get(host)
    return kept.documents.get(question) if kept and run.now() < kept.until else None


def forget() -> None:
    """Let no answer hold any longer, on any host, because something is changed now.

    While pyinfra only looks for changes, none is made.
    """
    if is_executing():
        _forget(current_run())


def _forget(run: Run) -> None:
    run.answers.clear()
    run.asking.clear()


class ForgetAfterChanges(BaseStateCallback):
    """Lets no answer hold any longer after an operation that did something, also one that is not ours."""

    @staticmethod
    def operation_end(state: State, op_hash: str) -> None:
        """Look whether the operation sent a command to any host, or failed after it may have."""
        if has_acted(state, op_hash):
            _forget(run_of(state))

"""What all facts of this package share: one command, JSON in, typed data out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import gevent
from pyinfra.api import FactBase, Host, OperationError
from pyinfra.api.exceptions import ConnectError

from ox_deploy.questions import prefetch, pyinfra_internals
from ox_deploy.questions.bounds import NoAnswer
from ox_deploy.questions.sending import QUESTION_SECONDS, Asking, Program

T = TypeVar("T")


class JsonFact(FactBase[T], Generic[T]):
    """A fact whose program prints one JSON document; `parse` turns it into typed data."""

    abstract = True

    def parse(self, document: dict[str, Any]) -> T:
        """Return the typed form of what the program printed; `{}` is a host without Python."""
        raise NotImplementedError

    def process(self, output: list[str]) -> T:
        """Parse the program's output."""
        return self.parse(json.loads("\n".join(output)))


class Question(Generic[T]):
    """A fact with its arguments; two are equal if they ask the same."""

    def __init__(self, fact: type[JsonFact[T]], **arguments: Any) -> None:
        self.fact = fact
        self.arguments: Mapping[str, Any] = arguments

    @property
    def program(self) -> Program:
        """Return the command that asks it."""
        return cast(Program, self.fact().command(**self.arguments))

    def _key(self) -> tuple[str, str]:
        return f"{self.fact.__module__}.{self.fact.__name__}", json.dumps(
            self.arguments, sort_keys=True, default=Question._key
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return self.fact.__name__


def ask(host: Host, question: Question[T]) -> T:
    """Return the answer that was got ahead if it still holds, or ask the host now."""
    document = prefetch.answer(host, question)
    if document is not None:
        return question.fact().parse(document)
    answer: T = get(host, question.fact, **question.arguments)
    return answer


class StandardInput(list[str]):
    """What a question reads. pyinfra shows all arguments of a fact with `-v`, and this one is long."""

    def __repr__(self) -> str:
        return "its program"


def get(host: Host, fact: type[FactBase[T]], **arguments: Any) -> T:
    """Ask a host now, which gets the program that answers by standard input; pyinfra's own arguments begin with `_`."""
    own = {name: value for name, value in arguments.items() if not name.startswith("_")}
    command = cast(Asking, fact().command(**own))
    answer: T = host.get_fact(
        fact, **arguments, **({"_stdin": StandardInput([command.stdin])} if command.stdin else {})
    )
    return answer


class PeerUnreachable(OperationError):
    """Another host whose state has to be known cannot be asked; the message is one sentence with the remedy."""


def ask_peer(asking: Host, inventory_name: str, question: Question[T]) -> T:
    """Return the answer of another host, also of one outside `--limit`, which is connected on demand.

    Raises PeerUnreachable if that host cannot be asked.
    """
    peer = asking.inventory.get_host(inventory_name)
    try:
        if prefetch.answer(peer, question) is None:
            connect(peer)
        answer = ask(peer, question)
    except Exception as error:
        reason = error.reason if isinstance(error, NoAnswer) else str(error)
        raise PeerUnreachable(_unreachable(asking, inventory_name, reason)) from error
    if answer is None:
        raise PeerUnreachable(_unreachable(asking, inventory_name, "it did not answer"))
    return answer


# Who is being connected just now.
_connecting: WeakKeyDictionary[Host, gevent.Greenlet[[Host], Exception | None]] = WeakKeyDictionary()


def connect(peer: Host) -> None:
    """Connect a host outside `--limit` once, however many hosts ask it at the same time.

    A second connection would take the place of the first one, whose commands would never end.
    """
    if pyinfra_internals.is_connected(peer):
        return
    if peer not in _connecting:
        _connecting[peer] = gevent.spawn(_attempt, peer)
    job = _connecting[peer]
    job.join(QUESTION_SECONDS)
    _connecting.pop(peer, None)
    error = job.value if job.ready() else ConnectError(f"no connection within {QUESTION_SECONDS} s")
    job.kill(block=False)
    if error:
        raise error


def _attempt(peer: Host) -> Exception | None:
    try:
        pyinfra_internals.connect(peer, reason="to be asked")
    except Exception as error:
        # Raised here, gevent would print it.
        return error
    return None


def _unreachable(asking: Host, inventory_name: str, reason: str) -> str:
    return (
        f"{asking.name} needs to know the state of {inventory_name}, which cannot be asked ({reason}); make that host "
        "reachable and run again."
    )

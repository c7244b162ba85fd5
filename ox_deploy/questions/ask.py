"""Asks a host: by an answer that was got ahead if one holds, or now."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from pyinfra.api import FactBase, Host

from ox_deploy.questions import prefetch
from ox_deploy.questions.program import FactCommand
from ox_deploy.questions.question import Question

T = TypeVar("T")


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
    command = cast(FactCommand, fact().command(**own))
    answer: T = host.get_fact(
        fact, **arguments, **({"_stdin": StandardInput([command.stdin])} if command.stdin else {})
    )
    return answer

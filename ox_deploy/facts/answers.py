"""Several questions to a host in one command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ox_deploy.questions.program import Program, combined
from ox_deploy.questions.question import JsonFact, Question


class Answers(JsonFact[list[Any]]):
    """The answers to several questions, None for one that has to be asked on its own."""

    def command(self, questions: Sequence[Question[Any]]) -> Program:
        """Ask all of them in one go."""
        return combined([question.program for question in questions])

    def parse(self, document: Any) -> list[Any]:
        """Return them; a host without Python has none."""
        return list(document)


def ask_together(ask: Callable[[Question[Any]], Any], questions: Sequence[Question[Any]]) -> list[Any]:
    """Return a host's answers to all questions, by one command as far as that has them.

    + ask: asks that host one question, and raises what it cannot answer
    """
    documents = ask(Question(Answers, questions=questions)) or [None] * len(questions)
    return [
        ask(question) if document is None else question.fact().parse(document)
        for question, document in zip(questions, documents, strict=True)
    ]

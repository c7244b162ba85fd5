"""A question to a host: a fact with its arguments, whose program prints a JSON document that becomes typed data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from pyinfra.api import FactBase

from ox_deploy.questions.program import Program

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

    @cached_property
    def _key(self) -> tuple[str, str]:
        return f"{self.fact.__module__}.{self.fact.__name__}", json.dumps(
            self.arguments, sort_keys=True, default=_key_of
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Question) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return self.fact.__name__


def _key_of(argument: object) -> object:
    """Return what stands for an argument in a key; of a secret, of which a run has one only, no more than is shown."""
    return argument._key if isinstance(argument, Question) else repr(argument)

"""What holds for every line of Python that we write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("*.py"), *(path for top in ("ox_deploy", "tests") for path in (ROOT / top).rglob("*.py"))])
EXCEPTION = re.compile(r"#\s*(noqa\b|type:\s*ignore\b)")
WITH_REASON = re.compile(r"# (noqa: [A-Z]+\d+(, [A-Z]+\d+)* - |type: ignore\[[a-z-]+\]  # )\w")


def without_reason(text: str) -> list[str]:
    """Return the lines that are excepted from a check without a word why."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if len(EXCEPTION.findall(line)) > len(WITH_REASON.findall(line))]


def test_exception_from_a_check_gives_its_reason() -> None:
    assert {str(path): found for path in FILES if (found := without_reason(path.read_text()))} == {}


@pytest.mark.parametrize("mark", ["noqa", "noqa: S108", "noqa: S108 - ", "type: ignore", "type: ignore[misc]"])
def test_exception_without_a_reason_is_found(mark: str) -> None:
    assert without_reason(f"a = 1  # {mark}\n") == [f"a = 1  # {mark}".strip()]
    assert without_reason(f"a = 1  # {mark}  # type: ignore[misc]  # why\n") != []

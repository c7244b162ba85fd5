"""docs/status.md says what the code says: every named state, and which one hides which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ox_deploy.status.states import STATES
from ox_deploy.status.states.causes import HIDES

TEXT = (Path(__file__).parents[2] / "docs" / "status.md").read_text()


def rows(columns: Sequence[str]) -> list[list[str]]:
    """Return the rows of all tables with these columns."""
    title = f"| {' | '.join(columns)} |"
    tables = [table for table in TEXT.split("\n\n") if table.startswith(title)]
    return [line.strip("| ").split(" | ") for table in tables for line in table.splitlines()[2:]]


def test_every_state_is_documented_with_its_level_and_remedy() -> None:
    documented = rows(["State", "Level", "What it means", "Remedy"])
    shown = [(name, level.partition(",")[0], remedy) for name, level, _, remedy in documented]
    assert shown == [(state.name, state.level.name.lower(), state.remedy) for state in STATES]


def test_every_cause_is_documented_with_what_it_hides() -> None:
    names = [state.name for state in STATES]
    shown = {(cause, name) for cause, hidden in rows(["Cause", "Leaves out"]) for name in names if name in hidden}
    assert shown == set(HIDES)

"""docs/refusals.md has every sentence with which the code refuses, and none that it no longer has."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.unit.refusals import HOLE, Code, Place, words_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "refusals.md"


@pytest.fixture(scope="module")
def code() -> Code:
    return Code()


@pytest.fixture(scope="module")
def said(code: Code) -> set[str]:
    return code.sentences()


def rows() -> list[list[str]]:
    """Return the cells of all rows of the document's tables; a sentence stands in the first one."""
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    plain = [line.strip("| ").replace("\\<", "<").split(" | ") for line in lines]
    return [cells for cells in plain if cells[0] != "Sentence"]


def parts(text: str) -> list[str]:
    """Return what is between the holes of a text, up to where it begins to say what to do."""
    clauses = text.strip(" ;,:.\n").split("; ")
    told = next((clauses[:end] for end in range(1, len(clauses)) if words_of("; ".join(clauses[:end]))), clauses)
    return "; ".join(told).rstrip(" ;,:.").split(HOLE)


def stand_in(wanted: list[str], cell: str) -> bool:
    """Tell whether a cell has all parts in their order, with whatever between them."""
    at = 0
    for part in wanted:
        found = cell.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def test_every_refusal_is_documented(said: set[str]) -> None:
    cells = [cell for row in rows() for cell in row]
    missing = [text for text in said if not any(stand_in(parts(text), cell) for cell in cells)]
    assert not missing, "no row of docs/refusals.md has:\n" + "\n".join(sorted(missing)).replace(HOLE, "<>")


def test_every_row_is_a_refusal_of_the_code(said: set[str]) -> None:
    known = [parts(text) for text in said]
    stale = [row[0] for row in rows() if not any(stand_in(each, row[0]) for each in known)]
    assert not stale, "the code no longer says:\n" + "\n".join(stale)


@pytest.mark.parametrize("call", ["fail", "stop", "InputError", "OperationError"])
def test_no_refusal_has_words_that_are_out_of_reach(code: Code, call: str) -> None:
    for place in code.calls[call]:
        assert isinstance(place.node, ast.Call)
        said = place.node.args[0]
        # Who is given a sentence, or an error that has one, does not make it.
        if ast.unparse(said) not in ("sentence", "str(error)"):
            assert code.texts([Place(said, place.around, place.module)]), f"{place.module}: {ast.unparse(place.node)}"


def test_a_sentence_is_found_wherever_it_is_made(tmp_path: Path) -> None:
    (tmp_path / "refuses.py").write_text(
        "LATER = 'wait until it is over'\n"
        "class Node:\n"
        "    def problems(self):\n"
        "        found = [f'{self.name} has no {1} at all']\n"
        "        found.append('nobody is at home ' + 'today')\n"
        "        return found\n"
        "def check(node, remedy=LATER):\n"
        "    for problem in node.problems():\n"
        "        raise ValueError(f'{problem}; {remedy}')\n"
        "def harmless():\n"
        "    print('this is only said aloud')\n"
    )
    (tmp_path / "say.sh").write_text("echo 'the disk is full here' >&2\n")
    assert Code(tmp_path).sentences() == {
        f"{HOLE} has no {HOLE} at all",
        "nobody is at home ",
        "wait until it is over",
        "the disk is full here",
    }

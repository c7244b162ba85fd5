"""Seeding, whole runs of it, as a ratio to the bare pipe of the same tools by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median

from tests.benchmark import by_hand
from tests.benchmark.figures import Figures, console, seconds
from tests.integration.database import sql
from tests.integration.deployment import deploy, make_bare_lab
from tests.integration.seeding import empty_slave, seed
from tests.lab.nodes import node, run

DATABASE = "benchmark"
TABLES = 4
ROUNDS = 3
# What random bytes become, 735 of them in each row, with the newlines that a dump escapes.
ROW_BYTES = 992
BY_HAND = {"logical": by_hand.logical, "physical": by_hand.physical}


@dataclass(frozen=True)
class Pair:
    """Seconds of the two ways, one right after the other."""

    by_hand: float
    seeded: float

    @property
    def ratio(self) -> float:
        return self.seeded / self.by_hand


def measure(megabytes: int) -> Figures:
    """Return the figures by name, of a lab with five nodes and so much data."""
    make_bare_lab()
    deploy()
    figures: Figures = {}
    with data(megabytes), by_hand.ready(node("dbmaster"), node("dbslave")):
        for method, bare_pipe in BY_HAND.items():
            console.print(f"{method}: by hand and by a seeding, {ROUNDS} times")
            bare = partial(bare_pipe, node("dbmaster"), node("dbslave"))
            pairs = measured(bare, partial(seed, "--data", f"seed_method={method}"), make_ready)
            figures |= figures_of(method, pairs)
    return figures


def measured(bare: Callable[[], object], seeding: Callable[[], object], prepare: Callable[[], object]) -> list[Pair]:
    """Return the seconds of both, in pairs."""
    pairs = []
    for number in range(ROUNDS):
        works = {"by_hand": bare, "seeded": seeding}
        # Each goes first in turn: what the other one left behind, such as a busy disk, is not always the same one's.
        order = list(works) if number % 2 == 0 else list(reversed(works))
        taken = {}
        for name in order:
            prepare()
            taken[name] = seconds(works[name])
        pairs.append(Pair(**taken))
        console.print(f"  {taken['by_hand']:.1f} s by hand, {taken['seeded']:.1f} s: {pairs[-1].ratio:.2f}")
    return pairs


def figures_of(method: str, pairs: Sequence[Pair]) -> Figures:
    """Return the medians.

    The ratio is the median of the pairs' own: a machine that is slower some minutes later is so for both of a pair, and
    one pair that was disturbed does not count.
    """
    return {
        f"seeding, {method}, by hand, s": median(pair.by_hand for pair in pairs),
        f"seeding, {method}, s": median(pair.seeded for pair in pairs),
        f"seeding, {method} / by hand": median(pair.ratio for pair in pairs),
    }


def make_ready() -> None:
    """Empty the replica, and let the disk come to rest."""
    empty_slave()
    run("dbslave", "sync")


@contextmanager
def data(megabytes: int) -> Iterator[None]:
    """Fill the master with what cannot be compressed much."""
    console.print(f"{megabytes} MB of data")
    try:
        for statement in filling(megabytes):
            sql("dbmaster", statement)
        yield
    finally:
        sql("dbmaster", f"DROP DATABASE IF EXISTS {DATABASE}")


def filling(megabytes: int) -> list[str]:
    """Return the statements; the binary log is left out, since the replica is seeded anyway."""
    rows = megabytes * 1_000_000 // ROW_BYTES // TABLES
    begin = f"SET sql_log_bin = 0; CREATE DATABASE IF NOT EXISTS {DATABASE}; USE {DATABASE}; "
    return [
        f"{begin}CREATE TABLE bulk{number} (id INT PRIMARY KEY, text VARCHAR(1000));"
        f" INSERT INTO bulk{number} SELECT seq, TO_BASE64(RANDOM_BYTES(735)) FROM seq_1_to_{rows}"
        for number in range(1, TABLES + 1)
    ]

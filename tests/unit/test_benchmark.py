"""The benchmark without a lab: what it makes of what it measured, and what it does by hand."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from tests.benchmark import __main__ as benchmark
from tests.benchmark import by_hand, deploys, figures, seeding, switchover
from tests.benchmark.seeding import Pair
from tests.benchmark.switchover import Switch


def test_ratio_is_that_of_each_pair_and_one_that_was_disturbed_does_not_count() -> None:
    # The machine became slower, and other work came in during the second by hand.
    pairs = [Pair(10, 11), Pair(40, 22), Pair(30, 33)]
    assert seeding.figures_of("logical", pairs) == {
        "seeding, logical, by hand, s": 30,
        "seeding, logical, s": 22,
        "seeding, logical / by hand": pytest.approx(1.1),
    }


def test_each_way_goes_first_in_turn_and_finds_the_slave_prepared() -> None:
    done: list[str] = []
    pairs = seeding.measured(lambda: done.append("hand"), lambda: done.append("seed"), lambda: done.append("-"))
    assert "".join(done) == "-hand-seed-seed-hand-hand-seed"
    assert len(pairs) == seeding.ROUNDS


def test_data_is_as_much_as_asked_for_and_in_no_binary_log() -> None:
    statements = seeding.filling(1000)
    rows = sum(int(re.findall(r"seq_1_to_(\d+)", statement)[0]) for statement in statements)
    assert len(statements) == seeding.TABLES
    assert rows * seeding.ROW_BYTES == pytest.approx(1e9, rel=1e-5)
    assert all(statement.startswith("SET sql_log_bin = 0;") for statement in statements)


def test_by_hand_are_the_tools_of_a_seeding_with_its_options() -> None:
    assert by_hand.dump_command(["a", "b"])[-4:] == ["--databases", "--", "a", "b"]
    assert "--single-transaction" in by_hand.dump_command([])
    assert "--init-command=SET sql_log_bin = 0" in by_hand.load_command()
    assert "mariadb-backup --backup --stream=mbstream --user=root" in by_hand.sending("192.0.2.4")
    assert "OPENSSL:192.0.2.4:4444,retry" in by_hand.sending("192.0.2.4")
    assert "OPENSSL-LISTEN:4444,bind=192.0.2.4," in by_hand.receiving("192.0.2.4")


def test_figures_of_switchovers() -> None:
    switches = [Switch(0.3, 100, 0), Switch(0.5, 200, 1), Switch(1.1, 300, 0), Switch(0.1, 400, 0)]
    assert switchover.figures_of(switches) == {
        "4 switchovers: write gap, median, s": 0.4,
        "4 switchovers: write gap, maximum, s": 1.1,
        "4 switchovers: rows acknowledged": 1000,
        "4 switchovers: rows lost": 1,
    }


def test_table_has_a_row_for_each_figure() -> None:
    table = figures.table({"time, s": 1.5, "rows": 1234567})
    assert [list(column.cells) for column in table.columns] == [["time, s", "rows"], ["1.5", "1234567"]]


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [([], ["deploys", "seeding", "switchover"]), (["switchover"], ["switchover"])],
)
def test_parts_can_be_run_alone(monkeypatch: pytest.MonkeyPatch, arguments: list[str], parts: list[str]) -> None:
    monkeypatch.setattr(benchmark, "lab", lambda *_: "")
    monkeypatch.setattr(deploys, "measure", lambda groupware: {"deploys": groupware})
    monkeypatch.setattr(seeding, "measure", lambda megabytes: {"seeding": megabytes})
    monkeypatch.setattr(switchover, "measure", lambda: {"switchover": 0.123})
    done = CliRunner().invoke(benchmark.main, ["--json", *arguments])
    shown = json.loads(done.stdout)
    assert list(shown) == parts
    assert shown["switchover"] == 0.12

"""The benchmark without a lab: what it makes of what it measured, and what it does by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.benchmark import __main__ as benchmark
from tests.benchmark import by_ansible, by_hand, control, deploys, figures, nodes, seeding, switchover
from tests.benchmark.builds import builds
from tests.benchmark.seeding import Pair
from tests.benchmark.switchover import Switch
from tests.lab import state


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
    assert by_hand.load_command()[-1].endswith("sql_log_bin = 0")
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
    [([], list(benchmark.PARTS)), (["switchover"], ["switchover"])],
)
def test_parts_can_be_run_alone(monkeypatch: pytest.MonkeyPatch, arguments: list[str], parts: list[str]) -> None:
    monkeypatch.setattr(benchmark, "lab", lambda *_: "")
    monkeypatch.setattr(control, "measure", lambda builds: {"control": len(builds)})
    monkeypatch.setattr(deploys, "measure", lambda builds: {"deploys": len(builds)})
    monkeypatch.setattr(by_ansible, "measure", lambda builds: {"ansible": len(builds)})
    monkeypatch.setattr(nodes, "measure", lambda builds, groupware: {"nodes": groupware})
    monkeypatch.setattr(seeding, "measure", lambda megabytes: {"seeding": megabytes})
    monkeypatch.setattr(switchover, "measure", lambda: {"switchover": 0.123})
    done = CliRunner().invoke(benchmark.main, ["--json", *arguments])
    shown = json.loads(done.stdout)
    assert list(shown) == parts
    assert shown["switchover"] == 0.12


# --- builds that are compared ----------------------------------------------------------------------------


def test_builds_are_measured_in_turn_and_each_goes_first() -> None:
    done: list[str] = []

    def work(name: str, value: float) -> float:
        done.append(name)
        return value

    taken = figures.in_turn({"old": lambda: work("o", 2), "new": lambda: work("n", 1)}, 3)
    assert "".join(done) == "onnoon"
    assert figures.ratio(taken["new"], taken["old"]) == 0.5


def test_ratio_is_that_of_pairs() -> None:
    assert figures.ratio([1, 10, 3], [2, 20, 30]) == 0.5


def test_package_of_a_build_is_its_own_and_the_lab_is_this_one(tmp_path: Path) -> None:
    (tmp_path / "ox_deploy").mkdir()
    (tmp_path / "ox_deploy" / "mark").touch()
    with builds(tmp_path) as (old, new):
        assert (old.name, new.name) == ("old", "new")
        assert (old.packages / "ox_deploy" / "mark").exists()
        assert not (new.packages / "ox_deploy" / "mark").exists()
        assert (old.packages / "tests").resolve() == (new.packages / "tests").resolve() == state.ROOT / "tests"
    with builds(None) as alone:
        assert [build.name for build in alone] == ["new"]


def test_figures_of_the_control_machine() -> None:
    few, many = control.Run(2, 1.5, 80), control.Run(9, 6, 111)
    found = control.figures_of({("new", control.FEW): [few] * 3, ("new", control.MANY): [many] * 3})
    assert found["new: 200 / 20 simulated nodes, by the processor"] == 4
    assert found["new: 200 simulated nodes, MB"] == 111


def test_simulated_hosts_have_nothing_to_change_and_are_ordered_nothing() -> None:
    with control.simulated(3) as folder:
        control.record(state.ROOT, folder)
        run = control.unchanged(state.ROOT, folder)
        assert run.processor > 0
        answers = folder / f"answers-{control.name_of(state.ROOT)}.json"
        recorded = json.loads(answers.read_text())
        routed = [one for one in recorded["@simulated/oxgw002"]["answers"].values() if "present" in one]
        routed[0]["present"] = False
        answers.write_text(json.dumps(recorded))
        with pytest.raises(AssertionError, match="not recorded"):
            control.unchanged(state.ROOT, folder)


class FakeBuild:
    """Takes a second for what is made, and as long as there are nodes if there is nothing to change."""

    def __init__(self, name: str, factor: float, events: list[str]) -> None:
        self.name, self.factor, self.events = name, factor, events

    def deploy(self, inventory: str = "") -> float:
        self.events.append(f"{self.name} {'ssh' if inventory else 'docker'}")
        return self.factor * (10 if "up 20" in self.events else 2)


def test_each_build_adds_nodes_to_a_cluster_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    monkeypatch.setattr(nodes, "make_bare_lab", events.clear)
    monkeypatch.setattr(nodes, "lab", lambda *words: events.append(f"{words[0]} {words[-1]}"))
    compared: Any = [FakeBuild("old", 2, events), FakeBuild("new", 1, events)]
    found = nodes.measure(compared, 20)
    assert events[0] == "new docker"
    assert events.index("up 20") == 1 + 2 * nodes.ROUNDS
    assert found["old: deploy of 18 more nodes, s"] == 20
    assert found["new: deploy of 18 more nodes, s"] == 10
    assert found["new: nothing to change by SSH, 20 nodes / 2 nodes"] == 5


@pytest.mark.parametrize("role", by_ansible.FILES)
def test_ansible_has_packages_files_and_services_of_each_host(role: str) -> None:
    assert by_ansible.SERVICES[role]
    assert all(path.startswith("/etc/") for path in by_ansible.FILES[role])
    assert deploys.FLOOR[role][0].split()

"""How the hosts are asked for a status: once each, all at the same time, and none for longer than the limit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import pytest
from pyinfra.api import FactBase
from pyinfra.api.config import Config
from pyinfra.api.host import Host
from pyinfra.api.state import State

from ox_deploy import secrets
from ox_deploy.facts.health import HostHealth
from ox_deploy.facts.hosts import HostState, HostStatus
from ox_deploy.facts.preconditions import HostPreconditions
from ox_deploy.facts.repository import RepositoryAccess
from ox_deploy.products.ox6 import Ox6
from ox_deploy.questions.lease import Holder, process_identity
from ox_deploy.status import gather, memory
from ox_deploy.status.seen import Seen
from ox_deploy.status.states.causes import causes_with
from ox_deploy.status.steps import Step
from ox_deploy.topologies.master_slaves.topology import MASTER_SLAVES
from tests.unit.fakes import current
from tests.unit.guide import Guide
from tests.unit.programs import altered
from tests.unit.snapshots import cluster as snapshot_of_cluster

Answer = Callable[[Host, dict[str, Any]], HostStatus]


def bare(host: Host, asked: dict[str, Any]) -> HostStatus:
    """Answer as a host on which nothing of ours is."""
    status = HostStatus(system="debian 12", init="systemd", has_python=True, addresses=[host.data.address])
    status.answers = [{} for _ in asked["questions"]]
    return status


class Look:
    """A status of the guide's cluster, on pretended hosts."""

    def __init__(self, guide: Guide) -> None:
        secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
        self.guide, self.asked = guide, dict[str, list[dict[str, Any]]]()
        self.answer: Answer = bare
        self.seconds = 9.0
        self.connect: Callable[[Host], None] = lambda host: None

    def connect_to(self, host: Host, **_: Any) -> None:
        self.connect(host)

    def get_fact(self, host: Host, fact: type[FactBase[Any]], **arguments: Any) -> HostStatus:
        assert fact is HostState, f"{host.name} is asked for {fact.__name__}, too"
        self.asked.setdefault(host.name, []).append(arguments)
        return self.answer(host, arguments)

    @contextmanager
    def begun(self) -> Iterator[State]:
        config: Any = Config()
        state = State(check_for_changes=False)
        with current(state=state, config=config):
            inventory = self.guide.inventory()
            state.init(inventory, config)
            for host in inventory:
                # Each has its own, which comes before the method of its class.
                vars(host).update(connect=partial(self.connect_to, host), get_fact=partial(self.get_fact, host))
            with current(inventory=inventory):
                yield state

    def take(self) -> dict[str, Seen]:
        with self.begun() as state:
            _, seen = gather.look_at_all(state, self.seconds)
        return {one.node.name: one for one in seen}


@pytest.fixture
def look(guide: Guide) -> Look:
    return Look(guide)


@pytest.mark.parametrize("is_dead", [True, False])
def test_lease_of_a_run_that_is_known_to_be_dead_is_none(look: Look, is_dead: bool) -> None:
    place = process_identity(os.getpid())
    place = f"{place.rpartition(' ')[0]} 0" if is_dead else place
    holder = Holder("run", "anna", "control", os.getpid(), 0, "deploy", place)

    def answer(host: Host, asked: dict[str, Any]) -> HostStatus:
        status = bare(host, asked)
        status.answers[0] = {"lease": {"holder": asdict(holder), "left": 42}}
        return status

    look.answer = answer
    health = look.take()["web"].health
    assert health
    assert (health.lease is None) is is_dead


def test_every_host_is_asked_once_for_everything(look: Look) -> None:
    seen = look.take()
    assert {name: len(asked) for name, asked in look.asked.items()} == dict.fromkeys(look.guide.hosts, 1)
    questions = look.asked["oxgw01"][0]["questions"]
    assert questions[0].fact is HostHealth
    # A deploy has it ask another server.
    assert RepositoryAccess not in [question.fact for question in questions]
    assert len(questions) > 5
    assert look.asked["oxgw01"][0]["wait"] == 0
    assert seen["oxgw01"].daemons == {}
    assert seen["dbmaster"].mysql
    assert "apache2" in seen["web"].services


def test_host_is_asked_for_the_disks_that_it_uses(look: Look) -> None:
    look.guide.groups["filestore"], look.guide.settings["filestore_path"] = ["oxgw02"], "/srv/ox"
    look.take()
    disks = {name: asked[0]["questions"][0].arguments["disks"] for name, asked in look.asked.items()}
    assert disks == {
        "web": ["/"],
        "oxgw01": ["/"],
        "oxgw02": ["/", "/srv/ox"],
        "dbmaster": ["/", "/var/lib/mysql"],
        "dbslave": ["/", "/var/lib/mysql"],
    }


def test_no_host_tries_another_one_which_may_be_dead(look: Look) -> None:
    look.guide.groups["web"] = ["oxgw01"]
    del look.guide.hosts["web"]
    look.take()
    questions = [question for asked in look.asked.values() for question in asked[0]["questions"]]
    needed = [question.arguments["needed"] for question in questions if question.fact is HostPreconditions]
    assert needed == [[]] * 4


def test_what_a_deploy_would_do_is_drift(look: Look) -> None:
    seen = look.take()
    drift = {name: [one.name for one in found.drift] for name, found in seen.items()}
    assert drift["web"] == ["Names, user, package sources, packages", "Balance sessions over the groupware nodes"]
    assert "Route multicast to the cluster's interface" in drift["oxgw02"]
    assert "Replicate from the master" in drift["dbslave"]


def test_steps_that_something_explains_are_steps_of_a_deploy(look: Look) -> None:
    """Or what they are compared with could never be equal; an operation alone stands for a single step."""
    with look.begun() as state:
        plan = {step for host in state.inventory for step, _ in gather._plan(state, host)}
    known = causes_with(MASTER_SLAVES.causes, Ox6()).hides_drift
    explained = {one for _, _, steps in known for one in steps}
    assert {one for one in explained if isinstance(one, Step)} <= plan
    calls = Counter(step.operation for step in plan)
    assert {calls[one] for one in explained if not isinstance(one, Step)} == {1}


def test_error_while_looking_for_drift_is_told_and_spoils_nothing(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ox_deploy.operations.service.changes", lambda *_: 1 / 0)
    drift = {one.name: one.sentence for one in look.take()["web"].drift}
    assert drift["Balance sessions over the groupware nodes"] == "division by zero"


def test_refusal_is_drift_with_its_sentence(look: Look) -> None:
    def occupied(host: Host, asked: dict[str, Any]) -> HostStatus:
        status = bare(host, asked)
        for number, question in enumerate(asked["questions"]):
            if question.fact.__name__ == "FilestoreMount":
                bare_directory = {"protected": False, "entries": ["old"]}
                status.answers[number] = {
                    "service": {},
                    "foreign_line": None,
                    "foreign_unit": None,
                    "real": "",
                    "mount": None,
                    "answers": True,
                    "bare": bare_directory,
                }
        return status

    look.answer = occupied
    (drift,) = [one for one in look.take()["oxgw01"].drift if one.name.startswith("Mount")]
    assert "is not empty (old)" in drift.sentence


def test_host_that_a_deploy_would_refuse_is_drift(look: Look) -> None:
    def elsewhere(host: Host, asked: dict[str, Any]) -> HostStatus:
        status = bare(host, asked)
        status.addresses, status.busy = ["192.0.2.99"], True
        return status

    look.answer = elsewhere
    first = look.take()["web"].drift[0]
    assert first.name == "Look for what stands in the way"
    assert "the host has 192.0.2.99" in first.sentence
    assert not [one for one in look.take()["web"].drift if "still at work" in one.sentence]


def test_what_was_not_answered_is_no_drift(look: Look) -> None:
    def silent(host: Host, asked: dict[str, Any]) -> HostStatus:
        status = bare(host, asked)
        status.answers = [None for _ in asked["questions"]]
        return status

    look.answer = silent
    seen = look.take()
    assert {name: (found.drift, found.unreachable) for name, found in seen.items()} == dict.fromkeys(seen, ([], ""))


def test_host_that_cannot_be_reached_says_why_and_the_rest_is_complete(look: Look) -> None:
    def refuse(host: Host) -> None:
        if host.name == "dbmaster":
            raise OSError("no route to host")

    look.connect = refuse
    seen = look.take()
    assert seen["dbmaster"].unreachable == "no route to host"
    assert {name for name, found in seen.items() if found.host} == set(look.guide.hosts) - {"dbmaster"}
    # Its master is not known, so nobody can tell whether the replica would be changed.
    assert "Replicate from the master" not in [one.name for one in seen["dbslave"].drift]


def test_host_that_hangs_is_given_up(look: Look) -> None:
    look.seconds = 0.1
    look.connect = lambda host: gevent.sleep(5 if host.name == "web" else 0)
    seen = look.take()
    assert seen["web"].unreachable == "no answer within 0.1 seconds"
    assert seen["oxgw01"].unreachable == ""


def test_host_whose_command_fails_is_not_taken_for_an_empty_one(look: Look) -> None:
    look.answer = lambda host, asked: HostStatus()
    assert {found.unreachable for found in look.take().values()} == {"the host did not answer"}


# --- memory ----------------------------------------------------------------------------------------------


def test_last_status_is_kept_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "ox-deploy" / "status.json"
    assert memory.load(file) is None
    snapshot = snapshot_of_cluster()
    for _ in range(2):
        memory.save(file, snapshot)
    assert memory.load(file) == snapshot
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["status.json"]


def test_place_that_cannot_be_read_has_no_status(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert memory.load(tmp_path / "file" / "status.json") is None


@pytest.mark.parametrize("text", ["", "{}", '{"time": 1}'])
def test_status_of_another_version_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text)
    assert memory.load(tmp_path / "status.json") is None


def test_each_inventory_has_a_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "os", altered(os, environ={"XDG_STATE_HOME": str(tmp_path)}))
    one, two = memory.state_file("inventory.py"), memory.state_file("other.py")
    assert one != two
    assert one.is_relative_to(tmp_path)
    assert memory.state_file(str(Path("inventory.py").resolve())) == one


# --- the command -----------------------------------------------------------------------------------------


def called(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "ox_deploy.status", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_help_is_no_failure(tmp_path: Path) -> None:
    done = called("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "what is wrong in the cluster" in done.stdout


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        (None, "does not exist"),
        ("web = [", "The status could not be taken: SyntaxError"),
        ("other = ['192.0.2.1']", "none of the groups web, groupware"),
    ],
    ids=["missing", "broken", "without groups"],
)
def test_what_cannot_be_told_is_neither_a_warning_nor_critical(
    tmp_path: Path, inventory: str | None, said: str
) -> None:
    if inventory is not None:
        (tmp_path / "inventory.py").write_text(inventory)
    done = called("--json", "inventory.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_pyinfra_looks_up_once(tmp_path: Path) -> None:
    (tmp_path / "inventory.py").write_text("import pyinfra.api.util as util\nraise OSError(util.stack.__module__)\n")
    assert "OSError: ox_deploy.questions.pyinfra_internals\n" in called("inventory.py", cwd=tmp_path).stderr

"""The lease of the cluster: who gets it on a host, whose orders are carried out, and what the second one is told."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.facts.health import HeldLease
from ox_deploy.facts.lease import LeaseReply, TakeLease
from ox_deploy.operations import lease as leasing
from ox_deploy.questions import lease, program
from ox_deploy.questions.lease import Answer, Holder, Taking
from ox_deploy.questions.order import order
from ox_deploy.questions.program import Program, source
from ox_deploy.remote.common import lease as remote_lease
from ox_deploy.remote.common.ending import Failure
from tests.unit.fakes import FakeHost, in_phase, run, stop_sentence, task_of

ANNA = Holder("a1", "anna", "control1", 10, 1_700_000_000.0, "deploy")
BERT = Holder("b2", "bert", "control2", 20, 1_700_000_002.0, "switchover to dbslave")


class Host:
    """A host's folder, on which the real shell program works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ox-deploy"
        self.text = source("lease.sh").replace("/var/lib/ox-deploy", str(self.folder))

    def say(self, *words: str) -> list[str]:
        argv = ["sh", "-c", self.text, "lease", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()

    def take(self, who: Holder, seconds: int = 60, dead: str = "") -> Answer | None:
        info = json.dumps(who.__dict__)
        return lease.answer_of(self.say("take", who.run, str(seconds), "0", info, dead))

    def read(self) -> dict[str, str]:
        lines = (self.folder / "lease").read_text().splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def change(self, **values: object) -> None:
        lines = [f"{key} {value}" for key, value in {**self.read(), **values}.items()]
        (self.folder / "lease").write_text("\n".join(lines) + "\n")

    def order(self, *ticket: Any) -> str | None:
        """The words with which an order is refused, None if it is carried out."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(remote_lease, "STATE_DIRECTORY", str(self.folder))
            try:
                remote_lease.only_one(*ticket).close()
            except Failure as error:
                return str(error)
        return None


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("is_held", [True, False], ids=["another run has the lease", "there is no Python"])
def test_host_that_answers_no_question_reads_it_to_its_end(
    host: Host, is_held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or pyinfra would write into a closed pipe."""
    monkeypatch.setattr(program, "source", lambda name: host.text)
    host.take(ANNA)
    programs = host.folder / "bin"
    programs.mkdir()
    (programs / "cat").symlink_to("/bin/cat")
    question = Program("service_state", {})
    taking = Taking(BERT.run, json.dumps(BERT.__dict__), wait=0)
    command = (lease.with_lease(taking, question) if is_held else question).get_raw_value()
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"] if is_held else str(programs)},
    ) as process:
        assert process.stdin and process.stdout
        # More than a pipe holds.
        process.stdin.write(b"x" * 1_000_000)
        process.stdin.close()
        said = process.stdout.read().decode()
    assert (ANNA.run if is_held else "{}") in said


def test_first_one_gets_it_and_the_second_one_is_told_who_that_is(host: Host) -> None:
    assert host.take(ANNA) == Answer(number=1)
    answer = host.take(BERT)
    assert answer
    assert (answer.number, answer.holder) == (None, ANNA)
    assert 58 <= answer.left <= 60
    assert 0 <= answer.age <= 2
    assert host.order(1, ANNA.run) is None
    refused = host.order(0, BERT.run)
    assert refused
    assert "taken over by deploy, by anna on control1 (process 10)" in refused


def test_who_has_it_keeps_its_number(host: Host) -> None:
    host.take(ANNA)
    assert host.take(ANNA) == Answer(number=1)


def test_lease_is_renewed_by_who_has_it_only(host: Host) -> None:
    host.take(ANNA)
    host.change(until=1)
    host.say("renew", BERT.run)
    assert host.read()["until"] == "1"
    host.say("renew", ANNA.run)
    assert int(host.read()["until"]) > 60


def test_expired_lease_is_taken_over_and_older_orders_are_refused(host: Host) -> None:
    host.take(ANNA)
    host.change(until=1)
    # Nobody wants it: who had it goes on.
    assert host.order(1, ANNA.run) is None
    assert host.take(BERT) == Answer(number=2, over=ANNA)
    assert host.order(2, BERT.run) is None
    assert "taken over by switchover to dbslave, by bert" in (host.order(1, ANNA.run) or "")
    assert host.say("renew", ANNA.run)[0].startswith("lease lost")


def test_lease_of_a_run_that_is_known_to_be_dead_is_not_waited_for(host: Host) -> None:
    host.take(ANNA)
    assert host.take(BERT, dead="c3") != Answer(number=2, over=ANNA)
    assert host.take(BERT, dead=ANNA.run) == Answer(number=2, over=ANNA)


def test_numbers_only_grow(host: Host) -> None:
    for number in range(1, 4):
        assert host.take(ANNA) == Answer(number=number)
        host.say("release", ANNA.run)
        assert host.read() == {"number": str(number)}
    assert "it was released" in (host.order(3, ANNA.run) or "")


def test_nobody_releases_what_another_one_has(host: Host) -> None:
    host.take(ANNA)
    host.say("release", BERT.run)
    assert host.read()["run"] == ANNA.run


def test_lease_that_is_ended_by_hand_is_free_and_its_orders_are_refused(host: Host) -> None:
    host.take(ANNA)
    (line,) = host.say("break", "nobody")
    assert "anna" in line
    assert host.order(1, ANNA.run)
    assert host.take(BERT) == Answer(number=3)


def test_after_a_restart_of_the_host_it_lasts_as_long_as_from_then_on(host: Host) -> None:
    host.take(ANNA, seconds=10)
    host.change(boot="another", until=10**9)
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert uptime > 10, "this machine was started just now"
    assert host.take(BERT) == Answer(number=2, over=ANNA)
    host.change(boot="another", until=1, seconds=10**9)
    answer = host.take(ANNA)
    assert answer
    assert answer.holder == BERT


def test_order_without_a_lease_is_carried_out_while_nobody_has_one(host: Host) -> None:
    assert host.order() is None
    host.take(ANNA)
    assert "another run is at work: deploy, by anna" in (host.order() or "")
    host.change(until=1)
    assert host.order() is None


def test_shell_command_is_refused_in_the_same_way(host: Host) -> None:
    host.take(ANNA)
    argv = ["sh", "-c", host.text, "lease", "check", ANNA.run]
    assert subprocess.run([*argv, "1"], check=False).returncode == 0
    done = subprocess.run([*argv, "2"], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "lost the lease" in done.stderr


def test_host_that_cannot_write_gives_no_lease(host: Host) -> None:
    host.folder.write_text("a file where the directory should be")
    assert host.take(ANNA) is None


# --- on the control machine ------------------------------------------------------------------------------


def test_dead_process_of_this_machine_is_known_to_be_dead() -> None:
    child = subprocess.Popen(["sleep", "60"])
    holder = replace(ANNA, process=child.pid, place=lease.process_identity(child.pid))
    try:
        assert not holder.is_dead()
        assert not replace(holder, place="another-machine 1 2").is_dead()
        assert not replace(holder, place="").is_dead()
    finally:
        child.kill()
    # Not waited for yet: it is a zombie.
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert holder.is_dead()
    child.wait()
    assert holder.is_dead()


@pytest.mark.parametrize(("age", "begun", "waits"), [(0, 0.0, True), (0, 9e9, False), (4, 0.0, False)])
def test_of_two_that_begin_together_who_began_first_goes_on(age: int, begun: float, waits: bool) -> None:
    mine = lease.Lease(replace(ANNA, begun=begun))
    assert mine.may_wait_for(Answer(holder=BERT, left=60, age=age)) is waits


def looking(answers: list[Any], name: str = "web") -> FakeHost:
    return FakeHost({TakeLease: answers}, name=name)


def test_second_run_ends_with_one_sentence() -> None:
    held = LeaseReply(Answer(holder=replace(ANNA, begun=0.0), left=41, age=30))
    hosts = [looking([held], name) for name in ("web", "oxgw01")]
    sentence = stop_sentence(leasing.look, hosts[0], doing="deploy")
    assert sentence == (
        "another run is at work: deploy, by anna on control1 (process 10), since 1970-01-01 00:00:00 UTC; it holds "
        "the lease on web. Nothing was changed; run again when it has ended. If it is dead, its lease expires in 41 "
        "s; `pyinfra -y inventory.py ox_deploy.deploys.lease.release` ends it now."
    )
    assert run(leasing.look, hosts[1], doing="deploy").commands == []


def test_lease_of_a_dead_run_of_this_machine_is_taken_at_once() -> None:
    child = subprocess.Popen(["sleep", "60"])
    dead = replace(ANNA, process=child.pid, place=lease.process_identity(child.pid))
    child.kill()
    child.wait()
    host = looking([LeaseReply(Answer(holder=dead, left=50, age=30)), LeaseReply(Answer(number=8, over=dead))])
    run(leasing.look, host, doing="deploy")
    assert [asked["taking"].dead for _, asked in host.asked] == ["", "a1"]
    assert host.logged[0].startswith("took over the lease of a dead run: deploy, by anna on control1")
    with in_phase(host, executing=True):
        assert lease.ticket() == [8, lease.begin("").holder.run]


LATER = LeaseReply(Answer(holder=replace(BERT, begun=9e12), left=60, age=0))


def test_run_that_began_later_is_given_time_to_step_back() -> None:
    host = looking([LATER, LeaseReply(Answer(number=8))])
    run(leasing.look, host, doing="deploy").assert_noop()
    assert len(host.asked) == 2


def test_run_that_does_not_step_back_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "PAUSE_SECONDS", 0)
    host = looking([LATER] * 20)
    assert "another run is at work" in stop_sentence(leasing.look, host, doing="deploy")
    assert len(host.asked) == 12


def test_run_that_is_refused_on_one_host_waits_on_no_other() -> None:
    held = LeaseReply(Answer(holder=ANNA, left=41, age=30))
    hosts = [looking([held], "web"), looking([LATER, LATER], "oxgw01")]
    stop_sentence(leasing.look, hosts[0], doing="deploy")
    run(leasing.look, hosts[1], doing="deploy")
    assert len(hosts[1].asked) == 1


def test_no_lease_is_taken_while_pyinfra_only_looks() -> None:
    host = FakeHost(name="web")
    with in_phase(host, executing=False):
        assert leasing.taking("deploy") is None
        assert lease.ticket() == []


def test_order_shows_the_number_that_its_host_gave() -> None:
    me = lease.begin("deploy")
    me.numbers["web"] = 7
    with in_phase(FakeHost(name="web"), executing=True):
        task = task_of(order("service_configure", {}))
    assert task["ticket"] == [7, me.holder.run]
    other: Any = FakeHost(name="oxgw01")
    assert lease.ticket(other) == [0, me.holder.run]


def test_question_is_not_asked_without_the_lease(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "source", lambda name: host.text)
    host.take(ANNA)
    command = TakeLease().command(Taking(BERT.run, json.dumps(BERT.__dict__)), questions=()).get_raw_value()
    # More than a pipe holds: nobody is left who waits for a reader.
    done = subprocess.run(
        ["sh", "-c", command], input="x" * 1_000_000, capture_output=True, text=True, check=True, cwd="/"
    )
    looked = TakeLease().process(done.stdout.splitlines())
    assert looked.lease
    assert looked.lease.holder == ANNA
    assert "answers" not in done.stdout


def test_who_only_looks_sees_who_has_the_lease(host: Host) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(remote_lease, "STATE_DIRECTORY", str(host.folder))
        assert remote_lease.held_lease() is None
        host.take(ANNA)
        held = HeldLease.model_validate(remote_lease.held_lease())
        assert held.holder == ANNA
        assert 0 < held.left <= lease.LIFETIME_SECONDS
        host.change(until=1)
        assert remote_lease.held_lease() is None

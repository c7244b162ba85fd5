"""Questions that are asked ahead: the answers serve all operations, until something is changed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pyinfra.api.operation import OperationMeta
from pyinfra.connectors.util import CommandOutput

from ox_deploy.facts.hosts import HostState, HostStatus
from ox_deploy.facts.openxchange import CachePeers
from ox_deploy.facts.service import Service
from ox_deploy.operations import hosts
from ox_deploy.preflight import Subject
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.bounds import Guard
from ox_deploy.questions.order import order
from ox_deploy.questions.peer import ask_peer
from ox_deploy.questions.program import FactCommand, combined
from ox_deploy.questions.pyinfra_internals import current_state
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run
from ox_deploy.remote import answers
from ox_deploy.remote.common import sockets, units
from tests.unit.fakes import FakeHost, in_phase, run
from tests.unit.programs import Commands, shown, under_test

CACHES = Question(CachePeers, ports=[57462])
AHEAD, LATER = {"192.0.2.2": [57462]}, {"192.0.2.3": [57462]}
CHECKED: dict[str, Any] = {"subject": Subject("oxgw01", frozenset({"groupware"}), "192.0.2.1", "", 1, 1, ())}


def host_with(*answers: dict[str, Any] | None) -> FakeHost:
    status = HostStatus(init="systemd", addresses=["192.0.2.1"], answers=list(answers))
    return FakeHost({HostState: status, CachePeers: LATER}, name="oxgw01")


def checked(*answers: dict[str, Any] | None) -> FakeHost:
    """A host of which the caches were to be asked, after the operation that asks ahead."""
    host = host_with(*answers)
    prefetch.plan(cast(Any, host), CACHES)
    run(hosts.check, host, **CHECKED)
    return host


def guard_of(host: Any) -> Guard:
    """What all commands go through; this one has each end well."""
    host.connector, host.executing_op_hash, host.current_op_hash = None, None, None
    return Guard(host, lambda *_, **__: (True, CommandOutput([])))


def asked(host: Any) -> Any:
    """What an operation gets to know."""
    with in_phase(host, executing=True):
        return ask(host, CACHES)


def test_answer_that_was_got_ahead_is_used() -> None:
    assert asked(checked(AHEAD)) == AHEAD


def test_question_is_sent_once_however_often_it_is_planned() -> None:
    host: Any = host_with(AHEAD)
    for _ in range(2):
        prefetch.plan(host, Question(CachePeers, ports=[57462]))
    run(hosts.check, host, **CHECKED)
    assert host.asked[0][1]["questions"] == (CACHES,)


def test_other_arguments_are_another_question() -> None:
    host: Any = checked(AHEAD)
    assert ask(host, Question(CachePeers, ports=[1])) == LATER


@pytest.mark.parametrize(("executing", "known"), [(True, LATER), (False, AHEAD)])
def test_no_answer_holds_once_an_order_is_sent_and_a_plan_sends_none(executing: bool, known: Any) -> None:
    host: Any = checked(AHEAD)
    with in_phase(host, executing):
        sent = order("service_configure", {})
        assert ask(host, CACHES) == AHEAD
        guard_of(host)(sent)
    assert asked(host) == known


def test_question_lets_answers_hold() -> None:
    host = checked(AHEAD)
    with in_phase(host, executing=True):
        guard_of(host)(CACHES.program)
    assert asked(host) == AHEAD


def test_nothing_is_kept_in_a_run_that_is_not_watched() -> None:
    current_run().is_watched = False
    assert asked(checked(AHEAD)) == LATER


def test_answer_holds_for_some_seconds_only() -> None:
    current_run().now = lambda: 100.0
    host = checked(AHEAD)
    current_run().now = lambda: 99.9 + prefetch.HOLD_SECONDS
    assert asked(host) == AHEAD
    current_run().now = lambda: 100.0 + prefetch.HOLD_SECONDS
    assert asked(host) == LATER


@pytest.mark.parametrize(
    ("commands", "success", "known"),
    [([], True, AHEAD), (["systemctl stop x"], True, LATER), ([], False, LATER), (None, None, AHEAD)],
    ids=["no change", "change", "failure", "not run"],
)
def test_change_by_an_operation_that_is_not_ours_counts_too(
    commands: list[Any] | None, success: bool | None, known: Any
) -> None:
    host = checked(AHEAD)
    meta = OperationMeta("hash", is_change=None)
    if success is not None:
        meta.set_complete(success, commands or [], CommandOutput([]))
    with in_phase(host, executing=True):
        state: Any = current_state()
        state.ops = {"other": {}, "host": {"hash": SimpleNamespace(operation_meta=meta)}}
        prefetch.ForgetAfterChanges.operation_end(state, "hash")
    assert asked(host) == known


def test_question_whose_program_failed_is_asked_on_its_own() -> None:
    assert asked(checked(None)) == LATER


def test_host_without_python_is_asked_again() -> None:
    assert asked(checked()) == LATER


def test_peer_has_its_own_answer() -> None:
    asking: Any = FakeHost(name="dbslave", oxgw01=checked(AHEAD))
    with in_phase(asking, executing=True):
        assert ask_peer(asking, "oxgw01", CACHES) == AHEAD


def question(ports: list[int], **_: Any) -> Question[dict[str, list[int]]]:
    return Question(CachePeers, ports=ports)


def peer_question(ports: list[int], other: str) -> tuple[str, Question[dict[str, list[int]]]]:
    return other, question([*ports, 2])


class Recorded:
    """Stands in for an operation: notes how it is called."""

    def __init__(self) -> None:
        self.called: list[dict[str, Any]] = []
        self.__name__ = "join"

    def _inner(self, ports: list[int], other: str) -> Iterator[str]:
        yield f"{ports} {other}"

    def __call__(self, *positional: Any, **arguments: Any) -> None:
        self.called.append(arguments)


def test_call_notes_what_the_operation_asks_and_whom() -> None:
    operation = Recorded()
    peer: Any = host_with()
    host: Any = FakeHost(name="here", there=peer)
    noted = prefetch.asks(question, peer=peer_question)(operation)
    with in_phase(host, executing=False):
        noted(name="x", ports=[1], other="there", _serial=True)
        assert prefetch.planned() == (Question(CachePeers, ports=[1]),)
    with in_phase(peer, executing=False):
        assert prefetch.planned() == (Question(CachePeers, ports=[1, 2]),)
    assert operation.called == [{"name": "x", "ports": [1], "other": "there", "_serial": True}]
    (call,) = prefetch.calls(host)
    assert (call.name, call.arguments) == ("x", {"ports": [1], "other": "there"})
    assert list(call.commands()) == ["[1] there"]


def test_operation_can_be_called_with_positions_and_without_a_name() -> None:
    host: Any = FakeHost(name="here", there=host_with())
    with in_phase(host, executing=False):
        prefetch.asks(question, peer=peer_question)(Recorded())([1], other="there")
        assert prefetch.planned() == (Question(CachePeers, ports=[1]),)
    (call,) = prefetch.calls(host)
    assert (call.name, call.arguments) == ("_inner", {"ports": [1], "other": "there"})


def test_call_notes_several_peers_and_no_question_to_the_host_itself() -> None:
    hosts: dict[str, Any] = {name: host_with() for name in ("one", "two")}
    host: Any = FakeHost(name="here", **hosts)

    def peers(ports: list[int], other: str) -> list[tuple[str, Question[dict[str, list[int]]]]]:
        return [peer_question([*ports, number], name) for number, name in enumerate(hosts)]

    with in_phase(host, executing=False):
        prefetch.asks(peers=peers)(Recorded())(name="x", ports=[1], other="there")
        assert prefetch.planned() == ()
    for number, peer in enumerate(hosts.values()):
        with in_phase(peer, executing=False):
            assert prefetch.planned() == (Question(CachePeers, ports=[1, number, 2]),)
    (call,) = prefetch.calls(host)
    assert [asked for asked, _ in call.questions] == list(hosts.values())


def shell(command: FactCommand, path: str = os.environ["PATH"]) -> str:
    """What a host's shell prints."""
    argv, environment = ["/bin/sh", "-c", command.get_raw_value()], {"PATH": path}
    done = subprocess.run(
        argv, env=environment, input=command.stdin, capture_output=True, text=True, check=True, cwd="/"
    )
    return done.stdout


def files_of(path: Path) -> Question[Any]:
    return Question(Service, service="x", files={str(path): None}, units=[])


def test_programs_are_answered_together_and_one_that_fails_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    failing: Any = Question(Service, service="x", files=None, units=[])
    programs = [question.program for question in (files_of(tmp_path / "a"), failing, CACHES, files_of(tmp_path / "b"))]
    first, failed, caches, last = json.loads(shell(combined(programs)))
    assert first["files"][str(tmp_path / "a")]["digest"].startswith("2d711642b726b044")
    assert failed is None
    assert caches == {}
    assert last["files"] == {str(tmp_path / "b"): None}


def test_question_that_hangs_is_given_up_and_holds_up_no_other(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    program = under_test(answers)
    program.SECONDS = 0.2
    # Opening it waits for somebody who writes.
    hangs = {"filestore": "", "user": "x", "configuration": str(tmp_path / "fifo"), "shared": [], "trees": []}
    right = dict[str, list[int]](ports=[])
    before = time.monotonic()
    found = program.answers({"questions": [["preconditions_state", hangs], ["cache_peers", right]]})
    assert found == [None, {}]
    assert time.monotonic() - before < 10


def test_answers_come_with_the_state_of_the_host(tmp_path: Path) -> None:
    command = HostState().command(user="root", uid=0, gid=0, packages=[], questions=[files_of(tmp_path / "a")])
    status = HostState().process(shell(command).splitlines())
    assert status.user_by_name
    assert status.answers == [{"files": {str(tmp_path / "a"): None}, "units": {}, "pending": False}]


def test_questions_of_one_program_have_a_host_look_once(monkeypatch: pytest.MonkeyPatch) -> None:
    table = f"header\n{'0: 0B0200C0:E076 0C0200C0:9C40 01 ' + '0 ' * 8}\n"
    tables = Counter[str]()

    def read(path: str) -> bytes | None:
        tables[path] += 1
        return table.encode() if path.startswith("/proc/net/tcp") else None

    systemctl = Commands({"systemctl show": shown("a", "b", "c")})
    monkeypatch.setattr(sockets, "read", read)
    monkeypatch.setattr(units, "run", systemctl)
    services = [{"name": "x", "files": {}, "units": [unit]} for unit in ("a", "b")]
    questions: list[Any] = [["service_state", service] for service in services]
    questions += [["cache_peers", {"ports": [57462]}], ["daemons_state", {"units": {"c": 1}}]]
    first, second, peers, daemons = answers.answers({"questions": questions})
    assert [list(first["units"]), list(second["units"]), list(daemons)] == [["a"], ["b"], ["c"]]
    assert peers == {"192.0.2.12": [57462]}
    assert systemctl.lines == ["systemctl show --property=Id,ActiveState,UnitFileState a b c"]
    assert tables == {"/proc/net/tcp": 1, "/proc/net/tcp6": 1}
    # Who waits for something looks each time.
    sockets.listening_ports()
    assert tables["/proc/net/tcp"] == 2

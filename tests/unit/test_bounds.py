"""Every wait for a host ends: a command on a host that is silent, dies, or never ends what it was told."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from pyinfra.api import StringCommand
from pyinfra.connectors.util import CommandOutput, OutputLine

from ox_deploy.deploys import lease
from ox_deploy.facts.lease import BreakLease
from ox_deploy.questions import bounds
from ox_deploy.questions.bounds import Guard, NoAnswer, Timeouts
from ox_deploy.questions.program import QUESTION_SECONDS, FactCommand
from ox_deploy.questions.pyinfra_internals import current_state
from ox_deploy.questions.run import run_of
from tests.unit.deployment import prepared
from tests.unit.fakes import FakeHost, in_phase
from tests.unit.guide import Guide

PACE = Timeouts(probe_every=0.05, probe=0.1, show_every=0.15)
ORDER: Any = {"_timeout": 30}
Answer = Callable[[], tuple[bool, CommandOutput]]


def says(text: str = "", works: bool = True) -> tuple[bool, CommandOutput]:
    return works, CommandOutput([OutputLine("stdout" if works else "stderr", text)] if text else [])


def silent() -> tuple[bool, CommandOutput]:
    gevent.sleep(60)
    return says()


def broken() -> tuple[bool, CommandOutput]:
    raise OSError("Socket is closed")


class Connector:
    """A way to a host on which a command and the question whether it lives do what they are told to."""

    def __init__(self, command: Answer, alive: Answer = says) -> None:
        self.command, self.alive = command, alive
        self.done: list[str] = []
        self.options: dict[str, Any] = {}

    def run_shell_command(self, command: StringCommand, **options: Any) -> tuple[bool, CommandOutput]:
        text = command.get_raw_value()
        self.done.append(text)
        if text == "true":
            return self.alive()
        self.options = options
        return self.command()


def guarded(command: Answer, alive: Answer = says) -> tuple[Guard, Any]:
    host: Any = FakeHost(name="oxgw01")
    host.connector = Connector(command, alive)
    return Guard(host, host.connector.run_shell_command, PACE), host


def refused(guard: Guard, **options: Any) -> str:
    with pytest.raises(NoAnswer) as error:
        guard(StringCommand("work"), **options)
    return str(error.value)


def test_command_that_ends_is_not_held_up_and_keeps_its_options() -> None:
    guard, host = guarded(lambda: says("done"))
    begin = time.monotonic()
    works, output = guard(StringCommand("work"), print_output=True, _sudo=True, **ORDER)
    assert (works, output.stdout) == (True, "done")
    assert host.connector.options == {"print_output": True, "print_input": False, "_sudo": True}
    assert host.connector.done == ["work"]
    assert time.monotonic() - begin < 0.05


def test_frozen_host_is_named_with_what_it_was_to_do_and_since_when() -> None:
    guard, _ = guarded(silent, silent)
    sentence = refused(guard, **ORDER)
    begin, _, rest = sentence.partition("; at ")
    assert begin == "oxgw01 no longer answers (no answer for 0 s)"
    assert rest[8:] == " it was told: answer a question; check that host, and run again when it answers."
    assert time.strptime(rest[:8], "%H:%M:%S")


def test_operation_is_named() -> None:
    guard, host = guarded(silent, silent)
    host.executing_op_hash, host.current_op_hash = "x", None
    with in_phase(host, executing=True):
        state: Any = current_state()
        state.get_op_meta = lambda number: SimpleNamespace(names={"Hosts | Names, packages"})
        assert "it was told: Names, packages; check" in refused(guard, **ORDER)


@pytest.mark.parametrize(
    ("alive", "why"),
    [
        (lambda: says("container x is not running.", works=False), "container x is not running"),
        (lambda: says(works=False), "it does not run commands"),
        (broken, "Socket is closed"),
    ],
)
def test_why_a_host_does_not_answer_is_said(alive: Answer, why: str) -> None:
    guard, _ = guarded(silent, alive)
    assert f"no longer answers ({why})" in refused(guard, **ORDER)


def test_host_that_stands_still_for_a_moment_is_not_lost() -> None:
    answers = iter([silent, says])

    def work() -> tuple[bool, CommandOutput]:
        gevent.sleep(0.25)
        return says("done")

    guard, _ = guarded(work, lambda: next(answers, says)())
    assert guard(StringCommand("work"), **ORDER)[1].stdout == "done"


@pytest.mark.parametrize("command", [lambda: says(works=False), broken])
def test_host_that_dies_in_a_command_is_no_failed_command(command: Answer) -> None:
    guard, _ = guarded(command, lambda: says("container x is not running", works=False))
    assert "no longer answers (container x is not running)" in refused(guard, **ORDER)


def test_connection_that_breaks_is_told_though_the_host_lives() -> None:
    guard, _ = guarded(broken)
    assert "no longer answers (Socket is closed)" in refused(guard, **ORDER)


def test_command_that_fails_on_a_host_that_lives_has_failed() -> None:
    guard, _ = guarded(lambda: says("no such package", works=False))
    works, output = guard(StringCommand("work"), **ORDER)
    assert (works, output.stderr) == (False, "no such package")


def test_order_that_hangs_on_a_host_that_lives_has_an_end() -> None:
    guard, _ = guarded(silent)
    sentence = refused(guard, _timeout=0.12)
    assert sentence.startswith("oxgw01 answers, but has not finished within 0 s what it was told at ")


def test_limit_of_a_question_is_its_own() -> None:
    guard, _ = guarded(silent)
    with pytest.raises(NoAnswer, match="has not finished within 0 s"):
        guard(FactCommand("ask", seconds=0.12))  # type: ignore[arg-type]  # not a second


def test_long_command_shows_that_it_lives() -> None:
    def long() -> tuple[bool, CommandOutput]:
        gevent.sleep(0.4)
        return says("done")

    guard, host = guarded(long)
    assert guard(StringCommand("work"), **ORDER)[0]
    assert 1 <= len(host.logged) <= 3
    assert all(line.startswith("still running since ") for line in host.logged)


def test_host_that_is_lost_is_not_tried_again() -> None:
    guard, host = guarded(silent, silent)
    first = refused(guard, **ORDER)
    done = list(host.connector.done)
    assert refused(guard) == first
    assert host.connector.done == done


def test_what_is_not_ours_may_cut_its_own_connection_but_does_not_hang() -> None:
    guard, host = guarded(broken)
    with pytest.raises(OSError, match="Socket is closed"):
        guard(StringCommand("reboot"))
    assert "true" not in host.connector.done
    assert "no longer answers" in refused(guarded(silent, silent)[0])


def test_connection_by_ssh_is_kept_alive() -> None:
    kept: list[int] = []
    guard, host = guarded(says)
    host.connector.client = SimpleNamespace(get_transport=lambda: SimpleNamespace(set_keepalive=kept.append))
    guard(StringCommand("work"))
    guard(StringCommand("work"))
    assert kept == [PACE.keep_alive]


def test_outer_limit_ends_the_wait() -> None:
    guard, _ = guarded(silent)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.1):
        guard(StringCommand("work"), **ORDER)


def test_all_hosts_of_a_run_are_watched_once() -> None:
    hosts: list[Any] = [FakeHost(name=name) for name in ("web", "oxgw01")]
    for host in hosts:
        host.connector = Connector(says)
    state: Any = type("State", (), {"inventory": hosts})()
    bounds.watch(state)
    guards = [host.connector.run_shell_command for host in hosts]
    bounds.watch(state)
    assert all(isinstance(guard, Guard) for guard in guards)
    assert [host.connector.run_shell_command for host in hosts] == guards


def test_release_of_a_lease_does_not_wait_for_a_frozen_host_either(
    guide: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    with prepared(monkeypatch, guide.inventory(), deploy=lease.release) as deployment:
        assert run_of(deployment.state).is_watched
    assert BreakLease().command().seconds == QUESTION_SECONDS

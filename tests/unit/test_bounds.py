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
    """A way to a host on which a command and the question whether it lives do what they are told to.

    `alive` answers without sudo and the like, `permits` with them.
    """

    def __init__(self, command: Answer, alive: Answer = says, permits: Answer = says) -> None:
        self.command, self.alive, self.permits = command, alive, permits
        self.done: list[str] = []
        self.options: dict[str, Any] = {}

    def run_shell_command(self, command: StringCommand, **options: Any) -> tuple[bool, CommandOutput]:
        text = command.get_raw_value()
        self.done.append(text)
        if text == "true":
            return self.permits() if "_sudo" in options or "_su_user" in options else self.alive()
        self.options = options
        return self.command()


def guarded(command: Answer, alive: Answer = says, permits: Answer = says) -> tuple[Guard, Any]:
    host: Any = FakeHost(name="oxgw01")
    host.connector = Connector(command, alive, permits)
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


SUDO: Any = ORDER | {"_sudo": True, "_stdin": ["its program"]}
SUDOERS = "into a file in /etc/sudoers.d there"
LECTURE = "We trust you have received the usual lecture from the local System Administrator."
SUDO_SAYS = {
    "terminal": (
        "sudo: sorry, you must have a tty to run sudo",
        "sudo demands a terminal (sudo: sorry, you must have a tty to run sudo)",
        f"put `Defaults:anna !requiretty` {SUDOERS}",
    ),
    "password": (
        "sudo: a password is required",
        "sudo demands a password (sudo: a password is required)",
        f"add `--use-sudo-password`, or put `anna ALL=(ALL:ALL) NOPASSWD: ALL` {SUDOERS}",
    ),
    "wrong-password": (
        "sudo: 3 incorrect password attempts",
        "sudo rejects the password (sudo: 3 incorrect password attempts)",
        "give the right one with `--use-sudo-password`",
    ),
    "not-in-sudoers": (
        "anna is not in the sudoers file.\nThis incident has been reported to the administrator.",
        "this user may not run everything by sudo (anna is not in the sudoers file.)",
        f"put `anna ALL=(ALL:ALL) ALL` {SUDOERS}, or log in as a user who may",
    ),
    "not-allowed": (
        "Sorry, user anna is not allowed to execute '/usr/bin/sh -c true' as root on oxgw01.",
        "this user may not run everything by sudo (Sorry, user anna is not allowed to execute '/usr/bin/sh -c true' as "
        "root on oxgw01.)",
        f"put `anna ALL=(ALL:ALL) ALL` {SUDOERS}, or log in as a user who may",
    ),
    "missing": (
        "bash: line 1: sudo: command not found",
        "sudo is missing (bash: line 1: sudo: command not found)",
        "install it there, or log in as root without `--sudo`",
    ),
    "missing-for-fish": (
        "fish: Unknown command: sudo",
        "sudo is missing (fish: Unknown command: sudo)",
        "install it there, or log in as root without `--sudo`",
    ),
    "other": (
        "sudo: Entschuldigung, Sie ben\u00f6tigen ein TTY",
        "sudo fails (sudo: Entschuldigung, Sie ben\u00f6tigen ein TTY)",
        "let anna run every command by sudo there",
    ),
    "silent": ("", "sudo fails (without a word)", "let anna run every command by sudo there"),
}


def refuses(text: str) -> Answer:
    return lambda: (False, CommandOutput([OutputLine("stderr", line) for line in text.splitlines()]))


@pytest.mark.parametrize(("text", "reason", "remedy"), SUDO_SAYS.values(), ids=SUDO_SAYS)
def test_words_of_sudo_become_one_sentence_with_a_remedy(text: str, reason: str, remedy: str) -> None:
    said = refuses(f"{LECTURE}\n{text}" if text else "")
    guard, host = guarded(said, permits=said)
    host.data["ssh_user"] = "anna"
    sentence = f"oxgw01 runs no command of ours: {reason}; {remedy}, and run again."
    assert refused(guard, **SUDO) == sentence
    # What another host is told that asks it, and the status, has the remedy, too.
    with pytest.raises(NoAnswer) as error:
        guard(StringCommand("work"), **SUDO)
    assert f"{error.value.reason}." == sentence


def test_sudo_that_works_leaves_a_failed_command_a_failed_command() -> None:
    guard, host = guarded(lambda: says("no such package", works=False))
    assert not guard(StringCommand("work"), **SUDO)[0]
    assert host.connector.done == ["work", "true", "true"]


def test_sudo_that_hangs_is_not_waited_for() -> None:
    guard, _ = guarded(lambda: says("no such package", works=False), permits=silent)
    assert not guard(StringCommand("work"), **SUDO)[0]


def test_password_for_sudo_that_cannot_be_asked_for_is_told_as_what_it_is() -> None:
    def ask() -> tuple[bool, CommandOutput]:
        raise EOFError

    guard, _ = guarded(ask)
    sentence = refused(guard, **SUDO)
    assert sentence.startswith("oxgw01 runs no command of ours: sudo demands a password (sudo: a password is required)")
    assert "`USER ALL=(ALL:ALL) NOPASSWD: ALL`" in sentence


def test_su_is_named() -> None:
    said = refuses("su: Authentication failure")
    guard, _ = guarded(said, permits=said)
    assert refused(guard, _su_user="root", **ORDER) == (
        "oxgw01 runs no command of ours: su fails (su: Authentication failure); let USER run every command by su "
        "there, and run again."
    )


NOLOGIN = "This account is currently not available."


def test_login_shell_that_runs_nothing_is_named() -> None:
    guard, host = guarded(refuses(NOLOGIN), refuses(NOLOGIN))
    host.connector.client = SimpleNamespace(get_transport=lambda: SimpleNamespace(set_keepalive=lambda _: None))
    assert refused(guard, **SUDO) == (
        f"oxgw01 runs no command of ours: the login shell runs no commands ({NOLOGIN}); give USER a shell there that "
        "does (`usermod -s /bin/bash USER`), or log in as another user, and run again."
    )


def test_host_that_ran_a_command_before_has_a_login_shell() -> None:
    answers = iter([says("done"), says(NOLOGIN, works=False)])
    guard, host = guarded(lambda: next(answers), lambda: says(NOLOGIN, works=False))
    host.connector.client = SimpleNamespace(get_transport=lambda: SimpleNamespace(set_keepalive=lambda _: None))
    assert guard(StringCommand("work"), **ORDER)[0]
    assert refused(guard, **ORDER).startswith(f"oxgw01 no longer answers ({NOLOGIN.rstrip('.')}); at ")

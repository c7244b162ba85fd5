"""Every wait for a host has an end, and a sentence that says which host, what it was to do, and since when.

pyinfra waits without an end for a command on a frozen host, and has no word for one that dies. So each command goes
through a guard: while it runs, the host is asked now and then whether it lives, on the same way and beside the command,
and a command of ours has a limit besides. The guard also sees when an order is sent: no answer that was got ahead holds
any longer then.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent
from pyinfra.api import Host, OperationError, State, StringCommand
from pyinfra.api.exceptions import PyinfraError

from ox_deploy.questions import login, prefetch
from ox_deploy.questions.order import Order
from ox_deploy.questions.pyinfra_internals import (
    Result,
    Runner,
    intercept_commands,
    keep_alive,
    operation_names,
    print_no_traceback,
)
from ox_deploy.questions.run import run_of


@dataclass(frozen=True)
class Timeouts:
    """Times in seconds.

    A command runs for `probe_every` before the host is asked whether it lives, and again after that; it is asked
    `probes` times, and may take `probe` to answer each time: it may have too much to do, and so may this machine.
    A long command is shown every `show_every`. A silent SSH connection is used every `keep_alive`.
    """

    probe_every: float = 10
    probe: float = 15
    probes: int = 3
    show_every: float = 30
    keep_alive: int = 15


class NoAnswer(OperationError):
    """A host does not answer any more, or has not ended in time what it was to do.

    `reason` is what is, and begins with the host's name; the message says what to do besides.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}.")
        self.reason = reason


class LoginRefused(NoAnswer):
    """A host lives, but runs no command for this login, or none as root. `reason` is the whole sentence."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason, f"{remedy}, and run again")
        self.reason = str(self).rstrip(".")


# What a command has of its own, beside as whom it runs.
_OWN = ("_stdin", "_env", "_chdir")


def watch(state: State) -> None:
    """Guard all commands of a run, also on hosts that are asked on demand. Idempotent."""
    run = run_of(state)
    if run.is_watched:
        return
    run.is_watched = True
    for host in state.inventory:
        intercept_commands(host, partial(Guard, host))
    print_no_traceback(PyinfraError)


class Guard:
    """Stands in for a connector's `run_shell_command`; raises NoAnswer where that would wait for nothing."""

    def __init__(self, host: Host, run: Runner, timeouts: Timeouts | None = None) -> None:
        self._host, self._run, self._timeouts = host, run, timeouts or Timeouts()
        self._lost: NoAnswer | None = None
        self._is_kept_alive = False
        self._has_worked = False

    def __call__(
        self, command: StringCommand, print_output: bool = False, print_input: bool = False, **arguments: Any
    ) -> Result:
        """Run a command; its limit in seconds is pyinfra's `_timeout` or, of a question, its own `seconds`."""
        if self._lost:
            raise self._lost
        if isinstance(command, Order):
            prefetch.forget()
        self._keep_alive()
        seconds: float | None = arguments.pop("_timeout", None) or getattr(command, "seconds", None)
        options = {"print_output": print_output, "print_input": print_input, **arguments}
        waiting = Waiting(_doing(), time.time())
        job = gevent.spawn(self._attempt, command, options)
        try:
            self._wait(job, waiting, seconds)
        finally:
            job.kill(block=False)
        done = job.get(block=False)
        # What is not ours may well cut its own connection.
        return self._result(done, waiting, options) if seconds else _plain(done)

    def _keep_alive(self) -> None:
        """Keep firewalls from forgetting the connection, if it is one by SSH."""
        self._is_kept_alive = self._is_kept_alive or keep_alive(self._host, self._timeouts.keep_alive)

    def _attempt(self, command: StringCommand, options: dict[str, Any]) -> Result | Exception:
        try:
            done = self._run(command, **options)
            self._has_worked = self._has_worked or done[0]
            return done
        except Exception as error:
            # Raised here, gevent would print it.
            return error

    def _wait(self, job: gevent.Greenlet[..., Result | Exception], waiting: Waiting, seconds: float | None) -> None:
        """Wait for the end of a command for as long as its host lives; raises NoAnswer."""
        begin = shown = time.monotonic()
        while True:
            passed = time.monotonic() - begin
            job.join(
                min(self._timeouts.probe_every, max(seconds - passed, 0)) if seconds else self._timeouts.probe_every
            )
            if job.ready():
                return
            why = self._probe(job)
            if job.ready():
                return
            if why:
                raise self._lose(why, waiting)
            now = time.monotonic()
            if seconds and now - begin >= seconds:
                raise _too_slow(self._host.name, seconds, waiting)
            if now - shown >= self._timeouts.show_every:
                shown = now
                self._host.log(f"still running since {waiting.clock}: {waiting.doing}")

    def _probe(self, beside: gevent.Greenlet[..., Any] | None = None) -> str | None:
        """Return why the host does not answer; None if it does, or if the command `beside` has ended meanwhile."""
        for _ in range(self._timeouts.probes - 1):
            if self._probe_once(beside) is None:
                return None
        return self._probe_once(beside)

    def _probe_once(self, beside: gevent.Greenlet[..., Any] | None) -> str | None:
        job = gevent.spawn(self._attempt, StringCommand("true"), {})
        gevent.wait([each for each in (job, beside) if each is not None], timeout=self._timeouts.probe, count=1)
        job.kill(block=False)
        if beside is not None and beside.ready():
            return None
        if not job.ready():
            return f"no answer for {self._timeouts.probes * self._timeouts.probe:.0f} s"
        found = job.get(block=False)
        if isinstance(found, Exception):
            return _words(found)
        works, output = found
        if not works and self._is_kept_alive and not self._has_worked:
            # The connection stands, and no command has come through it yet.
            raise self._refuse({}, output.output_lines)
        return None if works else (output.output_lines or ["it does not run commands"])[-1]

    def _result(self, value: Result | Exception, waiting: Waiting, options: dict[str, Any]) -> Result:
        """Return what came of a command; raises NoAnswer if it failed with its host, or with the way to it."""
        if not isinstance(value, Exception) and value[0]:
            return value
        why = self._probe()
        if why is None:
            self._try_login(value, {key: each for key, each in options.items() if key not in _OWN})
        if why is None and isinstance(value, Exception):
            why = _words(value)
        if why:
            raise self._lose(why, waiting)
        return _plain(value)

    def _try_login(self, value: Result | Exception, told: dict[str, Any]) -> None:
        """Raise LoginRefused if the host, which lives, runs nothing at all as the user that a command was to run as."""
        if isinstance(value, EOFError):
            # pyinfra saw this, and has no terminal to ask for the password.
            raise self._refuse(told, ["sudo: a password is required"])
        if isinstance(value, Exception) or not login.program_of(told):
            return
        job = gevent.spawn(self._attempt, StringCommand("true"), told)
        job.join(self._timeouts.probe)
        job.kill(block=False)
        found = job.get(block=False) if job.ready() else None
        if isinstance(found, tuple) and not found[0]:
            raise self._refuse(told, found[1].output_lines)

    def _refuse(self, told: dict[str, Any], lines: list[str]) -> NoAnswer:
        """Return what to raise, and note that this host is not to be tried again in this run."""
        reason, remedy = login.reason_and_remedy(told, lines, self._host.data.get("ssh_user"))
        self._lost = LoginRefused(f"{self._host.name} runs no command of ours: {reason}", remedy)
        return self._lost

    def _lose(self, why: str, waiting: Waiting) -> NoAnswer:
        """Return what to raise, and note that this host is not to be tried again in this run."""
        begun = f"at {waiting.clock} it was told: {waiting.doing}"
        reason = f"{self._host.name} no longer answers ({why.strip().rstrip('.')}); {begun}"
        self._lost = NoAnswer(reason, "check that host, and run again when it answers")
        return self._lost


@dataclass(frozen=True)
class Waiting:
    """What a host does, and since when (seconds since 1970)."""

    doing: str
    since: float

    @property
    def clock(self) -> str:
        """Return since when, by the clock of this machine."""
        return time.strftime("%H:%M:%S", time.localtime(self.since))


def _too_slow(name: str, seconds: float, waiting: Waiting) -> NoAnswer:
    told = f"what it was told at {waiting.clock}: {waiting.doing}"
    reason = f"{name} answers, but has not finished within {seconds:.0f} s {told}"
    return NoAnswer(reason, "find out what hangs there (`ps -ef --forest`), kill it, and run again")


def _plain(value: Result | Exception) -> Result:
    if isinstance(value, Exception):
        raise value
    return value


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _doing() -> str:
    """Return the name of the operation that is under way, be it for its own host or for one that it asks."""
    return " or ".join(operation_names()) or "answer a question"

"""A pretended host for the checks of `verify`, and what they note."""

from __future__ import annotations

from typing import Any

from pyinfra.api import StringCommand
from pyinfra.connectors.util import CommandOutput, OutputLine

from ox_deploy.findings import Finding
from ox_deploy.operations.verify.checks import Record, Verdict
from ox_deploy.questions.run import current_run
from tests.unit.fakes import Facts, FakeHost, run

# What pyinfra knows of an operation on a host that is reached as a user with sudo.
TOLD: dict[str, Any] = {"_sudo": True, "_stdin": None, "_timeout": None, "name": "x", "_serial": False}


class VerifyHost(FakeHost):
    """Can also run a command whose output is read; notes the commands with their arguments."""

    def __init__(self, facts: Facts | None = None, name: str = "node", **peers: FakeHost) -> None:
        super().__init__(facts, name, **peers)
        self.current_op_global_arguments = TOLD
        self.answer: tuple[bool, str] = (True, "{}")
        self.commands: list[tuple[StringCommand, dict[str, Any]]] = []

    def run_shell_command(self, command: StringCommand, **arguments: Any) -> tuple[bool, CommandOutput]:
        self.commands.append((command, arguments))
        ok, text = self.answer
        return ok, CommandOutput([OutputLine("stdout" if ok else "stderr", line) for line in text.splitlines()])


def verdict(check: Any, host: FakeHost, /, **arguments: Any) -> Verdict:
    """Make a check and return what it noted; it changes nothing, and says what it found or that it holds."""
    before = len(current_run().records)
    outcome = run(check, host, **arguments)
    (record,) = current_run().records[before:]
    assert record.host == host.name
    assert outcome.commands == []
    assert len(outcome.logged) == len(record.verdict.findings)
    assert bool(outcome.noops) != bool(record.verdict.findings)
    return record.verdict


def states(check: Any, host: FakeHost, /, **arguments: Any) -> list[str]:
    """The names of what a check finds."""
    return [finding.state for finding in verdict(check, host, **arguments).findings]


def finding(check: Any, host: FakeHost, /, **arguments: Any) -> Finding:
    """The only thing that a check finds."""
    (only,) = verdict(check, host, **arguments).findings
    assert only.host == host.name
    assert only.wanted and only.remedy
    return only


def note(check: str, host: FakeHost, noted: Verdict | None = None) -> None:
    """Let an earlier check have been made on a host."""
    current_run().records.append(Record(check, host.name, noted or Verdict("measured")))

"""The beginning and the end of a verification: who takes part, and what came of it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace

from pyinfra import host
from pyinfra.api import StringCommand, operation
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ox_deploy.findings import Finding, Level
from ox_deploy.operations import lease
from ox_deploy.operations.stop import stop
from ox_deploy.operations.verify.checks import CouldNotRun, Record, Verdict, check
from ox_deploy.questions.pyinfra_internals import active_hosts, failed_hosts, is_executing, took_part
from ox_deploy.questions.run import current_run

TAKES_PART = "Every host takes part"


@check(TAKES_PART)
def take_lease_and_ask(doing: str, others: Sequence[str] = ()) -> Verdict:
    """
    Take each host's lease, and ask it, in one command, all that the checks which only read want to know.

    + doing, others: as for `lease.look`

    To be called first, on every host, with `stop_if_taken` after it.
    """
    if lease.take_and_ask(doing, others) is None:
        raise CouldNotRun("the host does not answer")
    return Verdict("answers")


@operation()
def stop_if_taken() -> Generator[StringCommand, None, None]:
    """
    End the run, before it tries anything, if another one is at work. To be called on every host.

    Idempotent: changes nothing.
    """
    yield from lease.refuse()


@operation()
def report(hosts: Mapping[str, str]) -> Generator[StringCommand, None, None]:
    """
    Print what all checks found, on one host for all; fail each host that has findings, so that the run fails.

    + hosts: the names of all hosts of the cluster by their name in the inventory

    To be called last, on every host. A warning is shown but fails nothing. Idempotent: changes nothing.
    """
    if not is_executing():
        yield StringCommand("true")
        return
    present = [name for name in hosts if host.inventory.get_host(name) in active_hosts()]
    absent = [Record(TAKES_PART, name, Verdict(findings=[_absent(name)])) for name in hosts if name not in present]
    records = current_run().records
    is_first = host.name == present[0]
    if is_first:
        Console(stderr=True).print(table(_named([*absent, *records], hosts)))
    failed = [finding.state for finding in _findings(records, host.name) + (_findings(absent) if is_first else [])]
    if failed:
        yield stop(f"{len(failed)} findings ({', '.join(dict.fromkeys(failed))}); the table says what to do.")


def _absent(name: str) -> Finding:
    its_host = host.inventory.get_host(name)
    if its_host not in failed_hosts():
        found, remedy = "left out, so nothing is known about it", "verify without `--limit` and `--exclude`"
    elif took_part(its_host):
        found, remedy = "lost during the run, so its checks are incomplete", "run again"
    else:
        found, remedy = "cannot be reached", "make it reachable, and run again"
    wanted = "all hosts of the inventory are checked"
    return Finding(state="host not checked", level=Level.CRITICAL, host=name, found=found, wanted=wanted, remedy=remedy)


def _findings(noted: Iterable[Record], name: str | None = None) -> list[Finding]:
    """Return what fails a host, or all hosts."""
    return [
        finding
        for record in noted
        for finding in record.verdict.findings
        if finding.level is Level.CRITICAL and name in (None, record.host)
    ]


def _named(noted: Iterable[Record], hosts: Mapping[str, str]) -> list[Record]:
    """Return the same with the names of the cluster in the place of those of the inventory."""
    return [replace(record, host=hosts.get(record.host, record.host)) for record in noted]


def table(noted: Sequence[Record]) -> Table:
    """Return a row for each check, with what it measured or found on each host."""
    shown = Table("Check", "", "Result", title="The guide's tests", show_lines=True)
    for title in dict.fromkeys(record.check for record in noted):
        of_check = [record for record in noted if record.check == title]
        lines = [line for record in of_check for line in _lines(record)]
        shown.add_row(Text(title), _result(of_check), Text("\n").join(lines))
    return shown


def _result(of_check: Sequence[Record]) -> Text:
    findings = [finding for record in of_check for finding in record.verdict.findings]
    if any(finding.level is Level.CRITICAL for finding in findings):
        return Text("fails", "bold red")
    if findings:
        return Text("warning", "yellow")
    if any(record.verdict.skipped for record in of_check):
        return Text("not tried", "yellow")
    return Text("ok", "green")


def _lines(record: Record) -> list[Text]:
    verdict = record.verdict
    if verdict.skipped:
        return [Text(f"{record.host}: not tried, {verdict.skipped}", "yellow")]
    if not verdict.findings:
        return [Text(f"{record.host}: {verdict.measured or 'ok'}")]
    return [line for finding in verdict.findings for line in _explained(record.host, finding)]


def _explained(name: str, finding: Finding) -> list[Text]:
    style = "bold red" if finding.level is Level.CRITICAL else "yellow"
    return [
        Text(f"{name}: {finding.state}", style),
        Text(f"  is         {finding.found}"),
        Text(f"  should be  {finding.wanted}"),
        Text(f"  to do      {finding.remedy}"),
    ]

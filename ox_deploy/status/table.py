"""The state of the cluster for people in a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ox_deploy.findings import Finding, Level
from ox_deploy.status.snapshot import Changes, HostView, Snapshot
from ox_deploy.status.words import level_text, result_text, roles_text, state_text, time_text

STYLES = {Level.FINE: "green", Level.WARNING: "yellow", Level.CRITICAL: "bold red"}
# So many of a host's details are shown; the page shows all.
MAIN_DETAILS = 4


def print_snapshot(console: Console, snapshot: Snapshot, changes: Changes) -> None:
    """Print what changed, the findings, the hosts, and the result in the last line."""
    if changes.since:
        _print_changes(console, changes)
    if snapshot.findings:
        _print_findings(console, snapshot.findings)
    console.print(_hosts(snapshot.hosts))
    console.print(Text(result_text(snapshot), STYLES[snapshot.level]))


def _print_changes(console: Console, changes: Changes) -> None:
    assert changes.since is not None
    since = time_text(changes.since)
    if not changes.new and not changes.gone:
        console.print(Text(f"Nothing has changed since {since}."))
        console.line()
        return
    console.print(Text(f"Changed since {since}", "bold"))
    grid = _grid(columns=4)
    for word, findings in (("new", changes.new), ("gone", changes.gone)):
        for finding in findings:
            level = Text(level_text(finding.level), STYLES[finding.level])
            grid.add_row(Text(word), level, _text(finding.host), _text(finding.state))
    console.print(grid)
    console.line()


def _print_findings(console: Console, findings: list[Finding]) -> None:
    console.print(Text("Findings", "bold"))
    for finding in findings:
        style = STYLES[finding.level]
        console.print(
            Text.assemble(
                (level_text(finding.level), style), "  ", (_plain(finding.state), "bold"), " on ", _plain(finding.host)
            )
        )
        grid = _grid(columns=2)
        grid.add_row("is", _text(finding.found))
        grid.add_row("should be", _text(finding.wanted))
        grid.add_row("to do", _text(finding.remedy))
        console.print(grid)
        console.line()


def _hosts(hosts: list[HostView]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("host", "roles", "state", "details"):
        table.add_column(title, overflow="fold", max_width=16 if title == "roles" else None)
    for host in hosts:
        details = [f"{label}: {text}" for label, text in host.details.items()][:MAIN_DETAILS]
        table.add_row(
            _text(host.name),
            _text(roles_text(host.roles)),
            Text(state_text(host), STYLES[host.level]),
            _text("; ".join(details)),
        )
    return table


def _grid(columns: int) -> Table:
    """Return a table without lines whose long texts continue under their beginning."""
    grid = Table.grid(padding=(0, 2), pad_edge=True)
    for _ in range(columns):
        grid.add_column(overflow="fold")
    return grid


def _text(text: str) -> Text:
    """Return text that rich takes as it is: no markup, no emoji."""
    return Text(_plain(text))


def _plain(text: str) -> str:
    """Keep what a server said from steering the terminal."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)

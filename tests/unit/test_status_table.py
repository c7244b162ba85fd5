"""What a status prints in a terminal."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from rich.console import Console

from ox_deploy.findings import Level
from ox_deploy.status.snapshot import Changes, Snapshot
from ox_deploy.status.table import print_snapshot
from tests.unit.snapshots import TIME, broken, cluster, finding, host, snapshot

FIRST = Changes(since=None, new=[], gone=[])
SINCE = TIME - timedelta(hours=3)


def printed(shown: Snapshot, changes: Changes = FIRST, colour: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=colour, color_system="truecolor" if colour else None)
    print_snapshot(console, shown, changes)
    return file.getvalue()


def words(text: str) -> str:
    """Return the text as if its lines were not broken."""
    return " ".join(text.split())


def test_healthy_cluster_is_a_table_of_hosts_and_one_line() -> None:
    lines = printed(cluster()).splitlines()
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines]
    assert ["host", "roles", "state", "details"] in rows
    assert ["web", "balancer", "fine", "disk of /var/lib/mysql: 12 % of 40 GB"] in rows
    assert ["dbmaster", "database master,", "fine", "disk of /var/lib/mysql: 12 % of 40 GB"] in rows
    assert [row[0] for row in rows if "fine" in row] == ["web", "oxgw01", "oxgw02", "dbmaster", "dbslave"]
    assert lines[-1] == "fine: nothing is wrong; 5 hosts"
    assert "Findings" not in "".join(lines)
    assert "hanged" not in "".join(lines)


def test_broken_cluster_has_findings_states_and_a_result() -> None:
    text = printed(broken())
    assert text.startswith("Findings\ncritical  host unreachable on oxgw02\n")
    expected = (
        "critical host unreachable on oxgw02 is found host unreachable should be wanted host unreachable "
        "to do remedy host unreachable warning replica lagging on dbslave is found replica lagging"
    )
    assert expected in words(text)
    assert re.search(r"^ oxgw02 +groupware +unreachable ", text, re.MULTILINE)
    assert re.search(r"^ dbslave +database replica +warning ", text, re.MULTILINE)
    assert text.splitlines()[-1] == "critical: 1 critical finding, 1 warning; 5 hosts, 1 unreachable"


def test_changes_come_first() -> None:
    changes = Changes(
        since=SINCE,
        new=[finding("host unreachable", "oxgw02")],
        gone=[finding("certificate expiring", "web", Level.WARNING)],
    )
    text = printed(broken(), changes)
    lines = [words(line) for line in text.splitlines()[:4]]
    assert lines == [
        "Changed since 2026-05-01 09:00:05 UTC",
        "new critical oxgw02 host unreachable",
        "gone warning web certificate expiring",
        "",
    ]


def test_no_change_is_said() -> None:
    text = printed(broken(), Changes(since=SINCE, new=[], gone=[]))
    assert text.startswith("Nothing has changed since 2026-05-01 09:00:05 UTC.\n\nFindings\n")


@pytest.mark.parametrize("text", ["[bold]5-17[/bold]", "[/]", "[red", ":smile:", "\\[x]", "<script>"])
def test_texts_are_printed_as_they_are(text: str) -> None:
    shown = snapshot(
        [host("web", "web").model_copy(update={"details": {text: text}})],
        findings=[finding(text, text, found=text, wanted=text, remedy=text)],
    )
    changes = Changes(since=SINCE, new=shown.findings, gone=[])
    # State and host of the change; state, host and the three texts of the finding; label and text of the detail.
    assert printed(shown, changes).count(text) == 2 + 5 + 2


def test_server_cannot_steer_the_terminal() -> None:
    text = printed(snapshot([], findings=[finding(found="one\x1b[31m\x07 two\rthree\nfour\x9b2J")]), colour=False)
    assert not set(text) & set("\x1b\x07\r\x9b")
    assert "one [31m" in text
    assert re.search(r"three\s*\n +four", text)


def test_eighty_columns_are_enough_and_nothing_is_lost() -> None:
    word, name = "/var/lib/mysql/" + "x" * 150, "Q" * 63
    shown = snapshot([host(name, "web", "groupware", "db_master")], findings=[finding(found=word)])
    text = printed(shown)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert text.count("x") == 150
    assert text.count("Q") == 63


def test_colour_is_for_terminals_and_never_the_only_sign() -> None:
    plain, coloured = printed(broken()), printed(broken(), colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31munreachable" in coloured
    assert "\x1b[33mwarning" in coloured
    assert "\x1b[32mfine" in coloured
    assert words(re.sub(r"\x1b\[[0-9;]*m", "", coloured)) == words(plain)


def test_main_details_only() -> None:
    details = {f"label{number}": f"text{number}" for number in range(1, 7)}
    text = words(printed(snapshot([host("web", "web").model_copy(update={"details": details})])))
    assert "label1: text1; label2: text2; label3: text3; label4: text4" in text
    assert "label5" not in text

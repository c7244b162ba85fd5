"""How bad a snapshot is, and what is different from the one before."""

from __future__ import annotations

from datetime import timedelta

from ox_deploy.findings import Finding, Level
from ox_deploy.status.snapshot import Snapshot, compare
from tests.unit.snapshots import TIME, finding, snapshot

STOPPED = finding("replica stopped", "dbslave")
LAGGING = finding("replica lagging", "dbslave", Level.WARNING)


def taken(*findings: Finding, minutes: int = 0) -> Snapshot:
    return snapshot([], findings=findings).model_copy(update={"time": TIME + timedelta(minutes=minutes)})


def test_level_is_the_worst_of_all_findings() -> None:
    assert taken().level == Level.FINE
    assert taken(LAGGING).level == Level.WARNING
    assert taken(LAGGING, STOPPED, LAGGING).level == Level.CRITICAL


def test_without_a_snapshot_before_nothing_has_changed() -> None:
    changes = compare(None, taken(STOPPED))
    assert (changes.since, changes.new, changes.gone) == (None, [], [])


def test_what_came_and_what_went_since_the_one_before() -> None:
    changes = compare(taken(LAGGING), taken(STOPPED, minutes=5))
    assert changes.since == TIME
    assert changes.new == [STOPPED]
    assert changes.gone == [LAGGING]


def test_same_state_on_another_host_is_another_finding() -> None:
    other = finding("replica stopped", "dbslave2")
    changes = compare(taken(STOPPED), taken(STOPPED, other))
    assert changes.new == [other]
    assert changes.gone == []


def test_same_state_about_another_host_is_another_finding() -> None:
    before = finding("balancer member disabled", "web", Level.WARNING, about="oxgw01")
    now = finding("balancer member disabled", "web", Level.WARNING, about="oxgw02")
    changes = compare(taken(before, STOPPED), taken(STOPPED, now))
    assert (changes.new, changes.gone) == ([now], [before])


def test_what_got_worse_is_new_and_not_gone() -> None:
    warning = finding("disk nearly full", "dbmaster", Level.WARNING, about="/")
    critical = finding("disk nearly full", "dbmaster", Level.CRITICAL, about="/")
    changes = compare(taken(warning), taken(critical))
    assert (changes.new, changes.gone) == ([critical], [])


def test_what_got_better_and_is_still_there_has_not_changed() -> None:
    warning = finding("disk nearly full", "dbmaster", Level.WARNING, about="/")
    critical = finding("disk nearly full", "dbmaster", Level.CRITICAL, about="/")
    changes = compare(taken(critical), taken(warning))
    assert (changes.new, changes.gone) == ([], [])


def test_other_figures_and_another_order_are_no_change() -> None:
    before = finding("replica lagging", "dbslave", found="70 s behind")
    now = finding("replica lagging", "dbslave", found="90 s behind")
    changes = compare(taken(before, STOPPED), taken(STOPPED, now, minutes=5))
    assert (changes.since, changes.new, changes.gone) == (TIME, [], [])

"""The multicast route: the operation, and the program that looks for it."""

from __future__ import annotations

from typing import Any

import pytest

from ox_deploy.facts.network import MulticastRoute, RouteStatus
from ox_deploy.facts.service import ServiceStatus, UnitState
from ox_deploy.operations import network
from ox_deploy.operations.service import ManagedFile
from ox_deploy.remote.multicast import state as multicast_state
from tests.unit.fakes import FakeHost, Outcome, both_phases, file_state
from tests.unit.programs import Commands, under_test

UNIT = "ox-multicast-route.service"
FILE = ManagedFile(f"/etc/systemd/system/{UNIT}", "new\n")
ARGUMENTS: dict[str, Any] = {"network": "224.0.0.0/8", "address": "192.0.2.11", "unit": UNIT, "file": FILE}
RUNS = {UNIT: UnitState(active=True, enabled=True)}
RIGHT = {FILE.path: file_state("new\n")}


def routed(files: Any = RIGHT, units: Any = RUNS, pending: bool = False, present: bool = True) -> Outcome:
    host = FakeHost({MulticastRoute: RouteStatus(ServiceStatus(files, units, pending), present)})
    return both_phases(network.multicast_route, host, **ARGUMENTS)


def test_route_that_is_there_is_left_alone() -> None:
    routed().assert_noop()


def test_route_that_somebody_took_away_is_set_again() -> None:
    job = routed(present=False).job("service_configure")
    assert (job["files"], job["commands"]) == ([], [["systemctl", "restart", UNIT]])


@pytest.mark.parametrize(
    "status",
    [{"files": {FILE.path: file_state("old\n")}}, {"files": {}, "units": {}, "present": False}, {"pending": True}],
    ids=["changed", "bare", "pending"],
)
def test_file_is_written_and_the_unit_uses_it(status: dict[str, Any]) -> None:
    job = routed(**status).job("service_configure")
    assert [file["content"] for file in job["files"]] == ["new\n"]
    assert (job["name"], job["units"], job["on_change"]) == ("multicast", [UNIT], "restart")
    assert job["daemon_reload"]
    assert job["commands"] == []


def test_unit_that_does_not_run_is_started() -> None:
    stopped = {UNIT: UnitState(active=False, enabled=True)}
    assert routed(units=stopped).job("service_configure")["units"] == [UNIT]


ADDRESS = "2: eth0    inet 192.0.2.11/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever\n"


@pytest.mark.parametrize(
    ("address", "route", "present"),
    [
        (ADDRESS, "224.0.0.0/8 dev eth0 scope link \n", True),
        (ADDRESS, "", False),
        (ADDRESS, "224.0.0.0/8 dev eth1 scope link \n", False),
        (ADDRESS, "blackhole 224.0.0.0/8 \n", False),
        ("", "224.0.0.0/8 dev eth0 scope link \n", False),
        ("", "", False),
    ],
)
def test_route_counts_if_it_leaves_by_the_interface_of_the_address(address: str, route: str, present: bool) -> None:
    program = under_test(multicast_state)
    program.run = Commands({"ip -4 -o address show to 192.0.2.11": address, "ip -4 route show exact 224.0": route})
    wanted = {"network": "224.0.0.0/8", "address": "192.0.2.11", "service": {"name": "x", "files": {}, "units": []}}
    status = MulticastRoute().parse(program.multicast_state(wanted))
    assert status == RouteStatus(ServiceStatus(), present)


def test_host_without_python_has_no_route() -> None:
    assert MulticastRoute().parse({}) == RouteStatus()

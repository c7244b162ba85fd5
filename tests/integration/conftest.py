"""What the lab tests share."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.integration import deployment, evidence
from tests.lab.state import State


@pytest.fixture(scope="module")
def cluster() -> State:
    """A deployed cluster of five hosts, as new."""
    return deployment.deployed_lab()


@pytest.fixture(scope="module")
def bare_hosts() -> None:
    """Five bare hosts."""
    deployment.make_bare_lab()


@pytest.fixture
def used_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests that leave other roles, or transactions that only one server has: the next one gets a new cluster."""
    yield
    deployment.used_up.append(request.node.nodeid)


@pytest.fixture(scope="module", autouse=True)
def nothing_used_up() -> None:
    """A module makes its own lab, so what an earlier one left does not matter to it."""
    deployment.used_up.clear()


@pytest.fixture(autouse=True)
def cluster_as_new(request: pytest.FixtureRequest) -> None:
    """Replace a cluster that an earlier test of the module has used up."""
    if deployment.used_up and request.node.get_closest_marker("lab"):
        deployment.deployed_lab()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what one needs to find out why a test failed, while the hosts are still there."""
    report = yield
    if report.failed and item.get_closest_marker("lab"):
        folder: Path | None = evidence.collect(item.nodeid, call.start)
        if folder:
            report.sections.append(("evidence", f"journals, configuration and state files are in {folder}"))
    return report

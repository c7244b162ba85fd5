"""What the lab tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import evidence
from tests.integration.deployment import deployed_lab, make_bare_lab
from tests.lab.state import State


@pytest.fixture(scope="module")
def cluster() -> State:
    """A deployed cluster of five hosts, as new."""
    return deployed_lab()


@pytest.fixture(scope="module")
def bare_hosts() -> None:
    """Five bare hosts."""
    make_bare_lab()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Keep what one needs to find out why a test failed, while the hosts are still there."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed and item.get_closest_marker("lab"):
        folder: Path | None = evidence.collect(item.nodeid, call.start)
        if folder:
            report.sections.append(("evidence", f"journals, configuration and state files are in {folder}"))
    return report  # type: ignore[return-value]

"""What the lab tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.deployment import Run, deploy_to_bare_hosts, lab


@pytest.fixture(scope="module", autouse=True)
def lab_is_up() -> None:
    """Each module finds five hosts, bare or deployed: one that leaves them otherwise takes its lab down."""
    lab("up")


@pytest.fixture(scope="module")
def cluster(lab_is_up: None) -> Run:
    """A deployed cluster; where an earlier test left one, this run has nothing to do."""
    return deploy_to_bare_hosts()


@pytest.fixture(scope="module")
def lab_down_afterwards(lab_is_up: None) -> Iterator[None]:
    """For modules after which the lab is no longer what others expect."""
    yield
    lab("down")

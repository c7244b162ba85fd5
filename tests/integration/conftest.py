"""What the lab tests share."""

from __future__ import annotations

import pytest

from tests.integration.deployment import Run, deploy, lab


@pytest.fixture(scope="session", autouse=True)
def lab_is_up() -> None:
    """Some modules take the lab as it is."""
    lab("up")


@pytest.fixture(scope="module")
def cluster() -> Run:
    """A deployed cluster; where an earlier test left one, this run has nothing to do."""
    lab("up")
    return deploy()

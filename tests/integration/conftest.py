"""What the lab tests share."""

from __future__ import annotations

import pytest

from tests.integration.deployment import Run, deploy, lab


@pytest.fixture(scope="module")
def cluster() -> Run:
    """A deployed cluster; where an earlier test left one, this run has nothing to do."""
    lab("up")
    return deploy()

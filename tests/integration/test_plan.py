"""What a deploy shows and refuses while the hosts are still bare."""

from __future__ import annotations

import pytest

from tests.integration.deployment import deploy_fails, dry_run, pyinfra
from tests.lab import state
from tests.lab.nodes import exec_in, run

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mysql-9.7"), pytest.mark.usefixtures("bare_hosts")]


def test_dry_run_on_bare_hosts_shows_the_plan_and_a_conflict_changes_nothing() -> None:
    plan = pyinfra(dry_run())
    assert plan.code == 0, plan.output
    assert "Replicate from the master" in plan.output

    run("oxgw02", "groupadd -g 1001 staff1 && useradd -u 1001 -g 1001 bob")
    refusal = deploy_fails()
    assert "uid 1001 belongs to user bob; it should be free for open-xchange" in refusal
    for node in state.load().nodes:
        # The lease of the run is there, and nothing else.
        ours = "find /var/lib/ox-deploy -type f ! -name 'lease*' 2>/dev/null | grep . || grep -q ox-deploy /etc/hosts"
        assert exec_in(node, ours).code, node

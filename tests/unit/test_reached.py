"""A run that reached no host is a failure, whatever it was to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ox_deploy.questions.reached import find_fault
from tests.unit.guide import Guide

ROOT = Path(__file__).parents[2]
NOTHING = "No host was reached, so nothing was done."


@pytest.mark.parametrize(
    ("limit", "exclude"), [([], []), (["web"], []), (["groupware"], ["oxgw01"]), (["ox*"], []), ([], ["web"])]
)
def test_run_with_a_host_is_fine(guide: Guide, limit: list[str], exclude: list[str]) -> None:
    assert find_fault(guide.inventory(), limit, exclude) is None


@pytest.mark.parametrize(
    ("limit", "exclude", "sentence"),
    [
        (
            ["typo"],
            [],
            f"`--limit typo` is neither a host nor a group of the inventory; correct the name and run again. {NOTHING}",
        ),
        (
            ["web", "typo"],
            [],
            "`--limit typo` is neither a host nor a group of the inventory; correct the name and run again. The "
            "others were done.",
        ),
        (
            ["web"],
            ["web"],
            "No host was reached, so nothing was done: `--limit` and `--exclude` leave none; name at least one host.",
        ),
    ],
)
def test_run_without_a_host_is_a_fault(guide: Guide, limit: list[str], exclude: list[str], sentence: str) -> None:
    assert find_fault(guide.inventory(), limit, exclude) == sentence


DEPLOYS = ["verify.verify", "switchover.failover"]


@pytest.mark.parametrize("command", ["deploy.py", *(f"ox_deploy.deploys.{name}" for name in DEPLOYS)])
def test_command_with_a_mistyped_name_fails(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", "-y", "inventory.py", command, "--limit", "typo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"`--limit typo` is neither a host nor a group of the inventory; correct the name and run again. {NOTHING}"
    )

"""Start a program of a seeding as a systemd unit of its own, which goes on whatever becomes of us."""

from __future__ import annotations

import os

from ox_deploy.remote.common.commands import run, run_or_fail
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.common.units import program_file

UNIT = "ox-seed"


def seed_start(job: Document) -> None:
    """Do it; the program's text holds passwords, so it goes by a file that the unit removes as it starts."""
    if run(["systemctl", "is-active", "--quiet", UNIT]).returncode == 0:
        fail(f"a seeding is under way on this host; wait until it ends (`systemctl status {UNIT}`)")
    path = program_file("seed.py", job["program"])
    told = os.path.join(os.path.dirname(path), "seed.json")
    if os.path.exists(told):
        os.unlink(told)
    run(["systemctl", "reset-failed", UNIT])
    # For the files with passwords; systemd removes it when the unit is gone.
    folder = ["--property=RuntimeDirectory=" + UNIT, "--property=RuntimeDirectoryMode=0700"]
    run_or_fail(["systemd-run", "--quiet", "--collect", "--unit=" + UNIT, *folder, "python3", path])

"""Takes the status of the lab as a monitoring system does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.deployment import INVENTORY
from tests.lab import state


@dataclass(frozen=True)
class Status:
    """What `python -m ox_deploy.status --json` said."""

    code: int
    document: dict[str, Any]
    output: str
    seconds: float

    @property
    def states(self) -> set[tuple[str, str]]:
        """Return (state, host) of all findings; that the disk of this machine is full is not the lab's fault."""
        findings = self.document["findings"]
        if disk_is_full():
            findings = [finding for finding in findings if "file system of /," not in finding["found"] + ","]
        return {(finding["state"], finding["host"]) for finding in findings}


def disk_is_full() -> bool:
    """Tell whether this machine has so little space that each of the nodes reports it."""
    usage = shutil.disk_usage("/")
    return usage.free / usage.total < 0.16


def status(*options: str, inventory: str = INVENTORY, memory: str | None = None) -> Status:
    """Take the status; `memory` is the folder in which it keeps the last one, by default one of its own."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "ox_deploy.status", "--json", *options, inventory]
        begin = time.monotonic()
        done = subprocess.run(
            argv,
            cwd=state.ROOT,
            env={**os.environ, "XDG_STATE_HOME": memory or folder},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        seconds = time.monotonic() - begin
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return Status(done.returncode, json.loads(done.stdout), done.stdout + done.stderr, seconds)


def page(folder: Path) -> Path:
    """Write the status page of the lab."""
    file = folder / "status.html"
    status("--html", str(file))
    return file

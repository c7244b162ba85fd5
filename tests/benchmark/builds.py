"""Deploys of the lab by one build or another: this checkout, and one that it is compared with."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import state

INVENTORY, SSH_INVENTORY = (str(state.ROOT / "tests/lab" / name) for name in ("inventory.py", "inventory_ssh.py"))


@dataclass(frozen=True)
class Build:
    """A checkout, and a folder from which Python takes its package but the lab of this one."""

    name: str
    checkout: Path
    packages: Path

    def deploy(self, inventory: str = INVENTORY, *arguments: str) -> float:
        """Deploy to the lab; return the seconds."""
        env = {
            **os.environ,
            "PYTHONPATH": str(self.packages),
            # Or the working folder would come first.
            "PYTHONSAFEPATH": "1",
            "PYINFRA_PROGRESS": "off",
        }
        argv = [sys.executable, "-m", "pyinfra", "-y", *arguments, inventory, "deploy.py"]
        begin = time.monotonic()
        done = subprocess.run(argv, cwd=self.checkout, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return time.monotonic() - begin


@contextmanager
def builds(against: Path | None) -> Iterator[list[Build]]:
    """Return this build, and before it the one that it is compared with if there is one."""
    checkouts = {"new": state.ROOT} | ({"old": against.resolve()} if against else {})
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name, checkout in reversed(checkouts.items()):
            packages = Path(folder, name)
            packages.mkdir()
            for part in ("ox_deploy", "templates"):
                (packages / part).symlink_to(checkout / part)
            (packages / "tests").symlink_to(state.ROOT / "tests")
            found.append(Build(name, checkout, packages))
        yield found

"""Runs the deployment as its users do, and tells what it did."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.lab import engine, snapshots, state
from tests.lab.state import State

INVENTORY = "tests/lab/inventory.py"
SSH_INVENTORY = "tests/lab/inventory_ssh.py"
DPKG_FAILED = "Sub-process /usr/bin/dpkg returned an error code"
PYINFRA = [sys.executable, "-m", "pyinfra"]


@dataclass(frozen=True)
class Run:
    """One run of pyinfra with `--json`."""

    code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @cached_property
    def operations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.stdout)["results"]["operations"]
        return found

    def changed(self) -> list[str]:
        """Return `operation: host` for everything that was changed."""
        return [f"{operation['name']}: {host}" for operation in self.operations for host in operation["success"]]

    def hosts(self) -> set[str]:
        """Return the hosts that took part."""
        return {host for operation in self.operations for host in operation["no_change"] + operation["success"]}


def command(*arguments: str, inventory: str = INVENTORY) -> list[str]:
    return [*PYINFRA, "-y", *arguments, inventory, "deploy.py"]


def dry_run(*arguments: str) -> list[str]:
    return [*PYINFRA, "--dry", *arguments, INVENTORY, "deploy.py"]


def pyinfra(argv: Sequence[str], env: Mapping[str, str] | None = None, timeout: float = 400) -> Run:
    process = subprocess.run(
        argv,
        cwd=state.ROOT,
        env={**os.environ, "PYINFRA_PROGRESS": "off", **(env or {})},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Run(process.returncode, process.stdout, process.stderr)


def begun(
    argv: Sequence[str], operation: str, env: Mapping[str, str] | None = None
) -> tuple[subprocess.Popen[str], str]:
    """Start a run, and return it with what it has printed as soon as an operation begins."""
    process = subprocess.Popen(
        argv,
        cwd=state.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **(env or {}), "PYINFRA_PROGRESS": "off", "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if "Starting" in line and operation in line:
            return process, seen
    raise AssertionError(f"the run ended before {operation}:\n{seen}")


def deploy(*arguments: str, inventory: str = INVENTORY) -> Run:
    """Deploy to the lab; the run has to succeed."""
    run = pyinfra(command("--json", *arguments, inventory=inventory))
    assert run.code == 0, run.output
    return run


def deploy_fails(*arguments: str, inventory: str = INVENTORY) -> str:
    """Deploy to the lab; the run has to fail. Returns all that was printed."""
    run = pyinfra(command(*arguments, inventory=inventory))
    assert run.code != 0, run.output
    assert "Traceback" not in run.output, run.output
    return run.output


def lab(*arguments: str) -> str:
    argv = [sys.executable, "-m", "tests.lab", *arguments]
    process = subprocess.run(argv, cwd=state.ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


# Holds the test after which the lab's cluster is no longer as it was deployed; the next test must not have it.
used_up: list[str] = []


def make_bare_lab(*options: str) -> None:
    """Replace the lab by one with bare hosts: five, or what the options of `up` say."""
    used_up.clear()
    lab("down")
    lab("up", *options)


def deployed_lab(filestore: bool = False) -> State:
    """Replace the lab by a cluster that was deployed once and is as it was then."""
    used_up.clear()
    return snapshots.deployed(engine.connect(), _wanted(filestore), print)


def keep_for_others() -> None:
    """Keep the lab, which was just deployed, for the modules that come after this one; it comes back as they get it."""
    if snapshots.keep_first(engine.connect(), _wanted(filestore=False), print):
        deployed_lab()


def _wanted(filestore: bool) -> list[engine.Wish]:
    kind = os.environ.get("OXLAB_DATABASE", engine.USUAL_DATABASE)
    return engine.wishes(filestore=filestore, database=kind)


def passwords() -> dict[str, str]:
    """Return the lab's passwords by name."""
    stored: dict[str, str] = tomllib.loads(state.SECRETS.read_text())
    del stored["ox_repository_user"]
    return stored

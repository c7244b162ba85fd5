"""What the scripts do with the Docker engine, with a `docker` and a `dockerd` that are not real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import state


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which the scripts find `script/lib.sh`, and programs that come before the real ones."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".lab").mkdir()
    (tmp_path / "script").symlink_to(state.ROOT / "script")
    program(tmp_path / "bin", "sudo", 'shift; exec "$@"')
    return tmp_path


@pytest.fixture
def engine(checkout: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose name is `dockerd`, which the script has started."""
    shutil.copy("/bin/sleep", checkout / "bin" / "dockerd")
    process = subprocess.Popen([checkout / "bin" / "dockerd", "60"])
    (checkout / ".lab" / "dockerd.pid").write_text(f"{process.pid}\n")
    # Who is gone has to be taken note of, or its number stays; init does so for the real one.
    parent = threading.Thread(target=process.wait)
    parent.start()
    yield process
    process.kill()
    parent.join()


def stop_docker(checkout: Path, containers: str) -> str:
    """Have the script stop its engine, in which these containers run; returns what it says."""
    program(checkout / "bin", "docker", f'[ "$1" = ps ] && printf "{containers}"; true')
    done = subprocess.run(
        ["bash", "-c", ". script/lib.sh; stop_docker"],
        cwd=checkout,
        env={**os.environ, "PATH": f"{checkout / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stderr


def test_engine_goes_on_while_containers_run_in_it(checkout: Path, engine: subprocess.Popen[bytes]) -> None:
    assert "the Docker engine goes on, since containers run in it" in stop_docker(checkout, "c0ffee")
    assert engine.poll() is None
    assert (checkout / ".lab" / "dockerd.pid").exists()


def test_engine_that_the_script_started_is_stopped_when_nobody_uses_it(
    checkout: Path, engine: subprocess.Popen[bytes]
) -> None:
    assert "stopping the Docker engine" in stop_docker(checkout, "")
    assert engine.wait(timeout=5)
    assert not (checkout / ".lab" / "dockerd.pid").exists()


def test_process_that_has_the_number_of_a_dead_engine_is_left_alone(checkout: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        (checkout / ".lab" / "dockerd.pid").write_text(f"{other.pid}\n")
        assert stop_docker(checkout, "") == ""
        assert other.poll() is None
        other.kill()
    assert not (checkout / ".lab" / "dockerd.pid").exists()

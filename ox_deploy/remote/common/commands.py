"""Run commands, each with an end."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

from ox_deploy.remote.common.ending import GRACE_SECONDS, fail
from ox_deploy.remote.common.types import Done

# How long a command may take that we start.
RUN_SECONDS = 300
# systemd limits these itself: a large database may take hours.
UNIT_JOBS = ("start", "stop", "restart", "reload")


def started(argv: list[str], **options: Any) -> subprocess.Popen[str]:
    """Start a command in a group that ends with it."""
    pipe = subprocess.PIPE
    # What others put into paths and messages need not be UTF-8.
    text: dict[str, Any] = {"encoding": "utf-8", "errors": "surrogateescape"}
    return subprocess.Popen(argv, stdout=pipe, stderr=pipe, start_new_session=True, **text, **options)


def run(argv: list[str], seconds: float | None = None, input: str | None = None, **options: Any) -> Done:
    """Run a command and return what came of it; one that hangs is ended, and has failed."""
    if seconds is None and not (argv[0] == "systemctl" and argv[1] in UNIT_JOBS):
        seconds = RUN_SECONDS
    if input is not None:
        options["stdin"] = subprocess.PIPE
    child = started(argv, **options)
    try:
        output, errors = child.communicate(input, timeout=seconds)
    except subprocess.TimeoutExpired:
        end(child)
        return subprocess.CompletedProcess(argv, 124, "", f"it has not finished within {seconds} s")
    except BaseException:
        # The next order may come at once.
        os.killpg(child.pid, signal.SIGKILL)
        raise
    return subprocess.CompletedProcess(argv, child.returncode, output, errors)


def end(child: subprocess.Popen[str]) -> None:
    """End a command with all that it started, if it ends."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(GRACE_SECONDS)
            return
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def run_for(seconds: float, argv: list[str]) -> Done | None:
    """Run a command that may hang in a dead file system; return None if it takes longer."""
    child = started(argv, stdin=subprocess.DEVNULL)
    try:
        output, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # Not waited for: what hangs in a FUSE file system dies when that answers.
        child.kill()
        return None
    return subprocess.CompletedProcess(argv, child.returncode, output, errors)


def run_or_fail(argv: list[str], **options: Any) -> str:
    """Run a command; on failure stop with the last lines of what it said."""
    done = run(argv, **options)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-15:]
        fail("`{}` failed with exit code {}: {}".format(" ".join(argv[:3]), done.returncode, "\n".join(said)))
    return done.stdout

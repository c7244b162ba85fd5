"""Starts a program on the host, as questions/program.py wants it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from ox_deploy.remote.common.ending import end_within
from ox_deploy.remote.common.lease import only_one
from ox_deploy.remote.programs import program

SLOW = "this has not finished within {seconds} s; find what hangs on this host, and run again"
BUSY = "an earlier run is still at work on this host, even after {seconds} s; wait for it to end, then run again"


def start(task: Mapping[str, Any]) -> None:
    """Run a program with its arguments in its own way.

    The login that brought it here may have another umask, and a language in which the tools' words are not ours.
    """
    os.umask(0o022)
    os.environ["LC_ALL"] = "C.UTF-8"
    run = {"question": question, "order": order, "unit": unit}[task["as"]]
    run(task)


def question(task: Mapping[str, Any]) -> None:
    """Print the answer as JSON."""
    end_within(task["seconds"], SLOW.format(seconds=task["seconds"]))
    print(json.dumps(program(task["program"])(task["arguments"])))


def order(task: Mapping[str, Any]) -> None:
    """Carry it out when no other one is at work, if its run still has the lease."""
    end_within(task["lock_seconds"], BUSY.format(seconds=task["lock_seconds"]))
    with only_one(*task["ticket"]):
        end_within(task["seconds"], SLOW.format(seconds=task["seconds"]))
        program(task["program"])(task["arguments"])


def unit(task: Mapping[str, Any]) -> None:
    """Do what systemd runs for us, without a limit: it has its own."""
    program(task["program"])(task["arguments"])

"""Units of systemd: how they are, waiting for what somebody does with one just now, and programs of ours as units."""

from __future__ import annotations

import os
import time

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.once import once

RUN_DIRECTORY = "/run/ox-deploy"
# How long somebody else's stop of a unit may take.
STOP_SECONDS = 120


def wait_until_settled(unit: str) -> None:
    """Wait while a unit starts or is stopped; stop if that does not end.

    It may not use what is written meanwhile, and MariaDB that is told to end while it starts never does.
    """
    state = active_state(unit)
    if state in ("activating", "reloading"):
        run(["systemctl", "start", unit])
        state = active_state(unit)
    deadline = time.monotonic() + STOP_SECONDS
    while state == "deactivating":
        if time.monotonic() > deadline:
            text = (
                "{0} was told to stop, but still runs after {1} s; wait until it has ended, or, if it hangs, end it "
                "with `systemctl kill -s KILL {0}`; then run again"
            )
            fail(text.format(unit, STOP_SECONDS))
        time.sleep(0.5)
        state = active_state(unit)


def active_state(unit: str) -> str:
    """Return systemd's word for what a unit does."""
    return run(["systemctl", "is-active", unit]).stdout.strip()


def unit_states(units: list[str]) -> dict[str, dict[str, bool]]:
    """Return `ActiveState` and `UnitFileState` of systemd units by name."""
    if not units:
        return {}
    # What is asked of several units at once, and then of each.
    known: dict[str, dict[str, bool]] = once("units", dict)
    if not known.keys() >= set(units):
        known.update(show_units(units))
    return {unit: known[unit] for unit in units if unit in known}


def show_units(units: list[str]) -> dict[str, dict[str, bool]]:
    """Return the same, as systemd says now."""
    properties = "--property=Id,ActiveState,UnitFileState"
    shown = run(["systemctl", "show", properties, *units]).stdout
    states = {}
    for unit, text in zip(units, shown.strip().split("\n\n"), strict=False):
        values = dict(line.split("=", 1) for line in text.splitlines())
        states[unit] = {
            "active": values.get("ActiveState") == "active",
            "enabled": values.get("UnitFileState") in ("enabled", "static", "alias") or starts_by_sysv(unit),
        }
    return states


def starts_by_sysv(unit: str) -> bool:
    """Tell whether an init script is linked for the usual runlevel."""
    name = unit.removesuffix(".service")
    try:
        return any(entry.startswith("S") and entry[3:] == name for entry in os.listdir("/etc/rc3.d"))
    except FileNotFoundError:
        return False


def program_file(name: str, text: str) -> str:
    """Write a program for systemd to run, and return its path.

    It may hold passwords: only root can read it, and it removes itself as it begins.
    """
    os.makedirs(RUN_DIRECTORY, mode=0o700, exist_ok=True)
    os.chmod(RUN_DIRECTORY, 0o700)
    path = os.path.join(RUN_DIRECTORY, name)
    if os.path.exists(path):
        os.unlink(path)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"import os\nos.unlink({path!r})\n" + text)
    return path

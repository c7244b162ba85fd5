"""The data directories of a replica: the old one is kept until the new one is complete."""

from __future__ import annotations

import glob
import os
import shutil

from ox_deploy.remote.common.commands import run_or_fail
from ox_deploy.remote.common.units import wait_until_settled

# Beside the server's directory: what comes, what was there before (BEFORE, once the server runs on what came), what is
# about to be removed.
NEW, OLD, BEFORE, GONE = ".ox-seed", ".ox-seed-old", ".ox-seed-before", ".ox-seed-gone"
# By these a server goes on replicating; the logs are those of the new data by then.
REPLICATES_BY = ("master*.info", "relay-log*.info", "multi-master.info")


def old_data(datadir: str) -> str | None:
    """Return where the data is that a replica had before a seeding which is not complete; None if it is gone."""
    return next(filter(os.path.isdir, (datadir + OLD, datadir + BEFORE)), None)


def put_back(datadir: str, unit: str) -> None:
    """Have the old data directory if it is still there; once the server ran on the new one, as nobody's replica."""
    new, gone, kept = datadir + NEW, datadir + GONE, old_data(datadir)
    remove(new, gone)
    if kept is None:
        return
    wait_until_settled(unit)
    run_or_fail(["systemctl", "stop", unit])
    if os.path.isdir(datadir):
        os.rename(datadir, gone)
    if kept == datadir + BEFORE:
        for pattern in REPLICATES_BY:
            for path in glob.glob(os.path.join(kept, pattern)):
                os.unlink(path)
    os.rename(kept, datadir)
    remove(gone)


def remove(*directories: str) -> None:
    """Remove those that are there."""
    for directory in directories:
        if os.path.isdir(directory):
            shutil.rmtree(directory)


def discard_old(datadir: str) -> None:
    """Remove the old data directory, now that the new one is complete."""
    os.rename(datadir + BEFORE, datadir + GONE)
    remove(datadir + GONE)

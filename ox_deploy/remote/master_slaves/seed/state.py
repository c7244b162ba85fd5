"""Print how far the seeding of this host is."""

from __future__ import annotations

import json
import os

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.files import STATE_DIRECTORY, read
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.master_slaves.seed.directories import old_data

# As in seed/common.py, which is for the units only.
STATE_FILE = "/run/ox-deploy/seed.json"


def seed_state(wanted: Document) -> Document:
    """Return what its program wrote last, whether it runs, whether the replica is half seeded, and has its old data."""
    # In this order: what has ended since has written its last word before.
    active = run(["systemctl", "is-active", "--quiet", "ox-seed"]).returncode == 0
    mark = os.path.join(STATE_DIRECTORY, "seeding")
    marked = os.path.exists(mark)
    kept = marked and old_data((read(mark) or b"").decode()) is not None
    return {**last_word(), "active": active, "marked": marked, "kept": kept}


def last_word() -> Document:
    """Return what the program of a seeding wrote last; {} if there was none."""
    word: Document = json.loads(read(STATE_FILE) or "{}")
    return word

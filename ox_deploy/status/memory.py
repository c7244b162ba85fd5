"""Keeps the last status on this machine, so that the next one can say what changed."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from ox_deploy.status.snapshot import Snapshot


def state_file(inventory: str) -> Path:
    """Return the file for an inventory, in the user's folder for the state of programs."""
    folder = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = hashlib.sha256(str(Path(inventory).resolve()).encode()).hexdigest()[:16]
    return Path(folder, "ox-deploy", f"status-{name}.json")


def load(file: Path) -> Snapshot | None:
    """Return the last status, or None if there is none that this version can read."""
    try:
        return Snapshot.model_validate_json(file.read_text())
    except (OSError, ValidationError):
        return None


def save(file: Path, snapshot: Snapshot) -> None:
    """Keep this status in place of the last one; only its owner can read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Two may be at work at the same time.
    handle, new = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    with os.fdopen(handle, "w") as opened:
        opened.write(snapshot.model_dump_json())
    Path(new).replace(file)

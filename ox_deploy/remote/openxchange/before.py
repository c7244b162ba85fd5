"""Keep the configuration that the daemons run with until they run with a new one, as service/configure.py does."""

from __future__ import annotations

import hashlib
import json
import os

from ox_deploy.remote.common.files import STATE_DIRECTORY, read
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.openxchange.state import BASE
from ox_deploy.remote.service.configure import old_state, remove, restore, write_whole

# Says where the database is and how to log in there: the servers themselves may have changed along with it.
DATABASE_FILE = "configdb.properties"


def note_path() -> str:
    """Return the file in which it is kept: what was `before`, and the digests of what a run made of it `after`."""
    return os.path.join(STATE_DIRECTORY, "open-xchange.before")


def noted_configuration() -> Document | None:
    """Return what was noted, or None."""
    noted = read(note_path())
    return None if noted is None else json.loads(noted)


def keep_configuration() -> None:
    """Note all files as they are; what a run that died noted is older, and stays, but not what was edited since."""
    noted = noted_configuration() or {"before": {}, "after": {}}
    before, after = noted["before"], noted["after"]
    for path in configuration_files():
        if path not in before or (path in after and digest(path) != after[path]):
            before[path] = old_state(path)
    write_note({"before": before, "after": {}})


def note_configuration() -> None:
    """Note what the files have become."""
    noted = noted_configuration()
    assert noted is not None, "nothing was noted before"
    write_note({**noted, "after": {path: digest(path) for path in configuration_files()}})


def restore_configuration() -> bool:
    """Put the files back that a run has changed and nobody else since; tell whether the daemons may run with them."""
    noted = noted_configuration()
    if noted is None:
        return False
    changed = {path: old for path, old in noted["before"].items() if is_changed(path, old, noted["after"])}
    if any(os.path.basename(path) == DATABASE_FILE for path in changed):
        return False
    restore(changed)
    return True


def is_changed(path: str, old: Document | None, after: dict[str, str]) -> bool:
    """Tell whether a file is as a run left it, and was another one before."""
    return digest(path) == after.get(path) and old_state(path) != old


def forget_configuration() -> None:
    """The daemons run with the files that are there now."""
    remove(note_path())


def write_note(noted: Document) -> None:
    """Replace what is noted."""
    write_whole(note_path(), json.dumps(noted).encode(), 0o600, 0, 0)


def configuration_files() -> list[str]:
    """Return the paths of all files."""
    return [os.path.join(folder, name) for folder, _, names in os.walk(BASE) for name in names]


def digest(path: str) -> str:
    """Return what a file is compared by."""
    return hashlib.sha256(read(path) or b"").hexdigest()

"""Run oxinstaller, then write what must not stand on its command line or what it leaves as it was.

A mark per daemon says that it does not use its files yet; it is removed by whoever starts the daemon.
"""

from __future__ import annotations

import base64
import grp
import json
import os
import re
import tempfile
from collections.abc import Mapping

from ox_deploy.remote.common.commands import run, run_or_fail
from ox_deploy.remote.common.files import STATE_DIRECTORY, as_base64, pending_path, read, read_present
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.openxchange.before import keep_configuration, note_configuration
from ox_deploy.remote.openxchange.state import BASE, USER, unreadable

INSTALLER = "/opt/open-xchange/sbin/oxinstaller"


def mark_pending(services: list[str]) -> None:
    """Note that daemons have to be restarted, before anything is written."""
    os.makedirs(STATE_DIRECTORY, mode=0o700, exist_ok=True)
    for service in services:
        with open(pending_path(service), "w"):
            pass


def kept_files(paths: list[str]) -> dict[str, str | None]:
    """Return the files that oxinstaller resets; noted down, so that a run that dies has not lost them."""
    note = os.path.join(STATE_DIRECTORY, "oxinstaller.kept")
    if not os.path.exists(note):
        kept = {path: as_base64(read(path)) for path in paths}
        with open(os.open(note + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(kept, file)
        os.rename(note + ".new", note)
    noted: dict[str, str | None] = json.loads(read_present(note))
    return noted


def restore_kept(kept: dict[str, str | None]) -> None:
    """Put back what oxinstaller has reset."""
    for path, content in kept.items():
        if content is not None:
            replace_file(path, base64.b64decode(content).decode(errors="surrogateescape"))
    os.unlink(os.path.join(STATE_DIRECTORY, "oxinstaller.kept"))


def run_installer(arguments: list[str], license_arguments: list[str]) -> None:
    """Run oxinstaller; it asks the environment for the user's name, and knows licences in some versions only."""
    environment = {**os.environ, "USER": "root"}
    if "--no-license" in run([INSTALLER, "--help"], env=environment).stdout:
        arguments = arguments + license_arguments
    run_or_fail([INSTALLER, *arguments], env=environment)


def replace_file(path: str, text: str, secret: bool = False) -> None:
    """Replace a file in one step; one with secrets is for root and the daemons, which oxinstaller forgets."""
    entry = os.stat(path)
    mode, uid, gid = entry.st_mode & 0o7777, entry.st_uid, entry.st_gid
    if secret:
        mode, uid, gid = 0o640, 0, grp.getgrnam(USER)[2]
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(handle, "w", errors="surrogateescape") as file:
        os.fchown(file.fileno(), uid, gid)
        os.fchmod(file.fileno(), mode)
        file.write(text)
    os.replace(temporary, path)


def with_value(text: str, key: str, value: str | None) -> str:
    """Return a properties file's text with a key set, or commented out for None."""
    active = re.compile(r"^[ \t]*" + re.escape(key) + r"[ \t]*=.*$", re.MULTILINE)
    if value is None:
        return active.sub(lambda match: "# " + match.group(0), text)
    line = key + "=" + value
    if active.search(text):
        return active.sub(lambda _: line, text)
    return text + ("" if text.endswith("\n") or not text else "\n") + line + "\n"


def set_values(values: Mapping[str, Mapping[str, str | None]], secret_files: list[str]) -> None:
    """Write all keys, each file in one step."""
    for file, keys in values.items():
        path = os.path.join(BASE, file)
        text = read_present(path).decode()
        for key, value in keys.items():
            text = with_value(text, key, value)
        replace_file(path, text, secret=file in secret_files)


def set_administrator(job: Document) -> None:
    """Write the administrator's password hash; the vendor's own tool would show the password to all users."""
    path = os.path.join(BASE, job["file"])
    lines = [line for line in (read(path) or b"").decode().splitlines() if not line.startswith(job["name"] + ":")]
    if not os.path.exists(path):
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    replace_file(path, "\n".join([*lines, job["name"] + ":" + job["hash"]]) + "\n", secret=True)


def open_for_daemons() -> None:
    """Let the daemons read their configuration, and nobody else more than before."""
    for path in (os.path.join(BASE, name) for name in unreadable()):
        mode = os.stat(path).st_mode & 0o7777
        os.chown(path, -1, grp.getgrnam(USER)[2])
        os.chmod(path, mode | (0o050 if os.path.isdir(path) else 0o040))


def openxchange_configure(job: Document) -> None:
    """Do all of it."""
    if job["set_up"]:
        keep_configuration()
    mark_pending(job["services"])
    kept = kept_files(job["keep"])
    run_installer(job["installer"], job["license"])
    restore_kept(kept)
    set_values(job["values"], job["secret_files"])
    set_administrator(job["administrator"])
    open_for_daemons()
    if job["set_up"]:
        note_configuration()

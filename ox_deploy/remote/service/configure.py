"""Write a service's files, have them checked, and make the service use them; put the old ones back if refused.

The pending mark holds what was there before. It outlives a run that dies half way, so that the next one
knows that files were written which the service does not use yet, and can still put the old ones back.
"""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import tempfile
from collections.abc import Callable

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import as_base64, pending_path, place_of, read, with_block
from ox_deploy.remote.common.types import Document, Done
from ox_deploy.remote.common.units import unit_states, wait_until_settled
from ox_deploy.remote.hand_made.retire import check_unchanged, keep, remaining
from ox_deploy.remote.service.probe import problem_of


def remember(path: str, wanted: list[Document]) -> Document:
    """Add the old state of all wanted files to the pending mark; what an earlier run noted there is older."""
    before = {file["path"]: old_state(file["path"]) for file in wanted}
    before.update(json.loads(read(path) or b"{}"))
    write_whole(path, json.dumps(before).encode(), 0o600, 0, 0)
    return before


def old_state(path: str) -> Document | None:
    """Return all that is needed to put a path back as it is now."""
    try:
        entry = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if os.path.islink(path):
        return {"target": os.readlink(path)}
    if os.path.isdir(path):
        return {"mode": entry.st_mode & 0o7777, "uid": entry.st_uid, "gid": entry.st_gid}
    return {
        "content": as_base64(read(path)),
        "mode": entry.st_mode & 0o7777,
        "uid": entry.st_uid,
        "gid": entry.st_gid,
    }


def restore(before: Document) -> None:
    """Put all files back as they were."""
    for path, state in before.items():
        if state is None:
            remove(path)
        elif "target" in state:
            link(path, state["target"])
        elif "content" not in state:
            if os.path.islink(path):
                os.unlink(path)
            make_directory(path, state["mode"], state["uid"], state["gid"])
        else:
            write_whole(path, base64.b64decode(state["content"]), state["mode"], state["uid"], state["gid"])


def write_whole(path: str, content: bytes, mode: int, uid: int, gid: int) -> None:
    """Replace a file in one step; in place where it is a mount of its own, as /etc/hosts in containers."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".ox-deploy.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        if os.path.ismount(path):
            with open(path, "wb") as file:
                file.write(content)
            os.unlink(temporary)
        else:
            os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def remove(path: str) -> None:
    """Remove a file, a link or an empty directory if it is there."""
    if os.path.isdir(path) and not os.path.islink(path):
        if not os.listdir(path):
            os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def make_directory(path: str, mode: int, uid: int, gid: int) -> None:
    """Make a directory, or give it its owner and mode."""
    os.makedirs(path, exist_ok=True)
    os.chown(path, uid, gid)
    os.chmod(path, mode)


def refuse_other_owner(path: str, uid: int) -> None:
    """Stop before a directory with files of somebody else, or one behind a link, changes its owner."""
    if os.path.realpath(path) != path:
        raise ValueError(f"{path} resolves to {os.path.realpath(path)} through a symlink; use one without")
    if os.path.isdir(path) and os.stat(path).st_uid != uid and set(os.listdir(path)) - {"lost+found"}:
        raise ValueError(f"{path} is not empty and belongs to another user; choose another directory")


def link(path: str, target: str) -> None:
    """Make a symbolic link, whatever was there before."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    remove(path)
    os.symlink(target, path)


def place(file: Document) -> None:
    """Write one wanted file, block or link, or remove it."""
    path = file["path"]
    if file["target"] is not None:
        return link(path, file["target"])
    if file["content"] is None and not file["block"] and not file["directory"]:
        return remove(path)
    content = file["content"] or ""
    uid, gid = pwd.getpwnam(file["owner"])[2], grp.getgrnam(file["group"])[2]
    mode = int(file["mode"], 8)
    if file["directory"]:
        if not file["adopt"]:
            refuse_other_owner(path, uid)
        return make_directory(path, mode, uid, gid)
    if file["block"]:
        content = with_block((read(path) or b"").decode(errors="surrogateescape"), file["block"], content)
        if os.path.exists(path):  # the rest of the file, and so its owner and mode, belong to somebody else
            entry = os.stat(path)
            uid, gid, mode = entry.st_uid, entry.st_gid, entry.st_mode & 0o7777
    return write_whole(path, content.encode(errors="surrogateescape"), mode, uid, gid)


def retire(part: Document) -> None:
    """Keep what was made by hand elsewhere, and take it out of its place."""
    path = part["path"]
    keep(path, part["copy"])
    if not part["lines"]:
        return remove(path)
    entry = os.stat(path)
    return write_whole(path, remaining(part), entry.st_mode & 0o7777, entry.st_uid, entry.st_gid)


def apply(job: Document, changed: bool) -> str | None:
    """Bring the units into the state the files describe, and ask them; return the first failure's text, or None."""
    commands = [["systemctl", "daemon-reload"]] if job["daemon_reload"] else []
    commands += job["commands"]
    states = unit_states(job["units"])
    for unit in job["units"]:
        if not states.get(unit, {}).get("enabled"):
            commands.append(["systemctl", "enable", unit])
        if not states.get(unit, {}).get("active"):
            commands.append(["systemctl", "start", unit])
        elif changed:
            commands.append(["systemctl", job["on_change"], unit])
    for command in commands:
        done = run(command, seconds=job["seconds"])
        if done.returncode:
            return describe(command, done, job["units"])
    return works(job, ["systemctl", "reload"] in [command[:2] for command in commands]) if job["units"] else None


def works(job: Document, reloaded: bool) -> str | None:
    """Ask the service itself; return what is wrong with it and its last log lines, or None."""
    problem = problem_of(job, reloaded)
    if problem is None:
        return None
    units = [word for unit in job["units"] for word in ("-u", unit)]
    said = run(["journalctl", "-q", "-n", "8", "-o", "cat", *units]).stdout.splitlines()
    for path in job["probe"]["logs"]:
        said += (read(path) or b"").decode(errors="replace").splitlines()[-4:]
    return "{}; its log: {}".format(problem, "\n".join(said))


def describe(command: list[str], done: Done, units: list[str]) -> str:
    """Say which command failed, with its own words and the units' last log lines."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()[-20:]
    if command[0] == "systemctl" and units:
        lines += run(["journalctl", "-q", "-n", "8", "-o", "cat", "-u", command[-1]]).stdout.splitlines()
    shown = " ".join(word for word in command[:3] if "\n" not in word)
    return "`{}` failed: {}".format(shown, "\n".join(lines))


def refuse(
    job: Document, mark: str, before: Document, problem: str, use: Callable[[], str | None] | None = None
) -> None:
    """Put the old files back, have them used if the new ones were, and stop."""
    restore(before)
    now = "the old files are back"
    if use:
        still = apply({**job, "commands": []}, changed=True) or use()
        if still:
            now += f", but do not work either ({still})"
        elif job["units"]:
            now += ", and work"
    os.unlink(mark)
    fail("{}: refused; {}. {}".format(job["name"], now, problem))


def service_configure(job: Document, use: Callable[[], str | None] = lambda: None) -> None:
    """Do all of it for one service; `use` does what is left to do with its files, and returns what is wrong."""
    for unit in job["units"]:
        wait_until_settled(unit)
    for file in job["files"]:
        file["path"] = place_of(file["path"], file["block"])
    parts = job.get("hand_made", [])
    check_unchanged(parts)
    mark = pending_path(job["name"])
    was_pending = os.path.exists(mark)
    before = remember(mark, [*job["files"], *parts])
    try:
        for part in parts:
            retire(part)
        for file in job["files"]:
            place(file)
    except Exception as error:
        refuse(job, mark, before, str(error))
    if job["check"]:
        checked = run(job["check"])
        if checked.returncode:
            refuse(job, mark, before, describe(job["check"], checked, []))
    problem = apply(job, changed=was_pending or bool(job["files"] or parts)) or use()
    if problem and before:
        refuse(job, mark, before, problem, use)
    if problem:
        fail("{}: {}".format(job["name"], problem))
    os.unlink(mark)

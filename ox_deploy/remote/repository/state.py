"""Print whether apt can fetch from the package repository that it is to use, unless it uses it already."""

from __future__ import annotations

import os

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.files import read
from ox_deploy.remote.common.types import Document

# apt's own way: with the proxy, the authorities and the addresses that apt would use.
HELPER = "/usr/lib/apt/apt-helper"
# How long one file may take, and how long a silent server is waited for.
SECONDS, SILENT_SECONDS = 20, 8
# apt takes either, and prefers the first one.
RELEASE_FILES = ("InRelease", "Release")
FILES = (("sources", "source"), ("credentials", "login"))


def repository_state(wanted: Document) -> Document:
    """Return in apt's words why it cannot fetch from there, None if it can or need not be asked.

    `sources` and `credentials` are the files by which apt knows it; `source` and `login` are what these should say,
    None for a file that should not be there.
    """
    is_known = all(text_of(wanted[file]) == wanted[text] for file, text in FILES)
    if is_known or not os.path.exists(HELPER):
        return {"error": None}
    # Takes a while to import, and a run with nothing to change does without.
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ox-deploy-", dir="/run") as folder:
        write_login(folder, wanted["login"])
        error = fetch(wanted["url"] + RELEASE_FILES[0], folder)
        # Somebody answered.
        if error and error[:3].isdecimal():
            error = fetch(wanted["url"] + RELEASE_FILES[1], folder)
    return {"error": error}


def text_of(path: str) -> str | None:
    """Return a file's text, None if there is none."""
    found = read(path)
    return None if found is None else found.decode(errors="replace")


def write_login(folder: str, login: str | None) -> None:
    """Write what apt is to log in with; the folder is root's alone."""
    if login:
        with open(os.path.join(folder, "login.conf"), "w", opener=private) as file:
            file.write(login)


def private(path: str, flags: int) -> int:
    """Open a file that nobody else may read."""
    return os.open(path, flags, 0o600)


def fetch(url: str, folder: str) -> str | None:
    """Return in apt's words why it cannot fetch a file, None if it can."""
    options = {
        "Dir::Etc::netrc": os.devnull,
        "Dir::Etc::netrcparts": f"{folder}/",
        # Another user could not read the login.
        "APT::Sandbox::User": "root",
        "Acquire::Retries": "0",
        "Acquire::http::Timeout": str(SILENT_SECONDS),
        "Acquire::https::Timeout": str(SILENT_SECONDS),
    }
    arguments = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    done = run([HELPER, *arguments, "download-file", url, os.path.join(folder, "fetched")], seconds=SECONDS)
    return words_of(done.stdout + done.stderr, url) if done.returncode else None


def words_of(said: str, url: str) -> str:
    """Return why apt could not fetch a file, without the address that it asked."""
    begin = f"E: Failed to fetch {url}"
    lines = [line.removeprefix(begin) for line in said.splitlines() if line.startswith(begin)]
    return " ".join((lines or said.splitlines()[-1:] or ["apt said nothing"])[0].partition(" [IP:")[0].split())

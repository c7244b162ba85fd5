"""Why a host runs no command for this login: what sudo, su or the login shell says, and what to do about it.

Pure: the words are read, nobody is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SUDOERS = "into a file in /etc/sudoers.d there"
# How to tell what sudo means; in another language it is told as it is.
_MEANING = {
    "terminal": r"must have a tty",
    "wrong password": r"incorrect password|no password was provided",
    "password": r"(password|authentication) is required",
    "rights": r"not in the sudoers|not allowed to|may not run sudo",
    "missing": r"sudo: (command )?not found|unknown command.*sudo",
}
# What is, and what to do.
_OF_SUDO = {
    "terminal": ("sudo demands a terminal", f"put `Defaults:{{user}} !requiretty` {_SUDOERS}"),
    "wrong password": ("sudo rejects the password", "give the right one with `--use-sudo-password`"),
    "password": (
        "sudo demands a password",
        f"add `--use-sudo-password`, or put `{{user}} ALL=(ALL:ALL) NOPASSWD: ALL` {_SUDOERS}",
    ),
    "rights": (
        "this user may not run everything by sudo",
        f"put `{{user}} ALL=(ALL:ALL) ALL` {_SUDOERS}, or log in as a user who may",
    ),
    "missing": ("sudo is missing", "install it there, or log in as root without `--sudo`"),
}
_PROGRAMS = {"_su_user": "su", "_doas": "doas", "_dzdo": "dzdo", "_sudo": "sudo"}


def program_of(told: Mapping[str, Any]) -> str | None:
    """Return by which program a command runs as another user, None if it does not."""
    return next((program for argument, program in _PROGRAMS.items() if told.get(argument)), None)


def reason_and_remedy(told: Mapping[str, Any], lines: Sequence[str], user: str | None) -> tuple[str, str]:
    """Return why nothing runs, and what to do.

    + told: how pyinfra was told to run commands there
    + lines: what the host said
    + user: who logs in, if that is known
    """
    program, user = program_of(told), user or "USER"
    if program == "sudo":
        for meaning, (what, remedy) in _OF_SUDO.items():
            said = [line for line in lines if re.search(_MEANING[meaning], line, re.IGNORECASE)]
            if said:
                return _reason(what, said), remedy.format(user=user)
    if program:
        return _reason(f"{program} fails", lines), f"let {user} run every command by {program} there"
    return (
        _reason("the login shell runs no commands", lines),
        f"give {user} a shell there that does (`usermod -s /bin/bash {user}`), or log in as another user",
    )


def _reason(what: str, lines: Sequence[str]) -> str:
    said = next((line.strip() for line in reversed(lines) if line.strip()), "without a word")
    return f"{what} ({said})"

"""How the vendor's command-line tools are called without a password on their command line."""

from __future__ import annotations

import os
import time

from ox_deploy.remote.common.commands import run
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.types import Document, Done

SBIN = "/opt/open-xchange/sbin/"
WRONG_PASSWORD, MISSING_OPTION = 101, 104


def tool(name: str, arguments: list[str], login: Document, new_password: str | None = None) -> Done:
    """Run a tool as an administrator and return what came of it.

    The passwords go by the environment, which only root can read. Tools that do not know these variables
    complain of a missing option; only those get the passwords on the command line.
    """
    variables = {"ADMIN_PASSWORD": login["password"]}
    if new_password:
        variables["NEW_USER_PASSWORD"] = new_password
    command = [SBIN + name, "-A", login["name"], *arguments]
    done = run(command, env={**os.environ, **variables})
    if done.returncode == MISSING_OPTION:
        done = run([*command, "-P", login["password"], *(["-p", new_password] if new_password else [])])
    return done


def tool_or_fail(name: str, arguments: list[str], login: Document, new_password: str | None = None) -> str:
    """Run a tool; on failure stop with its words."""
    done = tool(name, arguments, login, new_password)
    if done.returncode:
        said = " ".join((done.stderr.strip() or done.stdout.strip()).split())
        fail(f"{name} failed with exit code {done.returncode}: {said[-600:]}")
    return done.stdout


def wait_for_admin_daemon(check: Document, login: Document, seconds: float) -> None:
    """Wait until the admin daemon answers; until then the tool ends with the code of one that is starting."""
    deadline = time.monotonic() + seconds
    while True:
        done = tool(check["tool"], check["arguments"], login)
        if done.returncode == 0:
            return
        if done.returncode == WRONG_PASSWORD:
            fail("the admin daemon does not accept the password of {}".format(login["name"]))
        if done.returncode != check["starting"] or time.monotonic() > deadline:
            said = done.stderr.strip()[-400:]
            fail(f"the admin daemon does not answer (exit code {done.returncode}): {said}")
        time.sleep(0.2)

"""Make or drop the account at the master with which a replica is seeded, before and after the seeding.

Never in the binary log: no replica has it.
"""

from __future__ import annotations

import os
import shlex

from ox_deploy.remote.common.commands import run, run_or_fail
from ox_deploy.remote.common.files import STATE_DIRECTORY
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.master_slaves.seed.plugin import OURS, end_sessions, lend_plugin, return_plugin
from ox_deploy.remote.master_slaves.seed.state import last_word
from ox_deploy.remote.mysql.run import mysql_run
from ox_deploy.remote.mysql.session import SOCKET, connect, dialect

# After how many hours the account goes away, whatever became of the seeding.
GUARD_HOURS = 24


def seed_account(job: Document) -> None:
    """Run the statements; as long as the account is there, systemd has the order to drop it."""
    # It may not have noticed yet that nobody listens any more.
    if last_word().get("to") == job["host"]:
        run(["systemctl", "stop", "ox-seed"])
    with connect(job["option_file"]) as session:
        end_sessions(session, job["user"], job["host"])
        if job["clone"]:
            lend_plugin(session)
        run(["systemctl", "stop", job["timer"] + ".timer"])
        if job["guarded"]:
            guard(job, dialect(session)["client"])
        mysql_run({"statements": job["statements"], "replicate": False, "option_file": job["option_file"]})
        if not job["guarded"]:
            return_plugin(session)


def guard(job: Document, client: str) -> None:
    """Have systemd clean up one day if nobody else does."""
    timer = ["--unit=" + job["timer"], f"--on-active={GUARD_HOURS}h"]
    argv = cleaning(job, client)
    ours = os.path.join(STATE_DIRECTORY, OURS)
    if os.path.exists(ours):
        argv = ["sh", "-c", "{}; rm -f {}".format(" ".join(map(shlex.quote, argv)), ours)]
    run_or_fail(["systemd-run", "--quiet", "--collect", *timer, *argv])


def cleaning(job: Document, client: str) -> list[str]:
    """Return the command that drops the account, and the plugin if it is ours, without this program."""
    options = ["--defaults-file=" + job["option_file"]] if job["option_file"] else ["--no-defaults", "--user=root"]
    statement = "SET sql_log_bin = 0; DROP USER IF EXISTS '{}'@'{}'".format(job["user"], job["host"])
    if os.path.exists(os.path.join(STATE_DIRECTORY, OURS)):
        statement += "; UNINSTALL PLUGIN clone"
    return [client, *options, "--socket=" + SOCKET, "--execute=" + statement]

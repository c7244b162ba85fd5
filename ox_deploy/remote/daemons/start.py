"""Start daemons of a groupware node, or restart them one after the other, and wait until they work.

That is: each one listens, and a login through this node gets Open-Xchange's own answer. If they do not work with files
that were changed, they get back those that they ran with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from ox_deploy.remote.common.commands import run, run_or_fail
from ox_deploy.remote.common.ending import fail
from ox_deploy.remote.common.files import pending_path
from ox_deploy.remote.common.sockets import listens
from ox_deploy.remote.common.types import Document
from ox_deploy.remote.common.units import unit_states
from ox_deploy.remote.openxchange.before import forget_configuration, restore_configuration
from ox_deploy.remote.service.configure import describe, remove

# What is wrong with the login of nobody at a port of this host, in a context (None: the default one); None if it works.
LoginProblem = Callable[[int, str | None], str | None]


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Wait for something; tell whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def start(service: str, port: int, restart: bool, seconds: float) -> str | None:
    """Bring one daemon up with the files that are there now; return what is wrong with it, or None."""
    states = unit_states([service])[service]
    problem = None if states["enabled"] else systemctl("enable", service)
    if restart:
        problem = problem or systemctl("restart", service)
    elif not states["active"]:
        problem = problem or systemctl("start", service)
    elif not wait_until(lambda: listens(port), seconds):
        # Its process died without systemd noticing.
        problem = problem or systemctl("restart", service)
    if problem or wait_until(lambda: listens(port), seconds):
        return problem
    return f"{service} does not listen on port {port} after {seconds} seconds; its log: {log_of(service)}"


def systemctl(verb: str, service: str) -> str | None:
    """Return what systemd has against it, or None."""
    done = run(["systemctl", verb, service])
    return describe(["systemctl", verb, service], done, [service]) if done.returncode else None


def log_of(service: str) -> str:
    """Return the end of a daemon's log."""
    return run(["journalctl", "-q", "-n", "8", "-o", "cat", "-u", service]).stdout


def begin(services: list[Document]) -> None:
    """Have systemd start at the same time what is down: a Java machine takes seconds before it listens.

    Not what is to be restarted: where the first daemon fails with its new files, the second one runs on.
    """
    names = [service["name"] for service in services if not service["restart"]]
    states = unit_states(names) if len(names) > 1 else {}
    down = [name for name, state in states.items() if not state["active"]]
    if len(down) > 1:
        run(["systemctl", "--no-block", "start", *down])


def bring_up(job: Document, login_problem: LoginProblem | None) -> str | None:
    """Bring all daemons up; return what is wrong, or None."""
    begin(job["services"])
    for service in job["services"]:
        problem = start(service["name"], service["port"], service["restart"], job["seconds"])
        if problem:
            return problem
    login = job["login"]
    if login is None or login_problem is None:
        return None
    problems = []

    def logs_in() -> bool:
        problems.append(login_problem(login["port"], login["context"]))
        return problems[-1] is None

    if wait_until(logs_in, job["seconds"]):
        return None
    return "{} listens, but {}; its log: {}".format(login["service"], problems[-1], log_of(login["service"]))


def daemons_start(job: Document, login_problem: LoginProblem | None = None) -> None:
    """Do all of it; a product that knows how tells what is wrong with a login."""
    read_units([service["name"] for service in job["services"]])
    problem = bring_up(job, login_problem)
    # Without the files of before, such as those that name another database server, nothing is put back.
    if problem and job["undo"] and restore_configuration():
        put_back(job, problem, login_problem)
    if problem:
        fail(problem)
    settle(job)
    time.sleep(job["settle_seconds"])


def read_units(services: list[str]) -> None:
    """Have systemd read the units if they changed; in a dead file system, such as the filestore, that takes 90 s."""
    known = run(["systemctl", "show", "--property=LoadState,NeedDaemonReload", *services]).stdout
    if "LoadState=not-found" in known or "NeedDaemonReload=yes" in known:
        run_or_fail(["systemctl", "daemon-reload"])


def settle(job: Document) -> None:
    """Note that the daemons use their files, and no longer need those of before."""
    for service in job["services"]:
        remove(pending_path(service["name"]))
    if not any(os.path.exists(pending_path(name)) for name in job["all"]):
        forget_configuration()


def put_back(job: Document, problem: str, login_problem: LoginProblem | None) -> None:
    """Let the daemons run with the files of before, and stop."""
    again = [{**service, "restart": True} for service in job["services"]]
    still = bring_up({**job, "services": again}, login_problem)
    if still is None:
        settle(job)
    more = f"\nNor do they work with those: {still}" if still else ""
    fail(f"the daemons do not work with their new files; the old ones are back. {problem}{more}")

"""What every host needs first: names, the users' ids, the package repository, all packages."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import gevent
from pyinfra import host
from pyinfra.api import Host, OperationError, StringCommand, operation

from ox_deploy import preflight
from ox_deploy.facts.hosts import WAIT_SECONDS, HostState, HostStatus
from ox_deploy.facts.service import ServiceStatus
from ox_deploy.operations import lease, service
from ox_deploy.operations.direct import carry_out
from ox_deploy.operations.service import ManagedFile, changes, configure_job, take_over
from ox_deploy.preconditions import question
from ox_deploy.preflight import Look, Subject
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask, get
from ox_deploy.questions.bounds import NoAnswer
from ox_deploy.questions.lease import Taking
from ox_deploy.questions.order import INSTALL_SECONDS, SERVICE_SECONDS, checked, order
from ox_deploy.questions.program import shell_command, source
from ox_deploy.questions.pyinfra_internals import active_hosts, current_host, is_executing, turn_of
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run

# While it is there, no daemon is started by its installation.
_POLICY = "/usr/sbin/policy-rc.d"
# Why an installation was done once more.
_REPEATED = "/run/ox-deploy/install-repeated"
_PAUSE_SECONDS = 20


def remember(status: HostStatus) -> None:
    """Keep what was seen of the current host for `prepare`, which follows at once: nothing has changed in between."""
    current_run().host_statuses[host.name] = status


@operation()
def check(
    subject: Subject, doing: str | None = None, others: Sequence[str] = ()
) -> Generator[StringCommand, None, None]:
    """
    Look for what would make it unsafe to go on, on all hosts, before any is changed; `stop_on_obstacles` says it.

    + subject: what the host is asked, and compared with
    + doing: what this run does, for which it takes the lease of the cluster; None to do without
    + others: names in the inventory of hosts outside `--limit` whose lease this one takes along with its own

    Idempotent: changes nothing but the lease. Asks for the operations that follow, too. While pyinfra only looks for
    changes, no lease is taken.
    """
    target, run = current_host(), current_run()
    taking = lease.taking(doing) if doing else None
    if not is_executing():
        _looking(target, subject).get()
        host.noop("it was looked at")
        return
    run.obstacles = None
    with lease.also(taking, others) if taking else nullcontext():
        _note(target, subject, taking)
    yield from lease.refuse()
    host.noop("it was looked at")


@operation()
def stop_on_obstacles(
    subjects: Mapping[str, Subject], lost: Sequence[str] = ()
) -> Generator[StringCommand, None, None]:
    """
    End the run if anything stands in its way on any host, and say all of it. To be called on every host after `check`.

    + subjects: as for `check`, of all hosts, by their names in the inventory
    + lost: hosts that should take part and cannot be reached

    Raises OperationError with a line for each thing, and no host goes on.
    While pyinfra only looks for changes, hosts that did not have their turn yet are asked, too. Idempotent: changes
    nothing.
    """
    run = current_run()
    if not is_executing():
        look_at_all(subjects)
    if run.obstacles is None:
        run.obstacles = preflight.find(seen_of(subjects) | preflight.lost_ones(lost))
    if run.obstacles:
        # Not by a command on each host: who is lost would not carry it out.
        raise OperationError("\n".join(preflight.told(run.obstacles, run.looks)))
    host.noop("nothing stands in the way")
    return
    yield


def look_at_all(subjects: Mapping[str, Subject], wait: int = WAIT_SECONDS) -> None:
    """Ask all hosts that take part at the same time, each once, and note what was seen of them.

    + subjects: of all hosts, by their names in the inventory
    + wait: for how many seconds to wait for an earlier run's work to end
    """
    taking_part = [other for other in active_hosts() if other.name in subjects]
    gevent.joinall([_looking(other, subjects[other.name], wait) for other in taking_part], raise_error=True)


def seen_of(subjects: Mapping[str, Subject]) -> dict[str, Look]:
    """Return what was seen of hosts, in the order of the inventory."""
    looks = current_run().looks
    return {name: looks[name] for name in subjects if name in looks}


def _looking(target: Host, subject: Subject, wait: int = WAIT_SECONDS) -> gevent.Greenlet[..., None]:
    """Have a host looked at beside all else, once in a run."""
    jobs = current_run().looking
    if target.name not in jobs:
        jobs[target.name] = gevent.spawn(_look_in_turn, target, subject, wait)
    return jobs[target.name]


def _look_in_turn(target: Host, subject: Subject, wait: int) -> None:
    with turn_of(target):
        _note(target, subject, wait=wait)


def _note(target: Host, subject: Subject, taking: Taking | None = None, wait: int = WAIT_SECONDS) -> None:
    """Ask the current host, and note what was seen; nothing if it does not give its lease."""
    begun = time.time()
    try:
        look = _look(target, subject, taking, wait)
    except NoAnswer as error:
        look = Look(subject, lost=str(error))
    if look:
        current_run().looks[target.name] = replace(look, between=(begun, time.time()))


def _look(target: Host, subject: Subject, taking: Taking | None, wait: int) -> Look | None:
    asking = None if subject.wanted is None else question(subject.wanted)
    others = [each for each in (asking, subject.repository) if each]
    questions = tuple(dict.fromkeys([*prefetch.planned(), *others]))
    arguments = {"user": subject.user, "uid": subject.uid, "gid": subject.gid, "packages": list(subject.packages)}
    asked: dict[str, Any] = arguments | {"questions": questions}
    if taking:
        status = lease.take(taking, lambda how: get(target, HostState, **asked, taking=how), lambda it: it.lease)
    else:
        status = get(target, HostState, **asked, wait=wait)
    if status is None:
        return Look(subject, lost=f"{target.name} does not answer; make it reachable and run again.")
    if taking and not (status.lease and status.lease.number is not None):
        return None
    remember(status)
    prefetch.keep(dict(zip(questions, status.answers, strict=False)))
    return Look(
        subject,
        status,
        ask(target, asking) if asking else None,
        # Where there is no Python, it would be asked once more in vain.
        repository=ask(target, subject.repository) if subject.repository and status.has_python else None,
    )


def _question(
    files: Sequence[ManagedFile], replaces: service.Replaced | None = None, **_: Any
) -> Question[ServiceStatus]:
    return service.question("host", files, replaces=replaces)


@prefetch.asks(_question)
@operation()
def prepare(
    user: str,
    uid: int,
    gid: int,
    files: Sequence[ManagedFile],
    packages: Sequence[str],
    replaces: service.Replaced | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Write the host's names and package sources, make the user, install all packages.

    + user: user and group to make with these ids before a package can do so with others; "" for none
    + uid, gid: their ids
    + files: names of the other hosts, package sources, keys and credentials
    + packages: all packages of the host; no daemon is started by their installation
    + replaces: as for `service.configure`

    Idempotent. An installation that was interrupted is completed.
    """
    seen = current_run().host_statuses.pop(host.name, None)
    status = seen or get(host, HostState, user=user, uid=uid, gid=gid, packages=list(packages))
    files_status = ask(host, _question(files, replaces))
    changed, parts = changes(files, files_status), take_over(files_status)
    missing = [name for name in packages if name not in status.packages]
    make_user = user if user and status.user_by_name is None else None
    unfinished = status.start_block or status.broken_packages or files_status.pending
    if not (changed or parts or missing or make_user or unfinished):
        host.noop("names, users and packages are there")
        return
    if not status.has_python:
        yield checked(shell_command("install", *_install_arguments(["python3"])))
    commands = [] if make_user is None else _user_commands(make_user, uid, gid, status)
    if missing or unfinished:
        commands.append(install_command(missing))
    job = configure_job("host", changed, commands=commands, seconds=INSTALL_SECONDS, hand_made=parts)
    yield order("service_configure", job, seconds=INSTALL_SECONDS + SERVICE_SECONDS)
    if is_executing() and (missing or unfinished):
        _tell_of_repetition()


def install_command(
    packages: Sequence[str], policy: str = _POLICY, repeated: str = _REPEATED, pause: int = _PAUSE_SECONDS
) -> list[str]:
    """Return the command that completes what dpkg has begun and installs packages, if need be at the second attempt."""
    return ["sh", "-c", source("install.sh"), "install", *_install_arguments(packages, policy, repeated, pause)]


def _install_arguments(
    packages: Sequence[str], policy: str = _POLICY, repeated: str = _REPEATED, pause: int = _PAUSE_SECONDS
) -> list[str]:
    return [policy, repeated, str(pause), *packages]


def _tell_of_repetition() -> None:
    """Say that the installation was done twice, and why: a mirror that fails often is worth a look."""
    if why := carry_out(host, StringCommand("cat", _REPEATED, "2>/dev/null || true")):
        host.log(f"the first attempt to install the packages failed; apt said: {why}")


def _user_commands(user: str, uid: int, gid: int, status: HostStatus) -> list[list[str]]:
    commands = [] if status.group_by_name else [_unless_known("group", user, ["groupadd", "--gid", str(gid), user])]
    shell_and_home = ["--home-dir", "/opt/open-xchange", "--no-create-home", "--shell", "/bin/bash"]
    add_user = ["useradd", "--uid", str(uid), "--gid", str(gid), *shell_and_home, user]
    return [*commands, _unless_known("passwd", user, add_user)]


def _unless_known(database: str, name: str, command: Sequence[str]) -> list[str]:
    """Return a command that looks again right before it makes a user or a group: somebody may have been quicker."""
    look_again = 'getent "$1" "$2" >/dev/null && exit; shift 2; exec "$@"'
    return ["sh", "-c", look_again, "add", database, name, *command]

"""What every host needs first: names, the users' ids, the package repository, all packages."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from pyinfra import host
from pyinfra.api import StringCommand, operation

from ox_deploy.facts.hosts import HostState, HostStatus
from ox_deploy.facts.service import ServiceStatus
from ox_deploy.ground import Wanted, find_obstacles, question
from ox_deploy.operations import lease, service
from ox_deploy.operations.direct import carry_out
from ox_deploy.operations.service import ManagedFile, changes, configure_job
from ox_deploy.operations.stop import stop
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask, get
from ox_deploy.questions.order import INSTALL_SECONDS, SERVICE_SECONDS, checked, order
from ox_deploy.questions.program import shell_command, source
from ox_deploy.questions.pyinfra_internals import is_executing
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


def find_conflicts(status: HostStatus, address: str, user: str, uid: int, gid: int) -> list[str]:
    """Return a sentence for each thing that makes it unsafe to go on with this host."""
    problems = []
    if status.busy:
        problems.append("an earlier run is still at work on this host; wait for it to end, then run again.")
    if address not in status.addresses:
        has = ", ".join(status.addresses) or "none"
        problems.append(
            f"inventory: `address` is {address}, but the host has {has}; correct the address, "
            "or the way the host is reached."
        )
    if status.init != "systemd":
        problems.append(f"process 1 is {status.init}; it should be systemd; use a host that boots with systemd.")
    return problems + (find_id_conflicts(status, user, uid, gid) if user else [])


def find_id_conflicts(status: HostStatus, user: str, uid: int, gid: int) -> list[str]:
    """Return a sentence for each user or group that stands in the way of the wanted ids."""
    problems = []
    if status.user_by_name and (status.user_by_name.uid, status.user_by_name.gid) != (uid, gid):
        found = status.user_by_name
        problems.append(
            f"user {user} has uid {found.uid} and gid {found.gid}; it should have {uid} and {gid}, as on all hosts; "
            "set `filestore_uid` and `filestore_gid` to ids that all hosts can use, or stop its processes, run "
            f"`groupmod -g {gid} {user}; usermod -u {uid} -g {gid} {user}` and give its files back to it with `find / "
            f"-xdev -uid {found.uid} -exec chown -h {uid}:{gid} {{}} +`."
        )
    if status.user_by_id and status.user_by_id.name != user:
        problems.append(
            f"uid {uid} belongs to user {status.user_by_id.name}; it should be free for {user}; set `filestore_uid` "
            "to a number that is free on all hosts."
        )
    if status.user_by_name and not status.group_by_name and not problems:
        problems.append(f"user {user} exists without a group {user}; run `groupadd -g {gid} {user}`.")
    if status.group_by_name and status.group_by_name.gid != gid and not problems:
        problems.append(
            f"group {user} has gid {status.group_by_name.gid}; it should have {gid}, as on all hosts; set "
            f"`filestore_gid` to this group's gid if that is free everywhere, or run `groupmod -g {gid} {user}`."
        )
    if status.group_by_id and status.group_by_id.name != user:
        problems.append(
            f"gid {gid} belongs to group {status.group_by_id.name}; it should be free for {user}; set `filestore_gid` "
            "to a number that is free on all hosts."
        )
    return problems


@operation()
def check(
    address: str,
    user: str,
    uid: int,
    gid: int,
    packages: Sequence[str],
    doing: str | None = None,
    others: Sequence[str] = (),
    wanted: Wanted | None = None,
) -> Generator[StringCommand, None, None]:
    """
    Look for what would make it unsafe to go on, on all hosts, before any of them is changed.

    + address: the address at which the other hosts reach this one
    + user: user and group that own the filestore, "" on hosts that do not need them
    + uid, gid: the ids they should have on all hosts
    + packages: as for `prepare`
    + wanted: what the settings want of the host, to be compared with what is there
    + doing: what this run does, for which it takes the lease of the cluster; None to do without
    + others: hosts outside `--limit` whose lease this one takes along with its own

    Changes nothing else; fails with one sentence for each problem. Asks for the operations that follow, too.
    """
    questions = prefetch.planned()
    asked = {"user": user, "uid": uid, "gid": gid, "packages": list(packages), "questions": questions}
    taking = lease.taking(doing) if doing else None
    if taking:
        with lease.also(taking, others):
            status = lease.take(taking, lambda how: get(host, HostState, **asked, taking=how), lambda it: it.lease)
        yield from lease.refusal()
        if status and not (status.lease and status.lease.number is not None):
            return
    else:
        status = get(host, HostState, **asked)
    if status is None:
        yield stop(f"{host.name} does not answer; make it reachable and run again.")
        return
    remember(status)
    prefetch.keep(dict(zip(questions, status.answers, strict=False)))
    problems = find_conflicts(status, address, user, uid, gid)
    if wanted is not None:
        problems += find_obstacles(ask(host, question(wanted)), wanted)
    if problems:
        yield stop("\n".join(problems))
    else:
        host.noop("nothing stands in the way")


def _question(files: Sequence[ManagedFile], **_: Any) -> Question[ServiceStatus]:
    return service.question("host", files)


@prefetch.asks(_question)
@operation()
def prepare(
    user: str,
    uid: int,
    gid: int,
    files: Sequence[ManagedFile],
    packages: Sequence[str],
) -> Generator[StringCommand, None, None]:
    """
    Write the host's names and package sources, make the user, install all packages.

    + user: user and group to make with these ids before a package can do so with others; "" for none
    + uid, gid: their ids
    + files: names of the other hosts, package sources, keys and credentials
    + packages: all packages of the host; no daemon is started by their installation

    Idempotent. An installation that was interrupted is completed.
    """
    seen = current_run().host_statuses.pop(host.name, None)
    status = seen or get(host, HostState, user=user, uid=uid, gid=gid, packages=list(packages))
    files_status = ask(host, _question(files))
    changed = changes(files, files_status)
    missing = [name for name in packages if name not in status.packages]
    make_user = user if user and status.user_by_name is None else None
    unfinished = status.start_block or status.broken_packages or files_status.pending
    if not (changed or missing or make_user or unfinished):
        host.noop("names, users and packages are there")
        return
    if not status.has_python:
        yield checked(shell_command("install", *_install_arguments(["python3"])))
    commands = [] if make_user is None else _user_commands(make_user, uid, gid, status)
    if missing or unfinished:
        commands.append(install_command(missing))
    job = configure_job("host", changed, commands=commands, seconds=INSTALL_SECONDS)
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
        host.log(f"the packages were not installed at the first attempt, at which apt said: {why}")


def _user_commands(user: str, uid: int, gid: int, status: HostStatus) -> list[list[str]]:
    commands = [] if status.group_by_name else [_unless_known("group", user, ["groupadd", "--gid", str(gid), user])]
    shell_and_home = ["--home-dir", "/opt/open-xchange", "--no-create-home", "--shell", "/bin/bash"]
    add_user = ["useradd", "--uid", str(uid), "--gid", str(gid), *shell_and_home, user]
    return [*commands, _unless_known("passwd", user, add_user)]


def _unless_known(database: str, name: str, command: Sequence[str]) -> list[str]:
    """Return a command that looks again right before it makes a user or a group: somebody may have been quicker."""
    look_again = 'getent "$1" "$2" >/dev/null && exit; shift 2; exec "$@"'
    return ["sh", "-c", look_again, "add", database, name, *command]

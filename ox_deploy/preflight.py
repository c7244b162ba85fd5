"""What stands in the way of a run, judged when all hosts have answered and before anything is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ox_deploy.clocks import CLOCK_SECONDS, ClockReading, apart, direction
from ox_deploy.facts.hosts import HostStatus
from ox_deploy.facts.preconditions import Preconditions
from ox_deploy.facts.repository import Access
from ox_deploy.preconditions import Wanted, find_obstacles
from ox_deploy.questions.question import Question

# What our programs run on: these have Python 3.11 or later.
RELEASES = {"debian": 12, "ubuntu": 24.04}
SUPPORTED = "Debian 12 or later, or Ubuntu 24.04 or later"
ARCHITECTURES = ("amd64", "arm64")
# For the packages and what they write at once; data needs more.
ROOM_MB = 1000


@dataclass(frozen=True)
class Subject:
    """What a host is asked at the beginning of a run, and what that is compared with.

    + name, address: of the node; at the address the other hosts reach it
    + roles: what it is, all database servers alike
    + user: user and group that own the filestore, "" on hosts that do not need them
    + uid, gid: the ids they should have on all hosts
    + packages: as for `prepare`
    + wanted: what the settings want of the host, None to leave that out
    + repository: how the host is asked for the package repository, None if it does not use that
    """

    name: str
    roles: frozenset[str]
    address: str
    user: str
    uid: int
    gid: int
    packages: tuple[str, ...]
    wanted: Wanted | None = None
    repository: Question[Access] | None = None


@dataclass(frozen=True)
class Look:
    """What was seen of a host that takes part.

    `lost` says why it could not be asked, or is "". `between` is when it was asked and when it had answered, by this
    machine's clock.
    """

    subject: Subject | None = None
    status: HostStatus | None = None
    preconditions: Preconditions | None = None
    lost: str = ""
    between: tuple[float, float] = (0, 0)
    repository: Access | None = None


def find(looks: Mapping[str, Look]) -> dict[str, list[str]]:
    """Return a sentence for each thing that is wrong, by host; those on which nothing is are left out.

    + looks: by the hosts' names in the inventory
    """
    names = {look.subject.address: look.subject.name for look in looks.values() if look.subject}
    together = [*_clocks(looks), *_architectures(looks)]
    found = {
        key: [look.lost]
        if look.lost
        else [*_of_host(look, names), *(sentence for name, sentence in together if name == key)]
        for key, look in looks.items()
    }
    return {key: sentences for key, sentences in found.items() if sentences}


def told(found: Mapping[str, Sequence[str]], looks: Mapping[str, Look]) -> list[str]:
    """Return a line for each thing that was found, with the name of the host."""
    # Who is lost is named by the sentence itself.
    named = {name: f"{look.subject.name}: " for name, look in looks.items() if look.subject and not look.lost}
    return [named.get(name, "") + sentence for name, sentences in found.items() for sentence in sentences]


def lost_ones(names: Sequence[str]) -> dict[str, Look]:
    """Return what is known of hosts that cannot be reached."""
    return {name: Look(lost=cannot_be_reached(name)) for name in names}


def cannot_be_reached(names: str) -> str:
    """Return the sentence about hosts without which a run does not begin."""
    return f"{names} cannot be reached, and nothing was changed; make it reachable, or leave it out with `--exclude`."


def _of_host(look: Look, names: Mapping[str, str]) -> Iterator[str]:
    subject, status, seen = look.subject, look.status, look.preconditions
    if subject and status:
        yield from find_conflicts(status, subject.address, subject.user, subject.uid, subject.gid)
        yield from _system(status)
        yield from _room(status, subject.packages)
    if subject and subject.wanted and seen:
        yield from find_obstacles(seen, subject.wanted)
    if seen:
        yield from _ports(seen)
        yield from _names(seen)
        yield from _reach(seen, names)
    if subject and subject.repository and look.repository and look.repository.error:
        yield _repository(subject.repository.arguments, look.repository.error)


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
            f"`groupmod -g {gid} {user}; usermod -u {uid} -g {gid} {user}` and restore the ownership of its files "
            f"with `find / -xdev -uid {found.uid} -exec chown -h {uid}:{gid} {{}} +`."
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


def _system(status: HostStatus) -> Iterator[str]:
    kind, _, version = status.system.partition(" ")
    # What is not released yet has no number.
    is_old = kind in RELEASES and version.strip() and float(version) < RELEASES[kind]
    if kind and (kind not in RELEASES or is_old):
        yield f"its system is {status.system.strip()}; it should be {SUPPORTED}; upgrade it, or use another host."
    if status.architecture and status.architecture not in ARCHITECTURES:
        yield (
            f"its architecture is {status.architecture}; it should be {' or '.join(ARCHITECTURES)}; use another host."
        )


def _room(status: HostStatus, packages: tuple[str, ...]) -> Iterator[str]:
    """Find too little room where something is to be installed; later on, that is for the status to tell."""
    if set(packages) <= status.packages.keys():
        return
    for room in {room.file_system: room for room in reversed(status.rooms)}.values():
        free = room.free // 10**6
        if free < ROOM_MB:
            yield (
                f"{room.path} has {free} MB free; it should have at least {ROOM_MB} MB for packages and data; make "
                "room there, or give it a larger disk."
            )


def _ports(here: Preconditions) -> Iterator[str]:
    for port in here.taken_ports:
        owner = f"{port.program} (unit {port.unit})" if port.unit else f"{port.program} (of no unit)"
        yield (
            f"port {port.number} ({port.protocol}) is taken by {owner}; it should be free for "
            f"{' and '.join(port.units)}; stop that program for good, or let it listen on another port."
        )


def _names(here: Preconditions) -> Iterator[str]:
    for other in here.names:
        yield (
            f"/etc/hosts: {other.name} is {other.address} in a line that is not ox-deploy's; it should be "
            f"{other.wanted}; remove that name from the line, or correct `address` in the inventory."
        )
    if here.names_rewritten_by:
        yield (
            f"{here.names_rewritten_by}: `manage_etc_hosts` lets cloud-init write /etc/hosts anew at each boot, and "
            "the names of the cluster would be lost; set it to `false` there, and in the user data of this machine if "
            "it comes from there."
        )


def _reach(here: Preconditions, names: Mapping[str, str]) -> Iterator[str]:
    for place in here.unreachable:
        yield (
            f"{names.get(place.address, place.address)} does not answer this host at {place.address} port {place.port} "
            f"({place.error}); it should, if only by a refusal while nothing listens there; open that port in the "
            "firewalls between the two, and check the routes."
        )


def _repository(asked: Mapping[str, Any], error: str) -> str:
    """Say why apt cannot fetch from the package repository, by apt's own words."""
    url = asked["url"]
    if error.startswith(("401", "403")):
        has_login = asked["login"] is not None
        what, way = ("refuses the login", "correct") if has_login else ("demands a login", "add")
        return (
            f"{url} {what} ({error}); it should let apt read it; {way} `ox_repository_user` and "
            "`ox_repository_password` in the secrets file."
        )
    if error.startswith(("404", "410")):
        return (
            f"{url} has no release file ({error}); it should be the address of a flat apt repository; correct "
            "`ox_repository_url`."
        )
    if re.search("certificate", error, re.IGNORECASE):
        return (
            f"{url} has a certificate that apt does not accept ({error}); it should be one for this name, valid, and "
            "of an authority that this host knows; install ca-certificates there, or add the authority to it."
        )
    return (
        f"{url} cannot be fetched by apt ({error}); it should be; correct `ox_repository_url`, or the network, the "
        "name servers or apt's proxy (`Acquire::http::Proxy`) of this host."
    )


def _clocks(looks: Mapping[str, Look]) -> Iterator[tuple[str, str]]:
    readings = {
        key: ClockReading(look.status.time, *look.between)
        for key, look in looks.items()
        if look.status and look.status.time
    }
    for key, seconds in apart(readings).items():
        yield (
            key,
            f"its clock is {direction(seconds)}; all should be the same within {CLOCK_SECONDS} s; set it, and keep it "
            "right with a time service (`timedatectl` shows whether there is one).",
        )


def _architectures(looks: Mapping[str, Look]) -> Iterator[tuple[str, str]]:
    """Compare each host with the first one of each of its roles."""
    known = {
        key: (look.subject, look.status.architecture) for key, look in looks.items() if look.subject and look.status
    }
    for role in sorted({role for subject, _ in known.values() for role in subject.roles}):
        members = {key: (subject, here) for key, (subject, here) in known.items() if role in subject.roles and here}
        for first, architecture in list(members.values())[:1]:
            for key, (_, other) in members.items():
                if other != architecture:
                    yield (
                        key,
                        f"its architecture is {other}, but {first.name} in the same role has {architecture}; hosts of "
                        "one role should have the same; use another host.",
                    )

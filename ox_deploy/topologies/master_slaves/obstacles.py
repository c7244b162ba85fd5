"""What could end a seeding, looked for on both sides before it begins: each is one sentence.

Pure: nothing is asked or changed. Of a replica that is down nothing is known, so what it has is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from ox_deploy.facts.mysql import MysqlStatus
from ox_deploy.mysql.dialects import version_numbers
from ox_deploy.remote.master_slaves.seed.slave import ROOM
from ox_deploy.remote.mysql.defaults import NAMES
from ox_deploy.topologies.master_slaves.connections import forget_statements
from ox_deploy.topologies.master_slaves.facts.seed import Place, SeedState, Survey
from ox_deploy.topologies.master_slaves.source import Source

# What logs and temporary files need, in bytes; how much the master will write meanwhile, nobody knows.
LOG_ROOM = 100_000_000
LOGICAL, PHYSICAL = "seed with `--data seed_method=logical`", "seed with `--data seed_method=physical`"
# By setting: what becomes of a difference, and where it is set.
DEFAULTS = ("databases created after a switchover would differ", "for both in `mysql_settings`, and deploy")
BY_DEPLOY = "there with a deploy, which does so where releases differ"
EQUAL = {
    "lower_case_table_names": ("tables would have other names there", "in its configuration, and restart its server"),
    "character_set_server": DEFAULTS,
    "collation_server": DEFAULTS,
}
# A seeding has it installed itself.
LENT_PLUGIN = "clone"


@dataclass(frozen=True)
class Side:
    """A server as it was before the seeding; `part` is what its host did in the last one, or does."""

    name: str
    status: MysqlStatus
    survey: Survey
    part: SeedState = field(default_factory=SeedState)


class Method(StrEnum):
    """By what a replica gets its master's data."""

    # A dump.
    LOGICAL = "logical"
    # The data directory.
    PHYSICAL = "physical"


@dataclass(frozen=True)
class SeedPlan:
    """What is to be done with which replica.

    `address` is that of the replica, as its master sees it; `overwrite` tells whether its data may be lost; `by_gtid`
    how it keeps its place afterwards.
    """

    source: Source
    address: str
    method: Method
    overwrite: bool
    by_gtid: bool


def obstacles(plan: SeedPlan, slave: Side, master: Side) -> Iterator[str]:
    """Go through all of them."""
    yield from _named_connections(slave)
    yield from _refused_writes(slave)
    yield from _unknown_collations(slave, master)
    yield from _encrypted(plan, slave, master)
    yield from _differing_settings(slave, master)
    if plan.method == Method.LOGICAL:
        yield from _broken_definitions(master)
        yield from _unknown_plugins(slave, master)
        yield from _checked_passwords(slave)
        yield from _missing_time_zones(slave, master)
    elif master.status.is_mariadb:
        yield from _unknown_engines(slave, master)
        yield from _other_backup(slave)
        yield from _other_backup(master)
        yield from _own_file_system(slave)
    else:
        yield from _plugins_to_clone(slave, master)
    yield from _missing_room(plan, slave, master)


def forewarnings(plan: SeedPlan, slave: Side, master: Side) -> Iterator[str]:
    """Say what cannot be known before a seeding, and whether what the replica has can be put back if it fails."""
    if slave.survey.databases and not _is_exchanged(plan, master):
        yield f"What {slave.name} has is dropped before the new data comes, and cannot be put back if that fails."
    if not slave.status.version:
        yield f"The server of {slave.name} does not answer: what it lacks is known only once the seeding has begun."
    elif version_numbers(slave.status.version) < version_numbers(master.status.version):
        yield (
            f"{slave.name} runs {slave.status.version}, which is older than {master.status.version} of {master.name}: "
            "whether it understands all definitions and all that will be replicated shows only then."
        )


def _named_connections(slave: Side) -> Iterator[str]:
    """A server that has other connections does not begin at the position of another one (error 1198)."""
    if slave.status.named:
        names = ", ".join(f"'{each.name}'" for each in slave.status.named)
        ended = forget_statements(slave.status, slave.status.named)
        yield f"{slave.name} replicates by the named connections {names}; nothing was changed: run `{ended}` there."


def _refused_writes(slave: Side) -> Iterator[str]:
    if slave.survey.settings.get("super_read_only") == "ON":
        yield (
            f"`super_read_only` is ON on {slave.name}, so nothing can write data there; run `SET GLOBAL "
            "super_read_only = OFF` until it is seeded."
        )


def _unknown_collations(slave: Side, master: Side) -> Iterator[str]:
    known = {_current_name(name) for name in slave.survey.known_collations}
    for name, example in sorted(master.survey.collations.items()):
        if known and _current_name(name) not in known:
            yield (
                f"{slave.name} does not know the collation {name}, which {example} on {master.name} has; convert what "
                f"has it, or install a version that knows it on {slave.name}."
            )


def _current_name(collation: str) -> str:
    # Versions differ in what they call the same character set.
    return "utf8mb3_" + collation.removeprefix("utf8_") if collation.startswith("utf8_") else collation


def _encrypted(plan: SeedPlan, slave: Side, master: Side) -> Iterator[str]:
    if not master.survey.encrypted:
        return
    tables = ", ".join(master.survey.encrypted)
    if plan.method == Method.PHYSICAL:
        yield (
            f"{master.name} has encrypted tables ({tables}), and whether {slave.name} can read them with its keys is "
            f"not known; {LOGICAL}."
        )
    elif slave.status.version and not slave.survey.can_encrypt:
        yield (
            f"{master.name} has encrypted tables ({tables}), but {slave.name} has no keys for tables of its own; set "
            "it up with a plugin or component for keys, as its master is."
        )


def _differing_settings(slave: Side, master: Side) -> Iterator[str]:
    here, there = slave.survey.alike, master.survey.alike
    for name, (outcome, where) in EQUAL.items():
        if name in here and name in there and here[name] != there[name]:
            where = BY_DEPLOY if name in NAMES and are_mixed(slave, master) else where
            yield (
                f"`{name}` is {here[name]} on {slave.name} and {there[name]} on {master.name}, so {outcome}; set it "
                f"to {there[name]} {where}."
            )


def are_mixed(slave: Side, master: Side) -> bool:
    """Tell whether a deploy gives the replica the collations of its master, because their releases differ."""
    versions = [version_numbers(side.status.version)[:2] for side in (slave, master) if side.status.is_mariadb]
    return len(set(versions)) == len(versions) == 2


def _broken_definitions(master: Side) -> Iterator[str]:
    for broken in master.survey.broken:
        yield (
            f"the {broken.what} {broken.name} on {master.name} cannot be dumped ({broken.error}); fix or drop it, or "
            f"{PHYSICAL}."
        )


def _unknown_plugins(slave: Side, master: Side) -> Iterator[str]:
    known = {name.lower() for name in slave.survey.plugins}
    for plugin, accounts in sorted(master.survey.account_plugins.items()):
        if known and plugin.lower() not in known:
            yield (
                f"{slave.name} has not loaded the plugin {plugin}, by which {_some(accounts)} log in to {master.name}; "
                f"load it there as {master.name} does, or change or drop these accounts."
            )


def _some(names: list[str], number: int = 5) -> str:
    more = f" and {len(names) - number} more" if len(names) > number else ""
    return ", ".join(names[:number]) + more


def _checked_passwords(slave: Side) -> Iterator[str]:
    if slave.survey.checks_passwords and slave.survey.settings.get("strict_password_validation") == "ON":
        yield (
            f"`strict_password_validation` is ON on {slave.name}, so it rejects accounts whose password it cannot "
            "check; run `SET GLOBAL strict_password_validation = OFF` until it is seeded."
        )


def _missing_time_zones(slave: Side, master: Side) -> Iterator[str]:
    if slave.status.version and master.survey.has_time_zones and not slave.survey.has_time_zones:
        program = "mariadb-tzinfo-to-sql" if master.status.is_mariadb else "mysql_tzinfo_to_sql"
        yield (
            f"{slave.name} has no time zone tables, but {master.name} has; load them there (`{program} "
            "/usr/share/zoneinfo`)."
        )


def _unknown_engines(slave: Side, master: Side) -> Iterator[str]:
    known = {name.lower() for name in slave.survey.known_engines}
    for engine, example in sorted(master.survey.engines.items()):
        if known and engine.lower() not in known:
            yield (
                f"{slave.name} lacks the storage engine {engine}, which {example} on {master.name} has; load its "
                "plugin there, or convert the tables that have it."
            )


def _other_backup(side: Side) -> Iterator[str]:
    version, own = side.survey.backup_version, side.status.version
    if version and own and version_numbers(version)[:2] != version_numbers(own)[:2]:
        yield (
            f"`mariadb-backup` of {side.name} is built for {version}, but its server is {own}; install the package "
            f"mariadb-backup of the server's version, or {LOGICAL}."
        )


def _own_file_system(slave: Side) -> Iterator[str]:
    found = {place.use: place for place in slave.survey.places}
    if found and found["data"].device != found["beside"].device:
        path = found["data"].path
        yield f"on {slave.name}, {path} is a separate file system, so it cannot be replaced; {LOGICAL}."


def _plugins_to_clone(slave: Side, master: Side) -> Iterator[str]:
    known = {name.lower() for name in slave.survey.plugins} | {LENT_PLUGIN}
    missing = [name for name in master.survey.plugins if name.lower() not in known]
    if slave.survey.plugins and missing:
        yield (
            f"{slave.name} has not loaded the plugins {', '.join(missing)} of {master.name}, without which MySQL does "
            f"not clone it; load them there, or {LOGICAL}."
        )


def _missing_room(plan: SeedPlan, slave: Side, master: Side) -> Iterator[str]:
    if slave.status.seeding:
        # What a dead seeding left is removed first; the program looks after that.
        return
    freed = sum(contents.bytes for contents in slave.survey.databases)
    by_device: dict[int, list[tuple[Place, float]]] = {}
    for place in slave.survey.places:
        needed = _needed(plan, place.use, master) if place.use in ("data", "beside") else LOG_ROOM
        by_device.setdefault(place.device, []).append((place, needed))
    for pairs in by_device.values():
        uses = {place.use for place, needed in pairs if needed}
        needed = sum(needed for _, needed in pairs)
        free = pairs[0][0].free + (freed if "data" in uses else 0)
        if free < needed:
            what = " and ".join(name for name, use in _USES.items() if use & uses)
            paths = ", ".join(sorted({place.path for place, needed in pairs if needed}))
            yield (
                f"the disk of {paths} on {slave.name} has {free // 1000000} MB for {what}, which need "
                f"{needed / 1000000:.0f} MB; make room there."
            )


_USES = {"data": {"data", "beside"}, "logs": {"logs"}, "temporary files": {"temporary"}}


def _is_exchanged(plan: SeedPlan, master: Side) -> bool:
    """Tell whether the new data comes beside the old one."""
    return plan.method == Method.PHYSICAL and master.status.is_mariadb


def _needed(plan: SeedPlan, use: str, master: Side) -> float:
    """Return what the data needs in the data directory, or beside it."""
    if (use == "beside") is not _is_exchanged(plan, master):
        return 0
    whole = plan.method == Method.PHYSICAL
    return ROOM * (master.survey.directory_bytes if whole else sum(each.bytes for each in master.survey.databases))

"""When a replica must not or cannot be seeded. Pure: both sides are known, nothing is asked or changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.mysql.dialects import server_of_version, version_numbers
from ox_deploy.mysql.not_ready import not_ready
from ox_deploy.remote.mysql.defaults import NAMES
from ox_deploy.topologies.master_slaves.diagnosis import Diagnosis
from ox_deploy.topologies.master_slaves.facts.seed import Contents
from ox_deploy.topologies.master_slaves.history import took_over
from ox_deploy.topologies.master_slaves.obstacles import (
    EQUAL,
    LOGICAL,
    PHYSICAL,
    Method,
    SeedPlan,
    Side,
    are_mixed,
    obstacles,
)
from ox_deploy.topologies.master_slaves.recognise import mistaken_identity
from ox_deploy.topologies.master_slaves.situations import OVERWRITE, SEEDED

# What is named as it is named since then; and from when on all releases of MySQL 8.0 share data directories.
OLDEST_MYSQL, CLONES_SERIES = (8, 0, 26), (8, 0, 37)


def refusal(plan: SeedPlan, slave: Side, master: Side) -> str | None:
    """Return why the replica must not or cannot be seeded: all at once, if they are the right servers."""
    half_seeded = slave.status.seeding
    problem = (
        not_ready(master.status, master.name)
        or (None if half_seeded else not_ready(slave.status, slave.name))
        or _other_way_round(slave, master)
        or _other_kind(slave, master)
        or _wrong_server(plan, slave, master)
    )
    if problem:
        return problem
    found = [
        _missing_programs(slave),
        _missing_programs(master),
        _cannot_be_copied(plan, slave, master),
        *obstacles(plan, slave, master),
        None if half_seeded or plan.overwrite else _would_be_lost(slave),
        _other_slave(plan, master),
    ]
    return "\n".join(filter(None, found)) or None


def is_needed(slave: MysqlStatus, master: MysqlStatus, diagnose: Callable[[], Diagnosis]) -> bool:
    """Tell whether a replica has to be seeded to follow its master, also one that is yet to be installed.

    + diagnose: called where both servers run
    """
    if master.state is not ServerState.RUNNING:
        return False
    if slave.seeding or slave.state is ServerState.RUNNING:
        return diagnose().situation in SEEDED
    log = master.binary_log
    return bool(slave.state is ServerState.NOT_INSTALLED and master.databases and log and not log.complete)


def foreseen(plan: SeedPlan, slave: Side, master: Side) -> list[str]:
    """Return what would end a seeding that is yet to be started; a deploy before that installs what is missing."""
    if slave.status.state is ServerState.NOT_INSTALLED:
        return list(obstacles(plan, slave, master))
    collations = {name: master.survey.alike[name] for name in NAMES if name in master.survey.alike}
    alike = slave.survey.alike | (collations if are_mixed(slave, master) else {})
    sentences = refusal(plan, _with(slave, missing=[], alike=alike), _with(master, missing=[]))
    return sentences.splitlines() if sentences else []


def _with(side: Side, **values: object) -> Side:
    return replace(side, survey=side.survey.model_copy(update=values))


def _other_way_round(slave: Side, master: Side) -> str | None:
    """Refuse to overwrite the later master of two with the data of the other one."""
    if slave.status.replica or slave.status.seeding or not took_over(slave.status, master.status):
        return None
    return (
        f"{slave.name} has taken over from {master.name}, so it is the one to seed from; nothing was changed: correct "
        "`db_master`."
    )


def _other_kind(slave: Side, master: Side) -> str | None:
    # Of a server that is down, nothing is known but that it is half seeded.
    asked = [side for side in (slave, master) if side.status.version]
    if len({side.status.is_mariadb for side in asked}) > 1:
        return f"{_versions(slave, master)}; a server of one kind cannot be seeded from one of the other."
    for side in asked:
        if side.status.is_mariadb:
            continue
        if version_numbers(side.status.version) < OLDEST_MYSQL:
            return f"{side.name} runs {side.status.version}; seeding needs MySQL 8.0.26 or later."
        if side.status.variables.get("gtid_mode") != "ON":
            return f"{side.name} does not have `gtid_mode = ON`; run the deploy, which sets it."
    return None


def _versions(slave: Side, master: Side) -> str:
    return f"{slave.name} runs {slave.status.version} and {master.name} {master.status.version}"


def _wrong_server(plan: SeedPlan, slave: Side, master: Side) -> str | None:
    # Of a server that is down, nothing is known but that it is half seeded.
    known = slave.status if slave.status.variables else None
    situation = mistaken_identity(known, master.status, plan.address)
    return Diagnosis(situation, slave.name, slave.status, master.status, plan.source).sentence() if situation else None


def _missing_programs(side: Side) -> str | None:
    if not side.survey.missing:
        return None
    return f"{side.name} lacks {', '.join(side.survey.missing)}; run the deploy, which installs what is needed."


def _cannot_be_copied(plan: SeedPlan, slave: Side, master: Side) -> str | None:
    if not master.survey.databases:
        return f"there is no database on {master.name}, so there is nothing to seed; run the deploy instead."
    tables = master.survey.not_transactional
    is_mariadb = master.status.is_mariadb
    if tables and (plan.method == Method.LOGICAL or not is_mariadb):
        # A clone has them, but without their rows.
        other = f", or {PHYSICAL}" if is_mariadb else ""
        return (
            f"{master.name} has tables that no snapshot covers, because they are not InnoDB ({', '.join(tables)}); "
            f"convert them{other}."
        )
    return _cannot_share_data(slave, master) if plan.method == Method.PHYSICAL else None


def _cannot_share_data(slave: Side, master: Side) -> str | None:
    versions = {_sharing(side.status.version) for side in (slave, master) if side.status.version}
    if len(versions) > 1:
        return f"{_versions(slave, master)}, which cannot share data directories; {LOGICAL}."
    if master.status.is_mariadb:
        return None
    for side in (slave, master):
        # What is down is asked by its program, which says so.
        if side.status.version and not side.survey.can_clone:
            return f"{side.name} has no `mysql_clone.so`, the plugin with which MySQL clones servers; {LOGICAL}."
    here, there = slave.survey.alike, master.survey.alike
    for name in sorted(here.keys() & there.keys() - EQUAL.keys()):
        if here[name] != there[name]:
            return (
                f"`{name}` is {here[name]} on {slave.name} and {there[name]} on {master.name}, so they cannot share "
                f"data directories; make them equal, or {LOGICAL}."
            )
    return None


def _sharing(version: str) -> tuple[int, ...]:
    """Return what is the same for versions that share data directories."""
    numbers = version_numbers(version)
    has_series = server_of_version(version) == "MariaDB" or numbers[:2] != CLONES_SERIES[:2] or numbers >= CLONES_SERIES
    return numbers[:2] if has_series else numbers


def _would_be_lost(slave: Side) -> str | None:
    if not slave.survey.databases:
        return None
    lost = ", ".join(_shown(contents) for contents in slave.survey.databases)
    return (
        f"{slave.name} has data that would be lost: {lost}; nothing was changed. To replace it with the master's "
        f"data, run `{OVERWRITE.format(name=slave.name)}`."
    )


def _shown(contents: Contents) -> str:
    return f"{contents.name} ({contents.tables} tables, about {contents.rows} rows)"


def _other_slave(plan: SeedPlan, master: Side) -> str | None:
    if plan.method == Method.LOGICAL:
        return None
    addresses = [master.part.to] if master.part.active else master.survey.cloned_by
    other = next((address for address in addresses if address != plan.address), None)
    if other is None:
        return None
    return f"{master.name} is sending its data to {other}; wait until that has ended, and seed again."

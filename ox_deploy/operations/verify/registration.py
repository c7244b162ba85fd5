"""What is registered in configdb and written on the hosts fits the inventory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ox_deploy.facts.openxchange import Configuration, OpenXchangeConfiguration, Pool, Registration
from ox_deploy.facts.verify import FrontEnd, WebHost
from ox_deploy.findings import DEPLOY, Finding
from ox_deploy.operations.openxchange.wanted import WantedDatabase, WantedRegistration
from ox_deploy.operations.verify.checks import CouldNotRun, Verdict, answer_or_fail, check, problem, trial_or_fail
from ox_deploy.questions.question import Question
from ox_deploy.remote.configdb.state import RegistrationState


def _configuration_question(wanted: Mapping[str, Mapping[str, str]]) -> Question[Configuration]:
    keys = {file: list(values) for file, values in wanted.items()}
    return Question(OpenXchangeConfiguration, keys=keys, secret_keys={})


@check("Every node has the cluster's server name and its own route", asks=_configuration_question)
def configuration(wanted: Mapping[str, Mapping[str, str]]) -> Verdict:
    """
    Check what a node's configuration says of itself.

    + wanted: keys and values by file below /opt/open-xchange/etc
    """
    found = answer_or_fail(_configuration_question(wanted)).values
    findings = [
        problem("node configured for another cluster", f"{file}: {key} is {value}", f"{key} is {wanted_value}", DEPLOY)
        for file, values in wanted.items()
        for key, wanted_value in values.items()
        for value in [found.get(file, {}).get(key) or "missing"]
        if value != wanted_value
    ]
    return Verdict(", ".join(dict.fromkeys(value for values in wanted.values() for value in values.values())), findings)


def _web_question(address: str, web_name: str, certificate: str, site: str, **_: Any) -> Question[FrontEnd]:
    return Question(WebHost, address=address, web_name=web_name, certificate=certificate, site=site)


@check("The balancer has the routes of the nodes", asks=_web_question)
def routes(address: str, web_name: str, certificate: str, site: str, wanted: Mapping[str, str]) -> Verdict:
    """
    Check the members in a web host's configuration.

    + address, web_name, certificate, site: as for `sessions.redirects`
    + wanted: the route of each node by its address
    """
    found = trial_or_fail(answer_or_fail(_web_question(address, web_name, certificate, site)).balancer).routes
    findings = [
        problem("balancer has another route", f"{member}: {has}", f"{member}: {should}", DEPLOY)
        for member in dict.fromkeys([*wanted, *found])
        for has, should in [(found.get(member, "no member"), wanted.get(member, "no member"))]
        if has != should
    ]
    return Verdict(", ".join(found.values()), findings)


def _registration_question(wanted: WantedRegistration) -> Question[Registration]:
    return wanted.layout.question()


@check("configdb holds what the inventory has, and no more", asks=_registration_question)
def registered(wanted: WantedRegistration) -> Verdict:
    """
    Check server, filestore and databases in configdb, asked on the write host.

    + wanted: what configdb should hold
    """
    found = answer_or_fail(_registration_question(wanted))
    if found.state != RegistrationState.COMPLETE:
        raise CouldNotRun(f"configdb: {found.state} {found.error}".rstrip())
    pools = {pool.name: pool for pool in found.pools}
    names = [database.name for database in wanted.databases]
    findings = [
        *_compare("server", [wanted.server], found.servers),
        *_compare("filestore", [wanted.filestore], found.filestores),
        *_compare("database", names, list(pools)),
        *(finding for database in wanted.databases for finding in _database(database, pools)),
        *_reads(wanted.databases, pools, found.clusters),
    ]
    return Verdict(f"{wanted.server}, {wanted.filestore}, {', '.join(names)}", findings)


def _compare(kind: str, wanted: Sequence[str], found: Sequence[str]) -> list[Finding]:
    listed = f"{', '.join(wanted)}"
    missing = [
        problem(f"{kind} not registered", f"{name} is missing from configdb", f"registered: {listed}", DEPLOY)
        for name in wanted
        if name not in found
    ]
    remedy = f"run `unregister{kind}` on a node if nothing uses it any more"
    orphans = [
        problem(f"orphaned {kind}", f"{name} is registered", f"registered: {listed}", remedy)
        for name in found
        if name not in wanted
    ]
    return missing + orphans


def _database(wanted: WantedDatabase, pools: Mapping[str, Pool]) -> list[Finding]:
    pool = pools.get(wanted.name)
    if pool is None:
        return []
    login = pool.login == wanted.user and pool.password.matches(wanted.password.reveal())
    if wanted.is_at(pool.url) and login:
        return []
    found = f"{wanted.name} at {pool.url} as {pool.login}{'' if login else ', with another login'}"
    remedy = "correct the inventory, or the registration with `changedatabase` on a node"
    return [problem("database registered wrongly", found, f"at {wanted.host} as {wanted.user}", remedy)]


def _reads(wanted: Sequence[WantedDatabase], pools: Mapping[str, Pool], clusters: Mapping[int, int]) -> list[Finding]:
    """Compare which database is read where another one is written."""
    names = {pool.id: pool.name for pool in pools.values()}
    readers = {database.writer: database.name for database in wanted if database.writer}
    findings = []
    for database in wanted:
        if database.writer or database.name not in pools:
            continue
        read = clusters.get(pools[database.name].id) or 0
        # A writer without a reader is read itself: 0, or its own number.
        has, should = names.get(read, str(read) if read else database.name), readers.get(database.name, database.name)
        if has != should and should in pools:
            found = f"configdb: what is written to {database.name} is read from {has}"
            remedy = "correct `read_db_pool_id` of `db_cluster` in configdb"
            findings.append(problem("reads go elsewhere", found, f"it is read from {should}", remedy))
    return findings

"""Asks every host of the cluster once, all at the same time, and waits no longer than a limit for any of them.

The questions are those that a deploy would ask, so that the status also tells what a deploy would change.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import gevent
from pyinfra.api import Config, Host, State

from ox_deploy import preconditions
from ox_deploy.cluster import Cluster, Node, cluster_of
from ox_deploy.deploys.chapters import ON_HOSTS
from ox_deploy.deploys.hosts import CHECK
from ox_deploy.deploys.web import CERTIFICATE, ENABLED_SITE
from ox_deploy.facts.health import Health, HostHealth
from ox_deploy.facts.hosts import HostState, HostStatus
from ox_deploy.facts.mysql import Mysql
from ox_deploy.facts.network import MulticastRoute
from ox_deploy.facts.nfs import FilestoreMount
from ox_deploy.facts.openxchange import CachePeers, Configdb, Daemons, OpenXchangeConfiguration
from ox_deploy.facts.preconditions import HostPreconditions
from ox_deploy.facts.repository import RepositoryAccess
from ox_deploy.facts.service import Service
from ox_deploy.operations import hosts
from ox_deploy.ports import NFS_UNITS
from ox_deploy.preflight import find_conflicts
from ox_deploy.questions import prefetch, pyinfra_internals
from ox_deploy.questions.ask import get
from ox_deploy.questions.bounds import NoAnswer
from ox_deploy.questions.pyinfra_internals import turn_of
from ox_deploy.questions.question import Question
from ox_deploy.status.seen import Drift, Seen
from ox_deploy.status.steps import CHECK_HOST, Step

PlannedSteps = list[tuple[Step, prefetch.Call]]

# How long a host may take for a connection, and for everything, in seconds.
CONNECT_SECONDS = 4
HOST_SECONDS = 9
# A command that fails is told as what it is; it would count as a failed host of a deploy otherwise.
LIMITS: dict[str, Any] = {"_timeout": HOST_SECONDS, "_ignore_errors": True}
DATABASE_DIRECTORY = "/var/lib/mysql"
PLACES = ("/var/lib/ox-deploy", "/var/log", "/var/log/open-xchange", "/tmp", "/var/tmp")  # noqa: S108 - looked at only
FIELDS = {
    Mysql: "mysql",
    FilestoreMount: "mount",
    MulticastRoute: "route",
    OpenXchangeConfiguration: "configuration",
    Daemons: "daemons",
    CachePeers: "caches",
    Configdb: "registration",
    HostHealth: "health",
    HostPreconditions: "preconditions",
}


def gather(inventory_file: str, ssh_user: str | None, sudo: bool) -> tuple[Cluster, list[Seen]]:
    """Return the cluster and what was seen of each host. Changes nothing on any host.

    + inventory_file: the inventory, with its group data beside it
    + ssh_user: user to log in as, None for what the inventory says
    + sudo: become root with sudo, if the inventory does not say so

    Raises InputError where inventory, group data or secrets are wrong.
    """
    config = Config(SUDO=sudo, CONNECT_TIMEOUT=CONNECT_SECONDS)
    override = {"ssh_user": ssh_user} if ssh_user else {}
    with pyinfra_internals.read_inventory(inventory_file, config, override) as state:
        return look_at_all(state)


def look_at_all(state: State, seconds: float = HOST_SECONDS) -> tuple[Cluster, list[Seen]]:
    """Return the cluster and what was seen of each host, each of which has so many seconds for everything."""
    cluster = cluster_of(state.inventory)
    all_hosts = [state.inventory.get_host(node.inventory_name) for node in cluster.nodes]
    plans = [_plan(state, host) for host in all_hosts]
    jobs = [
        gevent.spawn(_look_at, cluster, node, host, seconds)
        for node, host in zip(cluster.nodes, all_hosts, strict=True)
    ]
    gevent.joinall(jobs)
    seen = [job.get() for job in jobs]
    for host, one, plan in zip(all_hosts, seen, plans, strict=True):
        one.drift = [] if one.unreachable else list(_drift(cluster, host, one, plan))
    return cluster, seen


def _plan(state: State, host: Host) -> PlannedSteps:
    """Return what a deploy would do on a host, and note what it would ask."""
    plan: PlannedSteps = []

    def call_chapters() -> None:
        for chapter in ON_HOSTS:
            chapter()
            plan.extend((Step(chapter, call.operation), call) for call in prefetch.calls(host)[len(plan) :])

    pyinfra_internals.prepare(state, host, call_chapters)
    return plan


def _look_at(cluster: Cluster, node: Node, host: Host, seconds: float) -> Seen:
    """Ask one host everything, in one command."""
    seen = Seen(node)
    if node in cluster.databases:
        seen.expected = cluster.topology.expected(cluster, node)
    limit = gevent.Timeout.start_new(seconds)
    try:
        _ask(cluster, seen, host)
    except gevent.Timeout:
        seen.unreachable = f"no answer within {seconds} seconds"
    except NoAnswer as error:
        seen.unreachable = error.reason
    except Exception as error:
        seen.unreachable = str(error) or type(error).__name__
    finally:
        limit.close()
    return seen


def _ask(cluster: Cluster, seen: Seen, host: Host) -> None:
    health = _health_question(cluster, seen.node)
    with turn_of(host):
        pyinfra_internals.connect(host, show_errors=False)
        # What other servers say has no place in a status.
        questions = [health, *(each for each in prefetch.planned() if each.fact is not RepositoryAccess)]
        prepare = _prepare_arguments(host)
        arguments = {key: prepare[key] for key in ("user", "uid", "gid", "packages")}
        begun = time.time()
        status = get(host, HostState, **arguments, questions=questions, wait=0, **LIMITS)
        seen.between = (begun, time.time())
        if status is None or not status.init:
            raise RuntimeError("the host did not answer")
        answers = dict(zip(questions, status.answers, strict=False))
        prefetch.keep(answers)
    _note(seen, status, answers)


def _health_question(cluster: Cluster, node: Node) -> Question[Health]:
    disks = ["/"]
    if node in cluster.databases:
        disks.append(DATABASE_DIRECTORY)
    if node == cluster.filestore:
        disks.append(cluster.settings.filestore_path)
    balances = "web" in node.groups
    return Question(
        HostHealth,
        disks=disks,
        certificate=CERTIFICATE if balances else None,
        balancer=cluster.product.balancer if balances else None,
        site={"file": ENABLED_SITE, "address": node.address} if balances else None,
        places=_places(cluster, node),
        units=_units(cluster, node),
        database={"option_file": node.mysql_option_file} if node in cluster.databases else None,
    )


def _places(cluster: Cluster, node: Node) -> list[str]:
    """Return where something is written now and then."""
    mounted = "groupware" in node.groups and cluster.settings.external_filestore
    return [*PLACES, *([cluster.settings.filestore_path] if mounted else [])]


def _units(cluster: Cluster, node: Node) -> list[str]:
    """Return the services of a host, whose open files tell where they write."""
    units = [cluster.database_server.unit] if node in cluster.databases else []
    units += [NFS_UNITS[cluster.settings.nfs_server]] if node == cluster.filestore else []
    units += cluster.product.ports if "groupware" in node.groups else []
    return [*units, "apache2"] if "web" in node.groups else units


def _note(seen: Seen, status: HostStatus, answers: dict[Question[Any], dict[str, Any] | None]) -> None:
    """Keep the answers in their typed form, but for those that only a product's own operations look at."""
    for question, document in answers.items():
        if document is None:
            continue
        answer = question.fact().parse(document)
        if question.fact is Service:
            seen.services[question.arguments["service"]] = answer
        elif question.fact in FIELDS:
            setattr(seen, FIELDS[question.fact], answer)
    if seen.health and seen.health.lease and seen.health.lease.holder.is_dead():
        seen.health = seen.health.model_copy(update={"lease": None})
    seen.host = status


def _drift(cluster: Cluster, host: Host, seen: Seen, plan: PlannedSteps) -> Iterator[Drift]:
    """Yield the operations in which a deploy would change something, or refuse to."""
    assert seen.host is not None
    with turn_of(host):
        hosts.remember(seen.host)
        yield from _conflicts(cluster, host, seen)
        for step, call in plan:
            if _is_known(call.questions):
                yield from _try(step, call)


def _conflicts(cluster: Cluster, host: Host, seen: Seen) -> Iterator[Drift]:
    """Yield what would make a deploy refuse this host at its beginning; that one is at work is no fault."""
    assert seen.host is not None
    prepare = _prepare_arguments(host)
    user, uid, gid = (prepare[key] for key in ("user", "uid", "gid"))
    for sentence in find_conflicts(replace(seen.host, busy=False), seen.node.address, user, uid, gid):
        yield Drift(CHECK_HOST, CHECK, sentence)
    if seen.preconditions:
        for sentence in preconditions.find_obstacles(seen.preconditions, preconditions.wanted_of(cluster, seen.node)):
            yield Drift(CHECK_HOST, CHECK, sentence)


def _prepare_arguments(host: Host) -> Mapping[str, Any]:
    """Return with which arguments a deploy would prepare a host."""
    return next(call.arguments for call in prefetch.calls(host) if call.operation is hosts.prepare)


def _is_known(questions: Sequence[tuple[Host, Question[Any]]]) -> bool:
    return all(prefetch.answer(host, question) is not None for host, question in questions)


def _try(step: Step, call: prefetch.Call) -> Iterator[Drift]:
    """Look for a change as pyinfra does: an operation that yields anything has something to do."""
    try:
        if next(call.commands(), None) is not None:
            yield Drift(step, call.name)
    except Exception as error:
        yield Drift(step, call.name, str(error))

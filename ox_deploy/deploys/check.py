"""What stands in the way of a deploy: `pyinfra -y inventory.py ox_deploy.deploys.check.check`."""

from __future__ import annotations

from collections.abc import Iterator

import click
import gevent
from pyinfra import inventory
from pyinfra.api import Host, OperationError, deploy
from pyinfra.api.exceptions import PyinfraError

from ox_deploy import preflight
from ox_deploy.cluster import Cluster, cluster_of
from ox_deploy.deploys import inputs
from ox_deploy.deploys.chapters import ON_HOSTS
from ox_deploy.deploys.hosts import CLEAR, end_run_on_failure, plan_preconditions, subjects_of, unreachable
from ox_deploy.operations import hosts
from ox_deploy.operations.barrier import barrier
from ox_deploy.questions import prefetch
from ox_deploy.questions.pyinfra_internals import active_hosts, current_host, current_state, prepare, turn_of
from ox_deploy.questions.run import current_run


@deploy("Check")
def check() -> None:
    """Look at the inputs and, in one round, at all hosts; say all that stands in the way of a deploy. Changes nothing.

    Takes no lease. Idempotent. Raises OperationError with one line for each finding.
    """
    run = current_run()
    end_run_on_failure()
    # The host whose turn comes first looks at all of them; where that goes wrong, each of them says so.
    run.checking = run.checking or gevent.spawn(_look, cluster_of(inventory))
    run.checking.get()
    if run.findings:
        raise OperationError("\n".join(run.findings))
    barrier(name=CLEAR)


def _look(cluster: Cluster) -> None:
    """Note a line for each thing that stands in the way."""
    run = current_run()
    faults = list(inputs.find_faults(cluster))
    subjects = subjects_of(cluster)
    present = [host for host in current_state().inventory if host in active_hosts() and host.name in subjects]
    for host in present:
        # Without its files no chapter can say what it would do.
        prepare(current_state(), host, _plan_preconditions if faults else _call_chapters)
    hosts.look_at_all(subjects, wait=0)
    found = preflight.find(hosts.seen_of(subjects) | preflight.lost_ones(unreachable()))
    later = {host.name: [*_refusals(host), *_obstacles_ahead(cluster, host)] for host in present}
    run.findings = [*faults, *preflight.told(found, run.looks), *preflight.told(later, run.looks)]
    if not run.findings:
        click.echo(f"Nothing stands in the way on {len(present)} hosts.", err=True)


def _plan_preconditions() -> None:
    cluster = cluster_of(inventory)
    node = cluster.node_of(current_host())
    plan_preconditions(node, subjects_of(cluster)[node.inventory_name])


def _call_chapters() -> None:
    for chapter in ON_HOSTS:
        chapter()


def _obstacles_ahead(cluster: Cluster, host: Host) -> Iterator[str]:
    """Return what would stand in the way of the commands that such a refusal names."""
    node = cluster.node_of(host)
    if node in cluster.databases:
        with turn_of(host):
            try:
                yield from cluster.topology.obstacles_ahead(cluster, node)
            except PyinfraError as error:
                yield str(error)


def _refusals(host: Host) -> Iterator[str]:
    """Return why an operation of a later chapter would refuse to go on, as far as that can be told by now."""
    with turn_of(host):
        for call in prefetch.calls(host):
            if call.questions and all(
                prefetch.answer(asked, question) is not None for asked, question in call.questions
            ):
                try:
                    next(call.commands(), None)
                except PyinfraError as error:
                    yield str(error)

"""Causes hide their consequences: what is broken is reported as itself and nothing else.

- `HIDES`: which state hides which other one, and on which host it has to be. A database server that is down,
  for instance, hides that others cannot read from it, and a mount that is missing hides the daemons that systemd stops
  with it.
- `HIDES_DRIFT`: which steps of a deploy have something to do because of a state, and no more than that.
- What is hidden still hides its own consequences: the NFS server that is down hides the missing mount, and that the
  daemon.
- A cause is as bad as the worst of what it hides: a missing route is critical where it leaves a node alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ox_deploy.facts.openxchange import Registration
from ox_deploy.findings import Finding, NamedState
from ox_deploy.products.base import Product
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.status import steps
from ox_deploy.status.seen import Drift, Seen
from ox_deploy.status.states import balancer, configdb, drift, filestore, groupware, hosts
from ox_deploy.status.states.base import Observation
from ox_deploy.status.steps import Step
from ox_deploy.topologies.base import Causes, Where

# (cause, consequence) -> where the cause has to be. Those of the databases are their topology's.
HIDES: dict[tuple[NamedState, NamedState], Where] = {
    (hosts.run_at_work, drift.configuration_drifted): "anywhere",
    (balancer.certificate_unreadable, balancer.site_not_served): "host",
    (hosts.host_unreachable, filestore.mount_missing): "about",
    (hosts.host_unreachable, filestore.mount_stale): "about",
    (filestore.nfs_server_down, filestore.mount_missing): "about",
    (filestore.nfs_server_down, filestore.mount_stale): "about",
    (filestore.mount_missing, groupware.admin_daemon_down): "host",
    (filestore.mount_missing, groupware.groupware_daemon_down): "host",
    (hosts.host_unreachable, balancer.balancer_member_in_error): "about",
    (groupware.groupware_daemon_down, balancer.balancer_member_in_error): "about",
    (groupware.multicast_route_missing, groupware.node_alone): "either",
    (groupware.multicast_route_missing, groupware.cache_link_missing): "either",
    (groupware.node_alone, groupware.cache_link_missing): "either",
}

_DAEMON_DOWN = (groupware.admin_daemon_down, groupware.groupware_daemon_down)
_CACHES_APART = (
    hosts.host_unreachable,
    *_DAEMON_DOWN,
    groupware.multicast_route_missing,
    groupware.node_alone,
    groupware.cache_link_missing,
)

# (states, where one of them has to be, steps)
HIDES_DRIFT: list[tuple[tuple[NamedState, ...], Where, tuple[Step, ...]]] = [
    ((configdb.configdb_not_reachable, configdb.configdb_damaged), "host", (steps.REGISTER,)),
    ((filestore.nfs_server_down,), "host", (steps.EXPORT,)),
    ((filestore.mount_missing, filestore.mount_stale), "host", (steps.MOUNT,)),
    ((balancer.balancer_down, balancer.certificate_unreadable), "host", (steps.BALANCE,)),
    ((balancer.balancer_member_missing, balancer.balancer_member_disabled), "host", (steps.BALANCE,)),
    ((groupware.multicast_route_missing,), "host", (steps.ROUTE,)),
    (_DAEMON_DOWN, "host", (steps.START,)),
]


def causes_with(others: Causes, product: Product) -> Causes:
    """Return the causes of all areas, with those of the databases' topology, and what keeps the nodes apart."""
    return Causes(
        {**others.hides, **HIDES},
        [*others.hides_drift, *HIDES_DRIFT, (_CACHES_APART, "anywhere", (product.join_operation,))],
    )


def without_consequences(findings: Sequence[Finding], known: Causes) -> list[Finding]:
    """Return the findings that none of the others is the cause of, each as bad as the worst of what it hides."""
    causes = [finding for finding in findings if not any(_hides(cause, finding, known) for cause in findings)]
    return [_as_bad_as_hidden(cause, findings, known) for cause in causes]


def without_explained_drift(observed: Observation, findings: Sequence[Finding], known: Causes) -> Observation:
    """Return the observation without what a deploy would do only because of what was found already."""
    seen = [
        replace(one, drift=[drift for drift in one.drift if not _is_explained(drift, one, findings, known)])
        for one in observed.seen.values()
    ]
    return Observation(observed.cluster, seen)


def _hides(cause: Finding, finding: Finding, known: Causes) -> bool:
    return any(
        hiding.matches(cause) and hidden.matches(finding) and _is_there(cause, where, finding.host, finding.about)
        for (hiding, hidden), where in known.hides.items()
    )


def _is_there(cause: Finding, where: Where, host: str, about: str = "") -> bool:
    places = {"host": {host}, "about": {about}, "either": {host, about}}
    return where == "anywhere" or cause.host in places[where]


def _as_bad_as_hidden(cause: Finding, findings: Sequence[Finding], known: Causes) -> Finding:
    level = max([cause.level, *(finding.level for finding in findings if _hides(cause, finding, known))])
    return cause.model_copy(update={"level": level})


def _is_explained(drift: Drift, seen: Seen, findings: Sequence[Finding], known: Causes) -> bool:
    if drift.step == steps.REGISTER and not _is_unusable(seen.registration):
        return False
    return any(
        (drift.step in explained or drift.step.operation in explained)
        and any(state.matches(finding) and _is_there(finding, where, seen.node.name) for state in states)
        for states, where, explained in known.hides_drift
        for finding in findings
    )


def _is_unusable(registration: Registration | None) -> bool:
    """Tell whether configdb could not be asked or is damaged, which is why nothing can be registered."""
    return registration is None or registration.state in (RegistrationState.NO_ACCESS, RegistrationState.DAMAGED)

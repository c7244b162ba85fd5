"""Causes hide their consequences: what is broken is reported as itself and nothing else.

- `HIDES`: which state hides which other one, and on which host it has to be. The master's server that is down, for
  instance, hides that slaves cannot read from it, and a mount that is missing hides the daemons that systemd stops
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
from ox_deploy.findings import Finding
from ox_deploy.products.base import Product
from ox_deploy.status import steps
from ox_deploy.status.seen import Drift, Seen
from ox_deploy.status.states.base import Observation
from ox_deploy.status.steps import Step
from ox_deploy.topologies.base import Causes, Where

# (cause, consequence) -> where the cause has to be. Those of the databases are their topology's.
HIDES: dict[tuple[str, str], Where] = {
    ("certificate unreadable", "site not served"): "host",
    ("host unreachable", "mount missing"): "about",
    ("host unreachable", "mount stale"): "about",
    ("NFS server down", "mount missing"): "about",
    ("NFS server down", "mount stale"): "about",
    ("mount missing", "admin daemon down"): "host",
    ("mount missing", "groupware daemon down"): "host",
    ("host unreachable", "balancer member in error"): "about",
    ("groupware daemon down", "balancer member in error"): "about",
    ("multicast route missing", "node alone"): "either",
    ("multicast route missing", "cache link missing"): "either",
    ("node alone", "cache link missing"): "either",
}

_DAEMON_DOWN = ("admin daemon down", "groupware daemon down")
_CACHES_APART = ("host unreachable", *_DAEMON_DOWN, "multicast route missing", "node alone", "cache link missing")

# (states, where one of them has to be, steps)
HIDES_DRIFT: list[tuple[tuple[str, ...], Where, tuple[Step, ...]]] = [
    (("configdb not reachable", "configdb damaged"), "host", (steps.REGISTER,)),
    (("NFS server down",), "host", (steps.EXPORT,)),
    (("mount missing", "mount stale"), "host", (steps.MOUNT,)),
    (("balancer down", "certificate unreadable"), "host", (steps.BALANCE,)),
    (("balancer member missing", "balancer member disabled"), "host", (steps.BALANCE,)),
    (("multicast route missing",), "host", (steps.ROUTE,)),
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
    where = known.hides.get((cause.state, finding.state))
    return where is not None and _is_there(cause, where, finding.host, finding.about)


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
        and any(finding.state in states and _is_there(finding, where, seen.node.name) for finding in findings)
        for states, where, explained in known.hides_drift
    )


def _is_unusable(registration: Registration | None) -> bool:
    """Tell whether configdb could not be asked or is damaged, which is why nothing can be registered."""
    return registration is None or registration.state in ("no access", "damaged")

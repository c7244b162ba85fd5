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
from typing import Literal

from ox_deploy.facts.openxchange import Registration
from ox_deploy.findings import Finding
from ox_deploy.status import steps
from ox_deploy.status.seen import Drift, Seen
from ox_deploy.status.states.base import Observation
from ox_deploy.status.steps import Step

Where = Literal["host", "about", "either", "anywhere"]

# (cause, consequence) -> where the cause has to be: on the host of the consequence, on the other host that the
# consequence is about, on either of them, or anywhere.
HIDES: dict[tuple[str, str], Where] = {
    ("master unreachable", "host unreachable"): "host",
    ("master unreachable", "slave stopped"): "about",
    ("master unreachable", "configdb not reachable"): "about",
    ("master switched", "master read-only"): "anywhere",
    ("master switched", "slave stopped"): "host",
    ("master switched", "slave writable"): "host",
    ("master switched", "errant transactions"): "host",
    ("slave of another master", "slave stopped"): "host",
    ("slave of another master", "slave lagging"): "host",
    ("slave of another master", "errant transactions"): "host",
    ("slave half seeded", "database server down"): "host",
    ("slave half seeded", "slave stopped"): "host",
    ("slave half seeded", "slave lagging"): "host",
    ("slave stopped", "slave lagging"): "host",
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
    (("master unreachable", "database server down"), "host", (steps.CONFIGURE_SERVER, steps.MAKE_ACCOUNTS)),
    (("master switched",), "anywhere", (steps.CHECK_ROLES, steps.CONFIGURE_SERVER, steps.REPLICATE)),
    (("slave half seeded",), "host", (steps.CONFIGURE_SERVER, steps.REPLICATE, steps.MAKE_ACCOUNTS)),
    (("slave writable",), "host", (steps.CONFIGURE_SERVER, steps.REPLICATE)),
    (("slave stopped", "slave of another master", "database server down"), "host", (steps.REPLICATE,)),
    (("master unreachable",), "anywhere", (steps.REPLICATE, steps.REGISTER)),
    (("configdb not reachable", "configdb damaged"), "host", (steps.REGISTER,)),
    (("NFS server down",), "host", (steps.EXPORT,)),
    (("mount missing", "mount stale"), "host", (steps.MOUNT,)),
    (("balancer down", "certificate unreadable"), "host", (steps.BALANCE,)),
    (("balancer member missing", "balancer member disabled"), "host", (steps.BALANCE,)),
    (("multicast route missing",), "host", (steps.ROUTE,)),
    (_DAEMON_DOWN, "host", (steps.START,)),
    (_CACHES_APART, "anywhere", (steps.JOIN_CACHES,)),
]


def without_consequences(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that none of the others is the cause of, each as bad as the worst of what it hides."""
    causes = [finding for finding in findings if not any(_hides(cause, finding) for cause in findings)]
    return [_as_bad_as_hidden(cause, findings) for cause in causes]


def without_explained_drift(observed: Observation, findings: Sequence[Finding]) -> Observation:
    """Return the observation without what a deploy would do only because of what was found already."""
    seen = [
        replace(one, drift=[drift for drift in one.drift if not _is_explained(drift, one, findings)])
        for one in observed.seen.values()
    ]
    return Observation(observed.cluster, seen)


def _hides(cause: Finding, finding: Finding) -> bool:
    where = HIDES.get((cause.state, finding.state))
    return where is not None and _is_there(cause, where, finding.host, finding.about)


def _is_there(cause: Finding, where: Where, host: str, about: str = "") -> bool:
    places = {"host": {host}, "about": {about}, "either": {host, about}}
    return where == "anywhere" or cause.host in places[where]


def _as_bad_as_hidden(cause: Finding, findings: Sequence[Finding]) -> Finding:
    level = max([cause.level, *(finding.level for finding in findings if _hides(cause, finding))])
    return cause.model_copy(update={"level": level})


def _is_explained(drift: Drift, seen: Seen, findings: Sequence[Finding]) -> bool:
    if drift.step == steps.REGISTER and not _is_unusable(drift, seen):
        return False
    return any(
        drift.step in explained
        and any(finding.state in states and _is_there(finding, where, seen.node.name) for finding in findings)
        for states, where, explained in HIDES_DRIFT
    )


def _is_unusable(drift: Drift, seen: Seen) -> bool:
    """Tell whether configdb could not be asked or is damaged; the operation says so only while it executes."""
    state = (seen.registration or Registration()).state
    return "cannot be asked" in drift.sentence or state in ("no access", "damaged")

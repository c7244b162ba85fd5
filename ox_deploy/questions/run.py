"""What is known of a run besides what pyinfra's `State` has: each `State` has one `Run`, which ends with it.

Nothing that changes while a run goes on is kept anywhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import gevent
from pyinfra.api import Host, State

from ox_deploy.questions.pyinfra_internals import current_state, kept_with

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster
    from ox_deploy.facts.hosts import HostStatus
    from ox_deploy.facts.verify import LoginTrial
    from ox_deploy.operations.verify.checks import Record
    from ox_deploy.preflight import Look, Subject
    from ox_deploy.questions.lease import Lease
    from ox_deploy.questions.prefetch import Call, KeptAnswers
    from ox_deploy.questions.question import Question
    from ox_deploy.secrets import Secrets

NotesT = TypeVar("NotesT")


@dataclass
class Run:
    """One run. What is noted for an operation that follows is by the name of its host, if nothing else is said."""

    # Tells it from all other runs.
    id: str = field(default_factory=lambda: uuid4().hex)
    # The clock by which answers go out of date.
    now: Callable[[], float] = time.monotonic

    # What inventory, settings and secrets files say, whose passwords are by the file's name.
    cluster: Cluster | None = None
    secrets: dict[str, Secrets] = field(default_factory=dict)
    # Whether all that is sent from this machine has been judged.
    are_inputs_checked: bool = False

    # What this run has of the lease of the cluster, None if it has not asked for it.
    lease: Lease | None = None
    # Whether all waits for hosts have an end: see bounds.
    is_watched: bool = False
    # What hosts are being asked just now because another one wants to know it.
    asking: dict[tuple[Host, Question[Any]], gevent.Greenlet[..., Any]] = field(default_factory=dict)
    # Hosts outside `--limit` that are being connected just now.
    connecting: dict[Host, gevent.Greenlet[[Host], Exception | None]] = field(default_factory=dict)

    # The operations that a deploy has for a host, what they are going to ask it, and what was answered: see prefetch.
    calls: dict[Host, list[Call]] = field(default_factory=dict)
    planned: dict[Host, list[Question[Any]]] = field(default_factory=dict)
    answers: dict[Host, KeptAnswers] = field(default_factory=dict)

    # Hosts that are being looked at, what `hosts.check` saw of each and what it found, all by their inventory names.
    subjects: dict[str, Subject] = field(default_factory=dict)
    looking: dict[str, gevent.Greenlet[..., None]] = field(default_factory=dict)
    looks: dict[str, Look] = field(default_factory=dict)
    obstacles: dict[str, list[str]] | None = None
    # Who looks at all hosts for the command that only checks, and all that stands in the way.
    checking: gevent.Greenlet[..., None] | None = None
    findings: list[str] = field(default_factory=list)
    # What `hosts.check` saw, for `hosts.prepare`.
    host_statuses: dict[str, HostStatus] = field(default_factory=dict)
    # The daemons that `openxchange.start` left to `openxchange.restart`.
    restarts: dict[str, list[str]] = field(default_factory=dict)

    # What the checks of verify found, in their order, and what their logins brought to light.
    records: list[Record] = field(default_factory=list)
    login_trials: dict[str, LoginTrial] = field(default_factory=dict)

    # What topologies and products note, by the classes they have for that: see `notes`.
    others: dict[type[Any], Any] = field(default_factory=dict)

    def notes(self, kind: type[NotesT]) -> NotesT:
        """Return what a topology or a product notes in an object of a class of its own, empty at first."""
        found: NotesT = self.others.setdefault(kind, kind())
        return found


def run_of(state: State) -> Run:
    """Return the run of a state of pyinfra."""
    return kept_with(state, Run)


def current_run() -> Run:
    """Return the run that is under way."""
    return run_of(current_state())

"""What a topology has to bring: how the database servers of a cluster stand to each other, and all that follows.

The chapters of deploy.py, verify and status know hosts that are database servers, who of them takes writes and who is
read from. All else is the topology's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ox_deploy.findings import Finding, NamedState

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node
    from ox_deploy.consistency import NodeLike
    from ox_deploy.ports import Port, Way
    from ox_deploy.secrets import Secrets
    from ox_deploy.status.seen import Seen
    from ox_deploy.status.snapshot import LinkKind
    from ox_deploy.status.states.base import Observation
    from ox_deploy.status.steps import Step

Operation = Callable[..., Any]
# Where a cause has to be: on the host of its consequence, on the other host that the consequence is about, on either of
# them, or anywhere.
Where = Literal["host", "about", "either", "anywhere"]


@dataclass(frozen=True)
class DatabaseCluster:
    """Database servers with the same data, as Open-Xchange uses them: who takes its writes, and who it reads from.

    That may be the same one. Each is registered by its name.
    """

    writer: Node
    reader: Node
    writer_name: str
    reader_name: str


class Roles(Protocol):
    """Who is a database server, and who does what, as the inventory says. Pure."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the groups of the inventory that have database servers."""

    @property
    def words(self) -> Mapping[str, str]:
        """Return what people call a host of each of these groups."""

    @property
    def reader_rule(self) -> str:
        """Return in words which host of the inventory Open-Xchange reads from."""

    @property
    def replication_sources(self) -> tuple[str, ...]:
        """Return those of these groups whose hosts the others replicate from."""

    def check(self, nodes: Sequence[NodeLike]) -> None:
        """Raise InputError unless the hosts can have these roles."""

    def servers(self, cluster: Cluster) -> tuple[Node, ...]:
        """Return all database servers."""

    def clusters(self, cluster: Cluster) -> Sequence[DatabaseCluster]:
        """Return how these are used; the first one has configdb."""


class StateFinder(Protocol):
    """Looks for a named state."""

    @property
    def name(self) -> str:
        """Return the state's name."""

    def findings(self, observed: Observation) -> Iterator[Finding]:
        """Return where it is found."""


@dataclass(frozen=True)
class LinkStates:
    """Which states concern a kind of arrow: those of the host it comes from, of its target, and of this pair.

    Each has the words that it adds to the arrow's text, "" where that tells it already. `unreachable` is what is
    added where one of the two hosts cannot be asked, which concerns all of its arrows.
    """

    source: Mapping[NamedState, str] = field(default_factory=dict)
    target: Mapping[NamedState, str] = field(default_factory=dict)
    pair: Mapping[NamedState, str] = field(default_factory=dict)
    unreachable: str = ""


@dataclass(frozen=True)
class Causes:
    """Which state hides which other one, and which steps of a deploy are explained by a state (see causes.py).

    An operation that only one chapter calls stands for its step.
    """

    hides: Mapping[tuple[NamedState, NamedState], Where] = field(default_factory=dict)
    hides_drift: Sequence[tuple[tuple[NamedState, ...], Where, tuple[Step | Operation, ...]]] = ()


class Topology(Protocol):
    """How the database servers stand to each other. The methods that are called by a deploy call operations."""

    @property
    def roles(self) -> Roles:
        """Return who is what."""

    @property
    def run_options(self) -> frozenset[str]:
        """Return what is asked for one run with `--data`; in the inventory or in group_data it would hold for ever."""

    @property
    def states(self) -> Sequence[StateFinder]:
        """Return what looks for the states of the database servers."""

    @property
    def causes(self) -> Causes:
        """Return what these states hide."""

    @property
    def links(self) -> Mapping[LinkKind, LinkStates]:
        """Return which of these states concern an arrow, by its kind."""

    def own_ports(self, cluster: Cluster, node: Node) -> Iterable[Port]:
        """Return the ports that a database server listens on."""

    def needed_ways(self, cluster: Cluster, node: Node, others: Sequence[Node]) -> Iterable[Way]:
        """Return which ports of the `others` any host connects to because they are database servers."""

    def check_passwords(self, cluster: Cluster, passwords: Secrets) -> None:
        """Raise InputError where a password of the database servers would not do."""

    def check_roles(self, cluster: Cluster) -> None:
        """Have a host refuse to go on if the servers have other roles than the inventory says."""

    def obstacles_ahead(self, cluster: Cluster, node: Node) -> Iterable[str]:
        """Return what would stand in the way of the commands that a deploy names when it refuses this host."""

    def set_up(self, cluster: Cluster, node: Node) -> None:
        """Configure one database server, make its accounts, and connect it with the others."""

    def verify(self, cluster: Cluster, node: Node, run: str) -> None:
        """Check one database server; `run` makes the name of what is made for a moment unique."""

    def expected(self, cluster: Cluster, node: Node) -> object:
        """Return what `states` find in `Seen.expected`: what a server should be, as far as files have to be read."""

    def details(self, observed: Observation, seen: Seen) -> Iterator[tuple[str, str]]:
        """Yield what is shown of a database server, as label and text."""

    def arrows(self, observed: Observation) -> Iterator[tuple[str, str, str]]:
        """Yield source, target and text of what is replicated."""

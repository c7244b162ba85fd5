"""What a product has to bring. Chapters, status and verify go through this, and know no product by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ox_deploy.operations.openxchange.configuration import WantedConfiguration
from ox_deploy.operations.openxchange.wanted import AdminCheck, ConfigdbLayout, SessionAddresses
from ox_deploy.secrets import Secret

if TYPE_CHECKING:
    # Which has a product itself.
    from ox_deploy.cluster import Cluster, Node
    from ox_deploy.ports import Port, Way
    from ox_deploy.settings import Settings


@dataclass(frozen=True)
class Accounts:
    """With whom Open-Xchange logs in: at configdb, and who administers it."""

    database_user: str
    database_password: Secret
    admin: str
    admin_password: Secret


@dataclass(frozen=True)
class Cache:
    """A cache, or another service by which nodes are connected with each other: its TCP port, and the daemon it is in.

    Each one of a node is connected with that of each other node, on this port at either side.
    """

    port: int
    service: str


@dataclass(frozen=True)
class Installer:
    """How oxinstaller is called: its arguments, those about a licence, which not every version knows, and files that
    it resets though an administrator may have changed them.
    """

    arguments: Sequence[str]
    license_arguments: Sequence[str]
    kept_files: Sequence[str]


@dataclass(frozen=True)
class Discovery:
    """How the nodes find each other by multicast: the network that is routed for it, and the group that they use."""

    network: str
    group: str


@dataclass(frozen=True)
class SiteValues:
    """What the Apache site of a product names: the certificate and its key on the host.

    `retry_seconds` is after how many seconds a balancer tries a node again that it could not reach.
    """

    certificate: str
    key: str
    retry_seconds: int


class Product(Protocol):
    """One generation of Open-Xchange: data, and what the settings make of it. Nothing is asked or changed here.

    But for `join`, which calls operations.
    """

    # --- settings: those of every cluster and its own, each with a default
    settings: type[Settings]

    # --- hosts
    groupware_packages: tuple[str, ...]
    gui_packages: tuple[str, ...]

    # --- databases: rights of Open-Xchange's account, as the vendor documents them
    database_privileges: frozenset[str]
    database_grant_option: bool

    # --- web: Apache's modules besides those of any site, and the balancer whose members are looked at
    apache_modules: tuple[str, ...]
    balancer: str

    # --- daemons, in the order in which they start, each with the port it listens on when it is up
    ports: Mapping[str, int]
    # Who takes the tools' orders, and who the users' requests; one daemon may do both.
    admin_service: str
    groupware_service: str
    # How the former is asked whether it answers.
    admin_check: AdminCheck
    # The program for the hosts that starts daemons and proves by a login that they work.
    start_program: str
    caches: Mapping[str, Cache]
    # What to do about a node whose caches are connected with no other, as status says it.
    node_alone_remedy: str
    # What to do about a node that lacks a connection with another one, as verify says it.
    not_connected_remedy: str
    # The operation that `join` calls.
    join_operation: Callable[..., Any]

    # --- configuration and registration
    configdb: ConfigdbLayout
    # The file with SERVER_NAME.
    system_file: str
    # What `--access-combination-name` knows.
    access_combinations: tuple[str, ...]

    # --- verify
    addresses: SessionAddresses
    # Where a node's route is set.
    route_key: str

    def find_fault(self, settings: Settings) -> str | None:
        """Return what is wrong with the settings of this product, or None."""
        ...

    def own_ports(self, settings: Settings) -> Iterable[Port]:
        """Return the ports that the daemons of a node listen on; those of `ports` and `caches` are among them."""
        ...

    def needed_ways(self, node: Node, groupware: Sequence[Node]) -> Iterable[Way]:
        """Return which ports of these groupware nodes a host connects to, be it a balancer or another node."""
        ...

    def site(self, cluster: Cluster, values: SiteValues) -> str:
        """Return the Apache site that balances sessions over the nodes."""
        ...

    def discovery(self, settings: Settings) -> Discovery | None:
        """Return how the nodes find each other, None if that is not by multicast."""
        ...

    def installer(self, cluster: Cluster, node: Node, accounts: Accounts) -> Installer:
        """Return how oxinstaller is called on a node."""
        ...

    def configuration(self, cluster: Cluster, node: Node, accounts: Accounts) -> WantedConfiguration:
        """Return a node's files as they should be."""
        ...

    def identity(self, cluster: Cluster, node: Node) -> Mapping[str, Mapping[str, str]]:
        """Return where a node's files have the cluster's server name and the node's route, for verify."""
        ...

    def join(self, cluster: Cluster, node: Node) -> None:
        """Wait until a node is connected with every other one, by `join_operation`."""
        ...

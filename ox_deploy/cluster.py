"""The typed description of the cluster, built once from inventory and group data. No I/O on any host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import ConfigDict, SkipValidation
from pyinfra.api import Host, Inventory

from ox_deploy import rules
from ox_deploy.consistency import (
    GROUP_DATA,
    INVENTORY,
    check_consistency,
    check_host_name,
    check_mysql_settings,
    check_product,
)
from ox_deploy.errors import InputError
from ox_deploy.mysql.servers import DATABASE_SERVERS, DatabaseServer
from ox_deploy.products import PRODUCTS
from ox_deploy.products.base import Product
from ox_deploy.questions.pyinfra_internals import data_of
from ox_deploy.questions.run import current_run
from ox_deploy.rules import Rule, between
from ox_deploy.settings import Context, Model, Settings, User, parse
from ox_deploy.topologies.base import DatabaseCluster, Roles, Topology
from ox_deploy.topologies.known import TOPOLOGIES, topology_in

__all__ = [
    "NODE_KEYS",
    "Cluster",
    "Context",
    "Node",
    "Settings",
    "User",
    "build_cluster",
    "cluster_of",
]

NODE_KEYS = {
    "hostname",
    "address",
    "route",
    "load_factor",
    "server_id",
    "mysql_settings",
    "mysql_option_file",
    "mysql_tls_certificate",
    "mysql_tls_key",
}
# Keys that pyinfra and its connectors read from the same data.
CONNECTOR_PREFIXES = ("_", "ssh_", "docker_", "dockerssh_", "podman_", "vagrant_", "lxd_")


class Node(Model):
    """One host of the cluster. `inventory_name` is what pyinfra calls it, `name` its plain host name."""

    inventory_name: str
    name: rules.HostName
    address: rules.Address
    groups: frozenset[str]
    route: rules.RouteName = None
    load_factor: Annotated[int, Rule("a whole number from 1 to 100", between(1, 100))] = 50
    server_id: Annotated[int | None, Rule("a whole number from 1 to 4294967295", between(1, 2**32 - 1))] = None
    mysql_settings: dict[str, str | int] = {}  # noqa: RUF012 - pydantic copies it
    mysql_option_file: rules.OptionFile = None
    mysql_tls_certificate: rules.OptionalFile = None
    mysql_tls_key: rules.OptionalFile = None


class Cluster(Model):
    """All that the chapters need to know, and nothing that has to be asked from a host."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    settings: Settings
    nodes: tuple[Node, ...]
    topology: Annotated[Topology, SkipValidation] = TOPOLOGIES[0]

    @property
    def roles(self) -> Roles:
        """Return who of the database servers does what."""
        return self.topology.roles

    @property
    def groups(self) -> tuple[str, ...]:
        """Return the groups of the inventory that have a meaning."""
        return groups_with(self.roles)

    def group(self, name: str) -> tuple[Node, ...]:
        """Return the nodes of a group in the order of the inventory."""
        return tuple(node for node in self.nodes if name in node.groups)

    def node_of(self, host: Host) -> Node:
        """Return the node that a pyinfra host stands for."""
        return next(node for node in self.nodes if node.inventory_name == host.name)

    @property
    def product(self) -> Product:
        """Return what is particular to the generation of Open-Xchange in use."""
        return PRODUCTS[self.settings.product]

    @property
    def database_server(self) -> DatabaseServer:
        """Return what is particular to the database server in use."""
        return DATABASE_SERVERS[self.settings.database_server]

    @property
    def web(self) -> tuple[Node, ...]:
        """Return the balancers."""
        return self.group("web")

    @property
    def groupware(self) -> tuple[Node, ...]:
        """Return the groupware nodes."""
        return self.group("groupware")

    @property
    def databases(self) -> tuple[Node, ...]:
        """Return all database servers."""
        return self.roles.servers(self)

    @property
    def database_clusters(self) -> Sequence[DatabaseCluster]:
        """Return how Open-Xchange uses the database servers."""
        return self.roles.clusters(self)

    @property
    def writer(self) -> Node:
        """Return the database server that takes the writes of configdb."""
        return self.database_clusters[0].writer

    @property
    def reader(self) -> Node:
        """Return the database server from which configdb is read."""
        return self.database_clusters[0].reader

    @property
    def filestore(self) -> Node | None:
        """Return the NFS server that is ours to set up: group `filestore`, or who takes writes as in the guide."""
        if self.settings.external_filestore:
            return None
        return (*self.group("filestore"), self.writer)[0]

    @property
    def filestore_source(self) -> str:
        """Return what the groupware nodes mount, as `host:/path`."""
        if self.settings.external_filestore:
            return self.settings.external_filestore
        assert self.filestore is not None
        return f"{self.filestore.address}:{self.settings.filestore_path}"

    def with_groups(self, names: Mapping[str, Sequence[str]]) -> Cluster:
        """Return the cluster with its hosts in other groups, in the order that an inventory with these would give."""
        nodes = {node.inventory_name: node for node in self.nodes}
        members = dict.fromkeys(name for group in self.groups for name in names[group])
        groups = {name: frozenset(group for group in self.groups if name in names[group]) for name in members}
        moved = tuple(nodes[name].model_copy(update={"groups": groups[name]}) for name in members)
        return self.model_copy(update={"nodes": moved})

    @property
    def makes_certificates(self) -> bool:
        """Tell whether the database servers make their own certificates."""
        return self.settings.replication_tls and self.settings.mysql_tls_ca is None

    @property
    def registrar(self) -> Node:
        """Return the groupware node on which the guide's "only on one of the nodes" steps are done."""
        return self.groupware[0]


def build_cluster(
    groups: Mapping[str, Sequence[str]],
    data: Mapping[str, Mapping[str, Any]],
    settings: Mapping[str, Any],
    origins: Mapping[str, Mapping[str, str]] | None = None,
    topology: Topology = TOPOLOGIES[0],
) -> Cluster:
    """Build and validate the cluster.

    + groups: names of the inventory's hosts by group
    + data: host data by name of the host, only the keys in `NODE_KEYS`
    + settings: the keys of group_data/all.py
    + origins: by name of the host and key, which file has it, where that is not the usual one
    + topology: how the database servers stand to each other

    Raises InputError with one sentence that names the key at fault and its file.
    """
    origins = origins or {}
    first = next(iter(origins.values()), {})
    files = {key: file for key, file in first.items() if key in settings}
    parsed = parse(settings_model(settings), dict(settings), GROUP_DATA, files)
    check_product(parsed, PRODUCTS[parsed.product], files)
    known = {group: groups.get(group, ()) for group in groups_with(topology.roles)}
    members = dict.fromkeys(name for names in known.values() for name in names)
    nodes = tuple(_build_node(name, known, data[name], origins.get(name, {})) for name in members)
    topology.roles.check(nodes)
    check_consistency(nodes, parsed, topology.roles.groups)
    return Cluster(settings=parsed, nodes=nodes, topology=topology)


def settings_model(values: Mapping[str, Any]) -> type[Settings]:
    """Return the settings that the product of these has; without a product that exists, those of any."""
    named = [product for name, product in PRODUCTS.items() if name == values.get("product")]
    return (*named, *PRODUCTS.values())[0].settings


def groups_with(roles: Roles) -> tuple[str, ...]:
    """Return the groups of an inventory whose database servers have these roles."""
    return ("web", "groupware", *roles.groups, "filestore")


def cluster_of(inventory: Inventory) -> Cluster:
    """Return the cluster that a pyinfra inventory describes; built once per run.

    Raises InputError as `build_cluster` does.
    """
    run = current_run()
    if run.cluster is None:
        run.cluster = _cluster_of(inventory)
    return run.cluster


def _cluster_of(inventory: Inventory) -> Cluster:
    topology = topology_in(group for group in inventory.groups if inventory.get_group(group))
    groups = {group: [host.name for host in inventory.get_group(group, [])] for group in groups_with(topology.roles)}
    if not any(groups.values()):
        raise InputError(f"{INVENTORY}: none of the groups {', '.join(groups)} has a host; add the hosts.")
    hosts = {name: inventory.get_host(name) for names in groups.values() for name in names}
    data = {name: data_of(host) for name, host in hosts.items()}
    given: Mapping[str, Any] = inventory.get_override_data()
    for name, values in data.items():
        _check_keys(name, values, topology.run_options & given.keys())
    settings = _common_settings(data)
    return build_cluster(groups, data, settings, {name: _origins(hosts[name]) for name in data}, topology)


def _origins(host: Host) -> dict[str, str]:
    """Return by key which file has it; pyinfra takes the first of these that does, and of groups the last."""
    inventory: Any = host.inventory
    places = [
        (inventory.get_override_data(), "--data"),
        (inventory.get_host_data(host.name), f"{INVENTORY}, host {host.name}"),
    ]
    places += [(inventory.get_group_data(group), f"group_data/{group}.py") for group in reversed(host.groups)]
    places.append((inventory.get_data(), GROUP_DATA))
    found: dict[str, str] = {}
    for values, place in places:
        for key in values:
            found.setdefault(key, place)
    return found


def _common_settings(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cluster's settings; all hosts have to have the same."""
    first = next(iter(data.values()))
    keys = settings_model(first).model_fields
    settings = {key: value for key, value in first.items() if key in keys}
    for name, values in data.items():
        for key in keys:
            here, there = values.get(key, "not set"), first.get(key, "not set")
            if here != there:
                raise InputError(
                    f"{rules.plain(name)}: `{key}` is {rules.shown(here)} here and {rules.shown(there)} on another "
                    "host; it applies to the whole cluster, so set it in group_data/all.py only."
                )
    return settings


def _check_keys(name: str, values: Mapping[str, Any], asked: Iterable[str]) -> None:
    known = NODE_KEYS | settings_model(values).model_fields.keys() | set(asked)
    for key in values:
        if key not in known and not key.startswith(CONNECTOR_PREFIXES):
            raise InputError(
                f"{rules.plain(name)}: `{rules.plain(key)}` is not a setting; remove it from the inventory or from "
                "group_data, or correct its spelling (group_data/all.py lists all of them)."
            )


def _build_node(
    name: str, groups: Mapping[str, Sequence[str]], data: Mapping[str, Any], origins: Mapping[str, str]
) -> Node:
    values = {key: value for key, value in data.items() if key in NODE_KEYS}
    where = f"{INVENTORY}, host {rules.plain(name)}"
    if "hostname" not in values:
        # Named as what it is: nobody set a `hostname`.
        check_host_name(name, where)
    values["inventory_name"] = name
    values["name"] = values.pop("hostname", name)
    values["groups"] = frozenset(group for group, names in groups.items() if name in names)
    check_mysql_settings(values.get("mysql_settings", {}), origins.get("mysql_settings", where))
    files = {key: file for key, file in origins.items() if key != "name"}
    return parse(Node, values, where, files, {"name": "hostname"})

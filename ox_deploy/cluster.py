"""The typed picture of the cluster, built once from inventory and group data. No I/O on any host."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory

from ox_deploy.database_servers import DATABASE_SERVERS, DatabaseServer
from ox_deploy.errors import InputError
from ox_deploy.products import PRODUCTS, Product

GROUPS = ("web", "groupware", "db_master", "db_slave", "filestore")
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
# What is asked for one run with `--data`; in the inventory or in group_data it would hold for ever.
RUN_OPTIONS = frozenset({"seed_slave", "seed_method", "overwrite_slave", "new_master", "accept_loss", "max_lag"})
# Keys that pyinfra and its connectors read from the same data.
CONNECTOR_PREFIXES = ("_", "ssh_", "docker_", "dockerssh_", "podman_", "vagrant_", "lxd_")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_ModelT = TypeVar("_ModelT", bound=_Model)


class User(_Model):
    """A groupware user that the deploy creates when it is missing."""

    name: Name
    display_name: str
    given_name: str
    sur_name: str
    email: Email


class Context(_Model):
    """A groupware context (a tenant) that the deploy creates when it is missing. `quota` is in MB."""

    id: Annotated[int, Field(ge=1)]
    name: Name
    admin: Name
    admin_display_name: str = "Context Admin"
    admin_email: Email
    quota: Annotated[int, Field(ge=0)] = 1024
    access: Name = "all"
    users: list[User] = []


class Settings(_Model):
    """What holds for the whole cluster; group_data/all.py explains each key."""

    product: Literal["ox6"] = "ox6"
    server_name: Name = "oxserver"
    secrets_file: str = "secrets.toml"

    ox_repository_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+/$")]
    ox_repository_key: str

    database_server: Literal["mariadb", "mysql"] = "mariadb"
    mysql_port: Port = 3306
    replication_by: Literal["gtid", "position"] = "gtid"
    remove_stale_accounts: bool = False
    replication_tls: bool = False
    mysql_tls_ca: str | None = None
    semi_synchronous: bool = False

    filestore_path: AbsolutePath = "/var/opt/filestore"
    filestore_uid: Annotated[int, Field(ge=100, le=65533)] = 1001
    filestore_gid: Annotated[int, Field(ge=100, le=65533)] = 1001
    nfs_server: Literal["kernel", "ganesha"] = "kernel"
    nfs_options: Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_,.=-]*$")] = (
        "rw,hard,nosuid,nodev,noatime,_netdev"
    )
    external_filestore: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:/\S+$")] | None = None

    web_name: Name
    web_certificate: str
    web_certificate_key: str

    server_memory: Annotated[int, Field(ge=64)] = 512
    license_key: Name | None = None
    contexts: list[Context] = []

    multicast_network: str = "224.0.0.0/8"
    cache_multicast_address: str = "224.0.0.1"
    cache_multicast_port: Port = 6780
    session_cache_multicast_port: Port = 6781

    @field_validator("multicast_network")
    @classmethod
    def _is_multicast_network(cls, value: str) -> str:
        if not ipaddress.IPv4Network(value).is_multicast:
            raise ValueError("should be a part of 224.0.0.0/4")
        return value

    @field_validator("cache_multicast_address")
    @classmethod
    def _is_multicast_address(cls, value: str) -> str:
        if not ipaddress.IPv4Address(value).is_multicast:
            raise ValueError("should be a multicast address such as 224.0.0.1")
        return value

    @model_validator(mode="after")
    def _has_route_for_discovery(self) -> Settings:
        if ipaddress.IPv4Address(self.cache_multicast_address) not in ipaddress.IPv4Network(self.multicast_network):
            raise ValueError("`cache_multicast_address` should lie in `multicast_network`")
        return self

    @field_validator("ox_repository_key", "web_certificate", "web_certificate_key", "mysql_tls_ca")
    @classmethod
    def _is_file(cls, value: str | None) -> str | None:
        return _existing_file(value)


def _existing_file(value: str | None) -> str | None:
    if value is not None and not Path(value).expanduser().is_file():
        raise ValueError("there is no such file on this machine")
    return value


class Node(_Model):
    """One host of the cluster. `inventory_name` is what pyinfra calls it, `name` its plain host name."""

    inventory_name: str
    name: Name
    address: str
    groups: frozenset[str]
    route: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    load_factor: Annotated[int, Field(ge=1, le=100)] = 50
    server_id: Annotated[int, Field(ge=1, le=4294967295)] | None = None
    mysql_settings: dict[str, str | int] = {}
    mysql_option_file: AbsolutePath | None = None
    mysql_tls_certificate: str | None = None
    mysql_tls_key: str | None = None

    @field_validator("mysql_tls_certificate", "mysql_tls_key")
    @classmethod
    def _is_file(cls, value: str | None) -> str | None:
        return _existing_file(value)

    @field_validator("address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        address = ipaddress.IPv4Address(value)
        if address.is_loopback or address.is_multicast or address.is_unspecified:
            raise ValueError("should be an address the other hosts reach this one at")
        return value


class Cluster(_Model):
    """All that the chapters need to know, and nothing that has to be asked from a host."""

    settings: Settings
    nodes: tuple[Node, ...]

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
    def master(self) -> Node:
        """Return the database master."""
        return self.group("db_master")[0]

    @property
    def slaves(self) -> tuple[Node, ...]:
        """Return the database slaves."""
        return self.group("db_slave")

    @property
    def databases(self) -> tuple[Node, ...]:
        """Return the master and the slaves."""
        return (self.master, *self.slaves)

    @property
    def read_database(self) -> Node:
        """Return the host OX reads from: the first slave, since configdb knows one slave per master."""
        return self.slaves[0] if self.slaves else self.master

    @property
    def filestore(self) -> Node | None:
        """Return the NFS server that is ours to set up: group `filestore`, or the master as in the guide."""
        if self.settings.external_filestore:
            return None
        return (*self.group("filestore"), self.master)[0]

    @property
    def filestore_source(self) -> str:
        """Return what the groupware nodes mount, as `host:/path`."""
        if self.settings.external_filestore:
            return self.settings.external_filestore
        assert self.filestore is not None
        return f"{self.filestore.address}:{self.settings.filestore_path}"

    def switched(self, new: Node, lost: bool = False) -> Cluster:
        """Return the cluster as it is with another master, which changes places with the old one.

        Where the old master is `lost`, it is no slave either. The filestore stays where it is.
        """
        old = self.master
        names = {group: [node.inventory_name for node in self.group(group)] for group in GROUPS}
        if self.filestore == old:
            names["filestore"] = [old.inventory_name]
        names["db_master"] = [new.inventory_name]
        others = [old if slave == new else slave for slave in self.slaves]
        names["db_slave"] = [node.inventory_name for node in others if not (lost and node == old)]
        return self.model_copy(update={"nodes": self._with_groups(names)})

    def _with_groups(self, names: Mapping[str, Sequence[str]]) -> tuple[Node, ...]:
        """Return the nodes in other groups, in the order that an inventory with these would give them."""
        nodes = {node.inventory_name: node for node in self.nodes}
        members = dict.fromkeys(name for group in GROUPS for name in names[group])
        groups = {name: frozenset(group for group in GROUPS if name in names[group]) for name in members}
        return tuple(nodes[name].model_copy(update={"groups": groups[name]}) for name in members)

    @property
    def makes_certificates(self) -> bool:
        """Tell whether the database servers make their own certificates."""
        return self.settings.replication_tls and self.settings.mysql_tls_ca is None

    @property
    def registrar(self) -> Node:
        """Return the groupware node on which the guide's "only on one of the nodes" steps are done."""
        return self.groupware[0]


def build_cluster(
    groups: Mapping[str, Sequence[str]], data: Mapping[str, Mapping[str, Any]], settings: Mapping[str, Any]
) -> Cluster:
    """Build and validate the cluster.

    + groups: names of the inventory's hosts by group
    + data: host data by name of the host, only the keys in `NODE_KEYS`
    + settings: the keys of group_data/all.py

    Raises InputError with one sentence that names the key at fault.
    """
    parsed = _parse(Settings, dict(settings), "group_data/all.py")
    members = [name for group in GROUPS for name in groups.get(group, ())]
    nodes = tuple(_build_node(name, groups, data[name]) for name in dict.fromkeys(members))
    _check_topology(nodes, parsed)
    _check_duplicates(nodes)
    _check_contexts(parsed.contexts)
    _check_certificates(nodes, parsed)
    return Cluster(settings=parsed, nodes=nodes)


def cluster_of(inventory: Inventory) -> Cluster:
    """Return the cluster that a pyinfra inventory describes; built once per run.

    Raises InputError as `build_cluster` does.
    """
    return _cluster_of(inventory)


@cache
def _cluster_of(inventory: Inventory) -> Cluster:
    groups = {group: [host.name for host in inventory.get_group(group, [])] for group in GROUPS}
    if not any(groups.values()):
        raise InputError(f"inventory: none of the groups {', '.join(GROUPS)} has a host; add the hosts.")
    hosts = {name: inventory.get_host(name) for names in groups.values() for name in names}
    data = {name: _data_of(host) for name, host in hosts.items()}
    for name, values in data.items():
        _check_keys(name, values, RUN_OPTIONS & inventory.override_data.keys())
    settings = _common_settings(data)
    return build_cluster(groups, data, settings)


def _common_settings(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the cluster's settings; all hosts have to have the same."""
    first = next(iter(data.values()))
    settings = {key: value for key, value in first.items() if key in Settings.model_fields}
    for name, values in data.items():
        for key in Settings.model_fields:
            here, there = values.get(key, "not set"), first.get(key, "not set")
            if here != there:
                raise InputError(
                    f"{name}: `{key}` is {here!r} here and {there!r} on another host; "
                    "it holds for the whole cluster, so set it in group_data/all.py only."
                )
    return settings


def _data_of(host: Host) -> dict[str, Any]:
    data: dict[str, Any] = host.data.dict()  # type: ignore[no-untyped-call]
    return data


def _check_keys(name: str, values: Iterable[str], asked: Iterable[str]) -> None:
    known = NODE_KEYS | Settings.model_fields.keys() | set(asked)
    for key in values:
        if key not in known and not key.startswith(CONNECTOR_PREFIXES):
            raise InputError(
                f"{name}: `{key}` is not a setting; remove it from the inventory or from group_data, "
                "or correct its spelling (group_data/all.py lists all of them)."
            )


def _build_node(name: str, groups: Mapping[str, Sequence[str]], data: Mapping[str, Any]) -> Node:
    values = {key: value for key, value in data.items() if key in NODE_KEYS}
    values["inventory_name"] = name
    values["name"] = values.pop("hostname", name)
    values["groups"] = frozenset(group for group in GROUPS if name in groups.get(group, ()))
    return _parse(Node, values, f"inventory, host {name}")


def _parse(model: type[_ModelT], values: dict[str, Any], where: str) -> _ModelT:
    try:
        return model(**values)
    except ValidationError as error:
        raise InputError(_sentence(error, where)) from None


def _sentence(error: ValidationError, where: str) -> str:
    """Say what is and what should be of the first thing that is wrong."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{where}: `{key}` is missing; add it."
    if first["type"] == "extra_forbidden":
        return f"{where}: `{key}` is not a setting; remove it or correct its spelling."
    wanted = first["msg"].removeprefix("Value error, ")
    if not key:
        return f"{where}: {wanted}."
    return f"{where}: `{key}` is {first['input']!r}, which is wrong: {wanted[:1].lower()}{wanted[1:]}."


def _check_topology(nodes: Sequence[Node], settings: Settings) -> None:
    masters = [node.name for node in nodes if "db_master" in node.groups]
    if len(masters) != 1:
        found = ", ".join(masters) or "none"
        raise InputError(f"inventory: group `db_master` has {found}; it should have exactly one host.")
    for group in ("web", "groupware"):
        if not any(group in node.groups for node in nodes):
            raise InputError(f"inventory: group `{group}` is empty; it should have at least one host.")
    filestores = [node.name for node in nodes if "filestore" in node.groups]
    if len(filestores) > 1:
        raise InputError(f"inventory: group `filestore` has {', '.join(filestores)}; it should have one host at most.")
    if filestores and settings.external_filestore:
        raise InputError(
            "group_data/all.py: `external_filestore` is set while the inventory has a group `filestore`; keep one."
        )
    for node in nodes:
        _check_roles(node)


def _check_roles(node: Node) -> None:
    if {"db_master", "db_slave"} <= node.groups:
        raise InputError(f"inventory, host {node.name}: it is in `db_master` and `db_slave`; keep one.")
    if "groupware" in node.groups and node.route is None:
        raise InputError(f"inventory, host {node.name}: `route` is missing; add one such as OX-1.")
    if node.groups & {"db_master", "db_slave"} and node.server_id is None:
        raise InputError(f"inventory, host {node.name}: `server_id` is missing; add a unique number.")


def _check_duplicates(nodes: Sequence[Node]) -> None:
    for key in ("name", "address", "route", "server_id"):
        for value, count in Counter(getattr(node, key) for node in nodes).items():
            if count > 1 and value is not None:
                names = ", ".join(node.inventory_name for node in nodes if getattr(node, key) == value)
                raise InputError(f"inventory: `{key}` {value} is used by {names}; it should be unique.")


def _check_contexts(contexts: Sequence[Context]) -> None:
    for key in ("id", "name"):
        for value, count in Counter(getattr(context, key) for context in contexts).items():
            if count > 1:
                raise InputError(f"group_data/all.py: `contexts` has {key} {value} {count} times; it should be unique.")
    for context in contexts:
        for name, count in Counter([context.admin, *(user.name for user in context.users)]).items():
            if count > 1:
                raise InputError(
                    f"group_data/all.py: `contexts` has user {name} {count} times in context {context.id}; "
                    "it should be unique."
                )


def _check_certificates(nodes: Sequence[Node], settings: Settings) -> None:
    """Have certificates given for all database servers or for none, since all have to trust each other."""
    given = {("group_data/all.py", "mysql_tls_ca"): settings.mysql_tls_ca}
    for node in nodes:
        if node.groups & {"db_master", "db_slave"}:
            given[f"inventory, host {node.name}", "mysql_tls_certificate"] = node.mysql_tls_certificate
            given[f"inventory, host {node.name}", "mysql_tls_key"] = node.mysql_tls_key
    if not any(given.values()):
        return
    for (where, key), value in given.items():
        if value is None:
            raise InputError(
                f"{where}: `{key}` is missing; add it, or leave out `mysql_tls_ca` and each host's "
                "`mysql_tls_certificate` and `mysql_tls_key` to have certificates made."
            )

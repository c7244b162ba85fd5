"""What hosts, groups and settings have to be together. No I/O on any host."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from ox_deploy import rules
from ox_deploy.errors import InputError
from ox_deploy.mysql import server_options
from ox_deploy.products.base import Product
from ox_deploy.settings import Settings, check_contexts

# How the files are called in what is said.
INVENTORY, GROUP_DATA = "inventory.py", "group_data/all.py"
# NFS, and the port that MySQL opens for its other protocol.
PORTS_IN_USE = frozenset({2049, 33060})


class NodeLike(Protocol):
    """What is looked at of a host."""

    @property
    def inventory_name(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def groups(self) -> frozenset[str]: ...
    @property
    def route(self) -> str | None: ...
    @property
    def server_id(self) -> int | None: ...
    @property
    def mysql_tls_certificate(self) -> str | None: ...
    @property
    def mysql_tls_key(self) -> str | None: ...


def check_host_name(name: str, where: str) -> None:
    """Raise InputError where pyinfra's name for a host is none that a host can have, and it was given no other."""
    problem = rules.host_name(name)
    if problem is not None:
        raise InputError(f"{where}: its name is not a valid host name; add a `hostname`: {rules.HOST_NAME_WORDS}.")


def check_mysql_settings(settings: Any, where: str) -> None:
    """Raise InputError where `mysql_settings` are none, or are ours to set."""
    if not isinstance(settings, dict) or not all(isinstance(key, str) for key in settings):
        raise InputError(
            f"{where}: `mysql_settings` is {rules.shown(settings)}; it should be a dict of option names and "
            'values, such as {"max_connections": 200}.'
        )
    fault = server_options.find_fault(settings)
    if fault:
        raise InputError(f"{where}: `mysql_settings`: {fault}.")


def check_product(settings: Settings, product: Product, origins: Mapping[str, str]) -> None:
    """Raise InputError unless the settings are those of a product; `origins` has other files than usual by key."""
    for number, context in enumerate(settings.contexts):
        if context.access not in product.access_combinations:
            where = origins.get("contexts", GROUP_DATA)
            raise InputError(
                f"{where}: `contexts.{number}.access` is {rules.shown(context.access)}; it should be one of "
                f"{', '.join(product.access_combinations)}."
            )
    fault = product.find_fault(settings)
    if fault:
        raise InputError(f"{GROUP_DATA}: {fault}.")
    taken = {port.number for port in product.own_ports(settings) if port.protocol == "tcp"}
    if settings.mysql_port in PORTS_IN_USE | taken:
        raise InputError(
            f"{GROUP_DATA}: `mysql_port` is {settings.mysql_port}, which another service of the cluster uses; choose "
            "another."
        )


def check_consistency(nodes: Sequence[NodeLike], settings: Settings, database_groups: Collection[str]) -> None:
    """Raise InputError unless hosts, groups and settings fit together; what the databases' roles need is theirs."""
    for group in ("web", "groupware"):
        if not any(group in node.groups for node in nodes):
            raise InputError(f"{INVENTORY}: group `{group}` is empty; it should have at least one host.")
    filestores = [node.name for node in nodes if "filestore" in node.groups]
    if len(filestores) > 1:
        raise InputError(
            f"{INVENTORY}: group `filestore` has {', '.join(filestores)}; it should have at most one host."
        )
    if filestores and settings.external_filestore:
        raise InputError(
            f"{GROUP_DATA}: `external_filestore` is set, but the inventory also has a group `filestore`; keep one."
        )
    for node in nodes:
        if "groupware" in node.groups and node.route is None:
            raise InputError(f"{INVENTORY}, host {node.name}: `route` is missing; add one such as OX-1.")
    _check_duplicates(nodes)
    check_contexts(settings.contexts)
    _check_certificates([node for node in nodes if not node.groups.isdisjoint(database_groups)], settings)


def _check_duplicates(nodes: Sequence[NodeLike]) -> None:
    for key, attribute in {
        "hostname": "name",
        "address": "address",
        "route": "route",
        "server_id": "server_id",
    }.items():
        users: dict[str, list[NodeLike]] = {}
        for node in nodes:
            value = getattr(node, attribute)
            if value is not None:
                # Names of hosts, and routes on their way through Apache's settings, are told apart by letters only.
                users.setdefault(str(value).lower(), []).append(node)
        for same in users.values():
            if len(same) > 1:
                names = ", ".join(node.inventory_name for node in same)
                value = getattr(same[0], attribute)
                raise InputError(f"{INVENTORY}: `{key}` {value} is used by {names}; it should be unique.")


def _check_certificates(servers: Sequence[NodeLike], settings: Settings) -> None:
    """Have certificates given for all database servers or for none, since all have to trust each other."""
    given = {(GROUP_DATA, "mysql_tls_ca"): settings.mysql_tls_ca}
    for node in servers:
        given[f"{INVENTORY}, host {node.name}", "mysql_tls_certificate"] = node.mysql_tls_certificate
        given[f"{INVENTORY}, host {node.name}", "mysql_tls_key"] = node.mysql_tls_key
    if not any(given.values()):
        return
    for (where, key), value in given.items():
        if value is None:
            raise InputError(
                f"{where}: `{key}` is missing; add it, or leave out `mysql_tls_ca` and each host's "
                "`mysql_tls_certificate` and `mysql_tls_key` to have certificates made."
            )

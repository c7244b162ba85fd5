"""Open-Xchange Server 6.10: two daemons, AJP, caches that find each other by multicast."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ox_deploy.operations.openxchange.configuration import WantedConfiguration
from ox_deploy.products.base import Accounts, Discovery, Installer, Product, SiteValues
from ox_deploy.products.ox6 import configuration, daemons, database, front_end, installer, jcs, mesh, packages, ports
from ox_deploy.products.ox6.settings import Ox6Settings, own

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster, Node
    from ox_deploy.ports import Port, Way
    from ox_deploy.settings import Settings


class Ox6(Product):
    """What the modules of this folder say, in the form that all products have."""

    settings = Ox6Settings
    groupware_packages = packages.GROUPWARE
    gui_packages = packages.GUI
    database_privileges = database.PRIVILEGES
    database_grant_option = True
    apache_modules = front_end.MODULES
    balancer = front_end.BALANCER
    ports = daemons.PORTS
    admin_service = daemons.ADMIN
    groupware_service = daemons.GROUPWARE
    admin_check = daemons.ADMIN_CHECK
    start_program = "ox6_start"
    caches = jcs.CACHES
    node_alone_remedy = jcs.NODE_ALONE_REMEDY
    not_connected_remedy = jcs.NOT_CONNECTED_REMEDY
    join_operation = staticmethod(mesh.join)
    configdb = database.CONFIGDB
    system_file = f"{configuration.FOLDER}/{configuration.SYSTEM}"
    access_combinations = database.ACCESS_COMBINATIONS
    addresses = front_end.ADDRESSES
    route_key = configuration.ROUTE_KEY

    def find_fault(self, settings: Settings) -> str | None:
        return jcs.find_fault(own(settings)) or front_end.find_fault(settings)

    def own_ports(self, settings: Settings) -> Iterable[Port]:
        return ports.own_ports(own(settings))

    def needed_ways(self, node: Node, groupware: Sequence[Node]) -> Iterable[Way]:
        return ports.needed_ways(node, groupware)

    def site(self, cluster: Cluster, values: SiteValues) -> str:
        return front_end.site(cluster, values)

    def discovery(self, settings: Settings) -> Discovery | None:
        return Discovery(own(settings).multicast_network, own(settings).cache_multicast_address)

    def installer(self, cluster: Cluster, node: Node, accounts: Accounts) -> Installer:
        return installer.installer(cluster, node, accounts)

    def configuration(self, cluster: Cluster, node: Node, accounts: Accounts) -> WantedConfiguration:
        return configuration.wanted(cluster, node, accounts)

    def identity(self, cluster: Cluster, node: Node) -> Mapping[str, Mapping[str, str]]:
        return configuration.identity(cluster, node)

    def join(self, cluster: Cluster, node: Node) -> None:
        jcs.join(cluster, node)

"""The steps of a deploy that the status knows: an operation, as a chapter calls it.

Those of the databases are their topology's; the one that waits until all nodes are connected is the product's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ox_deploy.deploys.chapters import Chapter
from ox_deploy.deploys.clustering import configure_multicast, start_cluster
from ox_deploy.deploys.filestore import set_up_filestore
from ox_deploy.deploys.hosts import prepare_hosts
from ox_deploy.deploys.openxchange import configure_open_xchange
from ox_deploy.deploys.web import set_up_balancer
from ox_deploy.operations import hosts, network, nfs, service
from ox_deploy.operations.openxchange import daemons, registration


@dataclass(frozen=True)
class Step:
    """An operation in a chapter. Several chapters may call the same one, and each gives it its own name."""

    chapter: Chapter
    operation: Callable[..., Any]


CHECK_HOST = Step(prepare_hosts, hosts.check)
EXPORT = Step(set_up_filestore, service.configure)
MOUNT = Step(set_up_filestore, nfs.mount)
BALANCE = Step(set_up_balancer, service.configure)
ROUTE = Step(configure_multicast, network.multicast_route)
REGISTER = Step(configure_open_xchange, registration.register)
START = Step(start_cluster, daemons.start)

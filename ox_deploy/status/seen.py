"""What was seen of each host of the cluster, as the facts gave it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ox_deploy.cluster import Node
from ox_deploy.facts.health import Health
from ox_deploy.facts.hosts import HostStatus
from ox_deploy.facts.mysql import MysqlStatus
from ox_deploy.facts.network import RouteStatus
from ox_deploy.facts.nfs import MountStatus
from ox_deploy.facts.openxchange import Configuration, Daemon, Registration
from ox_deploy.facts.preconditions import Preconditions
from ox_deploy.facts.service import ServiceStatus

if TYPE_CHECKING:
    from ox_deploy.status.steps import Step


@dataclass(frozen=True)
class Drift:
    """A step that a deploy would do something in, and its name there; `sentence` is why it would refuse, or ""."""

    step: Step
    name: str
    sentence: str = ""


@dataclass
class Seen:
    """One host. What its role does not have, and what could not be asked, is None or missing.

    `unreachable` says why it could not be asked at all, or is "". `between` is when it was asked and when it had
    answered, by this machine's clock. `services` has the files and units of a service by the service's name: host,
    mariadb, nfs, apache2. `expected` is what its topology wants of a database server.
    """

    node: Node
    unreachable: str = ""
    between: tuple[float, float] = (0, 0)
    host: HostStatus | None = None
    health: Health | None = None
    preconditions: Preconditions | None = None
    services: dict[str, ServiceStatus] = field(default_factory=dict)
    mysql: MysqlStatus | None = None
    expected: object = None
    mount: MountStatus | None = None
    route: RouteStatus | None = None
    configuration: Configuration | None = None
    daemons: dict[str, Daemon] | None = None
    caches: dict[str, list[int]] | None = None
    registration: Registration | None = None
    drift: list[Drift] = field(default_factory=list)

"""What tells whether a host is well, beyond what a deploy has to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ox_deploy.questions.lease import Holder
from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


class Disk(BaseModel, frozen=True):
    """The file system of a path; sizes in bytes, `free` is what users other than root can still write."""

    path: str
    size: int
    free: int


class BalancerMember(BaseModel, frozen=True):
    """A member of the balancer as Apache sees it now; `url` is such as `http://192.0.2.11:8080`.

    `disabled` is a person's doing (also drained, stopped), `error` is what the last request that went there found.
    """

    url: str
    route: str
    factor: int
    disabled: bool
    error: bool


class HeldLease(BaseModel, frozen=True):
    """Which run has the lease of a host, and for how many seconds if it does not renew it."""

    holder: Holder
    left: float


class Health(BaseModel, frozen=True):
    """One host. `time` is its clock in seconds since 1970, `lease` tells which run is at work there.

    `disks` lacks what did not answer, such as a dead NFS server. `certificate` is PEM, the server's own first, then its
    chain; None if there is no such file. `members` is None if Apache was not asked or, as `balancer_error` says, could
    not be. `site_error` says what is wrong with the site at the address that its users use.
    """

    time: float = 0
    lease: HeldLease | None = None
    disks: list[Disk] = []
    certificate: str | None = None
    members: list[BalancerMember] | None = None
    balancer_error: str = ""
    site_error: str = ""


class HostHealth(JsonFact[Health]):
    """Disks, the certificate in place, and what the balancer thinks of its members."""

    def command(
        self,
        disks: list[str],
        certificate: str | None = None,
        balancer: str | None = None,
        site: Mapping[str, str] | None = None,
        places: Sequence[str] = (),
        units: Sequence[str] = (),
        database: Mapping[str, str | None] | None = None,
    ) -> Program:
        """Ask for the file systems of `disks` (paths), the text of the file `certificate`, a balancer by name, and
        whether a `site` answers: the `file` with its virtual hosts, and the `address`.

        Besides, for all other file systems of `places` (paths), of the files that `units` of systemd write to, and of
        what a `database` server names; it has the `option_file` to log in with, which may be None.
        """
        asked = {"disks": disks, "certificate": certificate, "balancer": balancer, "site": site and dict(site)}
        return Program("host_health", asked | {"places": list(places), "units": list(units), "database": database})

    def parse(self, document: dict[str, Any]) -> Health:
        """Return the typed form."""
        return Health.model_validate(document)

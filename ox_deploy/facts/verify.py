"""What the tests of `verify` bring to light on a host.

`SharedFiles` leaves something on the host for a moment. What it makes, a later step takes away, and systemd does so
after two minutes if that step never comes.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact


class Trial(BaseModel, frozen=True):
    """What came of a test; `error` says why it could not be made."""

    error: str = "there is no Python on the host"


class SharedFile(BaseModel, frozen=True):
    """A file that could be read; `owner` is `uid:gid`."""

    owner: str
    text: str


class FilestoreTrial(Trial, frozen=True):
    """`files` are those that could be read, by the node that wrote them; `left` the nodes whose file stays."""

    files: dict[str, SharedFile] = {}
    left: list[str] = []


class SharedFiles(JsonFact[FilestoreTrial]):
    """A file of each node in the filestore. Has an effect: it makes this node's file and removes the next node's."""

    def command(
        self, step: Literal["write", "see", "remove"], path: str, run: str, node: str, nodes: list[str]
    ) -> Program:
        """Go through a step, on all nodes at the same time.

        + path: the mount point
        + run: makes the names of the files unique
        + node: the name of this node
        + nodes: the names of all that take part
        """
        return Program("verify_filestore", {"step": step, "path": path, "run": run, "node": node, "nodes": nodes})

    def parse(self, document: dict[str, Any]) -> FilestoreTrial:
        """Return the typed form."""
        return FilestoreTrial.model_validate(document)


class Mounted(BaseModel, frozen=True):
    """What is mounted."""

    source: str
    type: str


class MountTrial(Trial, frozen=True):
    """`mount` is None where nothing is mounted."""

    mount: Mounted | None = None


class MountPoint(JsonFact[MountTrial]):
    """What is mounted at a path, told without touching it."""

    def command(self, path: str, source: str = "") -> Program:
        """Ask for the mount point `path`; `source` is what should be mounted there."""
        return Program("verify_mount", {"path": path, "source": source})

    def parse(self, document: dict[str, Any]) -> MountTrial:
        """Return the typed form."""
        return MountTrial.model_validate(document)


class KernelRoute(BaseModel, frozen=True):
    """A route of the kernel's table; `network` as in `224.0.0.0/8`."""

    network: str
    interface: str


class RouteTrial(Trial, frozen=True):
    """The most specific `route`, None if there is none; `interface` has the node's address."""

    route: KernelRoute | None = None
    interface: str | None = None


class RouteToGroup(JsonFact[RouteTrial]):
    """The way of multicast out of this host."""

    def command(self, group: str, address: str) -> Program:
        """Ask for the route to the multicast address `group`, and for the interface with `address`."""
        return Program("verify_route", {"group": group, "address": address})

    def parse(self, document: dict[str, Any]) -> RouteTrial:
        """Return the typed form."""
        return RouteTrial.model_validate(document)


class RedirectTrial(Trial, frozen=True):
    """The answer to plain HTTP."""

    status: int = 0
    location: str = ""


class CertificateTrial(Trial, frozen=True):
    """Why the certificate that HTTPS shows is not accepted, or ""."""

    refused: str = ""


class BalancerTrial(Trial, frozen=True):
    """The routes in the balancer's configuration by the address of the member."""

    routes: dict[str, str] = {}


class FrontEnd(BaseModel, frozen=True):
    """What a web host answers without a login."""

    redirect: RedirectTrial = RedirectTrial()
    certificate: CertificateTrial = CertificateTrial()
    balancer: BalancerTrial = BalancerTrial()


class WebHost(JsonFact[FrontEnd]):
    """A web host, asked by itself at its own address."""

    def command(self, address: str, web_name: str, certificate: str, site: str) -> Program:
        """Ask for plain HTTP and HTTPS under `web_name`, with the files `certificate` and `site` on the host."""
        wanted = {"address": address, "web_name": web_name, "certificate": certificate, "site": site}
        return Program("verify_web", wanted)

    def parse(self, document: dict[str, Any]) -> FrontEnd:
        """Return the typed form."""
        return FrontEnd.model_validate(document)


class LoginTrial(Trial, frozen=True):
    """Logins by route, failed ones by what was said, and how many of the sessions' `requests` went to another node."""

    routes: dict[str, int] = {}
    failures: dict[str, int] = {}
    moved: int = 0
    requests: int = 0

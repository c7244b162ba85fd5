"""The web host: Apache speaks AJP with the nodes, and has the user interface below /ox6/."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ox_deploy.operations.openxchange.wanted import SessionAddresses
from ox_deploy.products.base import SiteValues
from ox_deploy.products.ox6.daemons import GROUPWARE, PORTS
from ox_deploy.templates import render

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster
    from ox_deploy.settings import Settings

MODULES = ("proxy_ajp",)
BALANCER = "oxcluster"
SCHEME, INTERFACE = "ajp", "ox6"
# What users and their programs need of the nodes: the guide's list, with 6.x's own servlets (its file
# servletmapping.properties) in the place of all of `/servlet`.
PATHS = (
    "ajax",
    "infostore",
    "publications",
    "Microsoft-Server-ActiveSync",
    *(
        f"servlet/webdav.{name}"
        for name in [
            "attachments",
            "calendar",
            "contacts",
            "folders",
            "freebusy",
            "groupuser",
            "ical",
            "infostore",
            "tasks",
            "vcard",
            "version",
        ]
    ),
)
# Provisioning by SOAP, which the web host itself may use.
LOCAL_PATHS = ("axis2", "servlet/axis2")
MANAGER = "balancer-manager"
ADDRESSES = SessionAddresses(
    login="/ajax/login?action=login",
    # Lists the documents of the folder that holds the infostore's folders, and has none itself. Any node asks for the
    # session before it looks at the rest.
    request="/ajax/infostore?action=all&folder=9&columns=1&session={}",
    logout="/ajax/login?action=logout&session={}",
)


def find_fault(settings: Settings) -> str | None:
    """Return why one of `web_paths` cannot be served, or None."""
    for path in settings.web_paths:
        if _is_within(path, (*LOCAL_PATHS, MANAGER)):
            return f"`web_paths` has {path}, which administers the cluster and is for the web host itself; leave it out"
        if _is_within(path, (INTERFACE,)):
            return f"`web_paths` has {path}, which is the user interface on the web host; leave it out"
    return None


def _is_within(path: str, folders: Sequence[str]) -> bool:
    # Nobody should wonder whether capitals matter.
    return any(f"{path}/".lower().startswith(f"/{folder}/") for folder in folders)


def site(cluster: Cluster, values: SiteValues) -> str:
    """Return Apache's site."""
    return render(
        "/etc/apache2/sites-available/00-open-xchange.conf",
        web_name=cluster.settings.web_name,
        certificate_path=values.certificate,
        key_path=values.key,
        members=cluster.groupware,
        scheme=SCHEME,
        port=PORTS[GROUPWARE],
        interface=INTERFACE,
        paths=list(dict.fromkeys([*PATHS, *(path.removeprefix("/") for path in cluster.settings.web_paths)])),
        local_paths=list(LOCAL_PATHS),
        manager=MANAGER,
        hsts_seconds=cluster.settings.hsts_seconds,
        retry=values.retry_seconds,
        balancer=BALANCER,
    )

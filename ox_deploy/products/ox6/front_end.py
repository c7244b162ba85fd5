"""The web host: Apache speaks AJP with the nodes, and has the user interface below /ox6/."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ox_deploy.operations.openxchange.wanted import SessionAddresses
from ox_deploy.products.base import SiteValues
from ox_deploy.products.ox6.daemons import GROUPWARE, PORTS
from ox_deploy.templates import render

if TYPE_CHECKING:
    from ox_deploy.cluster import Cluster

MODULES = ("proxy_ajp",)
BALANCER = "oxcluster"
SCHEME, INTERFACE = "ajp", "ox6"
PATHS = ("ajax", "servlet", "axis2", "infostore", "publications", "Microsoft-Server-ActiveSync")
ADDRESSES = SessionAddresses(
    login="/ajax/login?action=login",
    # Lists the documents of the folder that holds the infostore's folders, and has none itself. Any node asks for the
    # session before it looks at the rest.
    request="/ajax/infostore?action=all&folder=9&columns=1&session={}",
    logout="/ajax/login?action=logout&session={}",
)


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
        paths=PATHS,
        retry=values.retry_seconds,
        balancer=BALANCER,
    )

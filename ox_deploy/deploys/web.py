"""Guide: Session load balancing."""

from __future__ import annotations

from pyinfra import host, inventory
from pyinfra.api import deploy

from ox_deploy.certificate import check_pair
from ox_deploy.cluster import Cluster, cluster_of
from ox_deploy.local_files import GROUP_DATA, read_text
from ox_deploy.operations import service
from ox_deploy.operations.barrier import barrier
from ox_deploy.operations.service import ManagedFile
from ox_deploy.products.base import SiteValues

SITE = "/etc/apache2/sites-available/00-open-xchange.conf"
ENABLED_SITE = SITE.replace("sites-available", "sites-enabled")
CERTIFICATE = "/etc/ssl/certs/open-xchange.pem"
CERTIFICATE_KEY = "/etc/ssl/private/open-xchange.key"

# The guide's list, what Apache 2.4 wants for it (the balancing method, its shared memory, HTTPS), and limits for slow
# clients. The product has those by which Apache speaks with the nodes.
MODULES = [
    "deflate",
    "expires",
    "filter",
    "headers",
    "lbmethod_byrequests",
    "proxy",
    "proxy_balancer",
    "reqtimeout",
    "slotmem_shm",
    "socache_shmcb",
    "ssl",
]
# After how many seconds the balancer tries a node again that it could not reach (guide: retry=5).
RETRY_SECONDS = 5
MODULES_WITH_SETTINGS = {"deflate", "proxy", "proxy_balancer", "reqtimeout", "ssl"}


@deploy("Session load balancing")
def set_up_balancer() -> None:
    """Configure Apache as HTTPS front end and balancer of the groupware nodes.

    Idempotent.
    """
    barrier(name="The filestore is done")
    cluster = cluster_of(inventory)
    node = cluster.node_of(host)
    if "web" not in node.groups:
        return
    service.configure(
        name="Balance sessions over the groupware nodes",
        service="apache2",
        files=[*_module_links(cluster), *_certificate(cluster), *_site(cluster)],
        units=["apache2"],
        on_change="reload",
        check=["apachectl", "configtest"],
        # Apache's own test takes keys and chains that it dies of.
        probe=service.Probe(site=service.SiteProbe(ENABLED_SITE, node.address), logs=("/var/log/apache2/error.log",)),
        replaces={
            "apache": {
                "ours": [SITE, ENABLED_SITE],
                "port": cluster.product.ports[cluster.product.groupware_service],
                "nodes": [name for other in cluster.groupware for name in (other.address, other.name)],
            }
        },
    )


def _module_links(cluster: Cluster) -> list[ManagedFile]:
    """Return what `a2enmod` would link."""
    modules = sorted({*MODULES, *cluster.product.apache_modules})
    names = [f"{module}.load" for module in modules]
    names += [f"{module}.conf" for module in modules if module in MODULES_WITH_SETTINGS]
    links = {f"/etc/apache2/mods-enabled/{name}": f"../mods-available/{name}" for name in names}
    # Somebody may have made a file of a link, with settings of their own.
    return [ManagedFile(path, target=target, shared=True) for path, target in links.items()]


def _certificate(cluster: Cluster) -> list[ManagedFile]:
    certificate = read_text(cluster.settings.web_certificate, GROUP_DATA, "web_certificate")
    key = read_text(cluster.settings.web_certificate_key, GROUP_DATA, "web_certificate_key")
    # Apache's own test does not see that key and certificate differ, and would not start with them.
    check_pair(certificate, key)
    return [ManagedFile(CERTIFICATE, certificate), ManagedFile(CERTIFICATE_KEY, key, mode="0600")]


def _site(cluster: Cluster) -> list[ManagedFile]:
    text = cluster.product.site(cluster, SiteValues(CERTIFICATE, CERTIFICATE_KEY, RETRY_SECONDS))
    return [
        ManagedFile(SITE, text),
        ManagedFile(ENABLED_SITE, target="../sites-available/" + SITE.rsplit("/", 1)[1]),
    ]

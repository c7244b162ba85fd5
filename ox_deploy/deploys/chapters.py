"""The chapters of the guide, in their order.

deploy.py calls them, each on a line of its own: pyinfra orders operations by the lines of that file. What goes through
all chapters takes them from here.
"""

from __future__ import annotations

from collections.abc import Callable

from ox_deploy.deploys.clustering import configure_multicast, start_cluster
from ox_deploy.deploys.database import set_up_databases
from ox_deploy.deploys.filestore import set_up_filestore
from ox_deploy.deploys.hosts import prepare_hosts
from ox_deploy.deploys.inputs import check_inputs
from ox_deploy.deploys.openxchange import configure_open_xchange
from ox_deploy.deploys.web import set_up_balancer

Chapter = Callable[[], object]

CHAPTERS: tuple[Chapter, ...] = (
    check_inputs,
    prepare_hosts,
    set_up_databases,
    set_up_filestore,
    set_up_balancer,
    configure_multicast,
    configure_open_xchange,
    start_cluster,
)
# Those that ask hosts, or change them.
ON_HOSTS = tuple(chapter for chapter in CHAPTERS if chapter is not check_inputs)

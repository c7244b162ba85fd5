"""The guide "Load balancing and clustering", chapter by chapter: `pyinfra inventory.py deploy.py`."""

from ox_deploy.deploys.clustering import configure_multicast, start_cluster
from ox_deploy.deploys.database import set_up_databases
from ox_deploy.deploys.filestore import set_up_filestore
from ox_deploy.deploys.hosts import prepare_hosts
from ox_deploy.deploys.inputs import check_inputs
from ox_deploy.deploys.openxchange import configure_open_xchange
from ox_deploy.deploys.web import set_up_balancer

check_inputs()
prepare_hosts()
set_up_databases()
set_up_filestore()
set_up_balancer()
configure_multicast()
configure_open_xchange()
start_cluster()

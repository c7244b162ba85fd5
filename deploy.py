"""The guide "Load balancing and clustering", chapter by chapter: `pyinfra inventory.py deploy.py`."""

from ox_deploy.deploys.database import set_up_databases
from ox_deploy.deploys.hosts import prepare_hosts

prepare_hosts()
set_up_databases()

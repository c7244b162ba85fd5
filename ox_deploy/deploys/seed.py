"""Seeding of a slave: `pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave`."""

from ox_deploy.topologies.master_slaves.deploys.seed import seed

__all__ = ["seed"]

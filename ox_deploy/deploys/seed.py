"""Seeding of a replica: `pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave=dbslave`.

`ox_deploy.deploys.seed.restore` puts back what it had, if that failed.
"""

from ox_deploy.topologies.master_slaves.deploys.seed import restore, seed

__all__ = ["restore", "seed"]

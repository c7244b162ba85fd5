"""The lab as a pyinfra inventory: `pyinfra -y tests/lab/inventory.py deploy.py`. Needs no SSH."""

from tests.lab.hosts import docker_host, groups

# pyinfra takes every list as a group: `web`, `groupware`, `db_master`, `db_slave`, and each host's name.
globals().update(groups(docker_host))

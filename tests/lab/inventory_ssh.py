"""The lab as a pyinfra inventory, reached by SSH as a user with sudo rights, as real hosts are."""

from tests.lab.hosts import groups, ssh_host

# pyinfra takes every list as a group: `web`, `groupware`, `db_master`, `db_slave`, and each host's name.
globals().update(groups(ssh_host))

"""The lab by SSH, without the host that OXLAB_WITHOUT names."""

import os

from tests.lab.hosts import groups, ssh_host

_without = os.environ["OXLAB_WITHOUT"]
_groups = {name: [host for host in hosts if host[0] != _without] for name, hosts in groups(ssh_host).items()}
# pyinfra takes every list as a group.
globals().update({name: hosts for name, hosts in _groups.items() if hosts})

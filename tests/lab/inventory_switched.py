"""The lab by SSH, changed as a switch of the master says: OXLAB_MASTER has changed places with `dbmaster`."""

import os

from tests.lab.hosts import groups, ssh_host

_groups = groups(ssh_host)
_old, _new = _groups["db_master"][0], _groups[os.environ["OXLAB_MASTER"]][0]
_groups["db_slave"] = [_old if _host[0] == _new[0] else _host for _host in _groups["db_slave"]]
_groups["db_master"] = [_new]
# Where the master serves the filestore it still does so.
_groups.setdefault("filestore", [_old])
# pyinfra takes every list as a group.
globals().update(_groups)

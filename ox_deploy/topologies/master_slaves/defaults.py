"""Which collations a server should give to what does not say them, where the cluster's releases differ in that.

From 11.2 on, MariaDB maps a character set without a collation to another one than before, and tells its replicas. Older
ones do not understand that (seen with 10.11.19 as a replica of 11.8.9), so the same CREATE TABLE made two different
tables. Pure: nothing is asked.
"""

from __future__ import annotations

from collections.abc import Mapping

from ox_deploy.facts.mysql import MysqlStatus, ServerState
from ox_deploy.mysql.dialects import version_numbers
from ox_deploy.remote.mysql.defaults import COLLATIONS, NAMES


def wanted_defaults(name: str, master: str, servers: Mapping[str, MysqlStatus]) -> tuple[dict[str, str], bool] | None:
    """Return what a server should say, and whether it has to begin to; None if it is to stay as it is.

    + name, master: names of the server and of the master
    + servers: all that could be asked, by their names

    A master that has run keeps what it has, and its replicas follow it. If none has run, all follow the oldest.
    """
    known = {each: status for each, status in servers.items() if status.defaults}
    if name not in known or master not in known:
        return None
    are_new = all(status.state is not ServerState.RUNNING for status in servers.values())
    if name == master and not are_new:
        return None
    model = min(known, key=lambda each: version_numbers(known[each].defaults["version"])) if are_new else master
    own, wanted = known[name].defaults, {COLLATIONS: "", **known[model].defaults}
    says = {each: wanted[each] for each in NAMES if each in own and each in wanted}
    series = {version_numbers(status.defaults["version"])[:2] for status in known.values()}
    differs = any(own[each] != value for each, value in says.items())
    return says, differs and len(series) > 1


def not_understood(master: str, servers: Mapping[str, MysqlStatus]) -> list[str]:
    """Return the servers that do not understand the map of a master that has run."""
    status = servers.get(master)
    if status is None or status.state is not ServerState.RUNNING or not status.defaults.get(COLLATIONS):
        return []
    return [name for name, other in servers.items() if other.defaults and COLLATIONS not in other.defaults]

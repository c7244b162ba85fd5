"""Another master, as far as database servers are concerned: the rest is done by `ox_deploy.deploys.switchover`."""

from __future__ import annotations

from typing import Any

from pyinfra import host, inventory

from ox_deploy.cluster import Cluster, Node
from ox_deploy.deploys.hosts import check_reachable, end_run_on_failure, lease_for
from ox_deploy.errors import InputError
from ox_deploy.operations import lease, service
from ox_deploy.operations.barrier import barrier
from ox_deploy.operations.openxchange.node import WantedNode
from ox_deploy.questions import prefetch
from ox_deploy.remote.master_slaves.switch.fence import fence_text
from ox_deploy.topologies.master_slaves.deploys import database
from ox_deploy.topologies.master_slaves.operations import roles
from ox_deploy.topologies.master_slaves.operations import switchover as steps
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of, switched
from ox_deploy.topologies.master_slaves.switch_rules import inventory_change, server_of

MAX_LAG = 10
# What a run that switches the master is called by its lease.
SWITCHOVER, FAILOVER = SWITCHES = ("switchover to ", "failover to ")


def switchover(cluster: Cluster, node: Node, new: Node, wanted: WantedNode | None) -> Cluster:
    """Make a replica the master while the master lives; return the cluster as it is then.

    + wanted: what this host should be like before, if it is a groupware node
    """
    switch = _switch(cluster, new)
    end_run_on_failure()
    check_reachable()
    _check(cluster, node, switch, wanted)
    barrier(name="All hosts are ready")
    if node == master_of(cluster):
        steps.stop_writes(name=f"Stop writes on {switch.old.name}", switch=switch)
    barrier(name="The new master has everything")
    if node == new:
        steps.promote(name=f"Open {switch.new.name} for writes", switch=switch)
    barrier(name="The new master is open")
    return _complete(cluster, switched(cluster, new), node)


def failover(cluster: Cluster, node: Node, new: Node) -> Cluster:
    """Make a replica the master because the master is dead; return the cluster as it is then."""
    switch = _switch(cluster, new)
    end_run_on_failure()
    check_reachable(but=master_of(cluster).inventory_name)
    _check_survivors(cluster, node, switch)
    barrier(name="All replicas have been compared")
    if node == master_of(cluster):
        service.configure(
            name="Let its server start read-only",
            service=f"{cluster.database_server.unit}-fence",
            files=[service.ManagedFile(cluster.database_server.fence, fence_text("to", switch.new.name, True))],
        )
    if node == new:
        steps.promote(name=f"Open {switch.new.name} for writes", switch=switch, lost=True)
    barrier(name="The new master is open")
    return _complete(cluster, switched(cluster, new, lost=True), node)


def _check_survivors(cluster: Cluster, node: Node, switch: steps.Switch) -> None:
    slaves = [server_of(cluster, slave) for slave in slaves_of(cluster)]
    own = [server for server in slaves if server.inventory_name == node.inventory_name]
    for server in own:
        prefetch.plan(host, steps.status_question(server, []))
        prefetch.plan(host, steps.reach_question(switch.old))
    lease.look(name="Look at all hosts", **lease_for(cluster, node, FAILOVER + switch.new.name))
    barrier(name="All hosts have answered")
    if node == master_of(cluster):
        steps.check_dead(name="Look whether its server is dead", switch=switch)
    for server in own:
        steps.check_survivor(
            name="Compare what the replicas have",
            switch=switch,
            server=server,
            slaves=slaves,
            accept_loss=host.data.get("accept_loss"),
        )


def new_master(cluster: Cluster) -> Node:
    """Return the replica that `new_master` names.

    Raises InputError with one sentence if it names none.
    """
    name: Any = host.data.get("new_master")
    names = ", ".join(slave.name for slave in slaves_of(cluster)) or "none"
    if name is None:
        raise InputError(f"Say which replica becomes the master: `--data new_master=NAME`. The replicas are {names}.")
    found = [node for node in cluster.databases if name in (node.name, node.inventory_name)]
    if found == [master_of(cluster)]:
        raise InputError(f"inventory: {name} is in `db_master` already; deploy, which does the rest.")
    if not found:
        raise InputError(f"`new_master` is {name}, which is not a replica; the replicas are {names}.")
    return found[0]


def _switch(cluster: Cluster, new: Node) -> steps.Switch:
    return steps.Switch(
        server_of(cluster, master_of(cluster)),
        server_of(cluster, new),
        database.REPLICATION_USER,
        database.replication_password(cluster),
        cluster.database_server,
        database.trusted_by_slaves(cluster),
    )


def _check(cluster: Cluster, node: Node, switch: steps.Switch, wanted: WantedNode | None) -> None:
    """Have all looked at, on all hosts, before anything is changed."""
    for server in (switch.new, switch.old):
        prefetch.plan(inventory.get_host(server.inventory_name), steps.status_question(server, database.USERS))
    files = database.server_files(cluster, node)[:-1] if node in cluster.databases else []
    if files:
        prefetch.plan(host, service.question(cluster.database_server.unit, files))
        prefetch.plan(host, steps.status_question(server_of(cluster, node), database.USERS))
    for question in wanted.questions() if wanted else []:
        prefetch.plan(host, question)
    lease.look(name="Look at all hosts", **lease_for(cluster, node, SWITCHOVER + switch.new.name))
    barrier(name="All hosts have answered")
    if node in slaves_of(cluster):
        steps.catch_up(
            name="Let the replicas catch up with the master",
            switch=switch,
            server=server_of(cluster, node),
            max_lag=_max_lag(),
        )
    if files:
        steps.check_server(
            name="Check the database server",
            switch=switch,
            server=server_of(cluster, node),
            users=database.USERS,
            accounts=database.wanted_accounts(cluster),
            files=files,
            max_lag=_max_lag(),
            siblings=database.siblings(cluster, node),
        )
    if wanted:
        steps.check_node(name="Check the groupware node", switch=switch, users=database.USERS, wanted=wanted)


def _max_lag() -> float:
    value: Any = host.data.get("max_lag", MAX_LAG)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise InputError(f"`max_lag` is {value!r}; it should be a number of seconds.")
    return float(value)


def _complete(before: Cluster, after: Cluster, node: Node) -> Cluster:
    """Do what a deploy with the changed inventory would do, without restarting a database server."""
    if node.inventory_name in {other.inventory_name for other in after.nodes}:
        _give_role(after, after.node_of(host), master_of(before))
    barrier(name="The databases have their new roles")
    if node.inventory_name == master_of(after).inventory_name:
        steps.report(name="Say what is left to do", lines=_lines(before, after))
    return after


def _give_role(cluster: Cluster, node: Node, former: Node) -> None:
    if node not in cluster.databases:
        return
    roles.configure(
        name="Write the server's configuration for its new role",
        service_name=cluster.database_server.unit,
        files=database.server_files(cluster, node),
        check=cluster.database_server.check,
        read_only=node in slaves_of(cluster),
        switched=True,
        option_file=node.mysql_option_file,
    )
    if node in slaves_of(cluster):
        database.replicate(cluster, node, former)


def _lines(before: Cluster, after: Cluster) -> list[str]:
    return [
        f"{after.writer.name} is the master now. Change inventory.py before the next deploy, which refuses until then:",
        *(f"  - {change}" for change in inventory_change(before, after).split("; ")),
    ]

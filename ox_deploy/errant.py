"""Transactions that a slave has of its own, so that its data differs from its master's. Pure."""

from __future__ import annotations

from ox_deploy.facts.mysql import MysqlStatus


def own_transactions(slave: MysqlStatus, master: MysqlStatus) -> list[str]:
    """Return, in words, what the slave has in its binary log and did not get from its master."""
    errant = []
    for origin, number in slave.gtid_state.items():
        server_id = origin.rpartition("-")[2]
        if number <= master.gtid_state.get(origin, 0) or _comes_from_master(server_id, slave, master):
            continue
        own = ", its own" if server_id == slave.variables.get("server_id") else ""
        at_master = f"has {origin}-{master.gtid_state[origin]}" if origin in master.gtid_state else "has none"
        errant.append(f"up to {origin}-{number} of server id {server_id}{own} (the master {at_master})")
    return errant


def _comes_from_master(server_id: str, slave: MysqlStatus, master: MysqlStatus) -> bool:
    """Tell whether a server's transactions come by way of the master, so that the slave may have newer ones.

    The slave may be asked a moment after its master: what is ahead then is the master's own, or what the master
    replicates from elsewhere.
    """
    relays = master.replica is not None and master.replica.sql_running == "Yes"
    return server_id == master.variables.get("server_id") or (relays and server_id != slave.variables.get("server_id"))

"""Another master: `switchover` while the old one lives, `failover` when it is dead (docs/switchover.md)."""

from ox_deploy.topologies.master_slaves.deploys.switchover import failover, switchover

__all__ = ["failover", "switchover"]

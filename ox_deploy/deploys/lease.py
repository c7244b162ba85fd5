"""Ends the lease of a run that is dead: `pyinfra -y inventory.py ox_deploy.deploys.lease.release`."""

from __future__ import annotations

from pyinfra.api import deploy

from ox_deploy.operations import lease
from ox_deploy.questions import bounds
from ox_deploy.questions.pyinfra_internals import current_state


@deploy("Lease")
def release() -> None:
    """End the lease of the cluster on every host, whoever has it; nothing that this run orders is carried out later.

    Idempotent.
    """
    bounds.watch(current_state())
    lease.end(name="End the lease")

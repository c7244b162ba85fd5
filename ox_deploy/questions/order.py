"""An order to a host: what an operation yields to have something changed there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyinfra.api import Host, StringCommand

from ox_deploy.questions import lease
from ox_deploy.questions.program import SLACK_SECONDS, operation_command

# How long a host that lives may take for an order, and for the one before that, in seconds.
ORDER_SECONDS, LOCK_SECONDS = 900, 600
# For what starts, stops or restarts services, for which systemd has limits of its own; for an installation.
SERVICE_SECONDS, INSTALL_SECONDS = 4 * 3600, 2 * 3600
_LONGER = {
    "service_configure": SERVICE_SECONDS,
    "filestore_mount": SERVICE_SECONDS,
}


class Order(StringCommand):
    """The command of an order. When it is sent, no answer that was got ahead holds any longer: see bounds."""


def order(name: str, arguments: Mapping[str, Any], to: Host | None = None, seconds: int | None = None) -> Order:
    """Return the command of an operation: runs a program with `arguments`.

    + to: the host that gets it, if it is not the current one
    + seconds: how long it may take on a host that lives, not counting an earlier one that is waited for; None for what
      is usual

    On one host one such program runs at a time, and only for the run that has the lease.
    """
    seconds = seconds or _LONGER.get(name, ORDER_SECONDS)
    task = {
        "as": "order",
        "program": name,
        "arguments": arguments,
        "ticket": lease.ticket(to),
        "lock_seconds": LOCK_SECONDS,
        "seconds": seconds,
    }
    return operation_command(task, LOCK_SECONDS + seconds + SLACK_SECONDS, Order)


def checked(command: StringCommand) -> StringCommand:
    """Return a shell command of an operation for a host that may lack Python, for a run that has the lease only."""
    ticket = lease.ticket()
    if not ticket:
        return StringCommand(*command.bits, _timeout=INSTALL_SECONDS)
    number, run = map(str, ticket)
    return StringCommand(lease.command("check", run, number), "&&", command, _timeout=INSTALL_SECONDS)

"""The named states of slaves: what status and verify call a situation, some of them more than one."""

from __future__ import annotations

from ox_deploy.findings import NamedState

# Nobody is told of it.
HEALTHY = NamedState("slave healthy")
NOT_SET_UP = NamedState("slave not set up")
STOPPED = NamedState("slave stopped")
LOGIN_DIFFERS = NamedState("slave login differs")
ERRANT_TRANSACTIONS = NamedState("errant transactions")
HALF_SEEDED = NamedState("slave half seeded")
OF_ANOTHER_MASTER = NamedState("slave of another master")
DUPLICATE_SERVER_ID = NamedState("duplicate server id")
NO_BINARY_LOG = NamedState("no binary log")
REPLICATION_FILTERED = NamedState("replication filtered")
NAMED_CONNECTION = NamedState("named connection")
REPLICATION_RING = NamedState("replication ring")
OF_SEVERAL_MASTERS = NamedState("slave of several masters")
DELAYED = NamedState("slave delayed")
WRITABLE = NamedState("slave writable")
LAGGING = NamedState("slave lagging")

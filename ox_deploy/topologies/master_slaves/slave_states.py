"""The named states of replicas: what status and verify call a situation, some of them more than one."""

from __future__ import annotations

from ox_deploy.findings import NamedState

# Nobody is told of it.
HEALTHY = NamedState("replica healthy")
NOT_SET_UP = NamedState("replica not set up")
STOPPED = NamedState("replica stopped")
LOGIN_DIFFERS = NamedState("replica login differs")
ERRANT_TRANSACTIONS = NamedState("errant transactions")
HALF_SEEDED = NamedState("replica half seeded")
OF_ANOTHER_MASTER = NamedState("replica of another master")
DUPLICATE_SERVER_ID = NamedState("duplicate server id")
NO_BINARY_LOG = NamedState("no binary log")
REPLICATION_FILTERED = NamedState("replication filtered")
NAMED_CONNECTION = NamedState("named connection")
REPLICATION_RING = NamedState("replication ring")
OF_SEVERAL_MASTERS = NamedState("replica of several masters")
DELAYED = NamedState("replica delayed")
WRITABLE = NamedState("replica writable")
LAGGING = NamedState("replica lagging")

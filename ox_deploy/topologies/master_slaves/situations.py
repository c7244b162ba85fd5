"""The situations that a replica can be in, as one table: its name, how bad it is, what should be, and the remedy."""

from __future__ import annotations

from enum import Enum

from ox_deploy.findings import Level, NamedState
from ox_deploy.topologies.master_slaves import slave_states

SEED = "pyinfra -y inventory.py ox_deploy.deploys.seed.seed --data seed_slave={name}"
OVERWRITE = SEED + " --data overwrite_slave={name}"
# So begins the remedy of all that a deploy puts right by itself.
DEPLOY_WHICH = "run the deploy, which "
REPLICATES = "it replicates from {source}"
OWN_ID = "each database server has a server id of its own"


class Situation(Enum):
    """What a replica is like, seen together with its master.

    `state` is what status and verify call it, shared by situations of one kind, and `level` how bad that is while the
    replica replicates. `is_so` is what is, in words that follow the replica's name, `should` what should be, and
    `remedy` what to do. A server's own words, and names, stand where there are braces, see diagnosis.py.
    """

    HEALTHY = slave_states.HEALTHY, Level.FINE, "replicates", ""
    FRESH = (
        slave_states.NOT_SET_UP,
        Level.CRITICAL,
        "is empty and the master's binary log holds everything",
        DEPLOY_WHICH + "starts replication from the first transaction",
    )
    FRESH_PAIR = (
        slave_states.NOT_SET_UP,
        Level.CRITICAL,
        "is empty and so is the master",
        DEPLOY_WHICH + "starts replication",
    )
    FORMER_MASTER = (
        slave_states.NOT_SET_UP,
        Level.CRITICAL,
        "was the master, and has nothing that the master lacks",
        DEPLOY_WHICH + "lets it follow the master",
    )
    NEEDS_SEED = (
        slave_states.NOT_SET_UP,
        Level.CRITICAL,
        "is empty while the master has data that its binary log no longer holds",
        f"seed it (`{SEED}`)",
    )
    DIVERGED = (
        slave_states.NOT_SET_UP,
        Level.CRITICAL,
        "was the master, and has transactions that the master lacks",
        f"inspect them there with `{{reader}}`, repeat on the master what is needed, then seed it (`{OVERWRITE}`)",
    )
    HAS_DATA = (
        slave_states.NOT_SET_UP,
        Level.CRITICAL,
        "has databases of its own but does not replicate",
        f"take it out of `db_slave`, or replace all its data with the master's (`{OVERWRITE}`)",
    )
    NOT_SET_UP = (
        slave_states.NOT_SET_UP,
        Level.CRITICAL,
        "does not replicate, and its master cannot be asked",
        "make the master reachable, then run the deploy",
    )
    CAN_CATCH_UP = (
        slave_states.STOPPED,
        Level.CRITICAL,
        "is stopped, and its master still has all that it lacks",
        DEPLOY_WHICH + "starts it, or says what keeps it from its master",
    )
    STOPPED = (
        slave_states.STOPPED,
        Level.CRITICAL,
        "is stopped, and its master cannot be asked",
        "make the master reachable, then run the deploy",
    )
    BROKEN = (
        slave_states.STOPPED,
        Level.CRITICAL,
        "stopped with an error",
        f"fix what the error names, then run `{{start}}`, or seed it (`{OVERWRITE}`)",
    )
    PURGED = (
        slave_states.STOPPED,
        Level.CRITICAL,
        "lacks what its master's binary log no longer holds",
        f"seed it (`{OVERWRITE}`)",
    )
    UNKNOWN = (
        slave_states.STOPPED,
        Level.CRITICAL,
        "is in an unknown state",
        "look at `{show}` there",
    )
    OTHER_PASSWORD = (
        slave_states.LOGIN_DIFFERS,
        Level.WARNING,
        "logs in to the master with a different password",
        DEPLOY_WHICH + "gives it the right one",
    )
    ERRANT = (
        slave_states.ERRANT_TRANSACTIONS,
        Level.WARNING,
        "has transactions that its master does not have",
        "inspect them with `{reader}` there; undo them (with `SET sql_log_bin = 0`) or repeat them on the master, then "
        "{settle}, or seed it "
        f"(`{OVERWRITE}`)",
        "all that is in its binary log came from the master",
    )
    HALF_SEEDED = (
        slave_states.HALF_SEEDED,
        Level.CRITICAL,
        "is half seeded",
        f"wait until its seeding ends (`systemctl status ox-seed` there), or seed it again (`{SEED}`)",
        "it has all of its master's data",
    )
    MOVED = (
        slave_states.OF_ANOTHER_MASTER,
        Level.CRITICAL,
        "replicates from another database host of the cluster",
        DEPLOY_WHICH + "moves it to the master",
    )
    OTHER_MASTER = (
        slave_states.OF_ANOTHER_MASTER,
        Level.CRITICAL,
        "replicates from another master",
        f"correct `db_master`, or run `{{forget}}` there and seed it (`{OVERWRITE}`)",
    )
    SAME_SERVER_ID = (
        slave_states.DUPLICATE_SERVER_ID,
        Level.CRITICAL,
        "has the server id of its master",
        "give the host a `server_id` of its own and deploy it",
        OWN_ID,
    )
    SAME_SERVER_UUID = (
        slave_states.DUPLICATE_SERVER_ID,
        Level.CRITICAL,
        "has the server_uuid of its master",
        "remove `auto.cnf` from its data directory, restart its server and deploy",
        OWN_ID,
    )
    SAME_SERVER_ID_AS_SLAVE = (
        slave_states.DUPLICATE_SERVER_ID,
        Level.CRITICAL,
        "has the server id of another replica",
        "give each a `server_id` of its own in the inventory, restart their servers and deploy them",
        OWN_ID,
    )
    NO_BINARY_LOG = (
        slave_states.NO_BINARY_LOG,
        Level.CRITICAL,
        "has a master that writes no binary log",
        "deploy the master first",
        "the master writes a binary log",
    )
    FILTERED = (
        slave_states.REPLICATION_FILTERED,
        Level.CRITICAL,
        "does not get all that its master writes",
        "take the filter out of that server's options and restart it; to get the missing rows, seed it "
        f"(`{OVERWRITE}`)",
        "no option keeps databases or tables out of the binary log or out of the replica",
    )
    NAMED = (
        slave_states.NAMED_CONNECTION,
        Level.WARNING,
        "replicates from its master by a named connection",
        DEPLOY_WHICH + "makes it the default one, at the same place",
        "it replicates from {source} by the default connection",
    )
    NAMED_STUCK = (
        slave_states.NAMED_CONNECTION,
        Level.WARNING,
        "replicates from its master by a named connection that cannot be made the default one yet",
        "fix the cause shown, start it (`{start_named}`), wait until it has caught up, then deploy",
        "it replicates from {source} by the default connection",
    )
    RING = (
        slave_states.REPLICATION_RING,
        Level.CRITICAL,
        "and its master replicate from each other",
        "run `{forget_master}` on {master}; {name} stays its replica",
        "only the replica replicates",
    )
    RING_TURNED = (
        slave_states.REPLICATION_RING,
        Level.CRITICAL,
        "and its master replicate from each other, and it is the one that takes writes",
        "run `{forget}` on {name}, and make it `db_master` in the inventory; {master} stays its replica",
        "only the replica replicates",
    )
    # Beside one of the others.
    SEVERAL = (
        slave_states.OF_SEVERAL_MASTERS,
        Level.WARNING,
        "replicates from other masters, too",
        "run `{forget_other}` there if their data is not needed; if it is, have another server replicate it",
        "it replicates from {source} only",
    )
    DELAYED = (
        slave_states.DELAYED,
        Level.WARNING,
        "applies changes with a deliberate delay",
        "run `{undelay}` there: Open-Xchange would read stale data; a replica for backups should not be in `db_slave`",
        "it applies what it receives at once",
    )
    WRITABLE = (
        slave_states.WRITABLE,
        Level.CRITICAL,
        "takes writes although it is a replica",
        DEPLOY_WHICH + "makes it read-only again; find out what was written there meanwhile",
        "read_only is ON",
    )
    LAGGING = (
        slave_states.LAGGING,
        Level.WARNING,
        "is too far behind its master",
        "wait, or find out what holds it up (`SHOW PROCESSLIST` there, the load of its disk)",
        "it is at most {seconds} s behind",
    )

    def __init__(self, state: NamedState, level: Level, is_so: str, remedy: str, should: str = REPLICATES) -> None:
        self.state = state
        self.level = level
        self.is_so = is_so
        self.remedy = remedy
        self.should = should


# A replica is in one of the others.
ADDITIONAL = {Situation.SEVERAL, Situation.DELAYED, Situation.WRITABLE, Situation.LAGGING}
# All that is left is a seeding, also of one that has data.
SEEDED = {
    Situation.NEEDS_SEED,
    Situation.DIVERGED,
    Situation.HAS_DATA,
    Situation.PURGED,
    Situation.HALF_SEEDED,
}
# What a deploy puts right by itself; of the rest it refuses what is not healthy.
FIXED_BY_DEPLOY = {
    Situation.FRESH,
    Situation.FRESH_PAIR,
    Situation.FORMER_MASTER,
    Situation.CAN_CATCH_UP,
    Situation.OTHER_PASSWORD,
    Situation.MOVED,
    Situation.NAMED,
    Situation.WRITABLE,
}

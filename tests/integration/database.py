"""The lab's database servers, whichever they are. Statements are written in MariaDB's words, and said in theirs."""

from __future__ import annotations

import shlex

from ox_deploy.mysql.servers import DATABASE_SERVERS, DatabaseServer
from tests.lab import state
from tests.lab.nodes import run

# What the lab's MySQL calls it.
WORDS = {
    "CHANGE MASTER TO": "CHANGE REPLICATION SOURCE TO",
    "MASTER_SSL": "SOURCE_SSL",
    "SHOW MASTER STATUS": "SHOW BINARY LOG STATUS",
    "RESET MASTER": "RESET BINARY LOGS AND GTIDS",
    "START SLAVE": "START REPLICA",
    "STOP SLAVE": "STOP REPLICA",
    "RESET SLAVE": "RESET REPLICA",
    "SHOW SLAVE STATUS": "SHOW REPLICA STATUS",
    "MASTER_POS_WAIT": "SOURCE_POS_WAIT",
    "MASTER_GTID_WAIT": "WAIT_FOR_EXECUTED_GTID_SET",
    "@@gtid_binlog_pos": "@@gtid_executed",
    "rpl_semi_sync_slave": "rpl_semi_sync_replica",
    "Rpl_semi_sync_slave": "Rpl_semi_sync_replica",
    "Rpl_semi_sync_master": "Rpl_semi_sync_source",
    "FLUSH NO_WRITE_TO_BINLOG SSL": "ALTER INSTANCE RELOAD TLS",
}
COLUMNS = {"Source_": "Master_", "_Source": "_Master", "Replica_": "Slave_"}


def is_mariadb() -> bool:
    return state.load().database_server == "mariadb"


def kind() -> DatabaseServer:
    return DATABASE_SERVERS[state.load().database_server]


def said(statement: str) -> str:
    """Return a statement in the words of the lab's servers."""
    if not is_mariadb():
        for word, its in WORDS.items():
            statement = statement.replace(word, its)
    return statement


def sql(node: str, statement: str, *options: str) -> str:
    """Run statements as root; return what they show, without titles."""
    return run(node, [kind().client, "-N", *options, "-e", said(statement)]).strip()


def shell(statement: str, option: str = "-N") -> str:
    """Return the line of a shell that runs statements as root, and shows their answers without titles."""
    return shlex.join([kind().client, option, "-e", said(statement)])


def replica(slave: str = "dbslave") -> dict[str, str]:
    """Return what SHOW SLAVE STATUS says, with MariaDB's names; {} if it does not replicate."""
    lines = run(slave, [kind().client, "-E", "-e", said("SHOW SLAVE STATUS")]).splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {_ours(name.strip()): value.strip() for name, _, value in pairs}


def _ours(name: str) -> str:
    for its, own in COLUMNS.items():
        name = name.replace(its, own)
    return name


def uses_gtid(slave: str = "dbslave") -> bool:
    status = replica(slave)
    return status["Using_Gtid"] == "Slave_Pos" if is_mariadb() else status["Auto_Position"] == "1"


def position(master: str) -> str:
    """Return the GTIDs of what a server has written."""
    return sql(master, "SELECT @@gtid_binlog_pos").replace("\\n", "").replace("\n", "")


def has(slave: str, gtids: str, seconds: int = 30) -> bool:
    """Wait until a server has transactions; tell whether they came."""
    return sql(slave, f"SELECT MASTER_GTID_WAIT('{gtids}', {seconds})") == "0"


def forget_own(slave: str, master: str) -> None:
    """Let a replica forget the transactions that its master does not have."""
    if is_mariadb():
        sql(slave, "STOP SLAVE; RESET MASTER; START SLAVE")
        return
    own = f"GTID_SUBTRACT(@@gtid_executed, '{position(master)}')"
    had = sql(slave, f"STOP SLAVE; SELECT GTID_SUBTRACT(@@gtid_executed, {own})").replace("\\n", "")
    sql(slave, f"RESET MASTER; SET GLOBAL gtid_purged = '{had}'; START SLAVE")

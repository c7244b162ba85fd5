"""What MariaDB and MySQL call things, by version, as one table: statements, functions, variables, columns.

Hosts get it with the programs that talk to a server, so it imports nothing but Python's standard library.
"""

from __future__ import annotations

from typing import Any

# What is decided in a switch of the master is there before it is done: what a server is if it is started meanwhile, and
# to whom it hands over or from whom it takes over. Read after our configuration; gone once that says the same.
FENCES = {
    "MariaDB": "/etc/mysql/mariadb.conf.d/95-ox-deploy-switch.cnf",
    "MySQL": "/etc/mysql/mysql.conf.d/zzz-ox-deploy-switch.cnf",
}
# How a server's logs are called; written once. Before our configuration, which has all the rest.
LOGS = {
    "MariaDB": "/etc/mysql/mariadb.conf.d/89-ox-deploy-logs.cnf",
    "MySQL": "/etc/mysql/mysql.conf.d/zz-ox-deploy-logs.cnf",
}
# Our configuration.
CONFIGURATIONS = {
    "MariaDB": "/etc/mysql/mariadb.conf.d/90-ox-deploy.cnf",
    # The package's own file is `mysqld.cnf`.
    "MySQL": "/etc/mysql/mysql.conf.d/zz-ox-deploy.cnf",
}

# Each entry holds from its version on, until a later one says otherwise. The first one of each server has all keys.
DIALECTS: list[tuple[str, tuple[int, ...], dict[str, Any]]] = [
    (
        "MariaDB",
        (0,),
        {
            # START, STOP, SHOW, RESET.
            "replica": "SLAVE",
            # Clauses of `change_source`, and of START ... UNTIL.
            "source": "MASTER",
            "change_source": "CHANGE MASTER TO",
            "by_gtid": {True: "MASTER_USE_GTID = slave_pos", False: "MASTER_USE_GTID = no"},
            # So that a password may be asked for on an unencrypted connection, and so that no attempt is the last one.
            "more_clauses": "",
            "show_log": "SHOW MASTER STATUS",
            "show_replicas": "SHOW SLAVE HOSTS",
            # All that there are, also those with a name.
            "show_connections": "SHOW ALL SLAVES STATUS",
            "connection": "Connection_name",
            # Variable: how many threads apply.
            "parallel": "slave_parallel_threads",
            # What lists the filters of a replica, also of one to be; "" where variables do.
            "filters": "",
            "stop_named": "STOP {replica} %s",
            "start_named": "START {replica} %s",
            "reset_named": "RESET {replica} %s ALL",
            "undelay_named": "CHANGE MASTER %s TO MASTER_DELAY = 0",
            # The accounts of some users, with `account_locked`.
            "accounts": "SELECT {columns} FROM mysql.user LEFT JOIN "
            "(SELECT Host, User, JSON_VALUE(Priv, '$.account_locked') AS account_locked FROM mysql.global_priv) "
            "AS locks USING (Host, User) WHERE User IN %s",
            # How an account may be limited: words of ALTER USER and columns.
            "limits": {
                "MAX_QUERIES_PER_HOUR": "max_questions",
                "MAX_UPDATES_PER_HOUR": "max_updates",
                "MAX_CONNECTIONS_PER_HOUR": "max_connections",
                "MAX_USER_CONNECTIONS": "max_user_connections",
                "MAX_STATEMENT_TIME": "max_statement_time",
            },
            "reset_log": "RESET MASTER",
            "identified": "IDENTIFIED BY PASSWORD %s",
            "password_plugin": "mysql_native_password",
            # For `SELECT`; both return 0 or more when what they wait for has come.
            "wait_for_position": "MASTER_POS_WAIT(%s, %s, %s)",
            "wait_for_gtid": "MASTER_GTID_WAIT(%s, %s)",
            "limited": "SET STATEMENT max_statement_time = {seconds:.2f} FOR SELECT ",
            "no_time_left": 1969,
            # What a replica reads of a status that has other names elsewhere: parts of the columns' names.
            "columns": {},
            "using_gtid": {"Using_Gtid": ("Slave_Pos", "Current_Pos")},
            "received": "Gtid_IO_Pos",
            # Global variables, by the names that we use.
            "variables": {
                "log_slave_updates": "log_slave_updates",
                "rpl_semi_sync_master_enabled": "rpl_semi_sync_master_enabled",
                "rpl_semi_sync_slave_enabled": "rpl_semi_sync_slave_enabled",
                "gtid_state": "gtid_binlog_state",
                "gtid_binlog": "gtid_binlog_pos",
                "gtid_slave": "gtid_slave_pos",
            },
            "semi_sync_slave_status": "Rpl_semi_sync_slave_status",
            "client": "mariadb",
            # A seeding: how a snapshot is dumped, how its client proves who the master is, which accounts every server
            # has of its own, what reads all of it, and how an event becomes one that only the master runs.
            "dump": "mariadb-dump",
            "dump_options": [
                "--single-transaction",
                "--gtid",
                "--master-data=2",
                "--routines",
                "--events",
                "--triggers",
                "--hex-blob",
                "--dump-history",
                "--no-tablespaces",
                "--max-allowed-packet=1G",
            ],
            # From 11.4 on, a client wants a master to prove who it is unless it is told that nobody asks.
            "verify_server": {True: "ssl-verify-server-cert", False: "skip-ssl-verify-server-cert"},
            "own_accounts": {("root", "localhost"), ("mysql", "localhost"), ("mariadb.sys", "localhost")},
            "copy_privileges": {"SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "BINLOG MONITOR"},
            "physical_privileges": set(),
            "disable_event": "DISABLE ON SLAVE",
            # So that sizes are those of now.
            "fresh_statistics": "DO 0",
            # Which tables are encrypted, and whether a server has keys.
            "encrypted": "SELECT REPLACE(NAME, '/', '.') AS name FROM information_schema.INNODB_TABLESPACES_ENCRYPTION"
            " WHERE ENCRYPTION_SCHEME <> 0 AND NAME LIKE '%/%' ORDER BY 1 LIMIT 20",
            "can_encrypt": "SELECT 1 FROM information_schema.PLUGINS"
            " WHERE PLUGIN_TYPE = 'ENCRYPTION' AND PLUGIN_STATUS = 'ACTIVE'",
        },
    ),
    (
        "MySQL",
        (0,),
        {
            "replica": "SLAVE",
            "source": "MASTER",
            "change_source": "CHANGE MASTER TO",
            "by_gtid": {True: "MASTER_AUTO_POSITION = 1", False: "MASTER_AUTO_POSITION = 0"},
            "more_clauses": "MASTER_RETRY_COUNT = 100000",
            "show_log": "SHOW MASTER STATUS",
            "show_replicas": "SHOW SLAVE HOSTS",
            "show_connections": "SHOW SLAVE STATUS",
            "connection": "Channel_Name",
            "parallel": "slave_parallel_workers",
            "filters": "",
            "stop_named": "STOP {replica} FOR CHANNEL %s",
            "start_named": "START {replica} FOR CHANNEL %s",
            "reset_named": "RESET {replica} ALL FOR CHANNEL %s",
            "undelay_named": "{change_source} {source}_DELAY = 0 FOR CHANNEL %s",
            "accounts": "SELECT {columns} FROM mysql.user WHERE User IN %s",
            "limits": {
                "MAX_QUERIES_PER_HOUR": "max_questions",
                "MAX_UPDATES_PER_HOUR": "max_updates",
                "MAX_CONNECTIONS_PER_HOUR": "max_connections",
                "MAX_USER_CONNECTIONS": "max_user_connections",
            },
            "reset_log": "RESET MASTER",
            "identified": "IDENTIFIED WITH mysql_native_password AS %s",
            "password_plugin": "mysql_native_password",
            "wait_for_position": "MASTER_POS_WAIT(%s, %s, %s)",
            # This function returns 1 when the time is over.
            "wait_for_gtid": "-WAIT_FOR_EXECUTED_GTID_SET(%s, %s)",
            "limited": "SELECT /*+ MAX_EXECUTION_TIME({milliseconds:.0f}) */ ",
            "no_time_left": 3024,
            "columns": {},
            "using_gtid": {"Auto_Position": (1, "1")},
            "received": "Retrieved_Gtid_Set",
            "variables": {
                "log_slave_updates": "log_slave_updates",
                "rpl_semi_sync_master_enabled": "rpl_semi_sync_master_enabled",
                "rpl_semi_sync_slave_enabled": "rpl_semi_sync_slave_enabled",
                "gtid_state": "gtid_executed",
                "gtid_binlog": "gtid_executed",
                "gtid_purged": "gtid_purged",
                "gtid_mode": "gtid_mode",
                "server_uuid": "server_uuid",
            },
            "semi_sync_slave_status": "Rpl_semi_sync_slave_status",
            "client": "mysql",
            "dump": "mysqldump",
            "dump_options": [
                "--single-transaction",
                "--source-data=2",
                "--set-gtid-purged=COMMENTED",
                "--routines",
                "--events",
                "--triggers",
                "--hex-blob",
                "--no-tablespaces",
                "--max-allowed-packet=1G",
                # It locks all tables for a moment. While it waits for a long statement, all that write wait for it.
                # Older ones do not have this option.
                "--loose-init-command=SET SESSION lock_wait_timeout = 5",
            ],
            "verify_server": {True: "ssl-mode=VERIFY_IDENTITY", False: "ssl-mode=PREFERRED"},
            "own_accounts": {
                (user, "localhost")
                for user in ("root", "mysql.session", "mysql.sys", "mysql.infoschema", "debian-sys-maint")
            },
            "copy_privileges": {
                "SELECT",
                "SHOW VIEW",
                "TRIGGER",
                "EVENT",
                "REPLICATION CLIENT",
                "FLUSH_TABLES",
                "PROCESS",
            },
            "physical_privileges": {"BACKUP_ADMIN"},
            "disable_event": "DISABLE ON SLAVE",
            "fresh_statistics": "DO 0",
            "encrypted": "SELECT REPLACE(NAME, '/', '.') AS name FROM information_schema.INNODB_TABLESPACES"
            " WHERE ENCRYPTION = 'Y' AND NAME LIKE '%/%' ORDER BY 1 LIMIT 20",
            "can_encrypt": "SELECT 1 FROM performance_schema.keyring_component_status"
            " WHERE STATUS_KEY = 'Component_status' AND STATUS_VALUE = 'Active'"
            " UNION SELECT 1 FROM information_schema.PLUGINS"
            " WHERE PLUGIN_NAME LIKE 'keyring%' AND PLUGIN_STATUS = 'ACTIVE'",
        },
    ),
    (
        "MySQL",
        (8, 0),
        {
            "more_clauses": "MASTER_RETRY_COUNT = 100000, GET_MASTER_PUBLIC_KEY = 1",
            "identified": "IDENTIFIED WITH caching_sha2_password AS %s",
            "password_plugin": "caching_sha2_password",
            "filters": "SELECT FILTER_NAME AS name, FILTER_RULE AS rule "
            "FROM performance_schema.replication_applier_global_filters",
            "fresh_statistics": "SET SESSION information_schema_stats_expiry = 0",
        },
    ),
    (
        "MySQL",
        (8, 0, 22),
        {
            "replica": "REPLICA",
            "show_replicas": "SHOW REPLICAS",
            "show_connections": "SHOW REPLICA STATUS",
            "columns": {"Master_": "Source_", "_Master": "_Source", "Slave_": "Replica_"},
        },
    ),
    (
        "MySQL",
        (8, 0, 23),
        {
            "source": "SOURCE",
            "change_source": "CHANGE REPLICATION SOURCE TO",
            "by_gtid": {True: "SOURCE_AUTO_POSITION = 1", False: "SOURCE_AUTO_POSITION = 0"},
            "more_clauses": "SOURCE_RETRY_COUNT = 100000, GET_SOURCE_PUBLIC_KEY = 1",
        },
    ),
    (
        "MySQL",
        (8, 0, 26),
        {
            "wait_for_position": "SOURCE_POS_WAIT(%s, %s, %s)",
            "parallel": "replica_parallel_workers",
            "variables": {
                "log_slave_updates": "log_replica_updates",
                "rpl_semi_sync_master_enabled": "rpl_semi_sync_source_enabled",
                "rpl_semi_sync_slave_enabled": "rpl_semi_sync_replica_enabled",
                "gtid_state": "gtid_executed",
                "gtid_binlog": "gtid_executed",
                "gtid_purged": "gtid_purged",
                "gtid_mode": "gtid_mode",
                "server_uuid": "server_uuid",
            },
            "semi_sync_slave_status": "Rpl_semi_sync_replica_status",
        },
    ),
    (
        "MySQL",
        (8, 2),
        {
            "disable_event": "DISABLE ON REPLICA",
            "show_log": "SHOW BINARY LOG STATUS",
            "reset_log": "RESET BINARY LOGS AND GTIDS",
        },
    ),
]


def server_of_version(version: str) -> str:
    """Return whose version it is: `10.11.14-MariaDB-0+deb12u2` is one of MariaDB, `9.7.4-2` one of MySQL."""
    return "MariaDB" if "MariaDB" in version else "MySQL"


def version_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers that a version begins with: (8, 0, 36) of `8.0.36-0ubuntu0.22.04.1`."""
    parts = version.replace("-", ".").split(".")[:3]
    return tuple(int(part) for part in parts if part.isdigit())


def dialect_of(version: str) -> dict[str, Any]:
    """Return the names that a server of this version uses."""
    server, numbers = server_of_version(version), version_numbers(version)
    found: dict[str, Any] = {"server": server}
    for name, since, entries in DIALECTS:
        if name == server and numbers >= since:
            found.update(entries)
    return found

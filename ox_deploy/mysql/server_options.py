"""Options of the database server that are ours, and so not for `mysql_settings`."""

from __future__ import annotations

import re
from collections.abc import Mapping

# By option: where the value comes from, or what to do instead. Names have underscores.
_OWN_SETTING = {
    "port": "`mysql_port`",
    "bind_address": "`address` in inventory.py",
    "report_host": "`address` in inventory.py",
    "server_id": "`server_id` in inventory.py",
    "rpl_semi_sync_master_enabled": "`semi_synchronous`",
    "rpl_semi_sync_slave_enabled": "`semi_synchronous`",
    "rpl_semi_sync_source_enabled": "`semi_synchronous`",
    "rpl_semi_sync_replica_enabled": "`semi_synchronous`",
    "rpl_semi_sync_master_wait_point": "`semi_synchronous`",
    "rpl_semi_sync_source_wait_point": "`semi_synchronous`",
    "rpl_semi_sync_master_wait_no_slave": "`semi_synchronous`",
    "rpl_semi_sync_source_wait_no_replica": "`semi_synchronous`",
    "ssl": "`replication_tls`",
    "ssl_ca": "`replication_tls` and `mysql_tls_ca`",
    "ssl_capath": "`replication_tls` and `mysql_tls_ca`",
    "ssl_cert": "`replication_tls` and `mysql_tls_certificate`",
    "ssl_key": "`replication_tls` and `mysql_tls_key`",
    "admin_port": "`mysql_port`",
    "admin_address": "`address` in inventory.py",
    "mysqlx_port": "`mysql_port`",
    "mysqlx_bind_address": "`address` in inventory.py",
}
_FIXED = frozenset(
    {
        # Whether and where it listens, and who may log in.
        "networking", "grant_tables", "socket", "mysqlx_socket", "name_resolve", "bind_socket", "user",
        "require_secure_transport", "authentication_policy", "default_authentication_plugin", "old_passwords",
        "secure_auth", "init_connect", "init_file", "init_slave", "init_replica", "chroot", "pid_file",
        # Where its data are.
        "datadir", "basedir", "innodb_data_home_dir", "innodb_data_file_path", "innodb_log_group_home_dir",
        "innodb_undo_directory", "lower_case_table_names", "plugin_dir", "plugin_load", "defaults_file",
        "defaults_extra_file", "defaults_group_suffix", "initialize", "initialize_insecure", "bootstrap",
        # Replication: who writes, what is written where, and how each transaction is known.
        "read_only", "super_read_only", "transaction_read_only", "innodb_read_only", "offline_mode", "log_bin",
        "log_bin_basename", "log_bin_index", "sql_log_bin", "binlog_format", "log_basename",
        "binlog_do_db", "binlog_ignore_db", "relay_log", "relay_log_basename", "relay_log_index", "relay_log_info_file",
        "log_slave_updates", "log_replica_updates", "slave_start", "replica_start", "gtid_mode",
        "enforce_gtid_consistency", "gtid_domain_id", "gtid_strict_mode", "gtid_ignore_duplicates", "gtid_slave_pos",
        "gtid_binlog_state", "gtid_executed", "gtid_purged", "gtid_next", "server_uuid", "sync_binlog",
        "innodb_flush_log_at_trx_commit", "innodb", "replicate_do_db",
        "replicate_ignore_db", "replicate_do_table", "replicate_ignore_table", "replicate_wild_do_table",
        "replicate_wild_ignore_table", "replicate_rewrite_db", "replicate_same_server_id",
        "master_info_file", "master_info_repository", "relay_log_info_repository", "slave_skip_errors",
        "replica_skip_errors", "report_port", "report_user", "report_password",
        "wsrep_on", "wsrep_provider", "wsrep_cluster_address",
    }
)  # fmt: skip
# In our template, but a matter of taste: the last line wins.
TUNABLE = frozenset({"expire_logs_days", "binlog_expire_logs_seconds", "plugin_load_add"})
OWNED = _FIXED | _OWN_SETTING.keys()
# Before the name of any option, in this or another order.
_PREFIXES = ("loose_", "skip_", "disable_", "enable_", "maximum_")
# Options of their own, though they look like a shorter way to write one of ours.
_OTHERS = frozenset({"old"})
_NAME = r"[A-Za-z][A-Za-z0-9_.-]*"


def canonical(name: str) -> str:
    """Return an option's name as the servers understand it: any case, - for _, with words before it."""
    name = name.lower().replace("-", "_")
    while name.startswith(_PREFIXES):
        name = name.split("_", 1)[1]
    return name


def owned(name: str) -> str | None:
    """Return the option of ours that a name stands for, also where that is shortened; None if it is none."""
    found = canonical(name)
    if found in OWNED:
        return found
    # Servers take the beginning of a name for the whole.
    shortened = sorted(option for option in OWNED if option.startswith(found))
    return shortened[0] if shortened and found not in _OTHERS else None


def find_fault(settings: Mapping[str, object]) -> str | None:
    """Return what is wrong with `mysql_settings`, in words that follow `mysql_settings`, or None."""
    seen: dict[str, str] = {}
    for name, value in settings.items():
        fault = _fault(name, value)
        if fault:
            return fault
        other = seen.setdefault(canonical(name), name)
        if other != name:
            return f"`{other}` and `{name}` are the same option; keep one of them"
    return None


def _fault(name: str, value: object) -> str | None:
    if not re.fullmatch(_NAME, name) or len(name) > 100:
        return f"{name!a} is not an option; it should be a name of letters, digits and . _ -"
    option = owned(name)
    if option in _OWN_SETTING:
        return f"`{name}` cannot be set here; use {_OWN_SETTING[option]} instead"
    if option is not None:
        return (
            f"`{name}` cannot be set here, because the cluster depends on the value that ox-deploy gives it; leave "
            "it out"
        )
    if isinstance(value, bool) or not isinstance(value, str | int):
        return f"`{name}` is {value!r}; it should be a text or a whole number"
    if isinstance(value, str) and (len(value) > 1000 or not value.isprintable()):
        return f"`{name}` is {ascii(value)[:60]}; it should be a text of one line, of printable characters"
    return None

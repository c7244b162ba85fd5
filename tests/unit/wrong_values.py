"""Values that are wrong, each with the whole sentence that refuses it; no words are taken from the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.unit.guide import Guide, context

Change = Callable[[Guide], Any]


@dataclass(frozen=True)
class Case:
    """A change of the guide's cluster that makes it wrong, and what is said."""

    key: str
    change: Change
    sentence: str


CASES: list[Case] = []
value: Any
ALL = "group_data/all.py"


def _set(key: str, value: Any) -> Change:
    return lambda guide: guide.set(**{key: value})


def settings(key: str, wanted: str, *values: Any) -> None:
    """Values of a setting that are not of its kind."""
    for value in values:
        CASES.append(Case(key, _set(key, value), f"{ALL}: `{key}` is {short(value)}; it should be {wanted}."))


def short(value: Any) -> str:
    text = repr(value)
    if len(text) <= 60:
        return text
    return text[:60] + "…" + (f" ({len(value)} characters)" if isinstance(value, str) else "")


def setting(key: str, value: Any, sentence: str) -> None:
    CASES.append(Case(key, _set(key, value), f"{ALL}: {sentence}"))


def _in_host(host: str, key: str, value: Any) -> Change:
    return lambda guide: guide.hosts[host].__setitem__(key, value)


def hosts(host: str, key: str, wanted: str, *values: Any) -> None:
    for value in values:
        sentence = f"inventory.py, host {host}: `{key}` is {short(value)}; it should be {wanted}."
        CASES.append(Case(key, _in_host(host, key, value), sentence))


def host(name: str, key: str, value: Any, sentence: str) -> None:
    CASES.append(Case(key, _in_host(name, key, value), f"inventory.py, host {name}: {sentence}"))


def in_context(key: str, wanted: str, *values: Any) -> None:
    for value in values:
        sentence = f"{ALL}: `contexts.0.{key}` is {short(value)}; it should be {wanted}."
        CASES.append(Case(f"contexts.{key}", _set("contexts", [context() | {key: value}]), sentence))


def in_user(key: str, wanted: str, *values: Any) -> None:
    for value in values:
        changed = context()
        changed["users"][0][key] = value
        sentence = f"{ALL}: `contexts.0.users.0.{key}` is {short(value)}; it should be {wanted}."
        CASES.append(Case(f"contexts.users.{key}", _set("contexts", [changed]), sentence))


def in_contexts(contexts: list[Any], sentence: str) -> None:
    CASES.append(Case("contexts", _set("contexts", contexts), f"{ALL}: {sentence}"))


NUL, SURROGATE, LINES = "a\0b", "a\udc80b", "a\nb"
ODD = (NUL, SURROGATE, LINES)
NAME = "a name of letters, digits and . _ -, which begins with a letter or digit and has at most {} characters"
FLAG = "True or False"
FILE = "the path of a file on this machine"
PATH = (
    "an absolute path of letters, digits and . _ - between single slashes, without `.` or `..`, without a trailing "
    "slash, of at most 240 characters"
)
NETWORK_NAME = "in parts of at most 63 characters with dots between them"
WEB_NAME = f"a host name of letters, digits and -, {NETWORK_NAME}, or an IPv4 address"

settings("product", '"ox6"', "ox7", "OX6", "", None, 6, ["ox6"])
settings("server_name", NAME.format(255), "a b", "", "-x", "x" * 300, "ä", None, 1, True, ["x"], *ODD)
settings("secrets_file", "a path on this machine", "", None, 1, "x" * 1001, *ODD)
URL = "an address such as https://repository.example.com/OX6/6.10/, which ends with a slash"
settings(
    "ox_repository_url",
    URL,
    "https://repository.example.com",
    "ftp://repository.example.com/",
    "repository.example.com/",
    "https:///",
    "https://repository.example.com/a b/",
    "https://repository.example.com/../x/",
    "https://repository.example.com/x?y=/",
    "https://repository.example.com:99999/",
    "https://repository.example.com:0/",
    "https://repo_sitory.example.com/",
    "",
    None,
    7,
    "https://repository.example.com/\n/",
    "https://a\0/",
    "https://a\udc80/",
)
setting(
    "ox_repository_url",
    "https://me:pw@example.com/",
    "`ox_repository_url` is 'https://****@example.com/'; it should not contain the user and password; put them into "
    "the secrets file as `ox_repository_user` and `ox_repository_password`.",
)
for name in ("ox_repository_key", "web_certificate", "web_certificate_key", "mysql_tls_ca"):
    none = "None, or " if name == "mysql_tls_ca" else ""
    settings(name, none + FILE, "", 5, ["x"], *ODD)
    setting(
        name,
        "no/such",
        f"`{name}` is 'no/such'; there is no such file on this machine; correct the path, or put the file there.",
    )
    setting(name, "/", f"`{name}` is '/'; that is a directory; it should be a file on this machine.")
settings("database_server", '"mariadb" or "mysql"', "postgresql", "MariaDB", None, 1)
settings("mysql_port", "a whole number from 1024 to 65535", "3306", 0, -1, 80, 1023, 65536, 10**20, 3306.0, True, None)
for port in (2049, 33060, 8009, 1099, 57461, 57462, 58849):
    setting("mysql_port", port, f"`mysql_port` is {port}, which another service of the cluster uses; choose another.")
settings("replication_by", '"gtid" or "position"', "GTID", "row", None, True)
for name in ("remove_stale_accounts", "replication_tls", "semi_synchronous"):
    settings(name, FLAG, "yes", "true", 1, 0, None)
settings(
    "filestore_path",
    PATH,
    "var/filestore",
    "/var/file store",
    "/var/opt/filestore/",
    "//var/opt/filestore",
    "/var//opt/filestore",
    "/var/../etc",
    "/var/opt/..",
    "/var/./opt/filestore",
    "/./etc",
    "..",
    ".",
    "~",
    "",
    "/var/opt/ä",
    "/var/opt/*",
    "/var/opt/$HOME",
    "/" + "x" * 300,
    None,
    5,
    "/var/opt/a\0b",
    "/var/opt/a\udc80b",
    "/var/opt/a\n",
)
for tree in ("bin", "boot", "dev", "etc", "lib", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "tmp", "usr"):
    for path in (f"/{tree}", f"/{tree}/ox"):
        setting(
            "filestore_path",
            path,
            f"`filestore_path` is '{path}'; /{tree} belongs to the system or to a package; choose a separate "
            "directory, such as /var/opt/filestore.",
        )
for tree in (
    "/opt/open-xchange",
    "/var/lib/mysql",
    "/var/lib/ox-deploy",
    "/var/lib/dpkg",
    "/var/lib/nfs",
    "/var/log",
    "/var/cache",
    "/var/spool",
    "/var/www",
    "/var/run",
    "/var/tmp",
):
    for path in (tree, f"{tree}/x"):
        setting(
            "filestore_path",
            path,
            f"`filestore_path` is '{path}'; {tree} belongs to the system or to a package; choose a separate "
            "directory, such as /var/opt/filestore.",
        )
for path in ("/", "/var", "/var/lib", "/var/opt", "/home", "/opt", "/srv", "/mnt", "/media"):
    setting(
        "filestore_path",
        path,
        f"`filestore_path` is '{path}'; many programs share that directory; choose a separate one, such as "
        "/var/opt/filestore.",
    )
for name in ("filestore_uid", "filestore_gid"):
    settings(name, "a whole number from 100 to 65533", 0, -1, 99, 65534, 2**32, "1001", 1001.5, True, None)
settings("nfs_server", '"kernel" or "ganesha"', "unfs3", "Kernel", "", None, False)
settings(
    "nfs_options",
    "mount options separated by commas, without blanks, such as rw,hard,_netdev",
    "rw, hard",
    "",
    ",rw",
    "rw,",
    "rw,,hard",
    "rw;hard",
    "rw\thard",
    None,
    ["rw"],
    *ODD,
)
for option, why in {
    "ro": "Open-Xchange writes there",
    "noauto": "it is mounted at boot",
    "bind": "it is an NFS mount",
    "remount": "the options are for fstab",
}.items():
    setting(
        "nfs_options",
        f"hard,{option}",
        f"`nfs_options` is 'hard,{option}'; `{option}` cannot be used, because {why}; leave it out.",
    )
settings(
    "external_filestore",
    "None, or host and path of an NFS server such as nas.example.com:/export/ox",
    "nas.example.com",
    "nas.example.com:",
    "nas.example.com:/",
    "nas.example.com:ox",
    ":/ox",
    "nas:/a b",
    "nas:/a/../b",
    "nas:/a/",
    "na s:/a",
    "nas:/a\0",
    "nas:/a\udc80",
    "",
    5,
)
settings(
    "web_name",
    WEB_NAME,
    None,
    "",
    "a b",
    "-x.example.com",
    "x-.example.com",
    "x..example.com",
    ".example.com",
    "example.com.",
    "web_1.example.com",
    "x" * 64 + ".example.com",
    "x." * 130 + "com",
    "1.2.3",
    "256.1.1.1",
    "https://example.com",
    "bücher.example",
    443,
    *ODD,
)
for name in ("localhost", "LOCALHOST", "localhost.localdomain", "ip6-localhost"):
    setting(
        "web_name",
        name,
        f"`web_name` is '{name}'; every host uses that name for itself; give the host its own name.",
    )
settings("hsts_seconds", "None, or a whole number of seconds from 0 to 63072000", -1, 63072001, 1.5, "1", True, ["1"])
WEB_PATHS = (
    "a list of paths such as /usm-json, of letters, digits and . _ ~ - between single slashes, without `.` or `..`, "
    "without a trailing slash, of at most 200 characters"
)
for path in ("usm-json", "/", "/a/", "//a", "/a//b", "/a/../b", "/.", "/a b", "/a;b", "/a%20b", "/ä", "/" + "x" * 200):
    settings("web_paths", WEB_PATHS, [path], ["/good", path])
settings("web_paths", WEB_PATHS, "/usm-json", None, {"/a": 1}, [5], [None], [["/a"]], *([odd] for odd in ODD))
for path in ("/axis2", "/axis2/services", "/servlet/axis2", "/servlet/axis2/services", "/balancer-manager", "/AXIS2"):
    setting(
        "web_paths",
        ["/usm-json", path],
        f"`web_paths` has {path}, which administers the cluster and is for the web host itself; leave it out.",
    )
for path in ("/ox6", "/ox6/more"):
    setting("web_paths", [path], f"`web_paths` has {path}, which is the user interface on the web host; leave it out.")
settings(
    "server_memory", "a whole number of MB from 64 to 1048576", 32, 0, -512, 512.5, "512", "1G", True, None, 999999999
)
settings("license_key", f"None, or {NAME.format(255)}", 42, "", "a b", "x" * 300, *ODD)
settings(
    "multicast_network",
    "a network within 224.0.0.0/4 without host bits, such as 224.0.0.0/8",
    "10.0.0.0/8",
    "0.0.0.0/0",
    "224.0.0.0/33",
    "224.0.0.1/8",
    "224.0.0.0/3",
    "here",
    "",
    None,
    224,
    *ODD,
)
settings(
    "cache_multicast_address",
    "a multicast address such as 224.0.0.1",
    "192.0.2.1",
    "here",
    "",
    "224.0.0.1/8",
    "224.0.0",
    "ff02::1",
    None,
    1,
    *ODD,
)
setting("multicast_network", "239.1.0.0/16", "`cache_multicast_address` should be within `multicast_network`.")
for name in ("cache_multicast_port", "session_cache_multicast_port"):
    settings(name, "a whole number from 1 to 65535", 0, -1, 65536, "6780", 6780.0, True, None)
setting(
    "session_cache_multicast_port",
    6780,
    "`cache_multicast_port` and `session_cache_multicast_port` are both 6780; they should differ.",
)

# The database server's own options.
OURS = "because the cluster depends on the value that ox-deploy gives it; leave it out"
for name, place in {
    "port": "`mysql_port`",
    "PORT": "`mysql_port`",
    "loose-port": "`mysql_port`",
    "bind-address": "`address` in inventory.py",
    "bind_address": "`address` in inventory.py",
    "Bind-Address": "`address` in inventory.py",
    "server-id": "`server_id` in inventory.py",
    "loose_server_id": "`server_id` in inventory.py",
    "report_host": "`address` in inventory.py",
    "ssl-cert": "`replication_tls` and `mysql_tls_certificate`",
    "skip-ssl": "`replication_tls`",
    "rpl_semi_sync_master_enabled": "`semi_synchronous`",
    "rpl-semi-sync-source-enabled": "`semi_synchronous`",
}.items():
    setting("mysql_settings", {name: "1"}, f"`mysql_settings`: `{name}` cannot be set here; use {place} instead.")
for name in (
    "socket",
    "sock",
    "log_bin",
    "log-bin",
    "skip_log_bin",
    "skip-log-bin",
    "disable_log_bin",
    "loose-skip-log-bin",
    "read_only",
    "read-only",
    "READ_ONLY",
    "super_read_only",
    "loose_skip_read-only",
    "datadir",
    "skip-grant-tables",
    "skip_grant_tables",
    "skip-grant",
    "skip-networking",
    "skip_networking",
    "skip-name-resolve",
    "gtid_mode",
    "gtid-mode",
    "gtid_domain_id",
    "enforce_gtid_consistency",
    "relay_log",
    "log_slave_updates",
    "log-replica-updates",
    "skip-slave-start",
    "skip_replica_start",
    "replicate-do-db",
    "binlog-ignore-db",
    "binlog_format",
    "sync_binlog",
    "innodb_flush_log_at_trx_commit",
    "init-file",
    "user",
    "plugin_dir",
    "require_secure_transport",
    "maximum-read-only",
):
    setting("mysql_settings", {name: "1"}, f"`mysql_settings`: `{name}` cannot be set here, {OURS}.")
A_DICT = 'it should be a dict of option names and values, such as {"max_connections": 200}.'
for value in ([], None, "max_connections=1", 5, {5: "x"}):
    setting("mysql_settings", value, f"`mysql_settings` is {value!r}; {A_DICT}")
for key in ("a b", "", "[client]", "a=b", "#a", "a\nb", "a\0b", "ä"):
    words = "is not an option; it should be a name of letters, digits and . _ -."
    setting("mysql_settings", {key: "1"}, f"`mysql_settings`: {key!a} {words}")
for value in (1.5, True, None, ["a"]):
    setting(
        "mysql_settings",
        {"max_connections": value},
        f"`mysql_settings`: `max_connections` is {value!r}; it should be a text or a whole number.",
    )
for value in ODD:
    setting(
        "mysql_settings",
        {"sql_mode": value},
        f"`mysql_settings`: `sql_mode` is {value!a}; it should be a text of one line, of printable characters.",
    )
setting(
    "mysql_settings",
    {"max_connections": 1, "max-connections": 2},
    "`mysql_settings`: `max_connections` and `max-connections` are the same option; keep one of them.",
)
host(
    "dbslave",
    "mysql_settings",
    {"port": 3307},
    "`mysql_settings`: `port` cannot be set here; use `mysql_port` instead.",
)
hosts("dbslave", "mysql_option_file", f"None, or {PATH}", "my.cnf", "/root/../etc/my.cnf", "/root/", "", 5, "/a\0")

# The inventory.
HOST_NAME = f"a name of letters, digits, - and _, {NETWORK_NAME}, not an IP address"
hosts("oxgw01", "hostname", HOST_NAME, "-x", "", "a b", "x" * 64, "a..b", "192.0.2.1", "1.2", "ox/gw", None, 5, *ODD)
for name in ("localhost", "Localhost", "ip6-loopback"):
    host(
        "web",
        "hostname",
        name,
        f"`hostname` is '{name}'; every host uses that name for itself; give the host its own name.",
    )
hosts(
    "oxgw01",
    "address",
    "an IPv4 address such as 192.0.2.10",
    "oxgw01.example.com",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.11/24",
    " 192.0.2.11",
    "2001:db8::1",
    "",
    None,
    3221226007,
    *ODD,
)
for value in ("127.0.1.1", "224.0.0.1", "0.0.0.0", "255.255.255.255", "240.0.0.1", "169.254.1.1"):
    host(
        "oxgw01",
        "address",
        value,
        f"`address` is '{value}'; the other hosts cannot reach this one there; it should be the host's IPv4 address "
        "in the cluster's network.",
    )
ROUTE = "a text of letters, digits, _ and - with at most 63 characters, such as OX-1"
hosts("oxgw01", "route", ROUTE, "OX.1", "", "OX 1", "x" * 64, 1, ["OX"], *ODD)
hosts("oxgw01", "load_factor", "a whole number from 1 to 100", 0, 101, -5, "50", 1.5, True, None)
hosts("dbmaster", "server_id", "a whole number from 1 to 4294967295", 0, -1, 2**32, "1", 1.0, True)
for name in ("mysql_tls_certificate", "mysql_tls_key"):
    hosts("dbslave", name, f"None, or {FILE}", "", 5, *ODD)
    host(
        "dbslave",
        name,
        "no/such",
        f"`{name}` is 'no/such'; there is no such file on this machine; correct the path, or put the file there.",
    )
for key, of, value in (
    ("hostname", "oxgw02", "oxgw01"),
    ("hostname", "oxgw02", "OXGW01"),
    ("address", "oxgw02", "192.0.2.11"),
    ("route", "oxgw02", "OX-1"),
):
    shown = {"hostname": "oxgw01", "address": "192.0.2.11", "route": "OX-1"}[key]
    CASES.append(
        Case(
            key,
            _in_host(of, key, value),
            f"inventory.py: `{key}` {shown} is used by oxgw01, oxgw02; it should be unique.",
        )
    )
CASES.append(
    Case(
        "server_id",
        _in_host("dbslave", "server_id", 1),
        "inventory.py: `server_id` 1 is used by dbmaster, dbslave; it should be unique.",
    )
)

# Contexts and users.
for value in ({}, None, "all", 5, [5], ["x"], [None]):
    setting(
        "contexts",
        value,
        f"`contexts` is {value!r}; it should be a list of contexts, each with its keys in braces.",
    )
in_context("id", "a whole number from 1 to 2147483647", 0, -1, 2**31, 2**40, "1", 1.0, True, None)
in_context("name", NAME.format(128), "", "a b", "x" * 300, "-a", "ä", None, 1, *ODD)
in_context("admin", NAME.format(128), "", "a b", "x" * 129, "a@b", None, 1, *ODD)
TEXT = "a text of at most {} printable characters, without leading or trailing blanks"
in_context("admin_display_name", TEXT.format(320), "", " ", " a", "a ", "x" * 321, None, 1, *ODD)
EMAIL = "an e-mail address such as anna@example.com, of at most 255 ASCII characters"
WRONG_EMAILS = (
    "anna",
    "anna@",
    "@example.com",
    "a b@example.com",
    "a@b@example.com",
    "a..b@example.com",
    ".a@example.com",
    "a@exam_ple.com",
    "ä@example.com",
    "x" * 65 + "@example.com",
    "anna@" + "x." * 130 + "com",
    "",
    None,
    5,
    "a\0@example.com",
    "a\udc80@example.com",
    "a@example.com\n",
)
in_context("admin_email", EMAIL, *WRONG_EMAILS)
in_context("quota", "a whole number of MB from 0 to 8796093022207", -1, 10**15, 2**63, "1 GB", 1.5, True, None)
ACCESS = "one of webmail, pim, webmail_plus, pim_infostore, groupware, groupware_standard, groupware_premium, all"
in_context("access", ACCESS, "everything", "ALL", "", " all", None, 1, *ODD)
for value in ({}, None, "anna", [5]):
    in_contexts(
        [context() | {"users": value}],
        f"`contexts.0.users` is {value!r}; it should be a list of users, each with its keys in braces.",
    )
in_user("name", NAME.format(128), "", "a b", "x" * 129, "-a", None, 1, *ODD)
in_user("display_name", TEXT.format(320), "", " ", "x" * 321, None, 1, *ODD)
in_user("given_name", TEXT.format(128), "", "x" * 129, " x", None, 1, *ODD)
in_user("sur_name", TEXT.format(128), "", "x" * 300, "x ", None, 1, *ODD)
in_user("email", EMAIL, *WRONG_EMAILS)
for key in ("id", "name", "admin", "admin_email"):
    changed = context()
    del changed[key]
    in_contexts([changed], f"`contexts.0.{key}` is missing; add it.")
for key in ("name", "display_name", "given_name", "sur_name", "email"):
    changed = context()
    del changed["users"][0][key]
    in_contexts([changed], f"`contexts.0.users.0.{key}` is missing; add it.")
in_contexts([context() | {"colour": "red"}], "`contexts.0.colour` is not a setting; remove it or correct its spelling.")
in_contexts([context(1, "a"), context(1, "b")], "`contexts` has id 1 2 times; it should be unique.")
in_contexts([context(1, "a"), context(2, "a")], "`contexts` has name a 2 times; it should be unique.")
in_contexts(
    [context(1, "a"), context(2, "A")],
    "`contexts` has name a and name A, which are the same for Open-Xchange; each should be unique.",
)
in_contexts(
    [context(1, "2"), context(2, "b")],
    "`contexts` has a context named 2 besides the context with the id 2; logins could not tell them apart, so give "
    "the first another name.",
)
in_contexts([context(users=("anna", "anna"))], "`contexts` has user anna 2 times in context 1; it should be unique.")
in_contexts([context(users=("oxadmin",))], "`contexts` has user oxadmin 2 times in context 1; it should be unique.")
in_contexts(
    [context(users=("OXAdmin",))],
    "`contexts` has user oxadmin and user OXAdmin in context 1, which are the same for Open-Xchange; each should be "
    "unique.",
)
_same = context(users=("anna", "bert"))
_same["users"][1]["email"] = "Anna@example.com"
in_contexts(
    [_same],
    "`contexts` has e-mail address anna@example.com and e-mail address Anna@example.com in context 1, which are the "
    "same for Open-Xchange; each should be unique.",
)
_admins = context()
_admins["users"][0]["email"] = "oxadmin@example.com"
in_contexts([_admins], "`contexts` has e-mail address oxadmin@example.com 2 times in context 1; it should be unique.")

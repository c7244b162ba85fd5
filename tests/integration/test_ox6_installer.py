"""oxinstaller and initconfigdb of the stand-in packages against the reference, row by row."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.lab import engine
from tests.lab.ox6.trial import Host, install, trial_host

pytestmark = [pytest.mark.lab, pytest.mark.thorough]

SBIN = "/opt/open-xchange/sbin"
ETC = "/opt/open-xchange/etc"
INIT = f"{SBIN}/initconfigdb --configdb-pass=right"
NEEDED = {"servername": "oxserver", "configdb-pass": "right", "object-link-hostname": "web.example.com"}
# The client takes TCP when a port is given, so root needs a password: the socket login is of no use.
AS_ROOT = "-a --mysql-root-user=dba --mysql-root-passwd=dba"
FRESH = "initializing configdb from scratch... done\n"
EXISTS = "the database configdb exists, use the -i switch if you want to automatically delete it\n"
GUIDE = (
    "--servername=oxserver --configdb-readhost=10.0.0.5 --configdb-writehost=10.0.0.4"
    " --configdb-user=openexchange --master-pass=secret --configdb-pass=secret --jkroute=OX-1 '--ajp-bind-port=*'"
)
CHARACTERS = "&/$\"'#!=:|%*{^`( "
DAEMONS = ("groupware", "admindaemon")
WEB_LIST = """open-xchange-configjump-generic-gui open-xchange-gui open-xchange-gui-wizard-plugin-gui
open-xchange-online-help-de open-xchange-online-help-en open-xchange-online-help-fr"""
GROUPWARE_LIST = """open-xchange open-xchange-authentication-database open-xchange-admin-client
open-xchange-admin-lib open-xchange-admin-plugin-hosting open-xchange-admin-plugin-hosting-client
open-xchange-admin-plugin-hosting-lib open-xchange-configjump-generic open-xchange-admin-doc
open-xchange-contactcollector open-xchange-conversion open-xchange-conversion-engine
open-xchange-conversion-servlet open-xchange-crypto open-xchange-data-conversion-ical4j
open-xchange-dataretention open-xchange-genconf open-xchange-genconf-mysql open-xchange-imap
open-xchange-mailfilter open-xchange-management open-xchange-monitoring
open-xchange-passwordchange-database open-xchange-passwordchange-servlet open-xchange-pop3
open-xchange-publish open-xchange-publish-basic open-xchange-publish-infostore-online
open-xchange-publish-json open-xchange-publish-microformats open-xchange-push-udp
open-xchange-resource-managerequest open-xchange-server open-xchange-settings-extensions open-xchange-smtp
open-xchange-spamhandler-default open-xchange-sql open-xchange-subscribe open-xchange-xerces-sun
open-xchange-subscribe-json open-xchange-subscribe-microformats open-xchange-subscribe-crawler
open-xchange-templating open-xchange-threadpool open-xchange-unifiedinbox
open-xchange-admin-plugin-hosting-doc open-xchange-charset open-xchange-group-managerequest
open-xchange-i18n open-xchange-jcharset open-xchange-sessiond open-xchange-calendar-printing
open-xchange-user-json open-xchange-gui-wizard-plugin"""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with trial_host(engine.connect(), print) as trial:
        install(trial, "mariadb-server", "open-xchange-admin-plugin-hosting")
        trial.sql("CREATE USER openexchange@localhost IDENTIFIED BY 'right'")
        trial.sql("GRANT ALL ON *.* TO dba@localhost IDENTIFIED BY 'dba' WITH GRANT OPTION")
        trial.must(f"cp -a {ETC} /root/shipped")
        yield trial


@pytest.fixture
def shipped(host: Host) -> Host:
    """The host with the configuration that the packages bring."""
    host.must(f"rm -rf {ETC}; cp -a /root/shipped {ETC}")
    return host


@pytest.fixture
def empty(host: Host) -> Host:
    """The host without configdb, the account having the password `right`."""
    host.sql(
        "DROP DATABASE IF EXISTS configdb; DROP DATABASE IF EXISTS configdb_backup;"
        " DROP USER IF EXISTS openexchange@'%';"
        " ALTER USER openexchange@localhost IDENTIFIED BY 'right'; GRANT ALL ON *.* TO openexchange@localhost"
    )
    return host


def oxinstaller(*more: str, without: str = "", license_option: str = "--no-license", **values: str) -> str:
    """A complete command line, as root's login shell has it."""
    options = {
        **NEEDED,
        "master-pass": "secret",
        **{name.replace("_", "-"): value for name, value in values.items()},
    }
    words = [f"--{name}={shlex.quote(value)}" for name, value in options.items() if name != without]
    return " ".join([f"USER=root {SBIN}/oxinstaller", *words, license_option, *more])


def value(host: Host, path: str, key: str) -> str | None:
    found = re.findall(rf"^{re.escape(key)}=(.*)$", host.read(f"{ETC}/{path}"), re.MULTILINE)
    return found[-1] if found else None


def test_every_package_of_the_guide_can_be_installed(host: Host) -> None:
    commands = [f"apt-get install -s {' '.join(names.split())}" for names in (WEB_LIST, GROUPWARE_LIST)]
    assert [result.code for result in host.at_once(commands)] == [0, 0]


def test_package_scripts_make_a_system_account_when_there_is_none(host: Host) -> None:
    uid = int(host.must("id -u open-xchange"))
    assert uid < 1000
    host.must("getent group open-xchange")


def test_nothing_runs_after_the_installation(host: Host) -> None:
    assert host.run("systemctl is-active open-xchange-admin").out == "inactive\n"
    assert host.run("systemctl is-enabled open-xchange-admin").code == 0


def test_shipped_secrets_are_for_the_account_only(shipped: Host) -> None:
    for daemon in DAEMONS:
        assert shipped.must(f"stat -c %a:%U:%G {ETC}/{daemon}/configdb.properties") == "640:root:open-xchange\n"


@pytest.mark.parametrize("missing", NEEDED)
def test_mandatory_options(shipped: Host, missing: str) -> None:
    result = shipped.run(oxinstaller(without=missing))
    assert (result.code, result.err) == (1, f"missing required option --{missing}\n")
    assert "currently knows the following parameters" in result.out


def test_one_of_the_license_options_is_mandatory(shipped: Host) -> None:
    result = shipped.run(oxinstaller(license_option=""))
    assert (result.code, result.err) == (1, "missing required option --add-license\n")


def test_the_command_of_the_guide_lacks_an_option(shipped: Host) -> None:
    result = shipped.run(f"USER=root {SBIN}/oxinstaller {GUIDE}")
    assert result.code == 1
    assert result.err.startswith("missing required option --")


def test_root_is_known_by_the_variable_user(shipped: Host) -> None:
    result = shipped.run(oxinstaller().replace("USER=root", "USER=admin"))
    assert (result.code, result.err) == (1, "need to be root in order to setup the system\n")
    assert shipped.run(oxinstaller().replace("USER=root", "env -u USER")).code == 1


def test_unknown_option_stops_the_installer(shipped: Host) -> None:
    result = shipped.run(oxinstaller("--nonsense"))
    assert result.code == 1
    assert "exiting" in result.err


def test_output_of_success(shipped: Host) -> None:
    out = shipped.must(oxinstaller())
    assert f"setting up groupware configuration {ETC}/groupware\n.." in out
    assert "*** RMI authentication is enabled\nusing oxadminmaster as master account\n" in out
    assert "must now be restarted if already running" in out
    assert f"skipping configuration of URL in {ETC}/groupware/configjump.properties" in out


def test_defaults(shipped: Host) -> None:
    shipped.must(oxinstaller())
    expected = {
        ("configdb.properties", "readUrl"): "jdbc:mysql://localhost:3306/configdb",
        ("configdb.properties", "writeUrl"): "jdbc:mysql://localhost:3306/configdb",
        ("configdb.properties", "readProperty.1"): "user=openexchange",
        ("configdb.properties", "readProperty.2"): "password=right",
        ("configdb.properties", "writeProperty.1"): "user=openexchange",
        ("configdb.properties", "writeProperty.2"): "password=right",
        ("configdb.properties", "useSeparateWrite"): "false",
        ("system.properties", "SERVER_NAME"): "oxserver",
        ("ajp.properties", "AJP_JVM_ROUTE"): "APP1",
        ("ajp.properties", "AJP_BIND_ADDR"): "*",
        ("server.properties", "UPLOAD_DIRECTORY"): "/tmp",
        (
            "notification.properties",
            "object_link",
        ): "http://web.example.com/#m=[module]&i=[object]&f=[folder]",
    }
    assert {key: value(shipped, f"groupware/{key[0]}", key[1]) for key in expected} == expected
    assert "-Xmx512m" in str(value(shipped, "groupware/ox-scriptconf.sh", "JAVA_XTRAOPTS"))
    assert "-Xmx100m" in str(value(shipped, "admindaemon/ox-admin-scriptconf.sh", "JAVA_XTRAOPTS"))
    assert "-Xmx50m" in str(value(shipped, "admindaemon/ox-admin-scriptconf.sh", "JAVA_OXCMD_OPTS"))
    for path in ("system.properties", "AdminDaemon.properties"):
        assert value(shipped, f"admindaemon/{path}", "SERVER_NAME") == "oxserver"
    for key in ("MASTER_AUTHENTICATION_DISABLED", "CONTEXT_AUTHENTICATION_DISABLED"):
        assert value(shipped, "admindaemon/AdminDaemon.properties", key) == "false"


def test_read_and_write_host(shipped: Host) -> None:
    hosts = {"configdb_readhost": "slave", "configdb_writehost": "master"}
    shipped.must(oxinstaller(jkroute="OX-1", **hosts))
    assert value(shipped, "groupware/configdb.properties", "readUrl") == "jdbc:mysql://slave:3306/configdb"
    assert value(shipped, "groupware/configdb.properties", "writeUrl") == "jdbc:mysql://master:3306/configdb"
    assert value(shipped, "groupware/configdb.properties", "useSeparateWrite") == "true"
    assert value(shipped, "groupware/ajp.properties", "AJP_JVM_ROUTE") == "OX-1"
    for key in ("readUrl", "writeUrl"):
        assert value(shipped, "admindaemon/configdb.properties", key) == "jdbc:mysql://master:3306/configdb"
    assert value(shipped, "admindaemon/configdb.properties", "useSeparateWrite") == "false"
    shipped.must(oxinstaller(configdb_readhost="master", configdb_writehost="master"))
    assert value(shipped, "groupware/configdb.properties", "useSeparateWrite") == "true"  # never set back


@pytest.mark.parametrize(
    ("path", "auxiliary", "listener", "discovery"),
    [
        ("groupware/cache.ccf", "LTCP", "57462", "6780"),
        ("admindaemon/cache.ccf", "LTCP", "57461", "6780"),
        ("groupware/sessioncache.ccf", "SessionLTCP", "58849", "6781"),
    ],
)
def test_cache_files(shipped: Host, path: str, auxiliary: str, listener: str, discovery: str) -> None:
    prefix = f"jcs.auxiliary.{auxiliary}.attributes"
    before = shipped.read(f"{ETC}/{path}")
    assert re.search(rf"^{prefix}\.TcpServers=127\.0\.0\.1:\d+$", before, re.MULTILINE)
    assert f"# {prefix}.UdpDiscoveryAddr=" in before
    assert f"{prefix}.UdpDiscoveryEnabled=false" in before
    shipped.must(oxinstaller())
    assert value(shipped, path, f"{prefix}.TcpServers") is None
    assert f"# {prefix}.TcpServers=127.0.0.1:" in shipped.read(f"{ETC}/{path}")
    assert value(shipped, path, f"{prefix}.TcpListenerPort") == listener
    assert value(shipped, path, f"{prefix}.UdpDiscoveryAddr") == "224.0.0.1"
    assert value(shipped, path, f"{prefix}.UdpDiscoveryPort") == discovery
    assert value(shipped, path, f"{prefix}.UdpDiscoveryEnabled") == "true"


def test_names_of_the_cache_port_options_are_swapped(shipped: Host) -> None:
    shipped.must(oxinstaller(groupware_cache_port="1111", admin_cache_port="2222"))
    key = "jcs.auxiliary.LTCP.attributes.TcpListenerPort"
    assert value(shipped, "admindaemon/cache.ccf", key) == "1111"
    assert value(shipped, "groupware/cache.ccf", key) == "2222"


def test_second_run_changes_only_the_salt(shipped: Host) -> None:
    sums = f"find {ETC} -type f ! -name mpasswd -exec sha256sum {{}} + | sort"
    shipped.must(oxinstaller())
    first, hash_before = shipped.must(sums), shipped.read(f"{ETC}/admindaemon/mpasswd")
    for _ in range(3):  # the same salt again is unlikely, not impossible
        shipped.must(oxinstaller())
    assert shipped.must(sums) == first
    assert shipped.read(f"{ETC}/admindaemon/mpasswd") != hash_before


def test_mpasswd_is_des_and_made_with_the_umask(shipped: Host) -> None:
    shipped.must(oxinstaller())
    assert re.fullmatch(r"oxadminmaster:[A-Z]{2}[./0-9A-Za-z]{11}\n", shipped.read(f"{ETC}/admindaemon/mpasswd"))
    assert shipped.must(f"stat -c %a {ETC}/admindaemon/mpasswd") == "644\n"


def test_changed_files_lose_mode_and_owner(shipped: Host) -> None:
    """Not in the reference: 6.x moves a new file over the old one."""
    shipped.must(oxinstaller())
    assert shipped.must(f"stat -c %a:%U:%G {ETC}/groupware/configdb.properties") == "644:root:root\n"


def test_characters_that_a_password_may_have(shipped: Host) -> None:
    password = f"ab{CHARACTERS}cd"
    shipped.must(oxinstaller(configdb_pass=password))
    assert value(shipped, "groupware/configdb.properties", "readProperty.2") == f"password={password}"
    assert value(shipped, "admindaemon/configdb.properties", "writeProperty.2") == f"password={password}"


def test_characters_one_by_one(shipped: Host) -> None:
    shipped.write("/root/try", "key=old\n")
    commands = [f"ox_set_property key {shlex.quote(f'a{one}b')} /root/try; cat /root/try" for one in CHARACTERS]
    out = shipped.must("; ".join(["cd /root; . /opt/open-xchange/lib/oxfunctions.sh", *commands]))
    assert out.splitlines() == [f"key=a{one}b" for one in CHARACTERS]


@pytest.mark.parametrize(("given", "stored"), [(r"ab\qd", "abqd"), ("ab   cd", "ab cd")])
def test_characters_that_are_lost_in_silence(shipped: Host, given: str, stored: str) -> None:
    shipped.must(oxinstaller(configdb_pass=given))
    assert value(shipped, "groupware/configdb.properties", "readProperty.2") == f"password={stored}"


def test_semicolon_leaves_half_of_the_files(shipped: Host) -> None:
    result = shipped.run(oxinstaller(configdb_pass="ab;cd", jkroute="OX-7", configdb_writehost="master"))
    assert result.code == 1
    assert 'ox_set_property: FATAL: error setting property readProperty.2 to "password=ab;cd" in' in result.err
    assert value(shipped, "groupware/ajp.properties", "AJP_JVM_ROUTE") == "OX-7"
    assert value(shipped, "groupware/configdb.properties", "writeUrl") == "jdbc:mysql://master:3306/configdb"
    assert value(shipped, "groupware/configdb.properties", "readProperty.2") == "password=secret"
    assert value(shipped, "groupware/system.properties", "SERVER_NAME") == "local"
    assert value(shipped, "admindaemon/configdb.properties", "writeUrl") == "jdbc:mysql://localhost/configdb"


def test_master_password_is_needed_unless_authentication_is_off(shipped: Host) -> None:
    result = shipped.run(oxinstaller(without="master-pass"))
    assert (result.code, "master password cannot be null" in result.err) == (1, True)
    assert "*** RMI authentication is disabled" in shipped.must(oxinstaller("--disableauth", without="master-pass"))
    for key in ("MASTER_AUTHENTICATION_DISABLED", "CONTEXT_AUTHENTICATION_DISABLED"):
        assert value(shipped, "admindaemon/AdminDaemon.properties", key) == "true"


def test_failure_of_generatempasswd_is_not_noticed(shipped: Host) -> None:
    shipped.must(f"mkdir {ETC}/admindaemon/mpasswd")
    result = shipped.run(oxinstaller())
    assert (result.code, "unable to open" in result.err) == (0, True)


def test_generatempasswd_asks_without_the_option(shipped: Host) -> None:
    shipped.must(f"echo secret | {SBIN}/generatempasswd -A oxadminmaster -f /root/mpasswd")
    assert shipped.read("/root/mpasswd").startswith("oxadminmaster:")


def test_license_goes_into_the_common_folder(shipped: Host) -> None:
    shipped.must(oxinstaller(license_option="--add-license=A-B"))
    assert shipped.read(f"{ETC}/common/licensekeys.properties") == "com.openexchange.licensekey.1=A-B\n"
    assert "skipping license A-B" in shipped.must(oxinstaller(license_option="--add-license=A-B"))


def test_debugging_prints_passwords(shipped: Host) -> None:
    assert "password=unseen" in shipped.run(oxinstaller("-D", configdb_pass="unseen")).err


def test_initconfigdb_fresh(empty: Host) -> None:
    result = empty.run(INIT)
    assert (result.code, result.out) == (0, FRESH)
    assert empty.sql("SELECT id FROM configdb.configdb_sequence") == [["1"]]
    assert empty.sql("CALL configdb.get_configdb_id()") == [["2"]]


def test_tables_of_configdb(empty: Host) -> None:
    empty.must(INIT)
    columns: dict[str, list[str]] = {}
    query = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'configdb'"
    for table, column in empty.sql(f"{query} ORDER BY table_name, ordinal_position"):
        columns.setdefault(table, []).append(column)
    assert {table: " ".join(names) for table, names in columns.items()} == {
        "configdb_sequence": "id",
        "db_pool": "db_pool_id url driver login password hardlimit max initial name",
        "db_cluster": "cluster_id read_db_pool_id write_db_pool_id weight max_units",
        "filestore": "id uri size max_context",
        "server": "server_id name",
        "context": (
            "cid name enabled reason_id filestore_id filestore_name filestore_login filestore_passwd quota_max"
        ),
        "context_server2db_pool": "server_id cid read_db_pool_id write_db_pool_id db_schema",
        "login2context": "cid login_info",
        "reason_text": "id text",
    }
    extra = empty.sql("SHOW COLUMNS FROM configdb.configdb_sequence")[0][-1]
    assert extra == "auto_increment"


def fill(host: Host) -> None:
    host.must(INIT)
    host.sql("INSERT INTO configdb.server VALUES (7, 'precious')")


def is_kept(host: Host) -> bool:
    return host.sql("SELECT name FROM configdb.server") == [["precious"]]


def test_initconfigdb_leaves_an_existing_database(empty: Host) -> None:
    fill(empty)
    result = empty.run(INIT)
    assert (result.code, result.err) == (1, EXISTS)
    assert is_kept(empty)


def test_initconfigdb_drops_when_another_name_contains_the_name(empty: Host) -> None:
    fill(empty)
    empty.sql("CREATE DATABASE configdb_backup")
    result = empty.run(INIT)
    assert (result.code, result.out) == (0, FRESH)
    assert not is_kept(empty)


def test_initconfigdb_deletes_when_told(empty: Host) -> None:
    fill(empty)
    result = empty.run(f"{INIT} -i")
    assert (result.code, result.out) == (0, FRESH)
    assert not is_kept(empty)


def test_initconfigdb_with_a_wrong_password(empty: Host) -> None:
    fill(empty)
    result = empty.run(INIT.replace("right", "wrong"))
    assert (result.code, result.out) == (1, "initializing configdb from scratch...")
    assert result.err.startswith("ERROR 1045")
    assert result.err.endswith("\nERROR\n")
    assert is_kept(empty)


def test_initconfigdb_a_drops_after_a_change_of_the_password(empty: Host) -> None:
    fill(empty)
    result = empty.run(f"{INIT} {AS_ROOT}".replace("right", "rotated"))
    assert (result.code, result.out) == (0, FRESH)
    assert not is_kept(empty)
    empty.must("mysql -u openexchange -protated -e 'SELECT 1'")  # the account was reset, too


def test_initconfigdb_a_with_the_same_password_keeps(empty: Host) -> None:
    fill(empty)
    result = empty.run(f"{INIT} {AS_ROOT}")
    assert (result.code, result.err) == (1, EXISTS)
    assert is_kept(empty)


def test_initconfigdb_a_makes_two_accounts_with_all_rights(empty: Host) -> None:
    empty.must(f"{INIT} {AS_ROOT}")
    for place in ("%", "localhost"):
        grant = empty.sql(f"SHOW GRANTS FOR openexchange@'{place}'")[0][0]
        assert grant.startswith("GRANT ALL PRIVILEGES ON *.*")
        assert grant.endswith("WITH GRANT OPTION")


def test_initconfigdb_a_with_a_wrong_root_password(empty: Host) -> None:
    result = empty.run(f"{INIT} {AS_ROOT}wrong")
    assert result.code == 1
    assert "unable to drop database (wrong or missing password for user root?)" in result.err


def test_initconfigdb_without_rights(empty: Host) -> None:
    fill(empty)
    empty.sql("REVOKE ALL PRIVILEGES, GRANT OPTION FROM openexchange@localhost")
    result = empty.run(INIT)
    assert (result.code, "ERROR 1044" in result.err) == (1, True)
    assert is_kept(empty)


def test_initconfigdb_cannot_reach_the_server(empty: Host) -> None:
    result = empty.run(f"{INIT} --configdb-host=127.0.0.1 -p 1")
    assert (result.code, result.out) == (1, "initializing configdb from scratch...")
    assert "ERROR 2002" in result.err or "ERROR 2003" in result.err


def test_initconfigdb_without_a_password(empty: Host) -> None:
    result = empty.run(f"{SBIN}/initconfigdb")
    assert result.code == 1
    assert "currently knows the following parameters" in result.out


def test_initconfigdb_goes_on_after_an_unknown_option(empty: Host) -> None:
    result = empty.run(f"{INIT} --nonsense")
    assert (result.code, result.out) == (0, FRESH)
    assert "unrecognized option" in result.err


def test_initconfigdb_shows_its_password_in_the_process_list(empty: Host) -> None:
    """The client hides it after some milliseconds: a slow one makes the moment longer."""
    empty.must("printf '#!/bin/sh\\nsleep 0.4\\n' > /usr/local/bin/mysql; chmod +x /usr/local/bin/mysql")
    try:
        assert "-pright" in empty.must(f"{INIT} >/dev/null & sleep 0.2; ps axww -o args; wait")
    finally:
        empty.must("rm /usr/local/bin/mysql")

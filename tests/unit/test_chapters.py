"""What the chapters of the deploy put on bare hosts: packages, files, accounts, settings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ox_deploy import secrets
from ox_deploy.cluster import Cluster
from ox_deploy.deploys import clustering, hosts, openxchange
from ox_deploy.errors import InputError
from ox_deploy.mysql.servers import DATABASE_SERVERS
from ox_deploy.operations.openxchange.configuration import PLACEHOLDER, WantedConfiguration
from ox_deploy.products import PRODUCTS
from ox_deploy.products.base import Installer
from ox_deploy.products.ox6 import jcs
from ox_deploy.products.ox6.settings import own
from ox_deploy.topologies.master_slaves.deploys import database
from ox_deploy.topologies.master_slaves.roles import master_of
from tests.unit.deployment import prepared
from tests.unit.fakes import Outcome
from tests.unit.guide import Guide, Pair
from tests.unit.programs import altered
from tests.unit.test_tls import KEY, issued

Jobs = dict[tuple[str, str], dict[str, Any]]

MARIADB = DATABASE_SERVERS["mariadb"]


def made(guide: Guide, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Jobs:
    """The input of each program that the deploy sends to bare hosts, by host and the operation's first word."""
    guide.set(**settings)
    path = Path(guide.settings["secrets_file"])
    secrets.create(path, guide.settings["contexts"])
    found: Jobs = {}
    with prepared(monkeypatch, guide.inventory()) as deployment:
        for step, command in deployment.commands():
            if str(command.bits[0]).startswith("python3 "):
                found[step.host, step.name.split()[0].strip(",")] = Outcome([command]).jobs[0][1]
    return found


def files(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {file["path"]: file for file in job["files"]}


# --- hosts -----------------------------------------------------------------------------------------------


def packages(cluster: Cluster) -> dict[str, list[str]]:
    return {node.name: hosts.packages_of(cluster, node) for node in cluster.nodes}


def test_each_host_gets_its_packages_in_one_list(guide: Guide) -> None:
    found = packages(guide.build())
    database_packages = ["python3", "mariadb-server", "mariadb-backup", "socat", "python3-pymysql"]
    product = PRODUCTS["ox6"]
    assert found["dbslave"] == database_packages
    assert found["dbmaster"] == [*database_packages, "nfs-kernel-server", "nfs-common"]
    assert found["oxgw01"] == ["python3", "nfs-common", "python3-pymysql", *product.groupware_packages]
    assert found["web"] == ["python3", "apache2", *product.gui_packages]


def test_filestore_host_gets_the_wanted_nfs_server(guide: Guide) -> None:
    guide.add("filestore", "nas", address="192.0.2.30")
    found = packages(guide.set(nfs_server="ganesha").build())
    assert found["nas"] == ["python3", "nfs-ganesha", "nfs-ganesha-vfs"]
    assert "nfs-ganesha" not in found["dbmaster"]


def test_host_with_many_roles_has_no_package_twice(guide: Guide) -> None:
    guide.groups["web"] = ["oxgw01"]
    guide.add("db_slave", "oxgw01", server_id=3)
    found = packages(guide.build())["oxgw01"]
    assert len(found) == len(set(found))
    assert {"apache2", "mariadb-server", "open-xchange-server", "open-xchange-gui"} <= set(found)


def test_user_is_made_where_the_filestore_is_used(guide: Guide) -> None:
    def users(cluster: Cluster) -> list[str]:
        return [node.name for node in cluster.nodes if hosts.needs_user(cluster, node)]

    assert users(guide.build()) == ["oxgw01", "oxgw02", "dbmaster"]
    assert users(guide.set(external_filestore="nas.example.com:/ox").build()) == ["oxgw01", "oxgw02"]


NAMES = """\
192.0.2.10 web
192.0.2.11 oxgw01
192.0.2.12 oxgw02
192.0.2.21 dbmaster
192.0.2.22 dbslave
"""


def test_every_host_knows_every_name(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = made(guide, monkeypatch)
    for host in guide.hosts:
        names = files(jobs[host, "Names"])["/etc/hosts"]
        assert (names["content"], names["block"]) == (NAMES, "cluster")


def test_package_source_is_for_hosts_with_the_product_only(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = made(guide, monkeypatch)
    assert {host: hosts.SOURCES in files(jobs[host, "Names"]) for host in guide.hosts} == {
        "web": True,
        "oxgw01": True,
        "oxgw02": True,
        "dbmaster": False,
        "dbslave": False,
    }


def test_repository_password_is_in_a_file_that_only_root_reads(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    login = {"OX_DEPLOY_OX_REPOSITORY_USER": "customer", "OX_DEPLOY_OX_REPOSITORY_PASSWORD": "vendors-password"}
    monkeypatch.setattr(secrets, "os", altered(os, environ=login))
    written = files(made(guide, monkeypatch)["web", "Names"])
    assert written[hosts.CREDENTIALS]["mode"] == "0600"
    assert written[hosts.CREDENTIALS]["content"] == (
        "machine http://repository.example.com/OX6/6.10/ login customer password vendors-password\n"
    )
    assert "vendors-password" not in written[hosts.SOURCES]["content"]
    assert written[hosts.KEY]["content"].startswith("-----BEGIN PGP")


def test_repository_without_a_password_has_no_such_file(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hosts.CREDENTIALS not in files(made(guide, monkeypatch)["web", "Names"])


@pytest.mark.parametrize("name", ["OX_DEPLOY_OX_REPOSITORY_USER", "OX_DEPLOY_OX_REPOSITORY_PASSWORD"])
def test_half_a_repository_login_is_refused(guide: Guide, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(secrets, "os", altered(os, environ={name: "x"}))
    with pytest.raises(InputError, match="only one of `ox_repository_user` and `ox_repository_password` is set"):
        made(guide, monkeypatch)


# --- database --------------------------------------------------------------------------------------------


def test_only_slaves_are_read_only(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = made(guide, monkeypatch)
    for host, number, read_only in (("dbmaster", 1, "OFF"), ("dbslave", 2, "ON")):
        order = jobs[host, "Configure"]
        assert order["read_only"] is (read_only == "ON")
        job = order["files"]
        text = files(job)[MARIADB.configuration]["content"]
        assert f"server-id = {number}\n" in text
        assert f"read_only = {read_only}\n" in text
        assert (job["units"], job["on_change"], bool(job["check"])) == (["mariadb"], "restart", True)


def tls_steps(guide: Guide, monkeypatch: pytest.MonkeyPatch, host: str, **settings: Any) -> list[str]:
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    with prepared(monkeypatch, guide.set(**settings).inventory()) as deployment:
        return [step.name for step in deployment.steps() if step.host == host and step.chapter == "Databases"]


CERTIFICATE, TRUST = "Make the server's certificate", "Trust the certificates of all database servers"
ENCRYPT, REPLICATE = "Let the replicas log in encrypted only", "Replicate from the master"
ACCOUNTS = "Make the accounts of the replicas and of Open-Xchange"


def test_slave_has_moved_before_its_account_requires_encryption(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    guide.set(replication_tls=True)
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    with prepared(monkeypatch, guide.inventory()) as deployment:
        steps = [(step.name, step.host) for step in deployment.steps()]
    wanted = [
        (CERTIFICATE, "dbslave"),
        (TRUST, "dbmaster"),
        (ACCOUNTS, "dbmaster"),
        (REPLICATE, "dbslave"),
        (ENCRYPT, "dbmaster"),
    ]
    places = [steps.index(step) for step in wanted]
    assert places == sorted(places)
    assert steps.index((CERTIFICATE, "dbmaster")) < steps.index((TRUST, "dbslave")) < steps.index(wanted[3])


def test_accounts_require_encryption_at_the_end_only(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = guide.set(replication_tls=True).build()
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    assert {(account.user, account.tls) for account in database.wanted_accounts(cluster)} == {
        ("replication", True),
        ("openexchange", None),
    }
    asked: dict[str, Any] = {}
    monkeypatch.setattr("ox_deploy.operations.mysql.accounts", lambda **arguments: asked.update(arguments))
    database._make_first_accounts(cluster, master_of(cluster))
    assert {account.tls for account in asked["wanted"]} == {None}
    database._make_first_accounts(guide.set(replication_tls=False).build(), master_of(cluster))
    assert {(account.user, account.tls) for account in asked["wanted"]} == {
        ("replication", False),
        ("openexchange", None),
    }


def test_without_encryption_nothing_of_it_is_left(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not {CERTIFICATE, TRUST, ENCRYPT} & set(tls_steps(guide, monkeypatch, "dbmaster"))
    cluster = guide.build()
    absent = {file.path for file in database.server_files(cluster, master_of(cluster)) if file.content is None}
    assert {database.TLS.pair, database.TLS.trusted} < absent
    assert database.source_of(cluster).ca == database.trusted_by_slaves(cluster) == ""
    assert "openssl" not in hosts.packages_of(cluster, master_of(cluster))


def test_made_certificate_is_used_by_server_and_slaves(guide: Guide) -> None:
    cluster = guide.set(replication_tls=True).build()
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    written = {file.path: file for file in database.server_files(cluster, master_of(cluster))}
    assert not {database.TLS.pair, database.TLS.trusted} & written.keys()
    assert f"ssl_key = {database.TLS.pair}\n" in str(written[MARIADB.configuration].content)
    assert database.source_of(cluster).ca == database.TLS.trusted
    assert "openssl" in hosts.packages_of(cluster, master_of(cluster))
    # A switch takes the fence away from the list.
    assert list(written)[-1] == MARIADB.fence


def test_acknowledgement_is_wanted_by_servers_and_slaves(guide: Guide) -> None:
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    for wanted in (False, True):
        cluster = guide.set(semi_synchronous=wanted).build()
        text = str([file.content for file in database.server_files(cluster, master_of(cluster))])
        assert ("rpl_semi_sync_master_enabled = ON" in text) is wanted
        assert database.source_of(cluster).semi_synchronous is wanted


def given(guide: Guide, folder: Path, certificate: str, key: str) -> Guide:
    """The guide's cluster with the same certificate for both servers, which is its own CA."""
    for name, text in (("certificate", certificate), ("key", key)):
        (folder / name).write_text(text)
    files = {"mysql_tls_certificate": str(folder / "certificate"), "mysql_tls_key": str(folder / "key")}
    for host in ("dbmaster", "dbslave"):
        guide.hosts[host] |= files
    return guide.set(replication_tls=True, mysql_tls_ca=str(folder / "certificate"))


def test_given_certificate_is_written_with_its_key_for_the_server_only(guide: Guide, tmp_path: Path) -> None:
    certificate = issued(KEY, "192.0.2.21")
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    cluster = given(guide, tmp_path, certificate, private).build()
    written = {file.path: file for file in database.server_files(cluster, master_of(cluster))}
    pair = written[database.TLS.pair]
    assert (pair.content, pair.mode, pair.owner) == (certificate + private, "0600", "mysql")
    assert written[database.TLS.trusted].content == certificate
    assert "openssl" not in hosts.packages_of(cluster, master_of(cluster))


def test_given_certificate_of_another_server_ends_the_run_before_a_change(
    guide: Guide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    given(guide, tmp_path, issued(KEY, "192.0.2.21"), private)
    with pytest.raises(InputError, match=r"host dbslave: `mysql_tls_certificate` is for 192\.0\.2\.21; it should have"):
        made(guide, monkeypatch)
    given(guide, tmp_path, issued(KEY, "192.0.2.21"), "no key")
    with pytest.raises(InputError, match="`mysql_tls_key` is not a PEM key"):
        made(guide, monkeypatch)


def test_given_certificates_need_no_step_of_their_own(
    guide: Guide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(database, "check_issued", lambda *_: None)
    monkeypatch.setattr("ox_deploy.certificate.check_issued", lambda *_: None)
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    given(guide, tmp_path, issued(KEY, "192.0.2.21"), private)
    found = tls_steps(guide, monkeypatch, "dbmaster")
    assert not {CERTIFICATE, TRUST} & set(found)
    assert ENCRYPT in found


def test_settings_of_one_server_stay_with_it(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    guide.hosts["dbslave"]["mysql_settings"] = {"max_connections": 50}
    jobs = made(guide, monkeypatch)
    has = {host: "max_connections" in str(jobs[host, "Configure"]) for host in ("dbmaster", "dbslave")}
    assert has == {"dbmaster": False, "dbslave": True}


def test_accounts_are_for_the_addresses_of_those_who_log_in(guide: Guide) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    cluster = guide.build()
    secrets.create(Path(cluster.settings.secrets_file), [])
    accounts = database.wanted_accounts(cluster)
    assert [(account.user, account.host) for account in accounts] == [
        # The master is a replica after a switch.
        ("replication", "192.0.2.21"),
        ("replication", "192.0.2.22"),
        ("replication", "192.0.2.23"),
        ("openexchange", "192.0.2.11"),
        ("openexchange", "192.0.2.12"),
    ]
    assert accounts[0].privileges == {"REPLICATION SLAVE"}
    assert not accounts[0].grant_option
    assert accounts[0].password.reveal() != accounts[3].password.reveal()


def test_master_without_a_slave_has_no_account_for_one(guide: Guide) -> None:
    guide.groups["db_slave"] = []
    cluster = guide.build()
    secrets.create(Path(cluster.settings.secrets_file), [])
    assert {account.user for account in database.wanted_accounts(cluster)} == {"openexchange"}


@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_product_may_not_write_on_a_read_only_slave(product: Any) -> None:
    forbidden = {
        "ALL PRIVILEGES",
        "ALL",
        "SUPER",
        "READ_ONLY ADMIN",
        "BINLOG ADMIN",
        "FILE",
        "SHUTDOWN",
        "GRANT OPTION",
    }
    assert not product.database_privileges & forbidden
    assert {"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP"} <= product.database_privileges
    assert all(name == name.upper() for name in product.database_privileges)


# --- filestore -------------------------------------------------------------------------------------------


def test_kernel_server_exports_to_the_groupware_nodes_only(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    job = made(guide, monkeypatch)["dbmaster", "Export"]
    written = files(job)
    directory = written["/var/opt/filestore"]
    assert (directory["directory"], directory["mode"], directory["owner"]) == (True, "0750", "open-xchange")
    lines = written["/etc/exports.d/ox-deploy.exports"]["content"].splitlines()[1:]
    assert [line.split("(")[0] for line in lines] == [
        "/var/opt/filestore 192.0.2.11",
        "/var/opt/filestore 192.0.2.12",
    ]
    assert (job["units"], job["on_change"]) == (["nfs-server"], "reload")


def test_ganesha_keeps_the_users_own_settings(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    job = made(guide, monkeypatch, nfs_server="ganesha")["dbmaster", "Export"]
    main = files(job)["/etc/ganesha/ganesha.conf"]
    assert (main["block"], main["content"]) == ("filestore", '%include "/etc/ganesha/ox-deploy.conf"\n')
    assert job["units"] == ["nfs-ganesha"]
    assert job["probe"]["logs"] == ["/var/log/ganesha/ganesha.log"]


def test_statd_takes_no_port_of_ganesha(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    job = made(guide, monkeypatch, nfs_server="ganesha")["dbmaster", "Export"]
    reserved = files(job)["/etc/bindresvport.blacklist"]
    assert (reserved["block"], reserved["content"]) == ("filestore", "875\n")
    assert job["commands"] == [["systemctl", "try-restart", "nfs-ganesha-lock"]]


def test_services_do_not_start_without_the_mount(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    job = made(guide, monkeypatch)["oxgw01", "Mount"]["service"]
    folder = "/etc/systemd/system/{}.service.d/ox-deploy.conf"
    drop_ins = [folder.format(name) for name in ("open-xchange-admin", "open-xchange-groupware")]
    assert list(files(job)) == ["/etc/fstab", *drop_ins]
    assert all("Wants=ox-multicast-route.service\n" in files(job)[path]["content"] for path in drop_ins)
    assert files(job)["/etc/fstab"]["content"] == (
        "192.0.2.21:/var/opt/filestore /var/opt/filestore nfs rw,hard,nosuid,nodev,noatime,_netdev 0 0\n"
    )


def test_external_filestore_is_mounted_and_not_exported(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = made(guide, monkeypatch, external_filestore="nas.example.com:/ox")
    assert not [name for _, name in jobs if name == "Export"]
    line = files(jobs["oxgw02", "Mount"]["service"])["/etc/fstab"]["content"]
    assert line.startswith("nas.example.com:/ox /var/opt/filestore nfs ")


def test_node_that_is_the_filestore_exports_to_the_others_and_mounts_nothing(
    guide: Guide, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide.add("filestore", "oxgw01")
    jobs = made(guide, monkeypatch)
    written = files(jobs["oxgw01", "Export"])
    assert "192.0.2.12" in written["/etc/exports.d/ox-deploy.exports"]["content"]
    assert "192.0.2.11" not in written["/etc/exports.d/ox-deploy.exports"]["content"]
    assert "/etc/systemd/system/open-xchange-groupware.service.d/ox-deploy.conf" in written
    assert ("oxgw01", "Mount") not in jobs
    assert ("oxgw02", "Mount") in jobs


# --- web -------------------------------------------------------------------------------------------------


def test_web_host_gets_site_modules_and_a_closed_key(
    guide: Guide, monkeypatch: pytest.MonkeyPatch, pairs: tuple[Pair, Pair]
) -> None:
    job = made(guide, monkeypatch)["web", "Balance"]
    written = files(job)
    key, certificate = written["/etc/ssl/private/open-xchange.key"], written["/etc/ssl/certs/open-xchange.pem"]
    assert (key["mode"], key["content"]) == ("0600", pairs[0].key)
    assert certificate["content"] == pairs[0].certificate
    links = {path: file["target"] for path, file in written.items() if file["target"]}
    assert links["/etc/apache2/mods-enabled/proxy_ajp.load"] == "../mods-available/proxy_ajp.load"
    assert links["/etc/apache2/mods-enabled/ssl.conf"] == "../mods-available/ssl.conf"
    assert "/etc/apache2/mods-enabled/proxy_ajp.conf" not in links
    assert links["/etc/apache2/sites-enabled/00-open-xchange.conf"] == "../sites-available/00-open-xchange.conf"
    assert (job["on_change"], job["check"]) == ("reload", ["apachectl", "configtest"])


def test_key_of_another_certificate_ends_the_run_before_a_change(
    guide: Guide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pairs: tuple[Pair, Pair]
) -> None:
    other = tmp_path / "other.key"
    other.write_text(pairs[1].key)
    with pytest.raises(InputError, match="`web_certificate_key` is not the key of"):
        made(guide, monkeypatch, web_certificate_key=str(other))


def test_certificate_in_binary_form_is_refused_with_a_sentence(
    guide: Guide, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    binary = tmp_path / "certificate.der"
    binary.write_bytes(b"\x30\x82\x01\xf5\xff\xfe")
    with pytest.raises(InputError, match="the file of `web_certificate` is binary; it should be in PEM form"):
        made(guide, monkeypatch, web_certificate=str(binary))


# --- open-xchange ----------------------------------------------------------------------------------------


def configuration(guide: Guide, name: str = "oxgw01") -> WantedConfiguration:
    cluster = guide.build()
    secrets.create(Path(cluster.settings.secrets_file), [])
    node = next(node for node in cluster.nodes if node.name == name)
    return openxchange.wanted_configuration(cluster, node)


def test_groupware_reads_from_the_slave_and_writes_to_the_master(guide: Guide) -> None:
    values = configuration(guide).values
    groupware, admin = (values[f"{part}/configdb.properties"] for part in ("groupware", "admindaemon"))
    assert groupware["useSeparateWrite"] == "true"
    assert groupware["readUrl"] == "jdbc:mysql://192.0.2.22:3306/configdb"
    assert groupware["writeUrl"] == "jdbc:mysql://192.0.2.21:3306/configdb"
    # The admin daemon has to see at once what it wrote.
    assert admin["useSeparateWrite"] == "false"
    assert admin["readUrl"] == admin["writeUrl"] == "jdbc:mysql://192.0.2.21:3306/configdb"


def test_groupware_without_a_slave_reads_from_the_master(guide: Guide) -> None:
    del guide.groups["db_slave"]
    groupware = configuration(guide.set(mysql_port=3307)).values["groupware/configdb.properties"]
    assert groupware["useSeparateWrite"] == "false"
    assert groupware["readUrl"] == groupware["writeUrl"] == "jdbc:mysql://192.0.2.21:3307/configdb"


@pytest.mark.parametrize(("name", "route"), [("oxgw01", "OX-1"), ("oxgw02", "OX-2")])
def test_node_knows_the_route_that_the_balancer_has_for_it(guide: Guide, name: str, route: str) -> None:
    assert configuration(guide, name).values["groupware/ajp.properties"]["AJP_JVM_ROUTE"] == route


def test_passwords_are_asked_for_under_the_keys_that_are_written(guide: Guide) -> None:
    wanted = configuration(guide)
    keys = ["readProperty.2", "writeProperty.2"]
    assert wanted.secret_keys() == {f"{part}/configdb.properties": keys for part in ("groupware", "admindaemon")}


def installer(guide: Guide) -> Installer:
    cluster = guide.build()
    secrets.create(Path(cluster.settings.secrets_file), [])
    return cluster.product.installer(cluster, cluster.groupware[1], openxchange.accounts(cluster))


def test_installer_gets_a_placeholder_for_each_password(guide: Guide) -> None:
    arguments = installer(guide).arguments
    assert f"--configdb-pass={PLACEHOLDER}" in arguments
    assert f"--master-pass={PLACEHOLDER}" in arguments
    assert "--jkroute=OX-2" in arguments
    assert "--configdb-readhost=192.0.2.22" in arguments
    assert "--configdb-writehost=192.0.2.21" in arguments


@pytest.mark.parametrize(("key", "arguments"), [(None, ["--no-license"]), ("ABC-1", ["--add-license=ABC-1"])])
def test_licence_is_told_or_done_without(guide: Guide, key: str | None, arguments: list[str]) -> None:
    assert installer(guide.set(license_key=key)).license_arguments == arguments


def test_first_slave_is_registered_as_the_masters_and_a_second_is_not(guide: Guide) -> None:
    guide.add("db_slave", "dbslave2", address="192.0.2.23", server_id=3)
    cluster = guide.build()
    secrets.create(Path(cluster.settings.secrets_file), guide.settings["contexts"])
    wanted = openxchange.wanted_registration(cluster)
    assert [(database.name, database.address, database.writer) for database in wanted.databases] == [
        ("oxdatabase", "192.0.2.21", None),
        ("oxdatabase_slave", "192.0.2.22", "oxdatabase"),
    ]
    assert wanted.filestore == "file:///var/opt/filestore"
    (context,) = wanted.contexts
    assert [user.name for user in context.users] == ["testuser"]
    assert context.password.reveal() != context.users[0].password.reveal()


# --- clustering ------------------------------------------------------------------------------------------


def test_caches_discover_each_other_by_multicast_and_have_ports_of_their_own(guide: Guide) -> None:
    values = jcs.values(own(guide.build().settings))
    ports = {}
    for file, keys in values.items():
        short = {key.rpartition(".")[2]: value for key, value in keys.items()}
        assert short["UdpDiscoveryEnabled"] == "true"
        assert short["UdpDiscoveryAddr"] == "224.0.0.1"
        # A list of peers would keep the cache from finding others.
        assert short["TcpServers"] is None
        ports[file] = (short["UdpDiscoveryPort"], short["TcpListenerPort"])
    assert ports == {
        "groupware/cache.ccf": ("6780", "57462"),
        "admindaemon/cache.ccf": ("6780", "57461"),
        "groupware/sessioncache.ccf": ("6781", "58849"),
    }
    assert all("SessionLTCP" in key for key in values["groupware/sessioncache.ccf"])


def test_node_routes_multicast_to_its_own_interface(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = made(guide, monkeypatch)
    for host, address in (("oxgw01", "192.0.2.11"), ("oxgw02", "192.0.2.12")):
        job = jobs[host, "Route"]
        assert f"show to {address} " in files(job)[clustering.ROUTE_FILE]["content"]
        assert (job["units"], job["daemon_reload"]) == ([clustering.ROUTE_UNIT], True)


def test_node_waits_for_every_other_node(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    guide.add("groupware", "oxgw03", address="192.0.2.13", route="OX-3")
    job = made(guide, monkeypatch)["oxgw02", "Wait"]
    assert job["peers"] == ["192.0.2.11", "192.0.2.13"]
    assert sorted(job["ports"]) == [57461, 57462, 58849]

"""The description of the cluster: what it is built from, and what it refuses with one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyinfra_cli.inventory import make_inventory_from_files

from ox_deploy.cluster import cluster_of
from ox_deploy.errors import InputError
from ox_deploy.products import PRODUCTS
from ox_deploy.products.ox6.settings import own
from ox_deploy.questions.pyinfra_internals import current_state
from ox_deploy.topologies.master_slaves.roles import master_of, slaves_of
from ox_deploy.topologies.master_slaves.topology import MASTER_SLAVES
from tests.unit.fakes import in_phase
from tests.unit.guide import Guide, context

ROOT = Path(__file__).parents[2]
SETTINGS = PRODUCTS["ox6"].settings.model_fields


def refusal(build: Callable[[], Any]) -> str:
    with pytest.raises(InputError) as refused:
        build()
    sentence = str(refused.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_guides_hosts_have_the_guides_roles(guide: Guide) -> None:
    cluster = guide.build()
    assert [node.name for node in cluster.web] == ["web"]
    assert [node.name for node in cluster.groupware] == ["oxgw01", "oxgw02"]
    assert [node.name for node in cluster.databases] == ["dbmaster", "dbslave"]
    assert cluster.registrar.name == "oxgw01"
    assert cluster.reader.name == "dbslave"
    assert cluster.filestore == master_of(cluster)
    assert cluster.filestore_source == "192.0.2.21:/var/opt/filestore"
    assert {node.load_factor for node in cluster.groupware} == {50}


def test_any_number_of_hosts_keeps_the_order_of_the_inventory(guide: Guide) -> None:
    guide.add("web", "web2", address="192.0.2.20")
    for number in range(3, 21):
        guide.add("groupware", f"oxgw{number:02}", address=f"192.0.2.{100 + number}", route=f"OX-{number}")
    for number in (3, 4):
        guide.add("db_slave", f"dbslave{number}", address=f"192.0.2.{20 + number}", server_id=number)
    cluster = guide.build()
    assert [node.name for node in cluster.web] == ["web", "web2"]
    assert [node.route for node in cluster.groupware] == [f"OX-{number}" for number in range(1, 21)]
    assert [node.server_id for node in cluster.databases] == [1, 2, 3, 4]
    assert cluster.reader.name == "dbslave"


def test_cluster_without_slave_reads_from_the_master(guide: Guide) -> None:
    del guide.groups["db_slave"]
    cluster = guide.build()
    assert slaves_of(cluster) == ()
    assert cluster.reader == master_of(cluster)


def test_host_in_two_groups_is_one_node(guide: Guide) -> None:
    guide.groups["web"] = ["oxgw01"]
    cluster = guide.build()
    assert [node.name for node in cluster.nodes] == ["oxgw01", "oxgw02", "dbmaster", "dbslave"]
    assert cluster.web[0] == cluster.groupware[0]


def test_refusal_names_the_file_whose_value_counts(guide: Guide) -> None:
    guide.add("filestore", "dbmaster")
    guide.group_data = {"db_master": {"server_id": 7}, "filestore": {"server_id": -1}}
    del guide.hosts["dbmaster"]["server_id"]
    inventory = guide.inventory()
    counts = inventory.get_host("dbmaster").data.get("server_id")
    place = {7: "db_master", -1: "filestore"}[counts]
    guide.group_data[place] = {"server_id": 0}
    said = refusal(lambda: cluster_of(guide.inventory()))
    assert said.startswith(f"group_data/{place}.py: `server_id` is 0")


def test_group_filestore_takes_the_filestore_away_from_the_master(guide: Guide) -> None:
    guide.add("filestore", "nas", address="192.0.2.30")
    cluster = guide.build()
    assert cluster.filestore is not None
    assert cluster.filestore.name == "nas"
    assert cluster.filestore_source == "192.0.2.30:/var/opt/filestore"


def test_external_filestore_is_not_ours_to_set_up(guide: Guide) -> None:
    cluster = guide.set(external_filestore="nas.example.com:/export/ox").build()
    assert cluster.filestore is None
    assert cluster.filestore_source == "nas.example.com:/export/ox"


def test_hostname_is_the_name_on_the_hosts_where_pyinfra_has_another(guide: Guide) -> None:
    guide.groups["web"] = ["@docker/lab-web"]
    guide.hosts["@docker/lab-web"] = guide.hosts["web"] | {"hostname": "web"}
    node = guide.build().web[0]
    assert (node.name, node.inventory_name) == ("web", "@docker/lab-web")


@pytest.mark.parametrize("key", [key for key, field in SETTINGS.items() if field.is_required()])
def test_missing_setting_is_named(guide: Guide, key: str) -> None:
    del guide.settings[key]
    assert refusal(guide.build) == f"group_data/all.py: `{key}` is missing; add it."


def test_caches_may_have_another_multicast_address_with_its_route(guide: Guide) -> None:
    settings = own(guide.set(multicast_network="239.1.0.0/16", cache_multicast_address="239.1.2.3").build().settings)
    assert (settings.multicast_network, settings.cache_multicast_address) == ("239.1.0.0/16", "239.1.2.3")


def test_missing_address_is_named(guide: Guide) -> None:
    del guide.hosts["web"]["address"]
    assert refusal(guide.build) == "inventory.py, host web: `address` is missing; add it."


def test_groupware_node_needs_a_route(guide: Guide) -> None:
    del guide.hosts["oxgw02"]["route"]
    assert refusal(guide.build) == "inventory.py, host oxgw02: `route` is missing; add one such as OX-1."


@pytest.mark.parametrize("host", ["dbmaster", "dbslave"])
def test_database_server_needs_a_server_id(guide: Guide, host: str) -> None:
    del guide.hosts[host]["server_id"]
    assert refusal(guide.build) == f"inventory.py, host {host}: `server_id` is missing; add a unique number."


def test_slave_needs_a_master(guide: Guide) -> None:
    del guide.groups["db_master"]
    assert refusal(guide.build) == "inventory.py: group `db_master` has none; it should have exactly one host."


def test_second_master_is_refused(guide: Guide) -> None:
    guide.add("db_master", "dbmaster2", address="192.0.2.23", server_id=3)
    sentence = refusal(guide.build)
    assert sentence == "inventory.py: group `db_master` has dbmaster, dbmaster2; it should have exactly one host."


def test_host_cannot_be_master_and_slave(guide: Guide) -> None:
    guide.groups["db_slave"].append("dbmaster")
    assert refusal(guide.build) == (
        "inventory.py, host dbmaster: it is in both `db_master` and `db_slave`; remove it from one."
    )


@pytest.mark.parametrize("group", ["web", "groupware"])
def test_group_that_is_needed_must_have_a_host(guide: Guide, group: str) -> None:
    del guide.groups[group]
    assert refusal(guide.build) == f"inventory.py: group `{group}` is empty; it should have at least one host."


def test_second_filestore_is_refused(guide: Guide) -> None:
    guide.add("filestore", "nas", address="192.0.2.30")
    guide.add("filestore", "web")
    sentence = refusal(guide.build)
    assert sentence == "inventory.py: group `filestore` has web, nas; it should have at most one host."


def test_external_filestore_and_group_filestore_contradict(guide: Guide) -> None:
    guide.add("filestore", "web")
    assert refusal(guide.set(external_filestore="nas:/ox").build) == (
        "group_data/all.py: `external_filestore` is set, but the inventory also has a group `filestore`; keep one."
    )


def test_same_user_in_two_contexts_is_fine(guide: Guide) -> None:
    guide.set(contexts=[context(1, "a"), context(2, "b")]).build()


UNKNOWN = (
    "{}: `{}` is not a setting; remove it from the inventory or from group_data, or correct its spelling "
    "(group_data/all.py lists all of them)."
)


def test_misspelt_setting_is_refused(guide: Guide) -> None:
    inventory = guide.set(mysql_prot=3307).inventory()
    assert refusal(lambda: cluster_of(inventory)) == UNKNOWN.format("web", "mysql_prot")


def test_misspelt_host_data_is_refused(guide: Guide) -> None:
    guide.hosts["oxgw02"]["rout"] = "OX-2"
    inventory = guide.inventory()
    assert refusal(lambda: cluster_of(inventory)) == UNKNOWN.format("oxgw02", "rout")


@pytest.mark.parametrize("option", sorted(MASTER_SLAVES.run_options))
def test_what_is_said_for_one_run_is_no_misspelt_setting(guide: Guide, option: str) -> None:
    assert cluster_of(guide.inventory({option: "dbslave"})).settings == guide.build().settings


def test_inventory_without_our_groups_is_refused() -> None:
    inventory = Guide({}, {}, {}).inventory()
    assert refusal(lambda: cluster_of(inventory)) == (
        "inventory.py: none of the groups web, groupware, db_master, db_slave, filestore has a host; add the hosts."
    )


def test_connectors_own_keys_are_left_alone(guide: Guide) -> None:
    for host in guide.hosts.values():
        host |= {"ssh_hostname": host["address"], "ssh_user": "admin", "_sudo": True}
    assert len(cluster_of(guide.inventory()).nodes) == 5


def test_cluster_of_an_inventory_is_built_once(guide: Guide) -> None:
    inventory = guide.inventory()
    assert cluster_of(inventory) is cluster_of(inventory)


def test_each_pyinfra_host_has_its_node(guide: Guide) -> None:
    inventory = guide.inventory()
    cluster = cluster_of(inventory)
    assert [cluster.node_of(host).name for host in inventory] == list(guide.hosts)


def test_host_data_wins_over_group_data_for_settings_of_one_server(guide: Guide) -> None:
    guide.set(mysql_settings={"max_connections": 100}, mysql_option_file="/root/.my.cnf")
    guide.hosts["dbslave"] |= {"mysql_settings": {"max_connections": 50}, "mysql_option_file": None}
    master, slave = cluster_of(guide.inventory()).databases
    assert (master.mysql_settings, master.mysql_option_file) == ({"max_connections": 100}, "/root/.my.cnf")
    assert (slave.mysql_settings, slave.mysql_option_file) == ({"max_connections": 50}, None)


def test_data_on_the_command_line_wins(guide: Guide) -> None:
    cluster = cluster_of(guide.inventory({"remove_stale_accounts": True, "mysql_port": 3307}))
    assert cluster.settings.remove_stale_accounts
    assert cluster.settings.mysql_port == 3307


def shipped(guide: Guide, override: dict[str, Any]) -> Any:
    # pyinfra notes in the state which file it reads.
    with in_phase(None, executing=False):
        state: Any = current_state()
        state.current_exec_filename = None
        return make_inventory_from_files(str(ROOT / "inventory.py"), override, cwd=str(ROOT))


def test_shipped_files_describe_the_guides_cluster(guide: Guide, input_files: dict[str, Any]) -> None:
    cluster = cluster_of(shipped(guide, input_files))
    assert [(node.name, sorted(node.groups)) for node in cluster.nodes] == [
        ("web", ["web"]),
        ("oxgw01", ["groupware"]),
        ("oxgw02", ["groupware"]),
        ("dbmaster", ["db_master"]),
        ("dbslave", ["db_slave"]),
    ]
    assert [node.route for node in cluster.groupware] == ["OX-1", "OX-2"]


def test_shipped_files_ask_for_the_users_certificate_first(guide: Guide) -> None:
    inventory = shipped(guide, {})
    assert "there is no such file on this machine" in refusal(lambda: cluster_of(inventory))


def test_every_setting_is_explained_in_group_data_with_its_default(input_files: dict[str, Any]) -> None:
    shown: dict[str, Any] = {}
    exec((ROOT / "group_data/all.py").read_text(), shown)  # noqa: S102 - a file of ours
    del shown["__builtins__"], shown["__annotations__"]
    assert shown.keys() == SETTINGS.keys() | {"mysql_settings", "mysql_option_file"}
    defaults = {key: field.default for key, field in SETTINGS.items() if not field.is_required()}
    del defaults["contexts"]
    assert {key: shown[key] for key in defaults} == defaults


def given_certificates(guide: Guide, path: str) -> Guide:
    for name in ("dbmaster", "dbslave"):
        guide.hosts[name] |= {"mysql_tls_certificate": path, "mysql_tls_key": path}
    return guide.set(replication_tls=True, mysql_tls_ca=path)


def test_certificates_are_made_unless_they_are_given(guide: Guide, input_files: dict[str, Any]) -> None:
    assert not guide.build().makes_certificates
    assert guide.set(replication_tls=True).build().makes_certificates
    assert not given_certificates(guide, input_files["web_certificate"]).build().makes_certificates


@pytest.mark.parametrize("key", ["mysql_tls_certificate", "mysql_tls_key"])
def test_certificates_are_given_for_all_database_servers_or_none(
    guide: Guide, input_files: dict[str, Any], key: str
) -> None:
    del given_certificates(guide, input_files["web_certificate"]).hosts["dbslave"][key]
    assert refusal(guide.build).startswith(f"inventory.py, host dbslave: `{key}` is missing; add it, or leave out ")
    del guide.settings["mysql_tls_ca"]
    assert refusal(guide.build).startswith("group_data/all.py: `mysql_tls_ca` is missing; add it, or leave out ")


DIFFERS = re.compile(
    r"(\w+): `(\w+)` is .+ here and .+ on another host; it applies to the whole cluster, so set it in "
)


@pytest.mark.parametrize("common", [{"server_memory": 512}, {}])
@pytest.mark.parametrize("host", ["web", "dbslave"])
def test_setting_of_the_cluster_that_differs_between_hosts_is_refused(
    guide: Guide, host: str, common: dict[str, int]
) -> None:
    guide.set(**common).hosts[host]["server_memory"] = 1024
    inventory = guide.inventory()
    found = DIFFERS.match(refusal(lambda: cluster_of(inventory)))
    assert found
    assert found[2] == "server_memory"


def test_setting_of_the_cluster_that_differs_between_groups_is_refused(guide: Guide) -> None:
    guide.group_data["db_slave"] = {"mysql_port": 3307}
    inventory = guide.set(mysql_port=3306).inventory()
    assert DIFFERS.match(refusal(lambda: cluster_of(inventory)))

"""A cluster that was built by hand from the guide is deployed: it is taken over without a loss, and nothing is left."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from tests.integration import by_hand
from tests.integration.by_hand import FILES, FILESTORE, GROUPWARE
from tests.integration.database import is_mariadb, replica, sql, uses_gtid
from tests.integration.deployment import Run, command, deploy, dry_run, pyinfra
from tests.integration.test_verify import verify
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mariadb-11.8"), pytest.mark.usefixtures("bare_hosts")]

KEPT = "/var/lib/ox-deploy/before"
UNITS = {
    "web": ["apache2"],
    "oxgw01": ["open-xchange-admin", "open-xchange-groupware"],
    "oxgw02": ["open-xchange-admin", "open-xchange-groupware"],
    "dbmaster": ["mariadb", "nfs-ganesha"],
    "dbslave": ["mariadb"],
}
# What is taken over of each host.
TAKEN = {
    "web": [by_hand.APT_SOURCE, by_hand.CONF_ENABLED],
    "oxgw01": [by_hand.APT_SOURCE, "/etc/fstab", by_hand.ROUTE_UNIT],
    "oxgw02": [by_hand.APT_SOURCE, "/etc/fstab", by_hand.INTERFACES],
    "dbmaster": ["/etc/mysql/mariadb.cnf", by_hand.GANESHA],
    "dbslave": [],
}
# What a registration, a context or a user is; passwords and what counts on is another matter.
TABLES = ("context", "server", "filestore", "db_cluster", "context_server2db_pool", "login2context")


@dataclass
class Adopted:
    """A cluster by hand as it was, what a plan and the deploy said, and how often daemons started in it."""

    ids: dict[str, int]
    rows: str
    files: str
    position: str
    texts: dict[str, str]
    plan: Run
    done: Run
    starts: dict[str, int]


def rows(node: str = "dbmaster") -> str:
    """Return all that users have, and what is registered."""
    schemas = sql(node, "SELECT DISTINCT db_schema FROM configdb.context_server2db_pool ORDER BY 1").split()
    dumps = [run(node, ["mariadb-dump", "--compact", "configdb", *TABLES])]
    dumps += [run(node, ["mariadb-dump", "--compact", schema]) for schema in schemas]
    return "".join(dumps)


def files() -> str:
    return run("dbmaster", f"cd {FILESTORE} && find . -type f -exec sha256sum {{}} + | sort")


def started(node: str, unit: str) -> int:
    """Return how often a unit was started so far."""
    said = run(node, f"journalctl -q -o cat -u {unit} | grep -c '^Started {unit}' || true")
    return int(said)


def all_starts() -> dict[str, int]:
    return {f"{unit} on {node}": started(node, unit) for node, units in UNITS.items() for unit in units}


def what_hosts_are_like() -> dict[str, str]:
    """Return what a plan could have changed."""
    look = "find /etc /opt/open-xchange/etc /var/lib/ox-deploy -xdev -type f -exec sha256sum {} + 2>/dev/null | sort"
    return {node: run(node, look) for node in by_hand.NODES}


@pytest.fixture(scope="module")
def adopted(bare_hosts: None) -> Adopted:
    ids = by_hand.build()
    texts = {f"{node}{path}": run(node, f"cat {path}") for node, paths in TAKEN.items() for path in paths}
    had = rows(), files(), sql("dbmaster", "SELECT @@gtid_binlog_pos"), texts
    hosts, starts = what_hosts_are_like(), all_starts()
    plan = pyinfra(dry_run())
    assert what_hosts_are_like() == hosts
    assert all_starts() == starts
    done = pyinfra(command())
    assert done.code == 0, done.output
    return Adopted(ids, *had, plan, done, {name: number - starts[name] for name, number in all_starts().items()})


def test_plan_and_deploy_name_all_that_is_taken_over(adopted: Adopted) -> None:
    assert adopted.plan.code == 0, adopted.plan.output
    for node, paths in TAKEN.items():
        for said in (adopted.plan.output, adopted.done.output):
            told = {match[1] for match in re.finditer(rf"-{node}\]\s+(/\S+?)(:[\d, -]+)?: .*made by hand", said)}
            links = {path for path in told if ".wants/" in path}
            assert told - links == set(paths)


def test_no_row_and_no_file_is_lost(adopted: Adopted) -> None:
    assert rows() == adopted.rows
    assert files() == adopted.files
    wait_for("dbslave", "mariadb -e 'SHOW SLAVE STATUS\\G' | grep -q 'Seconds_Behind_Master: 0'")
    assert rows("dbslave") == adopted.rows


def test_binary_log_and_replication_go_on(adopted: Adopted) -> None:
    assert is_mariadb()
    domain, server, number = adopted.position.split("-")
    now = sql("dbmaster", "SELECT @@gtid_binlog_pos").split("-")
    assert now[:2] == [domain, server]
    assert int(now[2]) > int(number)
    assert "mysql-bin.000001" in sql("dbmaster", "SHOW BINARY LOGS")
    status = replica()
    assert (status["Slave_IO_Running"], status["Slave_SQL_Running"]) == ("Yes", "Yes")
    assert uses_gtid()
    # What is nobody's but the user's stays.
    assert sql("dbmaster", "SELECT @@max_connections") == "222"


def test_each_daemon_is_restarted_once_at_most(adopted: Adopted) -> None:
    assert {name: number for name, number in adopted.starts.items() if number > 1} == {}
    # The count counts.
    assert adopted.starts["mariadb on dbmaster"] == 1
    assert adopted.starts["open-xchange-groupware on oxgw01"] == 1
    first, second = (
        float(run(node, f"systemctl show -P ActiveEnterTimestampMonotonic {UNITS[node][1]}")) for node in GROUPWARE
    )
    assert abs(first - second) > 1e6, "both nodes were restarted at once"


def test_nothing_made_by_hand_is_left_and_all_of_it_is_kept(adopted: Adopted) -> None:
    assert exec_in("web", f"test -e {by_hand.CONF_ENABLED}").code
    assert run("web", "grep -lrE '^[^#]*BalancerMember' -R /etc/apache2/*-enabled").split() == [
        "/etc/apache2/sites-enabled/00-open-xchange.conf"
    ]
    exports = "busctl call org.ganesha.nfsd /org/ganesha/nfsd/ExportMgr org.ganesha.nfsd.exportmgr ShowExports"
    assert run("dbmaster", exports).count(f'"{FILESTORE}"') == 1
    for node in GROUPWARE:
        assert run(node, f"grep -v '^#' /etc/fstab | grep -c {FILESTORE}").strip() == "1"
        assert run(node, f"findmnt -n -o TARGET {FILESTORE}").split() == [FILESTORE]
    assert exec_in("oxgw01", "systemctl cat multicast-route").code
    accounts = "SELECT User, Host FROM mysql.user WHERE User IN ('openexchange', 'replication') ORDER BY 1, 2"
    wanted = sorted(
        [("openexchange", by_hand.address(node)) for node in GROUPWARE]
        + [("replication", by_hand.address(node)) for node in ("dbmaster", "dbslave")]
    )
    for node in ("dbmaster", "dbslave"):
        assert sorted(tuple(line.split("\t")) for line in sql(node, accounts).splitlines()) == wanted
    assert sql("dbmaster", "SELECT name FROM configdb.db_pool ORDER BY 1").split() == ["oxdatabase", "oxdatabase_slave"]
    assert run("web", f"readlink {KEPT}{by_hand.CONF_ENABLED}").strip() == "../conf-available/proxy_ajp.conf"
    for node, paths in TAKEN.items():
        for path in paths:
            if path != by_hand.CONF_ENABLED:
                assert run(node, f"cat {KEPT}{path}") == adopted.texts[f"{node}{path}"]


def test_users_go_on_working(adopted: Adopted) -> None:
    for user, password in (("testuser", None), ("seconduser@second", by_hand.PASSWORD_OF_SECOND)):
        assert Browser().login(user, password)["user_id"] == 3
    browser = Browser()
    browser.login()
    for name, number in adopted.ids.items():
        content = browser.request(f"/ajax/infostore?action=get&id={number}&session={browser.session}")
        assert content.encode() == FILES[name]


def test_second_run_changes_nothing_and_verify_is_green(adopted: Adopted) -> None:
    again = deploy()
    assert again.changed() == []
    assert "made by hand" not in again.output
    checked = verify()
    assert checked.code == 0, checked.output

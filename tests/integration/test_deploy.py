"""From five bare hosts to the guide's cluster, and what a second run does: nothing."""

from __future__ import annotations

import json
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from ox_deploy.deploys.web import SITE
from tests.integration import leaks, web
from tests.integration.database import sql
from tests.integration.deployment import (
    DPKG_FAILED,
    Run,
    command,
    deploy,
    dry_run,
    keep_for_others,
    make_bare_lab,
    passwords,
    pyinfra,
)
from tests.lab import state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run

pytestmark = [pytest.mark.lab, pytest.mark.every_server]

NODES = ("web", "oxgw01", "oxgw02", "dbmaster", "dbslave")
OWN_FSTAB = "tmpfs /srv tmpfs noauto 0 0"


@dataclass
class Cold:
    """The first deploy to bare hosts, as loud as it can be, with everything around it written down.

    `readable` are the files of each node that hold a password and can be read by others, `logged` is what it logged.
    """

    run: Run
    command_lines: str
    readable: dict[str, list[str]]
    logged: dict[str, str]


@pytest.fixture(scope="module")
def cold() -> Cold:
    found = deployed_cold()
    if found.run.code and DPKG_FAILED in found.run.output:
        found = deployed_cold()
    if found.run.code == 0:
        keep_for_others()
    return found


def deployed_cold() -> Cold:
    make_bare_lab()
    for node in ("oxgw01", "dbmaster"):
        run(node, ["sh", "-c", f"echo '{OWN_FSTAB}' >> /etc/fstab; echo '198.51.100.7 own' >> /etc/hosts"])
    with leaks.watched_process_list() as log:
        done = pyinfra(command("-vvv", "--diff"))
        command_lines = log.read_text(errors="replace")
    with ThreadPoolExecutor() as pool:
        readable = pool.map(lambda node: leaks.readable_files(node, passwords()), NODES)
        logged = pool.map(leaks.journal, NODES)
        return Cold(done, command_lines, dict(zip(NODES, readable, strict=True)), dict(zip(NODES, logged, strict=True)))


def test_cold_deploy_succeeds(cold: Cold) -> None:
    assert cold.run.code == 0, cold.run.output[-5000:]


def test_no_password_is_printed(cold: Cold) -> None:
    assert len(cold.run.output) > 50_000, "-vvv should have printed all commands"
    assert leaks.names_in(cold.run.output, passwords()) == []
    assert "PRIVATE KEY" not in cold.run.output


def test_no_password_is_in_a_process_list(cold: Cold) -> None:
    assert "initconfigdb" in cold.command_lines, "the watcher should have seen the tools"
    assert "registerdatabase" in cold.command_lines
    assert leaks.names_in(cold.command_lines, passwords()) == []


@pytest.mark.parametrize("node", NODES)
def test_no_password_can_be_read_by_others(cold: Cold, node: str) -> None:
    assert cold.readable[node] == []
    logged = cold.logged[node]
    assert "systemd" in logged
    assert "/var/log/dpkg.log" in logged
    assert leaks.names_in(logged, passwords()) == []


def test_logins_are_spread_over_the_nodes(cold: Cold) -> None:
    # Apache counts what it has sent to each node, sessions of other tests included, until it is restarted.
    run("web", "systemctl restart apache2")
    routes: Counter[str] = Counter()
    for _ in range(20):
        browser = Browser()
        assert browser.login()["user_id"] == 3
        routes[browser.route] += 1
    assert routes == {"OX-1": 10, "OX-2": 10}


def test_session_stays_on_its_node(cold: Cold) -> None:
    browser = Browser()
    browser.login()
    assert {browser.whoami()["route"] for _ in range(6)} == {browser.route}


def test_wrong_password_is_refused(cold: Cold) -> None:
    assert Browser().login(password="wrong")["error"]


def test_file_stored_through_one_node_is_read_through_the_other(cold: Cold) -> None:
    browsers: dict[str, Browser] = {}
    while len(browsers) < 2:
        browser = Browser()
        browser.login()
        browsers[browser.route] = browser
    one, two = browsers["OX-1"], browsers["OX-2"]
    new = one.ask(f"/ajax/infostore?action=new&name=note.txt&session={one.session}", b"kept in one place")
    number = new["data"]["id"] if isinstance(new["data"], dict) else new["data"]
    # The other node looks it up on the replica, which may be a moment behind.
    deadline = time.monotonic() + 10
    while two.request(f"/ajax/infostore?action=get&id={number}&session={two.session}") != "kept in one place":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    owner = run("dbmaster", "find /var/opt/filestore -type f -printf '%u:%g %U:%G\n' | sort -u").split("\n")[0]
    assert owner == "open-xchange:open-xchange 1001:1001"


def test_http_is_redirected_and_administration_is_local(cold: Cold) -> None:
    code = "import http.client, sys; c = http.client.HTTPConnection(sys.argv[1]); c.request('GET', '/ox6/?a=b'); "
    code += "r = c.getresponse(); print(r.status, r.headers['Location'])"
    address = state.load().nodes["web"].address
    answer = run("oxgw01", ["python3", "-c", code, address])
    assert answer.strip() == f"301 https://{state.WEB_NAME}/ox6/?a=b"
    with pytest.raises(OSError, match="403"):
        Browser().request("/balancer-manager")


@pytest.mark.only_on(kind="mariadb-11.8")
@pytest.mark.parametrize("spelling", web.SPELLINGS)
def test_only_what_users_need_is_served_in_whatever_spelling(cold: Cold, spelling: str) -> None:
    spell = web.SPELLINGS[spelling]
    for path in web.CLOSED:
        assert web.ask(spell(path)).status in (403, 404), spell(path)
    # One that no server takes for the same is refused, too.
    served = {"plain", "encoded letter", "double slash", "dot", "dots", "dots from an open path", "encoded dots"}
    answer = web.ask(spell(web.OPEN))
    assert answer.is_from_a_node if spelling in served else answer.status in (403, 404)


@pytest.mark.only_on(kind="mariadb-11.8")
def test_paths_of_the_guide_are_served(cold: Cold) -> None:
    for path in (
        "/infostore/a b%25.txt",
        "/publications/x",
        "/Microsoft-Server-ActiveSync",
        "/servlet/webdav.freebusy",
    ):
        assert web.ask(path.replace(" ", "%20")).is_from_a_node, path
    assert web.ask(f"{web.OPEN};jsessionid=0123abc.OX-1").is_from_a_node
    assert web.ask("/ox6/").status == 200
    assert web.ask("/").headers["Location"] == f"https://{state.load().nodes['web'].address}/ox6/"
    for path in ("/index.html", "/icons/", "/server-status", "/ajaxother", "/servlet", "/servlet/"):
        assert web.ask(path).status == 403, path
    for path in ("/axis2/services/page", "/servlet/axis2/services/page", "/balancer-manager"):
        assert web.status_on_the_web_host(path) == 200, path


@pytest.mark.only_on(kind="mariadb-11.8")
def test_every_answer_bears_the_headers_once_and_names_no_version(cold: Cold) -> None:
    for path, status in (("/", 302), ("/ox6/", 200), (web.OPEN, 200), ("/closed", 403)):
        answer = web.ask(path)
        assert answer.status == status
        assert answer.headers.get_all("Server") == ["Apache"]
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert answer.headers.get_all("X-Frame-Options") == ["SAMEORIGIN"]
        assert answer.headers.get_all("Referrer-Policy") == ["same-origin"]
        assert "Strict-Transport-Security" not in answer.headers
        assert "Apache" not in answer.text


@pytest.mark.only_on(kind="mariadb-11.8")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_is_as_recommended(cold: Cold) -> None:
    assert web.agreed(ssl.TLSVersion.TLSv1_3)
    assert web.agreed(ssl.TLSVersion.TLSv1_2) in web.CIPHERS
    for cipher in web.CIPHERS:
        assert web.agreed(ssl.TLSVersion.TLSv1_2, cipher) in (cipher, None)
    # The others have no forward secrecy, or CBC.
    others = "ALL:" + ":".join(f"!{cipher}" for cipher in web.CIPHERS)
    assert web.agreed(ssl.TLSVersion.TLSv1_2, others) is None
    assert web.agreed(ssl.TLSVersion.TLSv1_1) is None
    assert web.agreed(ssl.TLSVersion.TLSv1) is None


@pytest.mark.only_on(kind="mariadb-11.8")
def test_running_cluster_gets_another_site_by_one_reload(cold: Cold) -> None:
    run("web", f"sed -i '/^ServerTokens/d; /<LocationMatch/,/<.LocationMatch/d' {SITE}; apachectl graceful; sleep 1")
    assert web.ask(web.CLOSED[0]).is_from_a_node
    browser = Browser()
    browser.login()
    asked = "systemctl show -p MainPID,ActiveEnterTimestamp apache2"
    before = run("web", asked)
    (changed,) = deploy("--limit", "web").changed()
    assert "Balance sessions over the groupware nodes" in changed
    assert run("web", asked) == before
    assert browser.whoami()["route"] == browser.route
    assert web.ask(web.CLOSED[0]).status == 403


@pytest.mark.thorough
def test_slow_client_is_given_up(cold: Cold) -> None:
    for handshake in (True, False):
        took, answer = web.send_half_a_request(handshake)
        assert 15 < took < 30
        assert answer.startswith(b"HTTP/1.1 408 ") or not handshake


def test_slave_has_what_the_master_has(cold: Cold) -> None:
    count = "SELECT COUNT(*) FROM configdb.context; SELECT COUNT(*) FROM configdb.db_pool; SHOW DATABASES"
    assert sql("dbslave", count) == sql("dbmaster", count)
    grants = "SELECT user, host, authentication_string FROM mysql.user WHERE user IN ('openexchange', 'replication')"
    assert sql("dbslave", grants) == sql("dbmaster", grants)
    openexchange = passwords()["mysql_openexchange"]
    write = "CREATE DATABASE written_on_the_slave"
    address = state.load().nodes["dbslave"].address
    refused = exec_in(
        "oxgw01",
        ["mariadb", "-h", address, "-u", "openexchange", "-e", write],
        env={"MYSQL_PWD": openexchange},
    )
    assert "read-only" in refused.stderr


def test_bare_mount_point_cannot_be_written_to(cold: Cold) -> None:
    assert run("oxgw01", "findmnt -n -o FSTYPE /var/opt/filestore").strip() == "fuse.nfs"
    touch = "umount -l /var/opt/filestore && touch /var/opt/filestore/lost"
    attempt = exec_in("oxgw01", ["unshare", "--mount", "sh", "-c", touch])
    assert attempt.code
    assert "not permitted" in attempt.stderr or "denied" in attempt.stderr


def test_what_was_on_the_hosts_is_still_there(cold: Cold) -> None:
    for node in ("oxgw01", "dbmaster"):
        assert OWN_FSTAB in run(node, "cat /etc/fstab")
        assert "198.51.100.7 own" in run(node, "cat /etc/hosts")


def test_second_run_changes_nothing(cold: Cold) -> None:
    again = deploy()
    assert again.changed() == []
    assert len(again.hosts()) == len(NODES)


@pytest.mark.parametrize(
    ("limit", "hosts"),
    [
        pytest.param("web", 1, marks=pytest.mark.thorough),
        ("groupware", 2),
        ("db_master", 1),
        ("db_slave", 1),
        pytest.param("oxgw02", 1, marks=pytest.mark.thorough),
    ],
)
def test_second_run_on_a_part_changes_nothing(cold: Cold, limit: str, hosts: int) -> None:
    again = deploy("--limit", limit)
    assert again.changed() == []
    assert len(again.hosts()) == hosts


def test_run_without_yes_flag_plans_no_change(cold: Cold) -> None:
    plan = pyinfra(dry_run("--json"))
    assert plan.code == 0, plan.output
    planned = json.loads(plan.stdout)["plan"]
    assert [operation["name"] for operation in planned if operation["hosts_with_change"]] == []
    assert len(planned) > 10

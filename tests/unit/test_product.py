"""A product is one folder: another one, made of fakes, goes the whole way, and nothing else knows what 6.10 is like."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from passlib.hash import des_crypt
from pyinfra import host
from pyinfra.api import StringCommand, operation

import ox_deploy
from ox_deploy import cluster as clusters
from ox_deploy import secrets
from ox_deploy.cluster import Cluster, Node
from ox_deploy.deploys.clustering import start_cluster
from ox_deploy.deploys.switchover import switchover
from ox_deploy.deploys.verify import verify
from ox_deploy.deploys.web import SITE
from ox_deploy.errors import InputError
from ox_deploy.operations.openxchange.configuration import Administrator, WantedConfiguration
from ox_deploy.operations.openxchange.wanted import AdminCheck, ConfigdbLayout, SessionAddresses
from ox_deploy.ports import Port, Way, needed_ways, own_ports, way_to
from ox_deploy.products import PRODUCTS
from ox_deploy.products.base import Accounts, Cache, Discovery, Installer, Product, SiteValues
from ox_deploy.products.ox6 import mesh
from ox_deploy.products.ox6.configuration import Des
from ox_deploy.questions import prefetch
from ox_deploy.questions.ask import ask
from ox_deploy.questions.bundle import paths_of
from ox_deploy.questions.program import Program
from ox_deploy.questions.question import JsonFact, Question
from ox_deploy.questions.run import current_run, run_of
from ox_deploy.remote.programs import module_of
from ox_deploy.rules import Rule
from ox_deploy.settings import Settings
from ox_deploy.status.seen import Drift
from ox_deploy.status.states import groupware
from ox_deploy.status.states.base import Observation
from ox_deploy.status.states.find import find
from ox_deploy.status.steps import Step
from ox_deploy.status.view import view
from ox_deploy.topologies.master_slaves.deploys import database
from tests.unit.deployment import Deployment, prepared
from tests.unit.fakes import stdin_of, task_of
from tests.unit.guide import Guide, context
from tests.unit.test_status_gather import Look

ROOT = Path(ox_deploy.__file__).parent
TEMPLATES = ROOT.parent / "templates"
# What only 6.10 has.
PARTICULAR = re.compile(
    r"groupware/[a-z]|admindaemon|mpasswd|\bajp|_ajp|AJP|\b8009\b|\b1099\b|\b57461\b|\b57462\b|\b58849\b|\bjcs\b|\.ccf\b|"
    r"LTCP|open-xchange-(admin|groupware|gui|server)\b|configdb_sequence|reason_text|/ox6|ox6/|"
    r"oxcluster|jkroute|cache-udp|cache_multicast\w*|Udp[A-Z]|TcpServers|JAVA_XTRAOPTS|des_crypt|infostore\?|\box6_|\bOx6\b|"
    r"listserver|\b105\b|carries multicast|multicast passes"
)


class Members(JsonFact[set[str]]):
    """Who the nodes of the fake cluster are, as one of them says."""

    def command(self) -> Program:
        return Program("cache_peers", {"ports": [7001]})

    def parse(self, document: dict[str, Any]) -> set[str]:
        return set(document)


def members_question(**_: Any) -> Question[set[str]]:
    return Question(Members)


@prefetch.asks(members_question)
@operation()
def join_members(peers: list[str]) -> Generator[StringCommand, None, None]:
    """Wait until the other nodes are members, too."""
    if set(peers) <= ask(host, members_question()):
        host.noop("all are members")
    else:
        yield StringCommand("tiny-wait", *peers)


class Reversed:
    """A scheme that is easily seen through."""

    salt_length = 1

    def hash(self, password: str, salt: str | None = None) -> str:
        return (salt or "x") + password[::-1]


class TinySettings(Settings):
    """What only the tiny product has."""

    grid_name: Annotated[str, Rule("a text of at most 8 characters", lambda text: None if len(text) < 9 else "")] = "g"


class Tiny(Product):
    """One daemon, one folder, HTTP, no multicast."""

    settings = TinySettings
    groupware_packages = ("tiny",)
    gui_packages = ("tiny-ui",)
    database_privileges = frozenset({"SELECT", "INSERT"})
    database_grant_option = False
    apache_modules = ("proxy_http",)
    balancer = "tinies"
    ports = {"tiny": 7000}  # noqa: RUF012 - the protocol says what it is
    admin_service = groupware_service = "tiny"
    admin_check = AdminCheck("listtiny", [], starting=1)
    start_program = "daemons_start"
    caches = {"grid": Cache(7001, "tiny")}  # noqa: RUF012 - likewise
    node_alone_remedy = not_connected_remedy = "restart it"
    join_operation = staticmethod(join_members)
    configdb = ConfigdbLayout("/etc/tiny/database.properties", {"server": True})
    system_file = "/etc/tiny/name.properties"
    access_combinations = ("little", "all")
    addresses = SessionAddresses(login="/api/in", request="/api/files/{}", logout="/api/out/{}")
    route_key = "tiny.route"

    def find_fault(self, settings: Settings) -> str | None:
        return "`server_name` is too long for a tiny product" if len(settings.server_name) > 10 else None

    def own_ports(self, settings: Settings) -> Iterable[Port]:
        return [Port(7000, ("tiny",)), Port(7001, ("tiny",)), Port(7002, ("tiny",))]

    def needed_ways(self, node: Node, groupware: Sequence[Node]) -> Iterable[Way]:
        return [way_to(groupware, 7002)]

    def site(self, cluster: Cluster, values: SiteValues) -> str:
        lines = [f"BalancerMember http://{node.address}:7000 route={node.route}" for node in cluster.groupware]
        return "\n".join([values.certificate, values.key, *lines, f"retry={values.retry_seconds}"])

    def discovery(self, settings: Settings) -> Discovery | None:
        return None

    def installer(self, cluster: Cluster, node: Node, accounts: Accounts) -> Installer:
        return Installer([f"--name={node.name}"], ["--free"], ["/etc/tiny/mine"])

    def configuration(self, cluster: Cluster, node: Node, accounts: Accounts) -> WantedConfiguration:
        login = {"password": ("", accounts.database_password)}
        administrator = Administrator(accounts.admin, accounts.admin_password, "admins", Reversed())
        return WantedConfiguration(self.identity(cluster, node), {}, {"login": login}, administrator)

    def identity(self, cluster: Cluster, node: Node) -> Mapping[str, Mapping[str, str]]:
        return {"tiny.properties": {"name": cluster.settings.server_name, "tiny.route": node.route or ""}}

    def join(self, cluster: Cluster, node: Node) -> None:
        join_members(
            name="Wait until every node is connected with every other",
            peers=[other.address for other in cluster.groupware if other != node],
        )


@pytest.fixture
def tiny(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> Guide:
    """The guide's cluster with the tiny product in the place of 6.10."""
    monkeypatch.setitem(cast(dict[str, Product], PRODUCTS), "ox6", Tiny())
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    return guide


def sent(commands: list[StringCommand]) -> str:
    """All that hosts are sent: commands, arguments, and the paths of the modules."""
    texts = []
    for command in commands:
        texts.append(command.get_raw_value())
        if "_stdin" in command.connector_arguments:
            task = task_of(command)
            texts += [json.dumps(task), *paths_of(module_of(task["program"]))]
    # What is packed has no words, but any letters.
    return re.sub(r"[A-Za-z0-9+/=]{200,}", "", "\n".join(texts))


def done(deployment: Deployment) -> dict[tuple[str, str], Any]:
    """The arguments of what is ordered, by host and the first word of the operation."""
    found = {}
    for step, command in deployment.commands():
        arguments = stdin_of(command) if "_stdin" in command.connector_arguments else command.get_raw_value()
        found[step.host, step.name.split()[0].strip(",")] = arguments
    return found


# --- the way of another product --------------------------------------------------------------------------


def test_every_chapter_does_what_the_product_says(tiny: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, tiny.inventory()) as deployment:
        jobs = done(deployment)
        text = sent([command for _, command in deployment.commands()])
        questions = [question.fact().command(**question.arguments) for question in deployment.questions]
    everything = text + "".join(json.dumps(one.arguments) for one in questions if isinstance(one, Program))
    assert not PARTICULAR.findall(everything)
    assert ("'tiny-ui'" in str(jobs["web", "Names"]), "'tiny'" in str(jobs["oxgw01", "Names"])) == (True, True)
    files = {file["path"]: file for file in jobs["web", "Balance"]["files"]}
    assert "BalancerMember http://192.0.2.12:7000 route=OX-2" in files[SITE]["content"]
    assert "/etc/apache2/mods-enabled/proxy_http.load" in files
    mounted = {file["path"]: file for file in jobs["oxgw01", "Mount"]["service"]["files"]}
    (drop_in,) = (path for path in mounted if "system/tiny" in path)
    assert drop_in == "/etc/systemd/system/tiny.service.d/ox-deploy.conf"
    assert "RequiresMountsFor=" in mounted[drop_in]["content"]
    configured = jobs["oxgw02", "Configure"]
    assert (configured["installer"], configured["license"]) == (["--name=oxgw02"], ["--free"])
    assert configured["services"] == ["tiny"]
    assert configured["values"]["tiny.properties"] == {"name": "oxserver", "tiny.route": "OX-2"}
    assert configured["administrator"]["hash"].startswith("x")
    assert jobs["oxgw01", "Start"]["services"] == [{"name": "tiny", "port": 7000, "restart": False}]
    assert jobs["oxgw01", "Wait"] == "tiny-wait 192.0.2.12"
    # It has no use for multicast.
    assert ("oxgw01", "Route") not in jobs
    assert "multicast" not in everything


def test_ports_are_those_of_the_product(tiny: Guide) -> None:
    cluster = tiny.build()
    web, node, other = (one for one in cluster.nodes if one.groups & {"web", "groupware"})
    ports = list(own_ports(cluster, node, "somebody"))
    assert ports == [Port(number, ("tiny",), user="somebody") for number in (7000, 7001, 7002)]
    assert needed_ways(cluster, web, [node, other]) == (Way((node.address, other.address), (7002,)),)
    assert Way((other.address,), (7002,)) in needed_ways(cluster, node, [web, other])


def test_account_has_the_rights_of_the_product(tiny: Guide) -> None:
    account = database.wanted_accounts(tiny.build())[-1]
    assert (account.privileges, account.grant_option) == (frozenset({"SELECT", "INSERT"}), False)


def test_product_has_settings_of_its_own(tiny: Guide) -> None:
    settings = clusters.cluster_of(tiny.set(grid_name="grid").inventory()).settings
    assert isinstance(settings, TinySettings)
    assert settings.grid_name == "grid"
    with pytest.raises(InputError, match=r"`grid_name` is 'long grid'; it should be a text of at most 8 characters\."):
        tiny.set(grid_name="long grid").build()
    # Those of another product are none here.
    current_run().cluster = None
    with pytest.raises(InputError, match="`multicast_network` is not a setting"):
        clusters.cluster_of(tiny.set(grid_name="g", multicast_network="239.0.0.0/8").inventory())


def test_settings_are_compared_with_the_product(tiny: Guide) -> None:
    with pytest.raises(InputError, match="`server_name` is too long for a tiny product"):
        tiny.set(server_name="ox-server-1").build()
    with pytest.raises(InputError, match="`mysql_port` is 7001, which another service of the cluster uses"):
        tiny.set(server_name="ox", mysql_port=7001).build()
    access = [context() | {"access": "webmail"}]
    with pytest.raises(InputError, match=r"`contexts\.0\.access` is 'webmail'; it should be one of little, all\."):
        tiny.set(mysql_port=3306, contexts=access).build()


def test_status_looks_at_what_the_product_has(tiny: Guide) -> None:
    look = Look(tiny)
    seen = list(look.take().values())
    asked = [question.program for asked in look.asked.values() for question in asked[0]["questions"]]
    assert not PARTICULAR.findall(json.dumps([program.arguments for program in asked]))
    assert {"balancer": "tinies"}.items() <= next(one for one in asked if one.name == "host_health").arguments.items()
    cluster = tiny.build()
    observed = Observation(cluster, seen)
    # One daemon is down once, whatever it does.
    assert list(groupware.admin_daemon_down.findings(observed)) == []
    # Who has no daemon cannot be a member, which is no finding of its own.
    for joins, is_told in ((join_members, False), (mesh.join, True)):
        waits = Drift(Step(start_cluster, joins), "Wait until every node is connected with every other")
        found = find(cluster, [replace(one, drift=[waits]) for one in seen if one.node.name == "oxgw01"])
        assert ("configuration drifted" in {finding.state for finding in found}) == is_told
    down = [finding.wanted for finding in groupware.groupware_daemon_down.findings(observed)]
    assert down == ["tiny runs and listens on port 7000"] * 2
    shown = view(cluster, seen, find(cluster, seen), datetime.now(UTC))
    node = next(one for one in shown.hosts if one.name == "oxgw01")
    assert node.details["tiny"] == "not active"
    assert [link.text for link in shown.links if link.kind == "caches"] == ["0 of 1 caches"]


def test_verify_tries_what_the_product_has(tiny: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, tiny.inventory(), deploy=verify) as deployment:
        deployment.state.is_executing = True
        text = sent([command for _, command in deployment.commands()])
        asked = str([question.arguments for question in deployment.questions])
        names = {step.name for step in deployment.steps()}
    records = run_of(deployment.state).records
    assert not PARTICULAR.findall(text + asked + repr(records))
    assert "tiny.route" in asked
    assert "'ports': [7001]" in asked
    assert "The caches of all nodes are connected" in names
    assert "Multicast leaves by the cluster's interface" not in names
    assert {record.check for record in records} >= names - {"No other run is at work", "Report"}


def test_switch_of_the_master_ends_with_what_the_product_says(tiny: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    with prepared(monkeypatch, tiny.inventory({"new_master": "dbslave"}), deploy=switchover) as deployment:
        deployment.state.is_executing = True
        jobs = done(deployment)
        text = sent([command for _, command in deployment.commands()])
        asked = str([question.arguments for question in deployment.questions])
    assert not PARTICULAR.findall(text + asked)
    assert "tiny.properties" in asked
    assert "/etc/tiny/database.properties" in asked
    assert jobs["oxgw01", "Wait"] == "tiny-wait 192.0.2.12"


# --- nothing else knows 6.10 -----------------------------------------------------------------------------

OWN = ("ox_deploy/products/ox6/", "ox_deploy/remote/ox6/", "ox_deploy/products/__init__.py")


def general_modules() -> list[Path]:
    names = [path for pattern in ("*.py", "*.sh", "*.j2") for path in ROOT.rglob(pattern)]
    names += TEMPLATES.rglob("*.j2")
    return sorted(path for path in names if not path.relative_to(ROOT.parent).as_posix().startswith(OWN))


def test_general_modules_name_nothing_of_a_product() -> None:
    found = [
        f"{path.relative_to(ROOT.parent)}: {match[0]}"
        for path in general_modules()
        for match in PARTICULAR.finditer(path.read_text())
    ]
    assert found == []


def test_each_thing_of_6_10_is_found_where_it_belongs() -> None:
    texts = "".join(path.read_text() for folder in OWN[:2] for path in (ROOT.parent / folder).glob("*.py"))
    words = {match[0] for match in PARTICULAR.finditer(texts)}
    assert len(words) > 20


def test_setting_chooses_among_the_products(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast(dict[str, Product], PRODUCTS), "tiny", Tiny())
    assert isinstance(guide.set(product="tiny", grid_name="tinies").build().product, Tiny)
    with pytest.raises(InputError, match=r'`product` is \'ox7\'; it should be "ox6" or "tiny"\.'):
        guide.set(product="ox7").build()


# --- 6.10 ------------------------------------------------------------------------------------------------


def test_site_reaches_the_port_of_the_groupware_daemon(guide: Guide) -> None:
    product = PRODUCTS["ox6"]
    site = product.site(guide.build(), SiteValues("/certificate", "/key", retry_seconds=5))
    assert f"BalancerMember ajp://192.0.2.11:{product.ports[product.groupware_service]} " in site
    assert "RedirectMatch ^/$ /ox6/\n" in site


def refuses(site: str, path: str) -> bool:
    """Tell whether a site refuses a path, as Apache has it after decoding, to all but the web host itself."""
    patterns = re.findall(r'^    <LocationMatch "(.+)">\n        Require (?:all denied|local)$', site, re.MULTILINE)
    assert len(patterns) == 3
    return any(re.search(pattern.replace(r"\z", r"\Z"), path) for pattern in patterns)


@pytest.mark.parametrize(
    ("path", "refused"),
    {
        "/ajax/login": False,
        "/ajax/login;jsessionid=0aF.OX-1": False,
        "/ajax/login;jsessionid=a;b": True,
        "/ajax/login;jsessionid=a/b": True,
        "/ajax/a/..;jsessionid=a": True,
        "/ajax": False,
        "/ajaxes": True,
        "/AJAX/login": True,
        "/servlet/webdav.ical": False,
        "/servlet/webdavxical": True,
        "/servlet/usm.json/a b": False,
        "/servlet/usm_json": True,
        "/servlet/x": True,
        "/servlet": True,
        "/axis2/services": True,
        "/Servlet/Axis2": True,
        "/balancer-manager": True,
        "/infostore/100%": False,
        "/infostore/%2E%2e/x": True,
        "/infostore/a\nb": False,
        "/infostore/a\n;b": True,
        "/infostore/a\\b": True,
        "/infostore/...": False,
        "/ox6/index.html": False,
        "/.well-known/acme-challenge/a_-Z": False,
        "/.well-known/acme-challenge/": True,
        "/.well-known/acme-challenge/a\n": True,
        "/.well-known/other": True,
        "/index.html": True,
        "x/ajax/": True,
    }.items(),
)
def test_site_refuses_what_is_not_on_the_list(guide: Guide, path: str, refused: bool) -> None:
    guide.set(web_paths=["/servlet/usm.json", "/ajax"])
    site = PRODUCTS["ox6"].site(guide.build(), SiteValues("/certificate", "/key", retry_seconds=5))
    assert refuses(site, path) is refused


@pytest.mark.parametrize("path", ["/servlet/axis2/x", "/servlet/AXIS2", "/servlet/axis2"])
def test_administration_stays_closed_when_a_path_around_it_is_opened(guide: Guide, path: str) -> None:
    guide.set(web_paths=["/servlet"])
    site = PRODUCTS["ox6"].site(guide.build(), SiteValues("/certificate", "/key", retry_seconds=5))
    assert refuses(site, path)
    assert not refuses(site, "/servlet/axis2more")


def test_site_sends_each_path_to_the_nodes_once(guide: Guide) -> None:
    guide.set(web_paths=["/servlet/usm.json", "/ajax", "/servlet/usm.json"], hsts_seconds=0)
    site = PRODUCTS["ox6"].site(guide.build(), SiteValues("/certificate", "/key", retry_seconds=5))
    for path in ("/servlet/usm.json", "/ajax"):
        assert site.count(f"    ProxyPass {path} balancer://oxcluster{path} stickysession=JSESSIONID\n") == 1
    assert site.count('    Header always set Strict-Transport-Security "max-age=0"\n') == 1


def test_password_of_the_administrator_is_stored_by_des_with_a_salt_of_its_own() -> None:
    hashes = {Des().hash("Zc4qLw8mPn2rTx6v") for _ in range(5)}
    assert len(hashes) > 1
    assert all(des_crypt.verify("Zc4qLw8mPn2rTx6v", one) for one in hashes)
    one = hashes.pop()
    assert Des().hash("Zc4qLw8mPn2rTx6v", one[: Des.salt_length]) == one

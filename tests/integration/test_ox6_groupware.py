"""The stand-in groupware daemon and its cache mesh, in throw-away containers.

The two database servers do not replicate here: what differs between them shows which one was asked.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shlex
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from docker.models.networks import Network

from tests.lab import images, state
from tests.lab.ox6 import build

pytestmark = [pytest.mark.lab, pytest.mark.thorough]

# Not the lab's own label: its commands must not take these containers for nodes.
LABELS = {"oxlab.test": state.NAME}
NETWORK = f"{state.NAME}-test-groupware"
ETC = "/opt/open-xchange/etc"
MESH = "/opt/open-xchange/lib/cachemesh.py"
INIT = "/etc/init.d/open-xchange-groupware"
LOG = "/var/log/open-xchange/open-xchange.log.0"
PASSWORD = "good-Password"
DATABASE_PASSWORD = "db-Password"
REFUSED = "Open-Xchange Server cannot start"

DOCKERFILE = """
FROM {repository} AS repository
FROM {node}
RUN apt-get update \\
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \\
        apache2 libmariadb-java libtomcat10-embed-java mariadb-server openjdk-17-jre-headless \\
        python3-pymysql \\
 && apt-get clean
COPY --from=repository /srv/repo /srv/repo
RUN echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list \\
 && useradd --uid 4711 --user-group open-xchange \\
 && apt-get update \\
 && apt-get install -y --no-install-recommends open-xchange-server open-xchange-gui open-xchange-admin
CMD ["sleep", "infinity"]
"""

PROXY = """
Listen 80
<Proxy balancer://oxcluster>
  BalancerMember ajp://oxgw01:8009 route=OX-1
  BalancerMember ajp://oxgw02:8009 route=OX-2
</Proxy>
{paths}
ProxyPass /node1/ ajp://oxgw01:8009/
"""
PATHS = ("ajax", "servlet", "axis2", "infostore", "publications", "Microsoft-Server-ActiveSync")

DATA = """
INSERT INTO server VALUES (2, 'oxserver');
INSERT INTO filestore VALUES (3, 'file:///var/opt/filestore', 1048576000, 5000);
INSERT INTO db_pool (db_pool_id, url, driver, login, password, name) VALUES
    (4, 'jdbc:mysql://dbwrite/?useUnicode=true', 'mysql', 'openexchange', '{password}', 'master'),
    (6, 'jdbc:mysql://dbread/?useUnicode=true', 'mysql', 'openexchange', '{password}', 'slave');
INSERT INTO context (cid, name, enabled, filestore_id, filestore_name) VALUES (1, '1', 1, 3, '1_ctx_store');
INSERT INTO login2context VALUES (1, 'defaultcontext'), (1, 'example');
INSERT INTO context_server2db_pool VALUES (2, 1, 6, 4, 'oxdatabase_5');
INSERT INTO oxdatabase_5.login2user VALUES (1, 'testuser', 3);
INSERT INTO oxdatabase_5.user (cid, id, mail, displayName, userPassword, passwordMech, mailEnabled)
    VALUES (1, 3, 'testuser@example.com', 'from {host}', '{digest}', '{{SHA}}', 1);
"""


class Node:
    """A container with a few short ways to use it."""

    def __init__(self, container: Container) -> None:
        self.container = container

    def run(self, command: str) -> tuple[int, str]:
        result = self.container.exec_run(["sh", "-c", command])
        assert isinstance(result.output, bytes)
        return result.exit_code or 0, result.output.decode()

    def ok(self, command: str) -> str:
        code, output = self.run(command)
        assert code == 0, f"{command}: {output}"
        return output

    def has_database(self) -> bool:
        return self.run("mariadb-admin ping")[0] == 0

    def background(self, command: str) -> None:
        self.container.exec_run(["sh", "-c", command], detach=True)

    def configure(self, file: str, **values: str) -> None:
        """Set properties as oxinstaller does."""
        edits = " ".join(f"-e {shlex.quote(f's;^{key}=.*;{key}={value};')}" for key, value in values.items())
        self.ok(f"sed -i {edits} {ETC}/{file}")

    def copy(self, path: str, text: str) -> None:
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
        self.container.put_archive("/", archive.getvalue())

    def address(self) -> str:
        self.container.reload()
        networks: dict[str, dict[str, str]] = self.container.attrs["NetworkSettings"]["Networks"]
        return next(iter(networks.values()))["IPAddress"]


class Browser:
    """A client that keeps cookies."""

    def __init__(self, address: str) -> None:
        self.base = f"http://{address}"
        self.cookies = CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def text(self, path: str, data: bytes | None = None) -> str:
        with self.opener.open(self.base + path, data, timeout=20) as response:
            body: bytes = response.read()
            return body.decode()

    def json(self, path: str, data: bytes | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.text(path, data))
        return answer

    def login(self, name: str = "testuser", password: str = PASSWORD) -> dict[str, Any]:
        return self.json("/ajax/login?action=login", f"name={name}&password={password}".encode())

    def whoami(self, session: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.json(f"/ajax/system?action=whoami&session={session}")["data"]
        return answer

    def cookie(self) -> str | None:
        return next((cookie.value for cookie in self.cookies if cookie.name == "JSESSIONID"), None)


Make = Callable[[str], Node]


def wait_for(check: Callable[[], bool], seconds: float = 15) -> float:
    """How long it took until the check was true."""
    start = time.monotonic()
    while not check():
        assert time.monotonic() - start < seconds, "waited in vain"
        time.sleep(0.1)
    return time.monotonic() - start


@pytest.fixture(scope="module")
def client() -> docker.DockerClient:
    return docker.from_env(timeout=300)


@pytest.fixture(scope="module")
def image(client: docker.DockerClient) -> str:
    repository = build.build(client, images.base_image(client, print), print)
    text = DOCKERFILE.format(repository=repository, node=images.node_image(client, print))
    made, _ = client.images.build(fileobj=io.BytesIO(text.encode()), tag="oxlab-test-groupware", rm=True)
    return str(made.id)


@pytest.fixture(scope="module")
def network(client: docker.DockerClient) -> Iterator[Network]:
    remove_leftovers(client)
    network = client.networks.create(NETWORK, labels=LABELS)
    yield network
    remove_leftovers(client)


def remove_leftovers(client: docker.DockerClient) -> None:
    found: dict[str, str | list[str] | bool] = {"label": f"oxlab.test={state.NAME}"}
    for container in client.containers.list(all=True, filters=found):
        container.remove(force=True, v=True)
    for network in client.networks.list(filters=found):
        network.remove()


@pytest.fixture(scope="module")
def make(client: docker.DockerClient, image: str, network: Network) -> Make:
    def make(name: str) -> Node:
        container = client.containers.run(
            image,
            ["sleep", "infinity"],
            name=f"{state.NAME}-test-{name}",
            hostname=name,
            labels=LABELS,
            detach=True,
            init=True,
            cap_add=["NET_ADMIN"],
            networking_config={NETWORK: client.api.create_endpoint_config(aliases=[name])},
            network=NETWORK,
        )
        return Node(container)

    return make


@pytest.fixture(scope="module")
def databases(make: Make) -> dict[str, Node]:
    found = {name: make(name) for name in ("dbwrite", "dbread")}
    for node in found.values():
        node.background("install -d -o mysql /run/mysqld && exec mariadbd --user=mysql --bind-address=0.0.0.0")
    for name, node in found.items():
        wait_for(node.has_database)
        digest = base64.b64encode(hashlib.sha1(PASSWORD.encode(), usedforsecurity=False).digest()).decode()
        node.copy("/data.sql", DATA.format(password=DATABASE_PASSWORD, host=name, digest=digest))
        node.ok(
            'mariadb -e "CREATE DATABASE configdb; CREATE DATABASE oxdatabase_5;'
            f" GRANT ALL ON *.* TO openexchange@'%' IDENTIFIED BY '{DATABASE_PASSWORD}'\""
            f" && mariadb configdb < {ETC}/admindaemon/mysql/configdb.sql"
            f" && mariadb oxdatabase_5 < {ETC}/admindaemon/mysql/user.sql"
            " && mariadb configdb < /data.sql"
        )
    return found


def configure(node: Node, route: str) -> None:
    node.configure("groupware/ajp.properties", AJP_JVM_ROUTE=route, AJP_BIND_ADDR="*")
    node.configure("groupware/system.properties", SERVER_NAME="oxserver")
    for kind in ("read", "write"):
        values = {
            f"{kind}Url": f"jdbc:mysql://db{kind}:3306/configdb",
            f"{kind}Property.1": "user=openexchange",
            f"{kind}Property.2": f"password={DATABASE_PASSWORD}",
        }
        node.configure("groupware/configdb.properties", **values)
    node.ok("install -d -o open-xchange /var/opt/filestore")


def enable_discovery(node: Node, port: int = 6780) -> None:
    """What oxinstaller does with the three cache files."""
    for file in ("groupware/cache.ccf", "groupware/sessioncache.ccf", "admindaemon/cache.ccf"):
        node.ok(
            "sed -i -e '/TcpServers=/s/^/# /' -e 's/^# *\\(.*UdpDiscovery\\)/\\1/'"
            " -e '/UdpDiscoveryEnabled/s/false/true/'"
            f" -e 's/UdpDiscoveryPort=6780/UdpDiscoveryPort={port}/' {ETC}/{file}"
        )


def add_route(node: Node) -> None:
    node.ok("ip route replace 224.0.0.0/8 dev eth0")


@pytest.fixture(scope="module")
def nodes(make: Make) -> dict[str, Node]:
    return {name: make(name) for name in ("oxgw01", "oxgw02", "oxgw03")}


@pytest.fixture(scope="module")
def web(make: Make, cluster: dict[str, Node]) -> Node:
    node = make("web")
    paths = "\n".join(f"ProxyPass /{p} balancer://oxcluster/{p} stickysession=JSESSIONID" for p in PATHS)
    node.copy("/etc/apache2/conf-enabled/proxy_ajp.conf", PROXY.format(paths=paths).replace("Listen 80\n", ""))
    node.ok("a2enmod -q proxy proxy_ajp proxy_balancer lbmethod_byrequests slotmem_shm && apachectl start")
    return node


@pytest.fixture(scope="module")
def cluster(nodes: dict[str, Node], databases: dict[str, Node]) -> dict[str, Node]:
    found = {name: nodes[name] for name in ("oxgw01", "oxgw02")}
    for number, node in enumerate(found.values(), 1):
        configure(node, f"OX-{number}")
        node.ok(f"{INIT} start")
    return found


def listening(node: Node) -> str:
    return node.ok("ss -Hltn 'sport = 8009' | awk '{print $4}'").strip()


# The tests of a module run in this order: the later ones take away what the earlier ones need.


def test_installation_keeps_the_account_and_starts_nothing(nodes: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    assert node.ok("id -u open-xchange").strip() == "4711"
    assert node.run(f"{INIT} status")[0] == 3
    assert node.ok("ls /etc/rc3.d").count("S01open-xchange-groupware") == 1


def test_without_configuration_it_refuses(nodes: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    code, output = node.run(f"{INIT} start")
    assert code != 0
    assert f"{REFUSED}: Cannot get connection to config DB." in output
    assert REFUSED in node.ok(f"cat {LOG}")
    assert node.run(f"{INIT} status")[0] == 3
    assert node.run("pgrep -u open-xchange")[0] == 1


def test_without_registered_server_it_refuses(nodes: dict[str, Node], databases: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    configure(node, "OX-3")
    node.configure("groupware/system.properties", SERVER_NAME="stranger")
    code, output = node.run(f"{INIT} start")
    assert code != 0
    assert "Server stranger is not registered in configdb." in output


def test_with_wrong_password_it_refuses(nodes: dict[str, Node], databases: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    configure(node, "OX-3")
    node.configure("groupware/configdb.properties", **{"readProperty.2": "password=wrong"})
    code, output = node.run(f"{INIT} start")
    assert code != 0
    assert "Access denied" in output


def test_start_status_restart_stop_and_bind_address(nodes: dict[str, Node], databases: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    configure(node, "OX-3")
    node.configure("groupware/ajp.properties", AJP_BIND_ADDR="localhost")
    node.ok(f"{INIT} start && {INIT} start && {INIT} status")
    assert listening(node) == "127.0.0.1:8009"
    assert "-Xmx512m" in node.ok("ps -C java -o user:20,args").splitlines()[1]
    assert node.ok("ps -C java -o user:20=").strip() == "open-xchange"
    node.configure("groupware/ajp.properties", AJP_BIND_ADDR="*")
    node.ok(f"{INIT} restart")
    assert listening(node) == "0.0.0.0:8009"
    node.ok("pkill -KILL -x java")
    wait_for(lambda: node.run(f"{INIT} status")[0] != 0)
    node.ok(f"{INIT} start")
    assert len(node.ok("pgrep -u open-xchange").split()) == 2
    node.ok(f"{INIT} stop && {INIT} stop")
    assert node.run("pgrep -u open-xchange")[0] == 1


def test_login_sticks_to_its_node(web: Node, cluster: dict[str, Node]) -> None:
    routes = set()
    for _ in range(2):
        browser = Browser(web.address())
        session = browser.login()
        assert {
            "user": "testuser",
            "user_id": 3,
            "context_id": 1,
            "locale": "en_US",
        }.items() <= session.items()
        assert len(session["session"]) == len(session["random"]) == 32
        cookie = browser.cookie() or ""
        answers = [browser.whoami(session["session"]) for _ in range(3)]
        assert {answer["route"] for answer in answers} == {cookie.rpartition(".")[2]}
        node = cluster[answers[0]["hostname"]]
        line = f"INFO: Session created. ID: {session['session']}, Context: 1, User: 3"
        assert line in node.ok(f"cat {LOG}").splitlines()
        assert browser.json(f"/ajax/login?action=logout&session={session['session']}") == {}
        assert browser.cookie() is None
        routes.add(answers[0]["route"])
    assert routes == {"OX-1", "OX-2"}


def test_login_by_mapping_and_by_address(web: Node) -> None:
    browser = Browser(web.address())
    assert browser.login("testuser%40example")["context_id"] == 1
    assert "session" in browser.json(f"/ajax/login?action=login&name=testuser&password={PASSWORD}", b"")


@pytest.mark.parametrize(
    ("name", "password"), [("testuser", "wrong"), ("nobody", PASSWORD), ("testuser%40nowhere", PASSWORD)]
)
def test_wrong_login_gives_an_error_of_ox(web: Node, name: str, password: str) -> None:
    browser = Browser(web.address())
    answer = browser.login(name, password)
    assert (answer["code"], answer["category"]) == ("LGI-0006", 1)
    assert browser.cookie() is None


def test_session_of_another_node_is_expired(web: Node) -> None:
    answer = Browser(web.address()).json(f"/ajax/system?action=whoami&session={'0' * 32}")
    assert answer["code"] == "SES-0203"
    assert "expired" in answer["error"]


def test_balanced_paths_and_the_bare_root(web: Node) -> None:
    for path in PATHS[1:]:
        assert Browser(web.address()).text(f"/{path}/x").startswith(f"path=/{path} route=OX-")
    with pytest.raises(urllib.error.HTTPError) as error:
        Browser(web.address()).text("/node1/")
    assert error.value.code == 404


def test_login_page_is_complete(web: Node) -> None:
    browser = Browser(web.address())
    page = browser.text("/ox6/")
    for file in ("style.css", "ox.js"):
        assert file in page
        assert "://" not in page + browser.text(f"/ox6/{file}")


def test_reads_here_and_writes_there(web: Node, cluster: dict[str, Node], databases: dict[str, Node]) -> None:
    browser = Browser(web.address())
    session = browser.login()["session"]
    me = browser.whoami(session)
    assert me["display_name"] == "from dbread"
    number = browser.json(f"/ajax/infostore?action=new&session={session}&name=a.txt", b"content\n")["data"]
    rows = "mariadb -N oxdatabase_5 -e 'SELECT file_store_location FROM infostore_document'"
    path = databases["dbwrite"].ok(rows).strip()
    assert databases["dbread"].ok(rows) == ""
    assert browser.json(f"/ajax/infostore?action=list&session={session}")["data"] == []
    stored = f"/var/opt/filestore/1_ctx_store/{path}"
    assert cluster[me["hostname"]].ok(f"cat {stored}; stat -c %U {stored}") == "content\nopen-xchange\n"

    copy = "mariadb-dump --skip-lock-tables oxdatabase_5 infostore infostore_document"
    databases["dbread"].copy("/copy.sql", databases["dbwrite"].ok(copy))
    databases["dbread"].ok("mariadb oxdatabase_5 < /copy.sql")
    assert browser.text(f"/ajax/infostore?action=get&session={session}&id={number}") == "content\n"
    browser.json(f"/ajax/infostore?action=delete&session={session}&id={number}")
    assert cluster[me["hostname"]].run(f"ls {stored}")[0] != 0


def test_dead_servers(web: Node, cluster: dict[str, Node], databases: dict[str, Node]) -> None:
    """Users do not notice a dead read server. Without any there is no login, but the daemon starts."""
    databases["dbread"].ok("mariadb-admin shutdown")
    browser = Browser(web.address())
    session = browser.login()["session"]
    me = browser.whoami(session)
    assert me["display_name"] == "from dbwrite"
    assert "WARNING: Read server dbread" in cluster[me["hostname"]].ok(f"cat {LOG}")
    databases["dbwrite"].ok("mariadb-admin shutdown")
    assert browser.login()["code"] == "DBP-0001"
    cluster["oxgw01"].ok(f"{INIT} restart")


def established(node: Node) -> set[int]:
    """The mesh's ports that connections of this node have, on either end."""
    ends = node.ok("ss -Htn state established | awk '{print $3, $4}'").split()
    return {int(end.rpartition(":")[2]) for end in ends} & {57461, 57462, 58849}


def peers(node: Node, service: str) -> dict[str, list[str]]:
    code, output = node.run(f"python3 {MESH} {service} peers")
    return (
        {cache: [peer.split()[0] for peer in found] for cache, found in json.loads(output).items()} if code == 0 else {}
    )


def start_mesh(node: Node) -> None:
    for service in ("groupware", "admindaemon"):
        node.background(
            f"exec setpriv --reuid open-xchange --regid open-xchange --clear-groups python3 {MESH} {service}"
        )


def stop_mesh(node: Node) -> None:
    # The brackets keep the pattern from finding the shell that runs it.
    node.run("pkill -f '[c]achemesh.py'")
    wait_for(lambda: node.run("pgrep -f '[c]achemesh.py'")[0] == 1)


ALONE = {
    "groupware": {"cache": ["oxgw03/admindaemon"], "session": []},
    "admindaemon": {"cache": ["oxgw03/groupware"]},
}


@pytest.fixture(scope="module")
def mesh(nodes: dict[str, Node]) -> dict[str, Node]:
    """Two nodes that know each other; the third is for trying."""
    found = {name: nodes[name] for name in ("oxgw01", "oxgw02")}
    for node in found.values():
        node.run(f"{INIT} stop")
        enable_discovery(node)
        add_route(node)
        start_mesh(node)
    return found


def complete(mesh: dict[str, Node]) -> bool:
    services = ("groupware", "admindaemon")
    for name, node in mesh.items():
        for service in services:
            others = [f"{n}/{s}" for n in sorted(mesh) for s in services if (n, s) != (name, service)]
            wanted = {"cache": sorted(others)}
            if service == "groupware":
                wanted["session"] = [f"{n}/groupware" for n in sorted(mesh) if n != name]
            if {cache: sorted(found) for cache, found in peers(node, service).items()} != wanted:
                return False
    return True


def test_mesh_of_two_nodes_is_complete(mesh: dict[str, Node]) -> None:
    assert wait_for(lambda: complete(mesh), 6) < 4
    for node in mesh.values():
        assert established(node) == {57461, 57462, 58849}
    told = mesh["oxgw01"].ok(f"python3 {MESH} groupware remove User 3")
    assert json.loads(told) == 3
    log = "/var/log/open-xchange/open-xchange-cache-groupware.log.0"
    wait_for(lambda: "oxgw01/groupware removed 3 from User" in mesh["oxgw02"].ok(f"cat {log}"), 3)


def test_shipped_settings_know_the_local_peer_only(mesh: dict[str, Node], nodes: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    add_route(node)
    start_mesh(node)
    local = {
        "groupware": {"cache": ["127.0.0.1:57461"], "session": []},
        "admindaemon": {"cache": ["127.0.0.1:57462"]},
    }
    wait_for(lambda: {service: peers(node, service) for service in local} == local, 5)
    time.sleep(1)
    assert complete(mesh)
    stop_mesh(node)


def test_wrong_port_and_missing_route_stay_alone(mesh: dict[str, Node], nodes: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    enable_discovery(node, port=6790)
    node.ok(f"sed -i 's/=6781/=6791/' {ETC}/groupware/sessioncache.ccf")
    start_mesh(node)
    wait_for(lambda: {service: peers(node, service) for service in ALONE} == ALONE, 5)
    time.sleep(1)
    assert {service: peers(node, service) for service in ALONE} == ALONE
    assert complete(mesh)
    stop_mesh(node)

    node.ok(f"sed -i -e 's/=6790/=6780/' -e 's/=6791/=6781/' {ETC}/*/*cache.ccf; ip route del 224.0.0.0/8")
    start_mesh(node)
    wait_for(lambda: peers(node, "groupware") == {"cache": [], "session": []}, 5)
    time.sleep(2.5)
    assert peers(node, "groupware") == {"cache": [], "session": []}
    assert complete(mesh)
    log = node.ok("cat /var/log/open-xchange/open-xchange-cache-groupware.log.0")
    assert "no multicast route to 224.0.0.1: Network is unreachable" in log
    stop_mesh(node)


def test_third_node_joins_and_leaves(mesh: dict[str, Node], nodes: dict[str, Node]) -> None:
    node = nodes["oxgw03"]
    add_route(node)
    start_mesh(node)
    three = {**mesh, "oxgw03": node}
    wait_for(lambda: complete(three), 6)
    node.container.kill()
    wait_for(lambda: complete(mesh), 15)

"""A cluster as somebody built it by hand, with the commands of the guide, on bare hosts: nothing in it is ours."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

from tests.integration.database import sql
from tests.integration.deployment import passwords
from tests.lab import state
from tests.lab.browser import Browser
from tests.lab.nodes import run, wait_for

NODES = ("web", "oxgw01", "oxgw02", "dbmaster", "dbslave")
GROUPWARE = ("oxgw01", "oxgw02")
SBIN = "/opt/open-xchange/sbin"
# What the guide has in each of these places is `secret`.
REPLICATION, OPENEXCHANGE, ADMIN = "hand-repl-4711", "hand-ox-4711", "hand-admin-4711"
MASTER_ADMIN = f"-A oxadminmaster -P {ADMIN}"
PASSWORD_OF_SECOND = "hand-user-4711"
FILES = {"note.txt": b"kept by hand", "large.txt": b"0123456789abcdef" * 6400}
FILESTORE = "/var/opt/filestore"

MY_CNF = "/etc/mysql/my.cnf"
GANESHA = "/etc/ganesha/ganesha.conf"
APT_SOURCE = "/etc/apt/sources.list.d/ox.list"
CONF_AVAILABLE = "/etc/apache2/conf-available/proxy_ajp.conf"
CONF_ENABLED = "/etc/apache2/conf-enabled/proxy_ajp.conf"
ROUTE_UNIT = "/etc/systemd/system/multicast-route.service"
INTERFACES = "/etc/network/interfaces"

UNIT_TEXT = """[Unit]
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/ip route add 224.0.0.0/8 dev eth0
[Install]
WantedBy=multi-user.target
"""
INTERFACES_TEXT = """auto lo
iface lo inet loopback
iface eth0 inet manual
        post-up ip route add 224.0.0.0/8 dev eth0
"""
SERVLETS = ("ajax", "servlet", "axis2", "infostore", "publications", "Microsoft-Server-ActiveSync")
EXPORT = f"""
NFSv4 {{ Graceless = true; Only_Numeric_Owners = true; }}
EXPORT {{
    Export_Id = 77;
    Path = {FILESTORE};
    Pseudo = {FILESTORE};
    Squash = Root_Squash;
    Anonymous_Uid = 1001;
    Anonymous_Gid = 1001;
    Access_Type = None;
    SecType = sys;
    FSAL {{ Name = VFS; }}
    CLIENT {{ Clients = CLIENTS; Access_Type = RW; }}
}}
"""


def address(node: str) -> str:
    return state.load().nodes[node].address


def build() -> dict[str, int]:
    """Follow the guide from its first command to its last; return the ids of the files in it."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(_prepare, NODES))
    _databases()
    _filestore()
    _balancer()
    _multicast()
    _open_xchange()
    return _use()


def _prepare(node: str) -> None:
    """Install what the guide installs, and let the hosts know each other."""
    names = "".join(f"{address(other)} {other}\n" for other in NODES if other != node)
    run(node, "cat >> /etc/hosts", names)
    if node in ("web", *GROUPWARE):
        login = json.loads(state.REPO_CREDENTIALS.read_text())
        key = "/usr/share/keyrings/ox.asc"
        run(node, f"cat > {key}", state.REPO_KEY.read_text())
        run(node, f"cat > {APT_SOURCE}", f"deb [signed-by={key}] http://{state.REPO_NAME}/ ./\n")
        machine = f"machine http://{state.REPO_NAME}/ login {login['user']} password {login['password']}\n"
        run(node, "umask 077; cat > /etc/apt/auth.conf.d/ox.conf; chown _apt /etc/apt/auth.conf.d/ox.conf", machine)
    if node in (*GROUPWARE, "dbmaster"):
        run(node, "useradd open-xchange")
    packages = {
        "web": "apache2 open-xchange-gui open-xchange-gui-wizard-plugin-gui open-xchange-online-help-en",
        "dbmaster": "mariadb-server nfs-ganesha nfs-ganesha-vfs",
        "dbslave": "mariadb-server",
    }.get(
        node,
        "nfs-common open-xchange open-xchange-server open-xchange-admin-plugin-hosting"
        " open-xchange-admin-plugin-hosting-client open-xchange-authentication-database",
    )
    quiet = "apt-get -qq -o Dpkg::Use-Pty=0"
    run(node, f"export DEBIAN_FRONTEND=noninteractive; {quiet} update && {quiet} install -y {packages}")


def _databases() -> None:
    master, slave = address("dbmaster"), address("dbslave")
    # The guide appends to this file, which Debian reads after all folders. Somebody listens everywhere.
    run(
        "dbmaster",
        f"cat >> {MY_CNF}",
        "[mysqld]\nbind-address = 0.0.0.0\nserver-id = 1\nlog_bin = "
        "/var/log/mysql/mysql-bin.log\nmax_connections = 222\n",
    )
    run("dbslave", f"cat >> {MY_CNF}", f"[mysqld]\nbind-address = {slave}\nserver-id = 2\n")
    # Debian has it no more.
    run("dbmaster", "install -d -o mysql -g adm -m 2750 /var/log/mysql")
    for node in ("dbmaster", "dbslave"):
        run(node, "systemctl restart mariadb")
    sql("dbmaster", f"GRANT REPLICATION SLAVE ON *.* TO 'replication'@'{slave}' IDENTIFIED BY '{REPLICATION}'")
    for node in ("dbmaster", "dbslave"):
        for client in GROUPWARE:
            sql(
                node,
                f"GRANT ALL PRIVILEGES ON *.* TO 'openexchange'@'{address(client)}' IDENTIFIED BY '{OPENEXCHANGE}'",
            )
    file, position = sql("dbmaster", "SHOW MASTER STATUS").split("\t")[:2]
    sql(
        "dbslave",
        f"CHANGE MASTER TO MASTER_HOST='{master}', MASTER_USER='replication', MASTER_PASSWORD='{REPLICATION}',"
        f" MASTER_LOG_FILE='{file}', MASTER_LOG_POS={position}; START SLAVE",
    )
    sql("dbmaster", "CREATE DATABASE foo")
    wait_for("dbslave", "mariadb -e 'USE foo'")
    sql("dbmaster", "DROP DATABASE foo")


def _filestore() -> None:
    run("dbmaster", f"mkdir -p {FILESTORE}; chown open-xchange:open-xchange {FILESTORE}")
    clients = ", ".join(address(node) for node in GROUPWARE)
    run("dbmaster", f"cat > {GANESHA}; systemctl restart nfs-ganesha", EXPORT.replace("CLIENTS", clients))
    # One of them knows the server by its name.
    for node, server in (("oxgw01", address("dbmaster")), ("oxgw02", "dbmaster")):
        run(node, f"mkdir -p {FILESTORE}; echo '{server}:{FILESTORE} {FILESTORE} nfs defaults 0 0' >> /etc/fstab")
        wait_for(node, f"mount {FILESTORE}")
    run("oxgw01", f"su -s /bin/sh open-xchange -c 'touch {FILESTORE}/foo'")
    run("oxgw02", f"su -s /bin/sh open-xchange -c 'rm {FILESTORE}/foo'")


def _balancer() -> None:
    members = "".join(
        f"    BalancerMember ajp://{address(node)}:8009 smax=0 ttl=60 retry=5 loadfactor=50 route=OX-{number}\n"
        for number, node in enumerate(GROUPWARE, 1)
    )
    passes = "".join(f"  ProxyPass /{path} balancer://oxcluster/{path} stickysession=JSESSIONID\n" for path in SERVLETS)
    text = (
        "<IfModule mod_proxy_ajp.c>\n  <Proxy *>\n    Require all granted\n  </Proxy>\n"
        f"  <Proxy balancer://oxcluster>\n{members}  </Proxy>\n{passes}</IfModule>\n"
    )
    run("web", f"cat > {CONF_AVAILABLE}; a2enconf -q proxy_ajp", text)
    modules = "proxy proxy_ajp proxy_balancer lbmethod_byrequests expires deflate headers"
    run("web", f"a2enmod -q {modules}; systemctl restart apache2")


def _multicast() -> None:
    run("oxgw01", f"cat > {ROUTE_UNIT}; systemctl enable --now multicast-route", UNIT_TEXT)
    run("oxgw02", f"mkdir -p /etc/network; cat > {INTERFACES}; ip route add 224.0.0.0/8 dev eth0", INTERFACES_TEXT)


def _open_xchange() -> None:
    master, slave = address("dbmaster"), address("dbslave")
    login = f"--configdb-user=openexchange --configdb-pass={OPENEXCHANGE}"
    run("oxgw01", f"{SBIN}/initconfigdb {login} --configdb-host={master}")
    for number, node in enumerate(GROUPWARE, 1):
        run(
            node,
            f"USER=root {SBIN}/oxinstaller --servername=oxserver --configdb-readhost={slave}"
            f" --configdb-writehost={master} {login} --master-pass={ADMIN} --jkroute=OX-{number} '--ajp-bind-port=*'"
            " --object-link-hostname=web --servermemory=128 --no-license",
        )
    run("oxgw01", "/etc/init.d/open-xchange-admin start")
    wait_for("oxgw01", f"{SBIN}/listserver {MASTER_ADMIN}")
    run("oxgw01", f"{SBIN}/registerserver {MASTER_ADMIN} -n oxserver")
    run("oxgw01", f"{SBIN}/registerfilestore {MASTER_ADMIN} -t file://{FILESTORE}")
    database = f"{SBIN}/registerdatabase {MASTER_ADMIN} --dbuser openexchange --dbpasswd {OPENEXCHANGE}"
    said = run("oxgw01", f"{database} --name oxdatabase --hostname {master} --master true")
    number = re.findall(r"database (\d+) registered", said)[0]
    run("oxgw01", f"{database} --name oxdatabase_slave --hostname {slave} --master false --masterid={number}")
    run("oxgw02", "/etc/init.d/open-xchange-admin start")
    for node in GROUPWARE:
        run(node, "/etc/init.d/open-xchange-groupware start")
    known = passwords()
    _context(1, "defaultcontext", known["context_1_oxadmin"], "testuser", known["context_1_testuser"])
    _context(2, "second", PASSWORD_OF_SECOND, "seconduser", PASSWORD_OF_SECOND)


def _context(number: int, name: str, admin_password: str, user: str, password: str) -> None:
    run(
        "oxgw01",
        f"{SBIN}/createcontext {MASTER_ADMIN} -c {number} -u oxadmin -d 'Context Admin' -g Admin -s User"
        f" -p '{admin_password}' -L {name} -e oxadmin@example.com -q 1024 --access-combination-name=all",
    )
    run(
        "oxgw01",
        f"{SBIN}/createuser -c {number} -A oxadmin -P '{admin_password}' -u {user} -d 'Test User' -g Test -s User"
        f" -p '{password}' -e {user}@example.com",
    )


def _use() -> dict[str, int]:
    """Log in as users do, without encryption, and leave files."""
    browser = Browser(scheme="http")
    browser.login()
    path = f"/ajax/infostore?session={browser.session}&action=new&name="
    answers = {name: browser.ask(path + name, content)["data"] for name, content in FILES.items()}
    return {name: int(data["id"] if isinstance(data, dict) else data) for name, data in answers.items()}

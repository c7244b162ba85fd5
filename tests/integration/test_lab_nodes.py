"""The lab itself: nodes are bare hosts, `up` is idempotent, and NFS behaves as between real hosts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.deployment import SSH_INVENTORY, deploy, deployed_lab
from tests.lab import engine, nodes, state
from tests.lab.browser import Browser
from tests.lab.nodes import exec_in, run
from tests.lab.state import Node

pytestmark = [pytest.mark.lab, pytest.mark.thorough]

EXPORT = "/var/opt/files"
MOUNTED = "/mnt/files"
EXPORTS = """
NFS_CORE_PARAM {{ Protocols = 3, 4; }}
NFSv4 {{ Graceless = true; Only_Numeric_Owners = true; }}
EXPORT {{
    Export_Id = 1; Path = {path}; Pseudo = {path}; SecType = sys; Access_Type = None;
    Squash = Root_Squash; Anonymous_Uid = 1234; Anonymous_Gid = 1235;
    FSAL {{ Name = VFS; }}
    CLIENT {{ Clients = {client}; Access_Type = RW; }}
}}
"""
INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq"
    " && apt-get install -y -qq --no-install-recommends rpcbind nfs-ganesha nfs-ganesha-vfs"
)


@dataclass
class Share:
    server: Node
    client: Node

    @property
    def source(self) -> str:
        return f"{self.server.address}:{EXPORT}"


def lab(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.lab", *arguments]
    return subprocess.run(command, cwd=state.ROOT, check=True, capture_output=True, text=True).stdout


def container_ids() -> dict[str, tuple[str, str]]:
    """Identity and start time of each container."""
    found = engine.containers(engine.connect())
    return {name: (str(c.id), c.attrs["State"]["StartedAt"]) for name, c in found.items()}


@pytest.fixture(scope="module", autouse=True)
def lab_is_up() -> None:
    lab("up")


@pytest.fixture(scope="module")
def scratch() -> Iterator[list[Node]]:
    with nodes.scratch_nodes(2) as made:
        yield made


@pytest.fixture(scope="module")
def share(scratch: list[Node]) -> Share:
    """A server with a hand-written export for one client, whose fstab names it."""
    share = Share(*scratch)
    run(share.server, INSTALL)
    run(
        share.server,
        f"mkdir -m 1777 {EXPORT} && cat >/etc/ganesha/ganesha.conf",
        EXPORTS.format(path=EXPORT, client=share.client.address),
    )
    run(share.server, "systemctl restart nfs-ganesha")
    nodes.wait_for(share.server, "ss -ltn | grep -q :2049 && rpcinfo -p | grep -q mountd")
    line = f"{share.source} {MOUNTED} nfs rw,hard,vers=4,_netdev,noatime,nosuid,x-systemd.mount-timeout=60 0 0"
    run(share.client, f"mkdir {MOUNTED} && cat >>/etc/fstab && systemctl daemon-reload", line + "\n")
    run(share.client, ["mount", MOUNTED])
    return share


def test_nodes_run_and_are_bare(scratch: list[Node]) -> None:
    for node in scratch:
        assert run(node, "systemctl is-system-running").strip() == "running"
        assert run(node, "hostname").strip() == node.name
        assert exec_in(node, "ls /var/opt /var/lib/apt/lists/*Packages* 2>/dev/null").stdout.strip() == "/var/opt:"
        for absent in ("apache2", "mariadb-server", "nfs-common", "nfs-ganesha", "gnupg", "python3-pymysql"):
            assert exec_in(node, ["dpkg", "-s", absent]).code != 0, absent


def test_names_survive_replacement_and_restart(scratch: list[Node]) -> None:
    """Docker's own /etc/hosts can do neither."""
    node = scratch[1]
    run(node, "(cat /etc/hosts; echo 192.0.2.1 somewhere) >/etc/hosts.new && mv /etc/hosts.new /etc/hosts")
    nodes.restart(node)
    assert run(node, "getent hosts somewhere").split() == ["192.0.2.1", "somewhere"]
    assert node.address in run(node, "ip -4 -o address show")


def test_up_again_changes_nothing() -> None:
    before, written = container_ids(), state.STATE_FILE.read_text()
    current = state.load()
    groupware, slaves = len(current.with_role("groupware")), len(current.with_role("db_slave"))
    lab("up", "--groupware", str(groupware), "--slaves", str(slaves))
    assert container_ids() == before
    assert state.STATE_FILE.read_text() == written


def test_a_lab_keeps_its_kind_of_database() -> None:
    other = next(kind for kind in engine.DATABASES if kind != state.load().database)
    command = [sys.executable, "-m", "tests.lab", "up", "--database", other]
    result = subprocess.run(command, cwd=state.ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert f"take it down to have {other}." in " ".join(result.stderr.split())


def test_a_lab_of_another_name_is_another_one() -> None:
    command = [sys.executable, "-m", "tests.lab", "down"]
    before = container_ids()
    env = {**os.environ, "OXLAB": f"{state.NAME}-other"}
    result = subprocess.run(command, cwd=state.ROOT, env=env, capture_output=True, text=True, check=True)
    assert "there was no lab" in result.stderr
    assert container_ids() == before


def test_private_files() -> None:
    assert state.FOLDER.stat().st_mode & 0o777 == 0o700
    for path in state.FOLDER.iterdir():
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0, path


def test_both_inventories_name_the_same_hosts() -> None:
    for inventory, prefix in (("inventory.py", f"@docker/{state.NAME}-"), ("inventory_ssh.py", "")):
        command = [
            "-m",
            "pyinfra",
            "-y",
            f"tests/lab/{inventory}",
            "--limit",
            "web",
            "exec",
            "--",
            "id",
            "-un",
        ]
        result = subprocess.run([sys.executable, *command], cwd=state.ROOT, capture_output=True, text=True, check=True)
        assert f"[{prefix}web]" in result.stdout + result.stderr
        assert "root" in result.stdout + result.stderr


def test_mount_shows_source_and_options(share: Share) -> None:
    source, kind, options = run(share.client, f"findmnt -n -o SOURCE,FSTYPE,OPTIONS {MOUNTED}").split()
    assert (source, kind) == (share.source, "fuse.nfs")
    assert {"rw", "nosuid", "noatime"} <= set(options.split(","))
    assert "nodev" not in options.split(",")


def test_files_keep_their_owner(share: Share) -> None:
    run(
        share.client,
        f"cd {MOUNTED} && umask 027 && setpriv --reuid 1001 --regid 1002 --clear-groups sh -c 'echo hello >mine'",
    )
    assert run(share.server, f"stat -c '%u %g %a' {EXPORT}/mine; cat {EXPORT}/mine").split() == [
        "1001",
        "1002",
        "640",
        "hello",
    ]
    other = exec_in(share.client, f"setpriv --reuid 1003 --regid 1003 --clear-groups cat {MOUNTED}/mine")
    assert other.code and "Permission denied" in other.stderr
    run(share.client, f"setpriv --reuid 1003 --regid 1003 --groups 1002 cat {MOUNTED}/mine")


def test_root_is_squashed(share: Share) -> None:
    run(share.client, f"touch {MOUNTED}/roots")
    assert run(share.server, f"stat -c '%u %g' {EXPORT}/roots").split() == ["1234", "1235"]


def test_changes_arrive_at_once(share: Share) -> None:
    """Through a mount of its own, as on another client."""
    run(share.client, f"mount -t nfs {share.source} /srv")
    run(share.client, f"cd {MOUNTED} && mkdir d && seq 100000 >d/a && mv d/a d/b && sync d/b")
    run(share.server, f"seq 100000 | cmp - {EXPORT}/d/b")
    run(share.client, f"cd {MOUNTED} && seq 100000 | cmp - /srv/d/b && truncate -s 6 d/b && chmod 600 d/b")
    assert run(share.client, "stat -c '%s %a' /srv/d/b; umount /srv").split() == ["6", "600"]


def test_other_hosts_are_refused(share: Share) -> None:
    outside = exec_in("web", f"mount -t nfs {share.source} /mnt")
    assert outside.code == 32
    assert "access denied by server" in outside.stderr
    assert exec_in("web", "mountpoint -q /mnt").code != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-o wrong {source} {there}", "an incorrect mount option was specified"),
        ("-o vers=5 {source} {there}", "an incorrect mount option was specified"),
        ("{source}/missing {there}", "denied|No such file"),
        ("{source} /not/there", "mount point .* does not exist"),
        ("-o retry=0 192.0.2.1:{path} {there}", "No route|unreachable|timed out|refused"),
        ("nowhere.invalid:{path} {there}", "Failed to resolve server"),
    ],
)
def test_wrong_mounts_fail_like_the_real_ones(share: Share, arguments: str, message: str) -> None:
    line = arguments.format(source=share.source, path=EXPORT, there="/media")
    result = exec_in(share.client, f"mount -t nfs {line} 2>&1 | tee /dev/stderr | grep -Eq '{message}'")
    assert result.code == 0, result.stderr
    assert exec_in(share.client, "mountpoint -q /media").code != 0


def test_a_restart_of_the_server_is_survived(share: Share) -> None:
    """As with a hard mount: the writer waits, and nothing is lost."""
    writer = f"exec 3>{MOUNTED}/log; for n in $(seq 40); do echo $n >&3 || exit 1; sleep 0.05; done"
    process = subprocess.Popen(["docker", "exec", share.client.container, "bash", "-c", writer])
    run(share.server, "sleep 0.5; systemctl restart nfs-ganesha")
    assert process.wait(timeout=60) == 0
    assert run(share.server, f"cat {EXPORT}/log").split() == [str(n) for n in range(1, 41)]


def test_unmount_and_mount_again(share: Share) -> None:
    run(share.client, ["umount", MOUNTED])
    assert exec_in(share.client, f"mountpoint -q {MOUNTED}").code != 0
    nodes.wait_for(share.client, "! pgrep -f '[/]sbin/mount.nfs '", 5)
    run(share.client, "mount -a && mount -a")
    assert run(share.client, f"findmnt -n -t fuse.nfs {MOUNTED} | wc -l").strip() == "1"


def test_mount_is_back_after_a_restart(share: Share) -> None:
    nodes.kill(share.client)
    nodes.start(share.client)
    assert run(share.client, f"findmnt -n -o SOURCE {MOUNTED}").strip() == share.source
    run(share.client, f"touch {MOUNTED}/after-restart")
    assert run(share.client, "systemctl is-system-running").strip() == "running"


def test_nfs_common_leaves_the_client_in_place(share: Share) -> None:
    run(share.client, "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nfs-common")
    assert (
        run(share.client, "readlink -f /sbin/mount.nfs /sbin/mount.nfs4").split()
        == ["/usr/local/lib/oxlab/nfs_mount.py"] * 2
    )
    run(share.client, f"umount {MOUNTED} && mount {MOUNTED} && mountpoint {MOUNTED}")


def test_cluster_from_a_snapshot_is_the_same_one_and_serves() -> None:
    """Names, addresses and keys of the hosts, the lab's passwords, data and connections of the services."""
    before = deployed_lab()
    known_hosts, secrets = state.KNOWN_HOSTS.read_text(), state.SECRETS.read_text()
    run("web", "rm -r /etc/apache2; touch /root/damaged")
    assert deployed_lab() == before
    assert (state.KNOWN_HOSTS.read_text(), state.SECRETS.read_text()) == (known_hosts, secrets)
    assert exec_in("web", "test -e /root/damaged").code
    assert (
        "i" in run("oxgw01", "unshare --mount sh -c 'umount -l /var/opt/filestore; lsattr -d /var/opt/filestore'")[:20]
    )
    assert deploy(inventory=SSH_INVENTORY).changed() == []
    assert Browser().login()["user_id"] == 3

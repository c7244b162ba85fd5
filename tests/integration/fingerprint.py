"""What a deploy has made of the hosts, in lines that can be compared; the lab has MariaDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.lab import state
from tests.lab.nodes import run

LOOK = r"""
paths=$(ls -d /etc/hosts /etc/fstab /etc/apt /etc/mysql /etc/ganesha /etc/exports* /etc/apache2 /etc/systemd/system \
    /etc/ssl/certs/open-xchange* /etc/ssl/private /etc/passwd /etc/group /opt/open-xchange/etc 2> /dev/null)
find $paths -xdev -printf 'file %p %y %m %u %g %l\n' | sort
# The same password has another hash in mpasswd each time it is written.
find $paths -xdev -type f ! -name mpasswd -print0 | sort -z | xargs -0 sha256sum | sed 's/^/content /'
# What is in the lease differs from run to run.
find /var/lib/ox-deploy /var/opt/filestore -xdev -maxdepth 1 -printf 'file %p %y %m %u %g\n' 2> /dev/null | sort
dpkg-query -W -f 'package ${Package} ${Version} ${db:Status-Status}\n'
for unit in apache2 mariadb nfs-ganesha open-xchange-admin open-xchange-groupware ox-multicast-route; do
    echo "unit $unit $(systemctl is-enabled $unit 2> /dev/null) $(systemctl is-active $unit)"
done
findmnt -n -r -t nfs,nfs4 -o TARGET,SOURCE,OPTIONS | sed 's/^/mount /'
"""
ASK = r"""
ask() { mariadb -N -e "$1"; }
for account in $(ask "SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)) FROM mysql.user
        WHERE User IN ('openexchange', 'replication') ORDER BY 1"); do
    ask "SHOW CREATE USER $account; SHOW GRANTS FOR $account"
done
ask 'SELECT "role", @@read_only, @@server_id, @@port'
mariadb -e 'SHOW SLAVE STATUS\G' |
    grep -E ' (Master_(Host|User|SSL_Allowed)|Slave_(IO|SQL)_Running|Using_Gtid):'
mariadb-dump --compact configdb
"""


def fingerprint() -> dict[str, set[str]]:
    """Return the lines of each host of the lab."""
    names = sorted(state.load().nodes)
    with ThreadPoolExecutor() as pool:
        return dict(zip(names, pool.map(_of_host, names), strict=True))


def _of_host(name: str) -> set[str]:
    database = state.load().nodes[name].role in ("db_master", "db_slave")
    return set(run(name, LOOK + (ASK if database else "")).splitlines())


def differences(wanted: dict[str, set[str]], found: dict[str, set[str]]) -> list[str]:
    """Return what is missing (-) and what is too much (+) on which host."""
    return [
        f"{name}: {'-' if line in wanted[name] else '+'}{line}"
        for name in wanted
        for line in sorted(wanted[name] ^ found[name])
    ]

"""What differs between MariaDB and MySQL on a host, as data. What differs in SQL is in dialects.py."""

from __future__ import annotations

from dataclasses import dataclass

from ox_deploy.mysql.dialects import CONFIGURATIONS, FENCES, LOGS


@dataclass(frozen=True)
class DatabaseServer:
    """A database server as Debian's packages bring it.

    `driver_packages` is what our programs log in with, on database hosts and groupware nodes.
    `configuration` is ours, read after the package's own files; `logs` names the server's logs, and is written once.
    `fence` is read after both; it is there while the writer is switched, and says what a server is that starts then.
    `check` refuses a wrong configuration. `seed_programs` are what a seeding uses; `seed_fence` is read by a server
    that restarts itself on the data of another one, "" if none does. `collations` is read before ours, and is there
    where the cluster has several releases, which differ in them; "" if none do.
    """

    packages: tuple[str, ...]
    driver_packages: tuple[str, ...]
    unit: str
    client: str
    configuration: str
    logs: str
    fence: str
    check: tuple[str, ...]
    # Makes a running server read its certificates again, and is not replicated.
    reload_tls: str
    seed_programs: tuple[str, ...]
    seed_fence: str = ""
    collations: str = ""


DATABASE_SERVERS = {
    "mariadb": DatabaseServer(
        packages=("mariadb-server", "mariadb-backup", "socat"),
        driver_packages=("python3-pymysql",),
        unit="mariadb",
        client="mariadb",
        configuration=CONFIGURATIONS["MariaDB"],
        logs=LOGS["MariaDB"],
        fence=FENCES["MariaDB"],
        check=("sh", "-c", "mariadbd --verbose --help > /dev/null"),
        reload_tls="FLUSH NO_WRITE_TO_BINLOG SSL",
        seed_programs=("mariadb", "mariadb-dump", "mariadb-backup", "mbstream", "socat"),
        collations="/etc/mysql/mariadb.conf.d/89-ox-deploy-collations.cnf",
    ),
    "mysql": DatabaseServer(
        packages=("mysql-server",),
        # The second one to log in over the network with `caching_sha2_password`.
        driver_packages=("python3-pymysql", "python3-cryptography"),
        unit="mysql",
        client="mysql",
        configuration=CONFIGURATIONS["MySQL"],
        logs=LOGS["MySQL"],
        fence=FENCES["MySQL"],
        check=("sh", "-c", "mysqld --validate-config"),
        reload_tls="ALTER INSTANCE RELOAD TLS",
        seed_programs=("mysql", "mysqldump"),
        seed_fence="/etc/mysql/mysql.conf.d/zzz-ox-deploy-seed.cnf",
    ),
}

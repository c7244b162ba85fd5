"""Every template, rendered and compared with the whole file in the folder `expected`.

After a wanted change, write them anew with `python -m tests.unit.test_templates` and read the difference.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from jinja2 import UndefinedError

from ox_deploy.mysql.servers import DATABASE_SERVERS
from ox_deploy.products.ox6.front_end import LOCAL_PATHS, MANAGER, PATHS
from ox_deploy.templates import render

TEMPLATES = Path(__file__).parents[2] / "templates"
EXPECTED = Path(__file__).parent / "expected"


class Case(NamedTuple):
    expected: str
    path: str
    values: dict[str, Any]


MASTER = {
    "address": "192.0.2.21",
    "port": 3306,
    "server_id": 1,
    "read_only": False,
    "certificate": None,
    "semi_synchronous": False,
    "settings": {},
}
SLAVE = MASTER | {"address": "192.0.2.22", "server_id": 2, "read_only": True}
EXPORT = {
    "path": "/var/opt/filestore",
    "uid": 1001,
    "gid": 1002,
    "clients": ["192.0.2.11", "192.0.2.12"],
    "export_id": 6610,
}
KERNEL_EXPORT = {key: value for key, value in EXPORT.items() if key != "export_id"}
SITE = {
    "web_name": "groupware.example.com",
    "certificate_path": "/etc/ssl/certs/open-xchange.pem",
    "key_path": "/etc/ssl/private/open-xchange.key",
    "scheme": "ajp",
    "port": 8009,
    "interface": "ox6",
    "paths": list(PATHS),
    "local_paths": list(LOCAL_PATHS),
    "manager": MANAGER,
    "hsts_seconds": None,
    "retry": 5,
    "balancer": "oxcluster",
    "members": [
        SimpleNamespace(address="192.0.2.11", load_factor=50, route="OX-1"),
        SimpleNamespace(address="192.0.2.12", load_factor=25, route="OX-2"),
    ],
}
ROUTE = {"network": "224.0.0.0/8", "address": "192.0.2.11"}
SOURCES = {"url": "https://repository.example.com/OX6/6.10/", "key_path": "/etc/apt/keyrings/open-xchange.asc"}
MYSQL = DATABASE_SERVERS["mariadb"].configuration
MYSQL_9 = DATABASE_SERVERS["mysql"].configuration

CASES = [
    Case(
        "database-drop-in.conf",
        "/etc/systemd/system/mariadb.service.d/ox-deploy.conf",
        {"program": "/etc/ox-deploy/before-database-start.py"},
    ),
    Case("mysql-logs.cnf", DATABASE_SERVERS["mariadb"].logs, {}),
    Case(
        "mysql-collations.cnf",
        DATABASE_SERVERS["mariadb"].collations,
        {"defaults": {"collation_server": "utf8mb4_general_ci", "character_set_collations": ""}},
    ),
    Case("mysql-9-logs.cnf", DATABASE_SERVERS["mysql"].logs, {}),
    Case("mysql-master.cnf", MYSQL, MASTER),
    Case("mysql-slave.cnf", MYSQL, SLAVE | {"settings": {"innodb_buffer_pool_size": "4G", "max_connections": 200}}),
    Case("mysql-encrypted.cnf", MYSQL, MASTER | {"certificate": "/etc/mysql/ssl/replication.pem"}),
    Case("mysql-semi-synchronous-master.cnf", MYSQL, MASTER | {"semi_synchronous": True}),
    Case("mysql-semi-synchronous-slave.cnf", MYSQL, SLAVE | {"semi_synchronous": True}),
    Case("mysql-9-master.cnf", MYSQL_9, MASTER | {"semi_synchronous": True}),
    Case(
        "mysql-9-slave.cnf",
        MYSQL_9,
        SLAVE
        | {
            "certificate": "/etc/mysql/ssl/replication.pem",
            "semi_synchronous": True,
            "settings": {"innodb_buffer_pool_size": "4G"},
        },
    ),
    Case("kernel.exports", "/etc/exports.d/ox-deploy.exports", KERNEL_EXPORT),
    Case("ganesha.conf", "/etc/ganesha/ox-deploy.conf", EXPORT),
    Case("apache-site.conf", "/etc/apache2/sites-available/00-open-xchange.conf", SITE),
    Case(
        "apache-site-hsts.conf",
        "/etc/apache2/sites-available/00-open-xchange.conf",
        SITE | {"hsts_seconds": 63072000, "paths": [*PATHS, "usm-json"]},
    ),
    Case("multicast-route.service", "/etc/systemd/system/ox-multicast-route.service", ROUTE),
    Case(
        "service-drop-in.conf",
        "/etc/systemd/system/open-xchange.service.d/ox-deploy.conf",
        {"filestore_path": "/var/opt/filestore", "route_unit": "ox-multicast-route.service"},
    ),
    Case("open-xchange.sources", "/etc/apt/sources.list.d/open-xchange.sources", SOURCES),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.expected)
def test_file_is_as_expected(case: Case) -> None:
    assert render(case.path, **case.values) == (EXPECTED / case.expected).read_text()


@pytest.mark.parametrize(
    ("case", "name"), [pytest.param(case, name, id=f"{case.expected}-{name}") for case in CASES for name in case.values]
)
def test_value_that_is_missing_is_an_error_and_not_an_empty_text(case: Case, name: str) -> None:
    values = {key: value for key, value in case.values.items() if key != name}
    with pytest.raises(UndefinedError, match=name):
        render(case.path, **values)


def test_every_template_has_a_case() -> None:
    templates = {f"/{path.relative_to(TEMPLATES)}".removesuffix(".j2") for path in TEMPLATES.rglob("*.j2")}
    assert {case.path for case in CASES} == templates


def test_every_expected_file_has_a_case() -> None:
    assert {path.name for path in EXPECTED.iterdir()} == {case.expected for case in CASES}


if __name__ == "__main__":
    EXPECTED.mkdir(exist_ok=True)
    for written in CASES:
        (EXPECTED / written.expected).write_text(render(written.path, **written.values))

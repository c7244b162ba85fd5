"""What a setting would ruin on a living cluster is refused, and nothing has changed then."""

from __future__ import annotations

import pytest

from tests.integration.deployment import deploy, deploy_fails
from tests.lab.nodes import exec_in, run
from tests.lab.state import State

pytestmark = [pytest.mark.lab, pytest.mark.only_on(kind="mariadb-11.8")]
MARKS = "stat -c '%n %U %a' /etc /usr/bin /srv/data; cat /etc/mysql/mariadb.conf.d/90-ox-deploy.cnf; cat /etc/ganesha/*"


@pytest.fixture(scope="module")
def deployed(cluster: State) -> None:
    run("dbmaster", "mkdir -p /srv/data && touch /srv/data/report.ods")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param("filestore_path=/var/../etc", "without `.` or `..`", marks=pytest.mark.thorough),
        pytest.param(
            "filestore_path=/usr/bin", "/usr belongs to the system or to a package", marks=pytest.mark.thorough
        ),
        ("filestore_path=/srv/data", "/srv/data is not empty (report.ods) and belongs to uid 0 and gid 0"),
        ("mysql_port=3307", "`mysql_port` is 3307, but the server of this host was set up with 3306"),
        pytest.param(
            "server_name=other",
            "`server_name` is other, but this node was set up with oxserver",
            marks=pytest.mark.thorough,
        ),
        pytest.param("server_memory=1000000", "Open-Xchange would not start; choose less.", marks=pytest.mark.thorough),
    ],
)
def test_setting_that_ruins_is_refused_before_any_change(deployed: None, data: str, said: str) -> None:
    before = run("dbmaster", MARKS)
    assert said in deploy_fails("--data", data)
    assert run("dbmaster", MARKS) == before


def test_directory_that_an_earlier_run_took_is_named_and_mended_as_told(deployed: None) -> None:
    run("oxgw01", "chown open-xchange:open-xchange /usr/games; chmod 750 /usr/games")
    mend = "chown root:root /usr/games; chmod 0755 /usr/games"
    assert mend in deploy_fails("--limit", "oxgw01")
    assert not exec_in("oxgw01", mend).code
    assert deploy("--limit", "oxgw01").changed() == []

"""Admin daemon and command line tools of the stand-in packages against the reference, row by row.

The host carries the state from test to test, in the order of the guide: ids are part of what is compared.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator

import pytest

from tests.lab import engine
from tests.lab.ox6.trial import Host, install, trial_host

pytestmark = [pytest.mark.lab, pytest.mark.thorough]

SBIN = "/opt/open-xchange/sbin"
MPASSWD = "/opt/open-xchange/etc/admindaemon/mpasswd"
NO_ENVIRONMENT = "/opt/open-xchange/etc/admindaemon/no-environment"
MASTER = "-A oxadminmaster -P secret-long"
ADMIN = "-A oxadmin -P adminpw"
LISTSERVER = f"{SBIN}/listserver {MASTER}"
DATABASE = "--dbuser openexchange --dbpasswd dbpw"
CONTEXT = "-u oxadmin -d 'Context Admin' -g Admin -s User -p adminpw -e oxadmin@example.com -q 1024"
USER = "-d 'Test User' -g Test -s User -p userpw"
URL_SUFFIX = "/?useUnicode=true&"
START_SECONDS = 20


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with trial_host(engine.connect(), print) as trial:
        trial.must("groupadd -g 1001 open-xchange; useradd -u 1001 -g 1001 open-xchange; mkdir -p /var/opt/filestore")
        install(
            trial,
            "mariadb-server",
            "open-xchange-admin-plugin-hosting",
            "open-xchange-admin-plugin-hosting-client",
        )
        trial.sql("GRANT ALL ON *.* TO openexchange@localhost IDENTIFIED BY 'dbpw'")
        trial.must(f"{SBIN}/initconfigdb --configdb-pass=dbpw")
        trial.must(
            f"USER=root {SBIN}/oxinstaller --servername=oxserver --configdb-pass=dbpw --master-pass=secret-long"
            " --object-link-hostname=web --no-license"
        )
        yield trial


@pytest.fixture(scope="module")
def running(host: Host) -> Host:
    """The host with its admin daemon answering."""
    host.must("/etc/init.d/open-xchange-admin start")
    wait(host)
    return host


def wait(host: Host) -> None:
    deadline = time.monotonic() + START_SECONDS
    while host.run(LISTSERVER).code == 105:
        assert time.monotonic() < deadline, "the admin daemon does not answer"


def rows(host: Host, command: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(host.must(f"{command} --csv"))))


def refusal(thing: str, message: str) -> str:
    return f"{thing} could not be registered: \nServer response:\n {message}\n"


def test_an_account_made_before_is_kept(host: Host) -> None:
    assert host.must("id -u open-xchange; id -g open-xchange") == "1001\n1001\n"


def test_the_daemon_takes_seconds_to_answer(host: Host) -> None:
    assert host.run(LISTSERVER).code == 105
    host.must("/etc/init.d/open-xchange-admin start")
    started = time.monotonic()
    assert host.must("systemctl is-active open-xchange-admin") == "active\n"
    result = host.run(LISTSERVER)
    assert (result.code, result.err.startswith("Error: Connection refused")) == (105, True)
    wait(host)
    assert time.monotonic() - started > 2
    assert host.must("ps -o user= -p $(cat /run/open-xchange-admin.pid)").startswith("open-xch")
    assert "successfully started" in host.read("/var/log/open-xchange/open-xchange-admin.log.0")


def test_server(running: Host) -> None:
    register = f"{SBIN}/registerserver {MASTER} -n oxserver"
    assert running.must(register) == "server 2 registered\n"
    result = running.run(register)
    assert (result.code, result.err) == (103, refusal("server", "Server oxserver already exists!"))
    assert rows(running, f"{SBIN}/listserver {MASTER}") == [{"id": "2", "name": "oxserver"}]
    assert running.must(LISTSERVER).split() == ["Id", "Name", "2", "oxserver"]


def test_filestore(running: Host) -> None:
    register = f"{SBIN}/registerfilestore {MASTER} -t"
    assert running.must(f"{register} file:///var/opt/filestore") == "filestore 3 registered\n"
    again, missing = running.at_once([f"{register} file:///var/opt/filestore", f"{register} file:///nowhere"])
    assert (again.code, again.err) == (103, refusal("filestore", "Store already exists"))
    assert (missing.code, missing.err) == (103, refusal("filestore", 'No such directory: "file:///nowhere"'))
    assert running.sql("SELECT size, max_context FROM configdb.filestore") == [["1048576000", "5000"]]
    header = running.must(f"{SBIN}/listfilestore {MASTER} --csv").splitlines()[0]
    assert header == "id,uri,size,reserved,used,maxcontexts,currentcontexts"
    table = running.must(f"{SBIN}/listfilestore {MASTER}").splitlines()[0]
    assert " ".join(table.split()) == "id path size reserved used maxctx curctx"


def test_master_takes_two_ids_and_the_slave_one(running: Host) -> None:
    register = f"{SBIN}/registerdatabase {MASTER} {DATABASE}"
    master = f"{register} --name oxdatabase --hostname localhost --master true"
    slave = f"{register} --name oxdatabase_slave --hostname 127.0.0.2 --master false --masterid=4"
    assert running.must(master) == "database 4 registered\n"
    query = "SELECT cluster_id, read_db_pool_id, write_db_pool_id, weight, max_units FROM configdb.db_cluster"
    assert running.sql(query) == [["5", "0", "4", "100", "1000"]]
    assert running.must(slave) == "database 6 registered\n"
    assert running.sql(query) == [["5", "6", "4", "100", "1000"]]
    stored = running.sql("SELECT url, driver, login, password, hardlimit, max, initial FROM configdb.db_pool")
    assert stored[0][0].startswith(f"jdbc:mysql://localhost{URL_SUFFIX}")
    assert stored[0][1:] == ["com.mysql.jdbc.Driver", "openexchange", "dbpw", "1", "100", "0"]
    again = running.run(master)
    assert (again.code, again.err) == (103, refusal("database", "Database oxdatabase already exists!"))


def test_list_of_databases_has_the_password(running: Host) -> None:
    out = running.must(f"{SBIN}/listdatabase {MASTER} --csv")
    assert out.splitlines()[0] == (
        "id,display_name,url,master,masterid,clusterweight,maxUnits,currentunits,poolHardLimit,poolMax,poolInitial,"
        "login,password,driver,read_id,scheme"
    )
    found = list(csv.DictReader(io.StringIO(out)))
    assert [(row["id"], row["master"], row["password"]) for row in found] == [
        ("4", "true", "dbpw"),
        ("6", "false", "dbpw"),
    ]
    assert (found[0]["read_id"], found[1]["masterid"]) == ("6", "4")
    assert out.splitlines()[1].endswith('"6",')  # nothing between commas is null
    table = running.must(f"{SBIN}/listdatabase {MASTER}").splitlines()[0]
    assert " ".join(table.split()) == "id name hostname master mid weight maxctx curctx hlimit max inital"


def test_failures_of_registerdatabase(running: Host) -> None:
    register = f"{SBIN}/registerdatabase {MASTER} {DATABASE} -n other"
    no_master, both, any_word = running.at_once(
        [f"{register} -m false", f"{register} -m true -M 4", f"{register} -m yes"]
    )
    message = "master id must be set if this database isn't the master"
    assert (no_master.code, message in no_master.err) == (104, True)
    assert (any_word.code, message in any_word.err) == (104, True)
    assert (both.code, "Master ID can only be set if this is a slave." in both.err) == (103, True)


def test_an_unknown_master_uses_up_an_id(running: Host) -> None:
    before = running.sql("SELECT id FROM configdb.configdb_sequence")
    result = running.run(f"{SBIN}/registerdatabase {MASTER} {DATABASE} -n other -m false -M 77")
    assert (result.code, result.err) == (106, refusal("database", "No such master with ID=77"))
    after = running.sql("SELECT id FROM configdb.configdb_sequence")
    assert int(after[0][0]) == int(before[0][0]) + 1
    assert running.sql("SELECT 1 FROM configdb.db_pool WHERE name = 'other'") == []


def test_exit_codes(running: Host) -> None:
    cases = {
        f"{SBIN}/listserver -A oxadminmaster -P wrong": 101,
        f"{SBIN}/listserver -A nobody -P secret-long": 101,
        f"{SBIN}/listserver -A oxadminmaster -P secret-lXXX": 0,  # DES: eight characters count
        f"{SBIN}/listserver -h": 0,
        f"{SBIN}/listserver --nonsense": 111,
        f"{SBIN}/listserver -A oxadminmaster": 104,
        f"{SBIN}/registerserver {MASTER}": 104,
        f"{SBIN}/registerserver {MASTER} -n": 109,
        f"{SBIN}/registerfilestore {MASTER} -t /var -x many": 1,
        f"{SBIN}/listuser -c 99 {ADMIN}": 102,
        f"RMI_HOSTNAME=rmi://localhost:1100/ {LISTSERVER}": 105,
    }
    results = dict(zip(cases, running.at_once(list(cases)), strict=True))
    assert {command: result.code for command, result in results.items()} == cases
    assert "Usage: listserver" in results[f"{SBIN}/listserver -A oxadminmaster"].out
    assert "Authentication failed" in results[f"{SBIN}/listserver -A oxadminmaster -P wrong"].err


def test_context(running: Host) -> None:
    last = int(running.sql("SELECT id FROM configdb.configdb_sequence")[0][0])
    create = f"{SBIN}/createcontext {MASTER} {CONTEXT} -L defaultcontext --access-combination-name=all"
    assert running.must(f"{create} -c 1") == "context 1 created\n"
    again = running.run(f"{create} -c 1")
    assert (again.code, "Context 1 already exists!" in again.err) == (1, True)
    schema = f"oxdatabase_{last + 1}"
    assert running.sql("SELECT * FROM configdb.context_server2db_pool") == [["2", "1", "6", "4", schema]]
    mappings = running.sql("SELECT cid, login_info FROM configdb.login2context ORDER BY login_info")
    assert mappings == [["1", "1"], ["1", "defaultcontext"]]
    user = running.sql(f"SELECT cid, id, mail, passwordMech FROM {schema}.user")
    assert user == [["1", "2", "oxadmin@example.com", "{SHA}"]]
    exists, missing = running.at_once([f"{SBIN}/existscontext {MASTER} -c {number}" for number in (1, 9)])
    assert (exists.code, exists.out) == (0, "Context 1 exists\n")
    assert (missing.code, missing.out) == (1, "Context 9 does not exist\n")
    header = running.must(f"{SBIN}/listcontext {MASTER} --csv").splitlines()[0]
    assert header == "id,filestore_id,filestore_name,enabled,max_quota,used_quota,name,lmappings,attributes"
    table = running.must(f"{SBIN}/listcontext {MASTER}").splitlines()[0]
    assert " ".join(table.split()) == "cid fid fname enabled qmax qused name lmappings"


def test_user(running: Host) -> None:
    create = f"{SBIN}/createuser -c 1 {ADMIN} {USER} -u testuser -e testuser@example.com"
    assert running.must(create) == "user 3 in context 1 created\n"
    again, master, exists, missing = running.at_once(
        [
            create,
            create.replace(ADMIN, MASTER),
            f"{SBIN}/existsuser -c 1 {ADMIN} -u testuser",
            f"{SBIN}/existsuser -c 1 {ADMIN} -u nobody",
        ]
    )
    assert (again.code, "User testuser already exists in this context" in again.err) == (103, True)
    assert master.code == 101  # the context's administrator, not the master
    assert (exists.code, missing.code) == (0, 1)
    assert [row["name"] for row in rows(running, f"{SBIN}/listuser -c 1 {ADMIN}")] == ["oxadmin", "testuser"]
    table = running.must(f"{SBIN}/listuser -c 1 {ADMIN}").splitlines()[0]
    assert " ".join(table.split()) == "Id Name Displayname Email qmax qused"


def test_passwords_in_the_environment(running: Host) -> None:
    create = f"{SBIN}/createuser -c 1 -A oxadmin {USER} -u second -e second@example.com"
    assert running.must(create, ADMIN_PASSWORD="adminpw", NEW_USER_PASSWORD="other") == "user 4 in context 1 created\n"
    schema = running.sql("SELECT db_schema FROM configdb.context_server2db_pool")[0][0]
    digest = "TO_BASE64(UNHEX(SHA1('other')))"
    query = f"SELECT userPassword = {digest} FROM {schema}.user WHERE id = 4"
    assert running.sql(query) == [["1"]]
    assert "ADMIN_PASSWORD=seen" in running.must(f"{SBIN}/listserver --environment", ADMIN_PASSWORD="seen")


def test_older_tools_know_no_environment(running: Host) -> None:
    running.must(f"touch {NO_ENVIRONMENT}")
    assert running.run(f"{SBIN}/listserver -A oxadminmaster", ADMIN_PASSWORD="secret-long").code == 104
    running.must(f"rm {NO_ENVIRONMENT}")


def test_arguments_are_visible_while_a_tool_runs(running: Host) -> None:
    assert "-P secret-long" in running.must(f"{LISTSERVER} >/dev/null & sleep 0.3; ps axww -o args; wait")


def test_second_slave_replaces_the_first(running: Host) -> None:
    register = f"{SBIN}/registerdatabase {MASTER} {DATABASE} -m false -M 4 -H 127.0.0.3"
    running.must(f"{register} -n second_slave")
    names = [row["display_name"] for row in rows(running, f"{SBIN}/listdatabase {MASTER}")]
    assert names == ["oxdatabase", "second_slave"]
    assert running.sql("SELECT COUNT(*) FROM configdb.db_pool WHERE name = 'oxdatabase_slave'") == [["1"]]
    assert running.run(f"{register} -n oxdatabase_slave").code == 103
    # the context keeps the read side it was made with
    assert running.sql("SELECT read_db_pool_id FROM configdb.context_server2db_pool") == [["6"]]


def test_spellings_that_are_taken_as_given(running: Host) -> None:
    register = f"{SBIN}/registerfilestore {MASTER} -t"
    running.at_once([f"{register} {uri}" for uri in ("file:/var/opt/filestore", "/var/opt/filestore")])
    assert running.sql("SELECT COUNT(*) FROM configdb.filestore") == [["3"]]
    database = f"{SBIN}/registerdatabase {MASTER} {DATABASE} -m true"
    hosts = ("ported -H host:3307", "foreign -H mysql://host:3307", "unescaped -H 'host/x?y=1&z'")
    running.at_once([f"{database} -n {host}" for host in hosts])
    urls = dict(running.sql("SELECT name, url FROM configdb.db_pool"))
    assert urls["ported"].startswith(f"jdbc:mysql://host:3307{URL_SUFFIX}")
    assert urls["foreign"].startswith(f"jdbc:mysql://host3307{URL_SUFFIX}")
    assert urls["unescaped"].startswith(f"jdbc:mysql://host/x?y=1&z{URL_SUFFIX}")


def test_a_wrong_stored_password_fails_late(running: Host) -> None:
    running.must(f"{SBIN}/changedatabase {MASTER} -i 4 --dbpasswd wrong")
    before = int(running.sql("SELECT id FROM configdb.configdb_sequence")[0][0])
    result = running.run(f"{SBIN}/createcontext {MASTER} {CONTEXT} -c 2 -D 4")
    assert result.code == 106
    assert int(running.sql("SELECT id FROM configdb.configdb_sequence")[0][0]) > before
    assert running.sql("SELECT 1 FROM configdb.context WHERE cid = 2") == []
    running.must(f"{SBIN}/changedatabase {MASTER} -i 4 --dbpasswd dbpw")


def test_files_are_read_at_the_start_only(running: Host) -> None:
    running.must(f"{SBIN}/generatempasswd -A oxadminmaster -P changed -f {MPASSWD}")
    new = f"{SBIN}/listserver -A oxadminmaster -P changed"
    assert [result.code for result in running.at_once([LISTSERVER, new])] == [0, 101]
    running.must("/etc/init.d/open-xchange-admin restart")
    wait(running)
    assert [result.code for result in running.at_once([LISTSERVER, new])] == [101, 0]


def test_stop_and_removal(running: Host) -> None:
    running.must("apt-get remove -qq open-xchange-admin", DEBIAN_FRONTEND="noninteractive")
    assert running.run("pgrep -f admindaemon/main.py$").code == 1
    assert running.must("id -u open-xchange") == "1001\n"
    running.must("test -f /opt/open-xchange/etc/admindaemon/configdb.properties")

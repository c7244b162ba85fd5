"""The operations of a groupware node: configure, register, start, restart, join."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from ox_deploy.facts.openxchange import (
    CachePeers,
    Configdb,
    Configuration,
    Daemon,
    Daemons,
    OpenXchangeConfiguration,
    Pool,
    RegisteredContext,
    Registration,
    StoredPassword,
)
from ox_deploy.facts.secret import Fingerprint
from ox_deploy.operations.openxchange import configuration, registration
from ox_deploy.operations.openxchange import daemons as daemon_operations
from ox_deploy.operations.openxchange.configuration import Administrator, WantedConfiguration
from ox_deploy.operations.openxchange.wanted import (
    AdminCheck,
    ConfigdbLayout,
    WantedContext,
    WantedDatabase,
    WantedRegistration,
    WantedUser,
)
from ox_deploy.products.ox6 import mesh
from ox_deploy.questions.run import current_run
from ox_deploy.remote.configdb.state import RegistrationState
from ox_deploy.secrets import Secret
from ox_deploy.topologies.master_slaves.roles import ROLES
from tests.unit.fakes import FakeHost, Outcome, both_phases, run, stop_sentence

PASSWORD, DATABASE_PASSWORD, ADMIN_PASSWORD, USER_PASSWORD = (
    "Zc4qLw8mPn2rTx6v",
    "Hk7dSb3yGf9jNe5a",
    "Vb8nMq2wEr5tYu7i",
    "Lp3oKi9jUh6gTf4r",
)


def fingerprint(secret: str) -> Fingerprint:
    return Fingerprint(salt="ab", digest=hashlib.sha256(f"ab{secret}".encode()).hexdigest())


# --- configure -------------------------------------------------------------------------------------------


class Reversed:
    """A scheme that is easily seen through."""

    salt_length = 2

    def hash(self, password: str, salt: str | None = None) -> str:
        return (salt or "xy") + password[::-1]


ADMINISTRATOR = Administrator("oxadminmaster", Secret(PASSWORD), "admindaemon/mpasswd", Reversed())
SYSTEM, CACHE, SCRIPT = "groupware/system.properties", "groupware/cache.ccf", "groupware/ox-scriptconf.sh"
CONFIGDB = "groupware/configdb.properties"
WANTED = WantedConfiguration(
    values={
        SYSTEM: {"SERVER_NAME": "oxserver"},
        CACHE: {"TcpServers": None, "UdpDiscoveryEnabled": "true"},
        CONFIGDB: {"useSeparateWrite": "true"},
    },
    memory={SCRIPT: {"JAVA_XTRAOPTS": "-Xmx512m"}},
    secrets={CONFIGDB: {"readProperty.2": ("password=", Secret(DATABASE_PASSWORD))}},
    administrator=ADMINISTRATOR,
)
STORED = StoredPassword(salt="ab", hash=fingerprint(Reversed().hash(PASSWORD, "ab")))
RIGHT = Configuration(
    installed=True,
    values={
        SYSTEM: {"SERVER_NAME": "oxserver"},
        CACHE: {"TcpServers": None, "UdpDiscoveryEnabled": "true"},
        CONFIGDB: {"useSeparateWrite": "true"},
        SCRIPT: {"JAVA_XTRAOPTS": '"-Dsun=1 -Xmx512m"'},
    },
    secrets={CONFIGDB: {"readProperty.2": fingerprint(f"password={DATABASE_PASSWORD}")}},
    administrator=STORED,
)
CONFIGURE: dict[str, Any] = {
    "wanted": WANTED,
    "installer": ["--servername=oxserver", "--configdb-pass=set-by-ox-deploy"],
    "license_arguments": ["--no-license"],
    "services": ["open-xchange-admin", "open-xchange-groupware"],
    "keep": ["/opt/open-xchange/etc/groupware/mail.properties"],
}


def with_values(**files: dict[str, str | None]) -> Configuration:
    names = {"system": SYSTEM, "cache": CACHE, "script": SCRIPT}
    return RIGHT.model_copy(update={"values": RIGHT.values | {names[file]: keys for file, keys in files.items()}})


def test_right_configuration_is_left_alone() -> None:
    host = FakeHost({OpenXchangeConfiguration: RIGHT})
    both_phases(configuration.configure, host, **CONFIGURE).assert_noop()
    assert host.asked[-1][1] == {
        "keys": {
            SYSTEM: ["SERVER_NAME"],
            CACHE: ["TcpServers", "UdpDiscoveryEnabled"],
            CONFIGDB: ["useSeparateWrite"],
            SCRIPT: ["JAVA_XTRAOPTS"],
        },
        "secret_keys": {CONFIGDB: ["readProperty.2"]},
        "administrator": {"name": "oxadminmaster", "file": "admindaemon/mpasswd", "salt_length": 2},
    }


DIFFERENT: dict[str, tuple[Configuration, list[str]]] = {
    "value": (with_values(system={"SERVER_NAME": "other"}), [f"{SYSTEM}: SERVER_NAME"]),
    "missing-value": (with_values(system={"SERVER_NAME": None}), [f"{SYSTEM}: SERVER_NAME"]),
    "missing-file": (with_values(system={}), [f"{SYSTEM}: SERVER_NAME"]),
    "key-that-should-be-a-comment": (
        with_values(cache={"TcpServers": "127.0.0.1:57461", "UdpDiscoveryEnabled": "true"}),
        [f"{CACHE}: TcpServers"],
    ),
    "memory": (with_values(script={"JAVA_XTRAOPTS": '"-Xmx256m"'}), [f"{SCRIPT}: JAVA_XTRAOPTS"]),
    "no-memory": (with_values(script={"JAVA_XTRAOPTS": None}), [f"{SCRIPT}: JAVA_XTRAOPTS"]),
    "password": (
        RIGHT.model_copy(update={"secrets": {CONFIGDB: {"readProperty.2": fingerprint("password=other")}}}),
        [f"{CONFIGDB}: readProperty.2"],
    ),
    "no-password": (RIGHT.model_copy(update={"secrets": {}}), [f"{CONFIGDB}: readProperty.2"]),
    "administrator": (
        RIGHT.model_copy(update={"administrator": STORED.model_copy(update={"hash": fingerprint("ab.other")})}),
        ["admindaemon/mpasswd"],
    ),
    "no-administrator": (RIGHT.model_copy(update={"administrator": None}), ["admindaemon/mpasswd"]),
    "file-that-the-daemons-cannot-read": (
        RIGHT.model_copy(update={"unreadable": ["groupware/ajp.properties"]}),
        ["groupware/ajp.properties"],
    ),
    "file-that-others-can-read": (RIGHT.model_copy(update={"exposed": [CONFIGDB]}), [CONFIGDB]),
}


@pytest.mark.parametrize(("found", "differences"), DIFFERENT.values(), ids=DIFFERENT)
def test_difference_is_named_and_written(found: Configuration, differences: list[str]) -> None:
    assert WANTED.differences(found) == differences
    host = FakeHost({OpenXchangeConfiguration: found})
    both_phases(configuration.configure, host, **CONFIGURE).job("openxchange_configure")


def test_all_values_are_sent_with_the_passwords_on_standard_input_only() -> None:
    host = FakeHost({OpenXchangeConfiguration: DIFFERENT["no-administrator"][0]})
    outcome = both_phases(configuration.configure, host, **CONFIGURE)
    assert outcome.job("openxchange_configure") == {
        "services": ["open-xchange-admin", "open-xchange-groupware"],
        "installer": ["--servername=oxserver", "--configdb-pass=set-by-ox-deploy"],
        "license": ["--no-license"],
        "set_up": False,
        "keep": [],
        "values": {
            SYSTEM: {"SERVER_NAME": "oxserver"},
            CACHE: {"TcpServers": None, "UdpDiscoveryEnabled": "true"},
            CONFIGDB: {"useSeparateWrite": "true", "readProperty.2": f"password={DATABASE_PASSWORD}"},
        },
        "secret_files": [CONFIGDB],
        "administrator": {"name": "oxadminmaster", "file": "admindaemon/mpasswd", "hash": f"xy{PASSWORD[::-1]}"},
    }
    assert_hidden(outcome)


def test_files_of_the_administrator_are_kept_on_a_node_that_was_set_up_before() -> None:
    host = FakeHost({OpenXchangeConfiguration: DIFFERENT["memory"][0]})
    job = both_phases(configuration.configure, host, **CONFIGURE).job("openxchange_configure")
    assert job["keep"] == CONFIGURE["keep"]


def test_wanted_values_are_not_changed_by_sending_them() -> None:
    host = FakeHost({OpenXchangeConfiguration: Configuration(installed=True)})
    run(configuration.configure, host, **CONFIGURE)
    assert WANTED.values[CONFIGDB] == {"useSeparateWrite": "true"}


def test_missing_product_stops_the_operation_but_not_the_plan() -> None:
    host = FakeHost({OpenXchangeConfiguration: Configuration()}, name="oxgw01")
    assert stop_sentence(configuration.configure, host, **CONFIGURE) == (
        "oxgw01: Open-Xchange is not installed; run the whole deploy for this host."
    )
    assert run(configuration.configure, host, executing=False, **CONFIGURE).jobs[0][0] == "openxchange_configure"


# --- register --------------------------------------------------------------------------------------------

DATABASE = WantedDatabase("oxdatabase", "192.0.2.21", 3306, "openexchange", Secret(DATABASE_PASSWORD))
SLAVE = replace(DATABASE, name="oxdatabase_slave", address="192.0.2.22", writer="oxdatabase")
USER = WantedUser("anna", "Anna B", "Anna", "B", "anna@example.com", Secret(USER_PASSWORD))
CONTEXT = WantedContext(
    id=1,
    name="defaultcontext",
    admin="oxadmin",
    admin_display_name="Context Admin",
    admin_email="oxadmin@example.com",
    quota=1024,
    access="all",
    password=Secret(ADMIN_PASSWORD),
    users=(USER,),
)
LAYOUT = ConfigdbLayout("/opt/open-xchange/etc/configdb.properties", {"db_pool": True, "reason_text": False})
PLACE: dict[str, Any] = {"file": LAYOUT.file, "tables": LAYOUT.tables}
REGISTRATION = WantedRegistration(
    LAYOUT, "oxserver", "file:///var/opt/filestore", (DATABASE, SLAVE), (CONTEXT,), ROLES.reader_rule
)
REGISTER: dict[str, Any] = {
    "wanted": REGISTRATION,
    "administrator": ADMINISTRATOR,
    "admin_service": "open-xchange-admin",
    "admin_check": AdminCheck("listserver", ["--csv"], starting=105),
    "ports": {"open-xchange-admin": 1099},
}


def pool(number: int, name: str, url: str, password: str = DATABASE_PASSWORD) -> Pool:
    return Pool(id=number, name=name, url=url, login="openexchange", password=fingerprint(password))


MASTER_POOL = pool(3, "oxdatabase", "jdbc:mysql://192.0.2.21/?useUnicode=true")
SLAVE_POOL = pool(4, "oxdatabase_slave", "jdbc:mysql://192.0.2.22:3306/")
REGISTERED = Registration(
    state=RegistrationState.COMPLETE,
    servers=["oxserver"],
    filestores=["file:///var/opt/filestore"],
    pools=[MASTER_POOL, SLAVE_POOL],
    clusters={3: 4},
    contexts=[RegisteredContext(id=1, users=["oxadmin", "anna"])],
)
ADMIN_RUNS = {"open-xchange-admin": Daemon(active=True, enabled=True, listening=True, pending=False)}


def found(**other: Any) -> Registration:
    return REGISTERED.model_copy(update=other)


def registered(answer: Any, daemon: dict[str, Daemon] | None = None) -> Outcome:
    host = FakeHost({Configdb: answer, Daemons: daemon or ADMIN_RUNS})
    return both_phases(registration.register, host, **REGISTER)


def assert_hidden(outcome: Outcome) -> None:
    for command in outcome.commands:
        for shown in (str(command), repr(command), command.get_raw_value()):
            assert not any(secret in shown for secret in (PASSWORD, DATABASE_PASSWORD, ADMIN_PASSWORD, USER_PASSWORD))


def test_complete_registration_is_left_alone() -> None:
    host = FakeHost({Configdb: REGISTERED})
    both_phases(registration.register, host, **REGISTER).assert_noop()
    assert host.asked[-1] == (Configdb, PLACE | {"contexts": [1]})


def test_what_others_registered_is_left_alone() -> None:
    more = found(
        servers=["oxserver", "other"],
        filestores=[*REGISTERED.filestores, "file:///other"],
        pools=[*REGISTERED.pools, pool(7, "other", "jdbc:mysql://192.0.2.99/")],
        contexts=[*REGISTERED.contexts, RegisteredContext(id=9, users=[])],
    )
    registered(more).assert_noop()


CONTEXT_JOB = {
    "id": 1,
    "name": "defaultcontext",
    "admin": "oxadmin",
    "admin_display_name": "Context Admin",
    "admin_email": "oxadmin@example.com",
    "quota": 1024,
    "access": "all",
    "password": ADMIN_PASSWORD,
}
USER_JOB = {
    "name": "anna",
    "display_name": "Anna B",
    "given_name": "Anna",
    "sur_name": "B",
    "email": "anna@example.com",
    "password": USER_PASSWORD,
    "context": 1,
    "administrator": {"name": "oxadmin", "password": ADMIN_PASSWORD},
}
MASTER_JOB = {"name": "oxdatabase", "host": "192.0.2.21", "user": "openexchange", "writer": None}
SLAVE_JOB = {"name": "oxdatabase_slave", "host": "192.0.2.22", "user": "openexchange", "writer": "oxdatabase"}


def password_job(name: str) -> dict[str, str]:
    return {"name": name, "password": DATABASE_PASSWORD}


EMPTY: dict[str, Any] = {
    "configdb": None,
    "servers": [],
    "filestores": [],
    "pools": [],
    "databases": [],
    "passwords": [],
    "contexts": [],
    "users": [],
}
EVERYTHING: dict[str, Any] = {
    "servers": ["oxserver"],
    "filestores": ["file:///var/opt/filestore"],
    "databases": [MASTER_JOB, SLAVE_JOB],
    "passwords": [password_job("oxdatabase"), password_job("oxdatabase_slave")],
    "contexts": [CONTEXT_JOB],
    "users": [USER_JOB],
}
MISSING: dict[str, tuple[Registration, dict[str, Any]]] = {
    "configdb": (Registration(state=RegistrationState.ABSENT), EVERYTHING | {"configdb": "create"}),
    "tables": (
        Registration(state=RegistrationState.INCOMPLETE, error="db_pool"),
        EVERYTHING | {"configdb": "recreate"},
    ),
    "all-rows": (Registration(state=RegistrationState.COMPLETE), EVERYTHING),
    "server": (found(servers=["other"]), {"servers": ["oxserver"]}),
    "filestore": (found(filestores=[]), {"filestores": ["file:///var/opt/filestore"]}),
    "slave": (
        found(pools=[MASTER_POOL], clusters={3: 0}),
        {"databases": [SLAVE_JOB], "passwords": [password_job("oxdatabase_slave")]},
    ),
    # After a failover reads go to the master, until there is a replica again.
    "slave-that-is-back": (
        found(pools=[MASTER_POOL, pool(4, "oxdatabase_slave", MASTER_POOL.url)]),
        {
            "pools": [
                {
                    "id": 4,
                    "name": "oxdatabase_slave",
                    "was": "jdbc:mysql://192.0.2.21/?useUnicode=true",
                    "url": "jdbc:mysql://192.0.2.22/?useUnicode=true",
                }
            ]
        },
    ),
    "password": (
        found(pools=[MASTER_POOL, pool(4, "oxdatabase_slave", SLAVE_POOL.url, "throw-away")]),
        {"passwords": [password_job("oxdatabase_slave")]},
    ),
    "context": (found(contexts=[]), {"contexts": [CONTEXT_JOB], "users": [USER_JOB]}),
    "user": (found(contexts=[RegisteredContext(id=1, users=["oxadmin"])]), {"users": [USER_JOB]}),
}


@pytest.mark.parametrize(("answer", "missing"), MISSING.values(), ids=MISSING)
def test_only_what_is_missing_is_registered(answer: Registration, missing: dict[str, Any]) -> None:
    outcome = registered(answer)
    job = outcome.job("openxchange_register")
    assert job.pop("administrator") == {"name": "oxadminmaster", "password": PASSWORD}
    assert job.pop("admin_check") == {"tool": "listserver", "arguments": ["--csv"], "starting": 105}
    assert job.pop("daemons") == {
        "services": [{"name": "open-xchange-admin", "port": 1099, "restart": False}],
        "all": ["open-xchange-admin"],
        "login": None,
        "undo": False,
        "seconds": daemon_operations.START_SECONDS,
        "settle_seconds": 0,
    }
    assert job == EMPTY | PLACE | missing
    assert_hidden(outcome)


@pytest.mark.parametrize(
    ("active", "pending", "restart"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_admin_daemon_is_restarted_if_it_runs_with_old_files(active: bool, pending: bool, restart: bool) -> None:
    daemon = Daemon(active=active, enabled=True, listening=active, pending=pending)
    job = registered(found(servers=[]), {"open-xchange-admin": daemon}).job("openxchange_register")
    assert job["daemons"]["services"][0]["restart"] is restart


def test_password_of_an_interrupted_creation_is_restored_before_anything_else() -> None:
    host = FakeHost(
        {Configdb: [Registration(state=RegistrationState.INTERRUPTED), found(servers=[])], Daemons: ADMIN_RUNS}
    )
    outcome = run(registration.register, host, **REGISTER)
    assert [program for program, _ in outcome.jobs] == ["configdb_restore", "openxchange_register"]
    assert outcome.jobs[1][1]["servers"] == ["oxserver"]


def test_interrupted_creation_is_a_change_in_the_plan() -> None:
    host = FakeHost({Configdb: Registration(state=RegistrationState.INTERRUPTED)})
    assert run(registration.register, host, executing=False, **REGISTER).jobs == [
        ("configdb_restore", {"file": LAYOUT.file})
    ]


OBSTACLES: dict[str, tuple[Registration, str]] = {
    "no-access": (
        Registration(error="(2003, 'no route')"),
        "configdb cannot be asked ((2003, 'no route')); deploy the database chapter, "
        "or run with the database hosts included.",
    ),
    "damaged": (
        Registration(state=RegistrationState.DAMAGED, error="db_pool, server"),
        "configdb lacks the tables db_pool, server but holds registrations; nothing was changed: "
        "restore it from a backup.",
    ),
    "other-url": (
        found(pools=[MASTER_POOL, pool(4, "oxdatabase_slave", "jdbc:mysql://192.0.2.99/")]),
        "configdb: database oxdatabase_slave is registered at jdbc:mysql://192.0.2.99/; it should be at 192.0.2.22; "
        "correct the inventory (the first host of `db_slave` is the one that Open-Xchange reads from), or change the "
        "registration with `changedatabase`.",
    ),
    "other-port": (
        found(pools=[pool(3, "oxdatabase", "jdbc:mysql://192.0.2.21:3307/"), SLAVE_POOL]),
        "configdb: database oxdatabase is registered at jdbc:mysql://192.0.2.21:3307/; it should be at 192.0.2.21; "
        "correct the inventory (the first host of `db_slave` is the one that Open-Xchange reads from), or change the "
        "registration with `changedatabase`.",
    ),
    "reads-elsewhere": (
        found(clusters={3: 9}),
        "configdb: oxdatabase_slave (id 4) is registered, but reads do not go to it; correct `read_db_pool_id` of "
        "db_cluster for the writer oxdatabase.",
    ),
}


@pytest.mark.parametrize(("answer", "sentence"), OBSTACLES.values(), ids=OBSTACLES)
def test_obstacle_stops_the_operation_but_not_the_plan(answer: Registration, sentence: str) -> None:
    host = FakeHost({Configdb: answer})
    assert stop_sentence(registration.register, host, **REGISTER) == sentence
    assert run(registration.register, host, executing=False, **REGISTER).texts == ["true"]


def test_slave_without_its_master_in_configdb_is_an_obstacle() -> None:
    assert REGISTRATION.obstacle(found(pools=[SLAVE_POOL], clusters={})) == OBSTACLES["reads-elsewhere"][1]


@pytest.mark.parametrize(
    ("port", "url", "same"),
    [
        (3306, "jdbc:mysql://192.0.2.21", True),
        (3306, "jdbc:mysql://192.0.2.21/", True),
        (3306, "jdbc:mysql://192.0.2.21:3306/?useUnicode=true", True),
        (3306, "jdbc:mysql://192.0.2.21?useUnicode=true", True),
        (3306, "jdbc:mysql://192.0.2.210/", False),
        (3306, "jdbc:mysql://192.0.2.21:3307/", False),
        (3307, "jdbc:mysql://192.0.2.21:3307/", True),
        (3307, "jdbc:mysql://192.0.2.21/", False),
    ],
)
def test_registered_url_is_compared_with_its_port(port: int, url: str, same: bool) -> None:
    assert replace(DATABASE, port=port).is_at(url) is same


def test_port_is_told_to_registerdatabase_where_it_is_not_the_usual_one() -> None:
    assert DATABASE.host == "192.0.2.21"
    assert replace(DATABASE, port=3307).host == "192.0.2.21:3307"


# --- daemons ---------------------------------------------------------------------------------------------

PORTS = {"open-xchange-admin": 1099, "open-xchange-groupware": 8009}


def daemons(**groupware: bool) -> dict[str, Daemon]:
    values = {"active": True, "enabled": True, "listening": True, "pending": False} | groupware
    return ADMIN_RUNS | {"open-xchange-groupware": Daemon(**values)}


def started(answer: dict[str, Daemon]) -> tuple[Outcome, Outcome]:
    host = FakeHost({Daemons: answer})
    start = both_phases(daemon_operations.start, host, ports=PORTS)
    assert host.asked[-1] == (Daemons, {"ports": PORTS})
    return start, both_phases(daemon_operations.restart, host, ports=PORTS, settle_seconds=6)


def services(outcome: Outcome) -> list[tuple[str, int, bool]]:
    job = outcome.job("daemons_start")
    assert job["seconds"] == daemon_operations.START_SECONDS
    return [(service["name"], service["port"], service["restart"]) for service in job["services"]]


def test_running_daemons_are_left_alone() -> None:
    start, restart = started(daemons())
    start.assert_noop()
    restart.assert_noop()


@pytest.mark.parametrize(
    "found",
    [
        {"active": False},
        {"active": False, "pending": True},
        {"enabled": False},
        {"listening": False},
    ],
)
def test_daemon_that_is_down_is_started_and_not_restarted_too(found: dict[str, bool]) -> None:
    start, restart = started(daemons(**found))
    assert services(start) == [("open-xchange-groupware", 8009, False)]
    restart.assert_noop()


@pytest.mark.parametrize("what", ["enabled", "listening"])
def test_running_daemon_with_changed_files_is_restarted_whatever_else_it_lacks(what: str) -> None:
    start, restart = started(daemons(**{what: False, "pending": True}))
    assert any(again for outcome in (start, restart) if outcome.commands for _, _, again in services(outcome))


def test_daemon_with_changed_files_is_left_to_restart() -> None:
    start, restart = started(daemons(pending=True))
    start.assert_noop()
    assert services(restart) == [("open-xchange-groupware", 8009, True)]
    # The balancer should have noticed that the node is back before the next one goes down.
    assert restart.job("daemons_start")["settle_seconds"] == 6


def test_no_further_node_is_restarted_after_one_that_did_not_come_back() -> None:
    first = FakeHost(name="oxgw01")
    first.error_ops = 1
    second = FakeHost(name="oxgw02", oxgw01=first)
    current_run().restarts["oxgw02"] = ["open-xchange-groupware"]
    job = run(daemon_operations.restart, second, ports=PORTS, settle_seconds=6).job("daemons_undo")
    assert job["sentence"] == "oxgw02: not restarted, because oxgw01 did not come back; it runs as before."
    assert [service["name"] for service in job["services"]] == ["open-xchange-groupware"]


def test_node_is_proven_by_a_login_and_a_restart_can_be_undone() -> None:
    proof = daemon_operations.LoginProof("ox6_start", "open-xchange-groupware", "example.com")
    host = FakeHost({Daemons: daemons(active=False)}, name="oxgw01")
    start = both_phases(daemon_operations.start, host, ports=PORTS, proof=proof).job("ox6_start")
    current_run().restarts["oxgw01"] = list(PORTS)
    restart = both_phases(daemon_operations.restart, host, ports=PORTS, settle_seconds=6, proof=proof).job("ox6_start")
    login = {"service": "open-xchange-groupware", "context": "example.com", "port": 8009}
    assert (start["login"], start["undo"]) == (login, False)
    assert (restart["login"], restart["undo"]) == (login, True)


@pytest.mark.parametrize(("pending", "proven"), [(True, False), (False, True)])
def test_daemon_that_still_runs_with_old_files_is_not_asked_for_a_login_when_another_is_started(
    pending: bool, proven: bool
) -> None:
    proof = daemon_operations.LoginProof("ox6_start", "open-xchange-groupware", "example.com")
    found = daemons(pending=pending) | {
        "open-xchange-admin": Daemon(active=False, enabled=True, listening=False, pending=False)
    }
    job = both_phases(daemon_operations.start, FakeHost({Daemons: found}), ports=PORTS, proof=proof).job(
        "ox6_start" if proven else "daemons_start"
    )
    assert [service["name"] for service in job["services"]] == ["open-xchange-admin"]
    assert (job["login"] is not None) is proven


def test_next_node_is_restarted_after_one_that_came_back() -> None:
    for name in ("oxgw01", "oxgw02"):
        current_run().restarts[name] = ["open-xchange-groupware"]
        host = FakeHost(name=name, other=FakeHost(name="other"))
        outcome = both_phases(daemon_operations.restart, host, ports=PORTS, settle_seconds=6)
        assert services(outcome) == [("open-xchange-groupware", 8009, True)]


def test_unknown_daemons_are_started() -> None:
    start, restart = started({})
    assert [name for name, _, _ in services(start)] == list(PORTS)
    restart.assert_noop()


def test_restart_does_not_ask_the_host_again() -> None:
    host = FakeHost({})
    both_phases(daemon_operations.restart, host, ports=PORTS, settle_seconds=6).assert_noop()
    assert host.asked == []


# --- caches ----------------------------------------------------------------------------------------------

JOIN: dict[str, Any] = {"peers": ["192.0.2.12", "192.0.2.13"], "ports": [57462, 57461]}


def joined(found: dict[str, list[int]], **arguments: Any) -> Outcome:
    host = FakeHost({CachePeers: found})
    outcome = both_phases(mesh.join, host, **JOIN | arguments)
    assert host.asked[-1] == (CachePeers, {"ports": JOIN["ports"]})
    return outcome


def test_joined_caches_are_not_waited_for() -> None:
    joined({"192.0.2.12": [57461, 57462], "192.0.2.13": [57461, 57462], "192.0.2.99": []}).assert_noop()


def test_single_node_has_nobody_to_wait_for() -> None:
    joined({}, peers=[]).assert_noop()


@pytest.mark.parametrize("peers", [{}, {"192.0.2.12": [57461, 57462]}, {"192.0.2.12": [57461], "192.0.2.13": [57462]}])
def test_missing_peer_or_port_is_waited_for(peers: dict[str, list[int]]) -> None:
    assert joined(peers).job("ox6_wait") == JOIN | {"seconds": mesh.MESH_SECONDS}

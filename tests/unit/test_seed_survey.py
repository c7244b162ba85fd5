"""What a server is asked before a seeding: what its data needs of another one, and what it has itself."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ox_deploy.remote.master_slaves.seed import survey as seed_survey
from ox_deploy.topologies.master_slaves.facts.seed import Survey
from tests.unit.programs import MYSQL, Commands, Session, under_test


@pytest.fixture
def survey() -> Any:
    return under_test(seed_survey)


INVALID = Exception(1356, "View 'oxdb.v' references invalid table(s)")
NAMES = {
    "SELECT 'view'": [{"what": "view", "place": "oxdb", "name": "v`w"}],
    "SELECT LOWER(ROUTINE_TYPE)": [{"what": "procedure", "place": "oxdb", "name": "p"}],
    "SELECT 'trigger'": [{"what": "trigger", "place": "oxdb", "name": "t"}],
    "SELECT 'event'": [{"what": "event", "place": "oxdb", "name": "e"}],
}


def test_each_definition_is_asked_what_a_dump_asks(survey: Any) -> None:
    session = Session(NAMES)
    assert survey.broken_definitions(session, ["oxdb"]) == []
    assert [statement for statement in session.statements if statement.startswith("SHOW")] == [
        "SHOW FIELDS FROM `oxdb`.`v``w`",
        "SHOW CREATE procedure `oxdb`.`p`",
        "SHOW CREATE trigger `oxdb`.`t`",
        "SHOW CREATE event `oxdb`.`e`",
    ]
    assert all(values == [["oxdb"]] for statement, values in session.done if statement.startswith("SELECT"))


@pytest.mark.parametrize(
    ("question", "what", "name"),
    [
        ("SHOW FIELDS", "view", "oxdb.v`w"),
        ("SHOW CREATE procedure", "procedure", "oxdb.p"),
        ("SHOW CREATE trigger", "trigger", "oxdb.t"),
        ("SHOW CREATE event", "event", "oxdb.e"),
    ],
)
def test_definition_that_cannot_be_dumped_is_told_with_the_servers_error(
    survey: Any, question: str, what: str, name: str
) -> None:
    found = survey.broken_definitions(Session({**NAMES, question: INVALID}), ["oxdb"])
    error = "View 'oxdb.v' references invalid table(s) (1356)"
    assert found == [{"what": what, "name": name, "error": error}]


@pytest.mark.parametrize("error", [Exception(2013, "Lost connection"), OSError("broken pipe"), Exception()])
def test_server_that_is_gone_is_no_fault_of_a_view(survey: Any, error: Exception) -> None:
    with pytest.raises(type(error)):
        survey.broken_definitions(Session({**NAMES, "SHOW FIELDS": error}), ["oxdb"])


def test_no_more_are_told_than_one_can_read(survey: Any) -> None:
    names = [{"what": "view", "place": "oxdb", "name": str(number)} for number in range(50)]
    session = Session({"SELECT 'view'": names, "SHOW FIELDS": INVALID})
    assert len(survey.broken_definitions(session, ["oxdb"])) == 20
    assert len(session.done) == 21
    assert survey.broken_definitions(session, []) == []


def test_what_is_used_is_told_with_an_example(survey: Any) -> None:
    session = Session(
        {
            "\nSELECT ENGINE": [{"used": "InnoDB", "example": "oxdb.t"}],
            "\nSELECT DEFAULT_COLLATION_NAME": [{"used": "utf8mb4_general_ci", "example": "oxdb"}],
            "SELECT COLLATION_NAME": [
                {"used": "utf8mb4_general_ci", "example": "oxdb.t"},
                {"used": "utf8mb4_bin", "example": "oxdb.u"},
            ],
            "SELECT COLLATION_CONNECTION": [{"used": "latin1_bin", "example": "oxdb.p"}],
            "SELECT REPLACE(NAME": [{"name": "oxdb.secret"}],
        }
    )
    found = survey.needs(session, ["oxdb"])
    assert found["engines"] == {"InnoDB": "oxdb.t"}
    assert found["collations"] == {"utf8mb4_general_ci": "oxdb", "utf8mb4_bin": "oxdb.u", "latin1_bin": "oxdb.p"}
    assert found["encrypted"] == ["oxdb.secret"]
    asked = " ".join(session.statements)
    for where in ("SCHEMATA", "TABLES", "COLUMNS", "VIEWS", "ROUTINES", "TRIGGERS", "EVENTS"):
        assert f"FROM information_schema.{where}" in asked
    assert survey.needs(session, [])["engines"] == {}


STORED = [
    ("root", "localhost", {"plugin": "mysql_native_password", "auth_or": [{}, {"plugin": "unix_socket"}]}),
    ("app", "%", {"plugin": "ed25519", "auth_or": [{}, {"plugin": "mysql_native_password"}]}),
    ("web", "%", {"plugin": "mysql_native_password"}),
    ("old", "%", {}),
    ("", "%", {"is_role": True}),
]


def test_each_account_of_mariadb_is_told_by_the_plugins_that_it_needs(survey: Any) -> None:
    stored = [{"user": user, "host": host, "details": json.dumps(details)} for user, host, details in STORED]
    assert survey.account_plugins(Session({"SELECT User": stored})) == {
        "ed25519": ["'app'@'%'"],
        "mysql_native_password": ["'app'@'%'", "'web'@'%'"],
    }


def test_each_account_of_mysql_is_told_by_the_plugins_that_it_needs(survey: Any) -> None:
    factors = json.dumps({"Multi_factor_authentication": [{"plugin": "authentication_webauthn"}]})
    stored = [
        {"user": "root", "host": "localhost", "plugin": "auth_socket", "details": None},
        {"user": "app", "host": "%", "plugin": "caching_sha2_password", "details": factors},
        {"user": "web", "host": "%", "plugin": "caching_sha2_password", "details": "{}"},
    ]
    assert survey.account_plugins(Session({"SELECT User": stored}, MYSQL)) == {
        "authentication_webauthn": ["'app'@'%'"],
        "caching_sha2_password": ["'app'@'%'", "'web'@'%'"],
    }


def test_collations_are_known_by_both_names(survey: Any) -> None:
    names = [
        {"COLLATION_NAME": "uca1400_ai_ci", "FULL_COLLATION_NAME": "utf8mb4_uca1400_ai_ci"},
        {"COLLATION_NAME": "x"},
    ]
    session = Session({"SELECT * FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY": names})
    assert survey.known_collations(session) == ["uca1400_ai_ci", "utf8mb4_uca1400_ai_ci", "x"]


def test_room_is_looked_for_wherever_something_is_written(survey: Any, tmp_path: Path) -> None:
    for name in ("lib/mysql", "log", "tmp"):
        (tmp_path / name).mkdir(parents=True)
    values = {
        "log_bin_basename": f"{tmp_path}/log/mysql-bin",
        "relay_log_basename": f"{tmp_path}/no/such/relay",
        "tmpdir": ":".join(str(tmp_path / name) for name in ("tmp", "log")),
    }
    listed = [{"Variable_name": name, "Value": value} for name, value in values.items()]
    session = Session({"SELECT @@datadir": [{"path": f"{tmp_path}/lib/mysql/"}], "SHOW GLOBAL VARIABLES": listed})
    found = survey.places(session)
    assert [(place["use"], Path(place["path"])) for place in found] == [
        ("data", tmp_path / "lib/mysql"),
        ("beside", tmp_path / "lib"),
        ("logs", tmp_path / "log"),
        ("temporary", tmp_path / "tmp"),
        ("temporary", tmp_path / "log"),
    ]
    assert {place["device"] for place in found} == {tmp_path.stat().st_dev}
    assert all(place["free"] > 0 for place in found)


def features_of(survey: Any, **answers: Any) -> dict[str, Any]:
    found: dict[str, Any] = survey.has(Session({"SELECT @@datadir": [{"path": "/"}], **answers}))
    return found


def test_what_a_server_has_is_told(survey: Any) -> None:
    plugins = [{"name": "simple_password_check", "kind": "PASSWORD VALIDATION"}, {"name": "InnoDB", "kind": "x"}]
    found = features_of(survey, **{"SELECT PLUGIN_NAME": plugins, "SELECT ENGINE AS name": [{"name": "InnoDB"}]})
    assert found["plugins"] == ["simple_password_check", "InnoDB"]
    assert found["known_engines"] == ["InnoDB"]
    assert (found["checks_passwords"], found["has_time_zones"], found["can_encrypt"]) == (True, False, False)
    found = features_of(survey, **{"SELECT 1 FROM mysql.time_zone_name": [{"1": 1}], "SELECT 1 FROM inf": [{"1": 1}]})
    assert (found["checks_passwords"], found["has_time_zones"], found["can_encrypt"]) == (False, True, True)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("mariadb-backup based on MariaDB server 10.11.19-MariaDB debian-linux-gnu (x86_64)\n", "10.11.19-MariaDB"),
        ("something else", ""),
    ],
)
def test_program_that_copies_data_tells_for_which_server_it_is(said: str, version: str) -> None:
    program = under_test(seed_survey)
    program.run = Commands({"mariadb-backup --version": said})
    program.shutil = SimpleNamespace(which=lambda name: name)
    session = Session({"SELECT @@datadir": [{"path": "/no/such"}], "SELECT @@plugin_dir": [{"path": "/no/such"}]})
    program.connect = lambda _: session

    def ask(programs: list[str]) -> Survey:
        return Survey.model_validate(program.seed_survey({"programs": programs, "option_file": None}))

    assert ask(["mariadb-backup"]).backup_version == version
    assert ask(["mysqldump"]).backup_version == ""
    program.shutil = SimpleNamespace(which=lambda name: None)
    assert ask(["mariadb-backup"]).backup_version == ""
    assert len(program.run.done) == 1


def test_survey_has_all_of_it() -> None:
    program = under_test(seed_survey)
    answers = {
        **NAMES,
        "SHOW FIELDS": INVALID,
        "SELECT SCHEMA_NAME": [{"name": "oxdb"}],
        "SELECT COUNT(*) AS tables": [{"tables": 1, "number": 1, "bytes": 1}],
        "SELECT User": [{"user": "web", "host": "%", "details": '{"plugin": "ed25519"}'}],
        "SELECT PLUGIN_NAME": [{"name": "InnoDB", "kind": "STORAGE ENGINE"}],
        "SELECT @@datadir": [{"path": "/no/such"}],
        "SELECT @@plugin_dir": [{"path": "/no/such"}],
    }
    program.connect = lambda _: Session(answers)
    found = Survey.model_validate(program.seed_survey({"programs": [], "option_file": None}))
    assert [broken.name for broken in found.broken] == ["oxdb.v`w"]
    assert found.account_plugins == {"ed25519": ["'web'@'%'"]}
    assert found.plugins == ["InnoDB"]

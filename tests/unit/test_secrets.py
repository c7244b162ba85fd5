"""Where passwords come from, which ones are refused, and that they do not show."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ox_deploy import secrets
from ox_deploy.errors import InputError
from ox_deploy.secrets import Secret, Secrets
from tests.unit.guide import context

ROOT = Path(__file__).parents[2]
GOOD = "Zc4qLw8mPn2rTx6v"
OTHER = "Hk7dSb3yGf9jNe5a"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secrets.toml"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def refusal(path: Path, name: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(InputError) as refused:
        Secrets(path, environment or {}).get(name)
    return str(refused.value)


def test_password_is_read_from_the_file(path: Path) -> None:
    assert Secrets(write(path, f'x = "{GOOD}"\n'), {}).get("x").reveal() == GOOD


def test_environment_wins_over_the_file(path: Path) -> None:
    environment = {"OX_DEPLOY_MYSQL_REPLICATION": OTHER}
    found = Secrets(write(path, f'mysql_replication = "{GOOD}"\n'), environment).get("mysql_replication")
    assert found.reveal() == OTHER


def test_environment_is_enough(path: Path) -> None:
    assert Secrets(path, {"OX_DEPLOY_CONTEXT_1_ANNA_B": GOOD}).get("context_1_anna.b").reveal() == GOOD


def test_missing_password_is_named_with_both_ways_to_set_it(path: Path) -> None:
    assert refusal(path, "context_1_anna.b") == (
        f"{path}: `context_1_anna.b` is missing; set OX_DEPLOY_CONTEXT_1_ANNA_B or run `python -m ox_deploy.secrets`."
    )


REMEDY = "choose another, or let `python -m ox_deploy.secrets` make one."
EXAMPLE = f"is a well-known example; {REMEDY}"
WEAK = f"is weak; it should have at least 12 characters, 6 of them different; {REMEDY}"
DAMAGED = (
    "has characters that Open-Xchange's installer damages; it should have letters, digits and =:%#_.- only; " + REMEDY
)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("secret", EXAMPLE),
        ("SECRET", EXAMPLE),
        ("oxadminmaster", EXAMPLE),
        ("openexchange", EXAMPLE),
        ("", WEAK),
        ("Zc4qLw8mPn2", WEAK),
        ("aaaaaaaaaaaaaaaaaaaa", WEAK),
        ("abcdeabcdeabcde", WEAK),
        ("Zc4qLw8m Pn2rTx6v", DAMAGED),
        ("Zc4qLw8mPn2r'Tx6v", DAMAGED),
        ("Zc4qLw8mPn2r$Tx6v", DAMAGED),
        ("Zc4qLw8mPn2rTx6ü", DAMAGED),
        ("Zc4qLw8mPn2rTx6v\n", DAMAGED),
    ],
)
def test_weak_password_is_refused_without_being_shown(path: Path, value: str, why: str) -> None:
    sentence = refusal(path, "x", {"OX_DEPLOY_X": value})
    assert sentence == f"{path}: `x` {why}"


def test_password_that_is_just_strong_enough_is_taken(path: Path) -> None:
    assert Secrets(path, {"OX_DEPLOY_X": "abcdefabcdef"}).get("x").reveal() == "abcdefabcdef"


def test_password_that_is_no_text_is_refused(path: Path) -> None:
    assert refusal(write(path, "x = 123456789012\n"), "x") == f"{path}: `x` should be a text in quotes."


def test_what_somebody_else_chose_is_taken_as_it_is(path: Path) -> None:
    passwords = Secrets(write(path, 'ox_repository_password = "short $"\n'), {})
    found = passwords.find("ox_repository_password")
    assert found is not None
    assert found.reveal() == "short $"
    assert passwords.find("ox_repository_user") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_file_that_others_can_read_is_refused(path: Path, mode: int) -> None:
    write(path, f'x = "{GOOD}"\n', mode)
    assert refusal(path, "x") == (
        f"{path}: its mode is {mode:04o}, so others can read it; it should be 0600: run `chmod 600 {path}`."
    )


def test_file_that_is_not_toml_is_refused(path: Path) -> None:
    write(path, f"x = {GOOD}\n")
    sentence = refusal(path, "x")
    assert sentence.startswith(f"{path}: it is not valid TOML (")
    assert GOOD not in sentence


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "%s".__mod__, lambda secret: repr([secret])])
def test_secret_shows_itself_only_when_asked(shown: object) -> None:
    assert callable(shown)
    assert shown(Secret(GOOD)) in ("Secret(****)", "[Secret(****)]")
    assert Secret(GOOD).reveal() == GOOD


def test_all_passwords_of_a_cluster_are_made(path: Path) -> None:
    contexts = [context(1, "a", ("anna",)), context(2, "b", ())]
    names = ["mysql_replication", "mysql_openexchange", "oxadminmaster"]
    names += ["context_1_oxadmin", "context_1_anna", "context_2_oxadmin"]
    assert secrets.create(path, contexts) == names
    made = Secrets(path, {})
    values = {made.get(name).reveal() for name in names}
    assert len(values) == len(names)
    assert min(map(len, values)) >= 20
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_values_that_are_there_are_kept(path: Path) -> None:
    write(path, f'# mine\n"mysql_replication" = "{GOOD}"\nother = "kept"\n')
    assert "mysql_replication" not in secrets.create(path, [])
    assert path.read_text().startswith(f'# mine\n"mysql_replication" = "{GOOD}"\nother = "kept"\n')
    assert Secrets(path, {}).get("mysql_replication").reveal() == GOOD
    assert secrets.create(path, []) == []


def test_names_with_a_dot_are_found_again(path: Path) -> None:
    secrets.create(path, [context(users=("anna.b",))])
    assert Secrets(path, {}).get("context_1_anna.b")


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_file_is_closed_from_its_first_moment(path: Path, mask: int) -> None:
    old = os.umask(mask)
    try:
        secrets.create(path, [])
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_open_file_is_not_completed(path: Path) -> None:
    write(path, "", 0o644)
    with pytest.raises(InputError):
        secrets.create(path, [])
    assert path.read_text() == ""


def test_file_without_a_newline_at_its_end_is_completed(path: Path) -> None:
    write(path, f'mysql_replication = "{GOOD}"')
    secrets.create(path, [])
    assert Secrets(path, {}).get("mysql_replication").reveal() == GOOD


def test_command_makes_the_file_and_does_not_show_it(tmp_path: Path) -> None:
    data = tmp_path / "all.py"
    data.write_text(f"secrets_file = 'my.toml'\ncontexts = {[context()]!r}\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "ox_deploy.secrets", "--group-data", str(data)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    made = tmp_path / "my.toml"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert done.stdout.startswith("my.toml: 5 passwords added (mysql_replication, mysql_openexchange, oxadminmaster,")
    assert all(line.split('"')[3] not in done.stdout + done.stderr for line in made.read_text().splitlines())


def test_command_says_that_nothing_was_missing(tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "all.py"
    data.write_text("contexts = []\n")
    secrets.create(path, [])
    secrets.main(["--group-data", str(data), "--file", str(path)])
    assert capsys.readouterr().out == f"{path}: 0 passwords added (none was missing)\n"


def test_shipped_group_data_tells_the_command_what_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "made.toml"
    secrets.main(["--group-data", str(ROOT / "group_data/all.py"), "--file", str(file)])
    made = Secrets(file, {})
    for name in ("oxadminmaster", "context_1_oxadmin", "context_1_testuser"):
        made.get(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = (", "all.py: it cannot be read (SyntaxError: '(' was never closed (all.py, line 1)); fix it."),
        ("contexts = 5", "all.py: `contexts` is 5; it should be a list of contexts, each with its keys in braces."),
        ("contexts = [{'id': 1}]", "all.py: `contexts.0.name` is missing; add it."),
        ("secrets_file = 5", "all.py: `secrets_file` is 5; it should be a path on this machine."),
        (
            "secrets_file = 'no/such'",
            "no/such: it cannot be written (No such file or directory); correct `secrets_file`.",
        ),
        (
            "secrets_file = '.'",
            ".: it is a directory; it should be the file with the passwords; correct `secrets_file`.",
        ),
        (
            None,
            "all.py: it cannot be read (FileNotFoundError: [Errno 2] No such file or directory: "
            "'{here}/all.py'); fix it.",
        ),
    ],
)
def test_command_says_what_is_wrong_with_group_data(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "all.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "ox_deploy.secrets", "--group-data", "all.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, said.replace("{here}", str(tmp_path)) + "\n")
    assert list(tmp_path.glob("secrets*")) == []

"""The text logic of the stand-in packages that needs no host."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.lab.ox6 import build

PACKAGES = Path(build.FOLDER) / "packages"
ADMIN = PACKAGES / "open-xchange-admin/opt/open-xchange/lib/admindaemon"
CLIENT = PACKAGES / "open-xchange-admin-client/opt/open-xchange/lib/admin-client"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The programs import each other by bare names, as they do on a node."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(ADMIN))
    monkeypatch.syspath_prepend(str(CLIENT))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield load
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(PACKAGES)):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("key=value", "key", "value"),
        ("  key : value ", "key", "value "),
        ("key value", "key", "value"),
        ("writeProperty.2=password=a=b", "writeProperty.2", "password=a=b"),
        (r"key=a\b", "key", "ab"),
        (r"key=a\\b", "key", r"a\b"),
        (r"key=\u00e4", "key", "ä"),
        ("key=one \\\n   two", "key", "one two"),
        ("! not this\n# nor this\nkey=", "key", ""),
    ],
)
def test_java_properties(modules: Any, tmp_path: Path, line: str, key: str, value: str) -> None:
    path = tmp_path / "file.properties"
    path.write_text(line + "\n")
    assert modules("settings").properties(path) == {key: value}


@pytest.mark.parametrize(
    ("url", "host", "port", "schema"),
    [
        ("jdbc:mysql://db:3307/configdb", "db", 3307, "configdb"),
        ("jdbc:mysql://db/?useUnicode=true", "db", 3306, ""),
        ("jdbc:mysql://db", "db", 3306, ""),
        ("jdbc:mysql://[2001:db8::1]:3306/configdb", "2001:db8::1", 3306, "configdb"),
    ],
)
def test_address_of_a_jdbc_url(modules: Any, url: str, host: str, port: int, schema: str) -> None:
    address = modules("settings").address(url, "user", "word")
    assert (address.host, address.port, address.schema) == (host, port, schema)


def test_admin_daemon_uses_the_write_side(modules: Any) -> None:
    values = {
        "readUrl": "jdbc:mysql://slave/configdb",
        "readProperty.2": "password=no",
        "writeUrl": "jdbc:mysql://master/configdb",
        "writeProperty.1": "user=ox",
        "writeProperty.2": "password=yes",
    }
    address = modules("settings").configdb(values)
    assert (address.host, address.user, address.password) == ("master", "ox", "yes")


@pytest.mark.parametrize("words", [["-n", "x"], ["-nx"], ["--name", "x"], ["--name=x"], ["-n", "y", "-n", "x"]])
def test_spellings_of_an_option(modules: Any, words: list[str]) -> None:
    options = [modules("parsing").Option("name", "n", needed=True)]
    assert modules("parsing").parse(options, words, {}) == {"name": "x"}


@pytest.mark.parametrize(("word", "meant"), [("true", True), ("false", False), ("TRUE", False), ("yes", False)])
def test_any_word_but_true_is_false(modules: Any, word: str, meant: bool) -> None:
    options = [modules("parsing").Option("master", "m", kind="bool")]
    assert modules("parsing").parse(options, ["-m", word], {}) == {"master": meant}


@pytest.mark.parametrize(
    ("words", "code"), [(["--other"], 111), ([], 104), (["-i"], 109), (["-i", "many"], 1), (["-x"], 111)]
)
def test_exit_codes_of_wrong_options(modules: Any, words: list[str], code: int) -> None:
    parsing = modules("parsing")
    with pytest.raises(parsing.UsageError) as raised:
        parsing.parse([parsing.Option("id", "i", needed=True, kind="number")], words, {})
    assert raised.value.code == code


@pytest.mark.parametrize(("value", "cell"), [(None, ""), (4, '"4"'), ('a"b', '"a""b"'), ("", '""')])
def test_csv_cells(modules: Any, value: Any, cell: str) -> None:
    assert modules("output").csv_cell(value) == cell


def test_statements_of_a_script(modules: Any) -> None:
    found = modules("database").statements("-- no\nCREATE TABLE a (\n  b INT\n);\n\nCREATE TABLE c (d INT);\n")
    assert found == ["CREATE TABLE a (\n  b INT\n)", "CREATE TABLE c (d INT)"]


def test_build_context_depends_on_content_only() -> None:
    assert build._context() == build._context()

"""Every wrong value of the table is refused with its sentence, before any host is known."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ox_deploy.cluster import NODE_KEYS, Context, User, cluster_of
from ox_deploy.errors import InputError
from ox_deploy.mysql.server_options import TUNABLE, owned
from ox_deploy.products import PRODUCTS
from ox_deploy.rules import shown
from tests.unit.guide import Guide
from tests.unit.wrong_values import CASES, Case

ROOT = Path(__file__).parents[2]
SETTINGS = PRODUCTS["ox6"].settings.model_fields


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_wrong_value_is_refused_with_its_sentence(input_files: dict[str, Any], case: Case) -> None:
    # Not the fixture: a folder for each case takes longer than all the rest.
    guide = Guide.with_files(input_files | {"secrets_file": "secrets.toml"})
    case.change(guide)
    with pytest.raises(InputError) as refused:
        guide.build()
    assert str(refused.value) == case.sentence
    assert str(refused.value).isprintable()
    assert case.sentence.startswith(("group_data/all.py: ", "inventory.py: ", "inventory.py, host "))
    assert not re.search(r"\[A-Z|\\S|\(\?|\^", case.sentence.partition("; ")[2])


def test_table_is_as_large_as_it_should_be() -> None:
    assert len(CASES) >= 300


def test_every_documented_setting_has_wrong_values() -> None:
    tried = {case.key for case in CASES}
    wanted = set(SETTINGS) | NODE_KEYS
    wanted |= {f"contexts.{key}" for key in Context.model_fields.keys() - {"users"}}
    wanted |= {f"contexts.users.{key}" for key in User.model_fields}
    assert wanted <= tried
    rows = re.findall(r"^\| (`[^|]+?`(?:, `[^|]+?`)*) \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named - {key.rpartition(".")[2] for key in tried} <= {"ssh_", "docker_", "_sudo", "users", "ssh_…"}


# Its options are a user's as well as ours.
TEMPLATES = sorted(set(ROOT.glob("templates/etc/mysql/*/*.j2")) - set(ROOT.glob("templates/etc/mysql/*/*collations*")))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.parent.name)
def test_every_option_of_our_template_is_ours(template: Path) -> None:
    options = re.findall(r"^([a-z][a-z_-]*) =", template.read_text(), re.MULTILINE)
    assert len(options) > (1 if "logs" in template.name else 10)
    assert [name for name in options if not owned(name) and name.replace("-", "_") not in TUNABLE] == []


GOOD_OPTIONS = [
    "max_connections",
    "innodb_buffer_pool_size",
    "loose-innodb-buffer-pool-size",
    "expire_logs_days",
    "binlog_expire_logs_seconds",
    "rpl_semi_sync_master_timeout",
    "skip-external-locking",
    "sql_mode",
    "slow_query_log",
    "long_query_time",
    "character-set-server",
    "plugin_load_add",
    "tmpdir",
    "old",
]


@pytest.mark.parametrize("option", GOOD_OPTIONS)
def test_option_that_is_a_matter_of_taste_is_taken(guide: Guide, option: str) -> None:
    guide.set(mysql_settings={option: "1"})
    assert cluster_of(guide.inventory()).writer.mysql_settings == {option: "1"}


@pytest.mark.parametrize(
    "path",
    ["/var/opt/filestore", "/srv/ox", "/filestore", "/mnt/data/ox", "/home/ox", "/var/lib/ox-filestore", "/libra"],
)
def test_directory_of_its_own_is_taken(guide: Guide, path: str) -> None:
    guide.set(filestore_path=path)
    assert cluster_of(guide.inventory()).settings.filestore_path == path


@pytest.mark.parametrize("name", ["Anna Müller", "Ω", 'O\'Brien "x"', "李"])
def test_names_of_people_are_taken(guide: Guide, name: str) -> None:
    guide.settings["contexts"][0]["users"][0] |= {"display_name": name, "given_name": name, "sur_name": name}
    guide.build()


def test_value_of_group_data_for_a_host_is_blamed_on_that_file(guide: Guide) -> None:
    inventory = guide.set(mysql_settings={"port": 3307}).inventory()
    with pytest.raises(InputError, match=r"^group_data/all.py: `mysql_settings`: `port` cannot be set here; "):
        cluster_of(inventory)


def test_value_of_data_is_blamed_on_the_command_line(guide: Guide) -> None:
    inventory = guide.inventory({"mysql_port": 1})
    with pytest.raises(InputError, match=r"^--data: `mysql_port` is 1; "):
        cluster_of(inventory)


def test_host_that_cannot_be_named_so_needs_a_hostname(guide: Guide) -> None:
    guide.groups["web"] = ["@local"]
    guide.hosts["@local"] = guide.hosts.pop("web")
    with pytest.raises(
        InputError, match=r"^inventory.py, host @local: its name is not a valid host name; add a `hostn"
    ):
        guide.build()


def test_long_value_is_shown_in_part() -> None:
    assert len(shown("x" * 10000)) < 100

"""How the modules of a program come to a host."""

from __future__ import annotations

import ast
import base64
import json
import subprocess
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest

import ox_deploy
from ox_deploy.questions import bundle

LOADER = "ox_deploy/remote/loader.py"
FILES = {
    "ox_deploy/__init__.py": "",
    "ox_deploy/errors.py": "",
    "ox_deploy/mysql/__init__.py": "",
    "ox_deploy/mysql/dialects.py": "",
    "ox_deploy/mysql/servers.py": "",
    "ox_deploy/remote/__init__.py": "",
    "ox_deploy/remote/alone.py": "import os\n",
    "ox_deploy/remote/common/__init__.py": "",
    "ox_deploy/remote/common/files.py": "import json.decoder\n\n\ndef read():\n    raise ValueError('broken')\n",
    "ox_deploy/remote/common/units.py": "from ox_deploy.remote.common import files\n",
    "ox_deploy/remote/service/__init__.py": "",
    "ox_deploy/remote/service/state.py": "from ox_deploy.remote.common.files import read\n\n\nX = read\n",
    "ox_deploy/remote/service/late.py": "def f():\n    import ox_deploy.remote.common.units\n",
    "ox_deploy/remote/service/terms.py": "from ox_deploy.mysql import dialects\n",
    "ox_deploy/remote/wrong_neighbour.py": "from ox_deploy.mysql import servers\n",
    "ox_deploy/remote/wrong.py": "from ox_deploy.errors import InputError\n",
    "ox_deploy/remote/wrong_package.py": "from ox_deploy import errors\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


PACKAGES = ["ox_deploy/__init__.py", "ox_deploy/remote/__init__.py"]
COMMON = "ox_deploy/remote/common/__init__.py"
SERVICE = "ox_deploy/remote/service/__init__.py"


@pytest.mark.parametrize(
    ("modules", "paths"),
    [
        (["alone"], ["ox_deploy/remote/alone.py"]),
        (["common.units"], [COMMON, "ox_deploy/remote/common/files.py", "ox_deploy/remote/common/units.py"]),
        (["service.state"], [COMMON, "ox_deploy/remote/common/files.py", SERVICE, "ox_deploy/remote/service/state.py"]),
        (
            ["service.late", "alone"],
            [
                "ox_deploy/remote/alone.py",
                COMMON,
                "ox_deploy/remote/common/files.py",
                "ox_deploy/remote/common/units.py",
                SERVICE,
                "ox_deploy/remote/service/late.py",
            ],
        ),
        (
            ["service.terms"],
            [
                "ox_deploy/mysql/__init__.py",
                "ox_deploy/mysql/dialects.py",
                SERVICE,
                "ox_deploy/remote/service/terms.py",
            ],
        ),
    ],
    ids=["nothing", "a module of a package", "a name of a module", "in a function", "the table that both sides read"],
)
def test_what_is_imported_comes_along_and_nothing_else(root: Path, modules: list[str], paths: list[str]) -> None:
    found = bundle.paths_of(*(f"ox_deploy.remote.{module}" for module in modules), root=root)
    assert found == sorted([*PACKAGES, *paths])


def imported(text: str) -> set[str]:
    """The modules that a whole text imports, or from which it takes names."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("ox_deploy.")}


def test_no_import_is_overlooked_however_it_is_written() -> None:
    """Only the statements are parsed, which are found by their beginnings."""
    texts = [path.read_text("utf-8") for path in (Path(ox_deploy.__file__).parent / "remote").rglob("*.py")]
    assert any("import (\n" in text for text in texts)
    for text in texts:
        assert imported("\n".join(bundle.IMPORTS.findall(text))) == imported(text)


@pytest.mark.parametrize("module", ["wrong", "wrong_package", "wrong_neighbour"])
def test_what_is_not_for_the_hosts_cannot_be_imported_there(root: Path, module: str) -> None:
    with pytest.raises(AssertionError, match=r"imports ox_deploy(.errors|.mysql)?, which is not for the hosts"):
        bundle.paths_of(f"ox_deploy.remote.{module}", root=root)


def unpacked(text: str) -> dict[str, str]:
    sources: dict[str, str] = json.loads(zlib.decompress(base64.b64decode(text)))
    return sources


def test_bundle_holds_the_files_as_they_are_in_the_order_of_their_names() -> None:
    sources = unpacked(bundle.bundle("ox_deploy.remote.loader"))
    assert list(sources) == [*PACKAGES, LOADER]
    assert sources[LOADER] == (Path(ox_deploy.__file__).parent.parent / LOADER).read_text()


def run(sources: Mapping[str, str], script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where modules can be imported from memory only."""
    loader = (Path(ox_deploy.__file__).parent.parent / LOADER).read_text()
    text = f"loader = {{}}\nexec({loader!r}, loader)\nloader['load']({dict(sources)!r})\n{script}"
    return subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=False)


def test_modules_are_imported_from_memory_before_those_that_are_installed() -> None:
    done = run(FILES, "import ox_deploy.remote.service.state as state\nprint(state.__file__, state.X.__module__)")
    assert done.stdout == "ox_deploy/remote/service/state.py ox_deploy.remote.common.files\n", done.stderr


def test_what_did_not_come_along_is_looked_for_elsewhere() -> None:
    assert run(FILES, "import wave, ox_deploy.remote.none").stderr.endswith(
        "ModuleNotFoundError: No module named 'ox_deploy.remote.none'\n"
    )


def test_traceback_names_module_and_line_and_shows_it() -> None:
    said = run(FILES, "from ox_deploy.remote.service.state import X\nX()").stderr
    assert "File \"ox_deploy/remote/common/files.py\", line 5, in read\n    raise ValueError('broken')\n" in said
    assert said.endswith("ValueError: broken\n")

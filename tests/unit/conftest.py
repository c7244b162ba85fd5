"""The guide's cluster, as pyinfra and as our code see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pyinfra.context import ctx_state

from ox_deploy.questions.run import Run, current_run
from tests.unit import programs
from tests.unit.certificates import PUBLIC_KEY_PACKET, Issuer, armoured
from tests.unit.guide import Guide, Pair


def make_pair(key: ec.EllipticCurvePrivateKey) -> Pair:
    return Issuer(key=key).pair()


@pytest.fixture(scope="session")
def pairs() -> tuple[Pair, Pair]:
    """Two certificates for the same name, with their keys."""
    return make_pair(ec.generate_private_key(ec.SECP256R1())), make_pair(ec.generate_private_key(ec.SECP256R1()))


@pytest.fixture(scope="session")
def input_files(tmp_path_factory: pytest.TempPathFactory, pairs: tuple[Pair, Pair]) -> dict[str, Any]:
    """The settings that name files on this machine, with such files."""
    folder = tmp_path_factory.mktemp("input")
    texts = {
        "ox_repository_key": armoured(PUBLIC_KEY_PACKET),
        "web_certificate": pairs[0].certificate,
        "web_certificate_key": pairs[0].key,
    }
    for key, text in texts.items():
        (folder / key).write_text(text)
    return {key: str(folder / key) for key in texts}


@pytest.fixture
def guide(tmp_path: Path, input_files: dict[str, Any]) -> Guide:
    """The guide's five hosts, to be changed by a test before anything is built from them."""
    return Guide.with_files(input_files | {"secrets_file": str(tmp_path / "secrets.toml")})


@pytest.fixture(autouse=True)
def this_run() -> Iterator[Run]:
    """Each test is a run of its own, watched as all are in which something is asked ahead."""
    before = ctx_state.get()
    ctx_state.set(SimpleNamespace(is_executing=False))
    run = current_run()
    run.is_watched = True
    yield run
    ctx_state.set(before)


@pytest.fixture(autouse=True)
def programs_as_they_are() -> Iterator[None]:
    """What a test puts in the place of something in the programs for the hosts is gone at its end."""
    yield
    programs.put_back()

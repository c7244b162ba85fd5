"""Whether the hosts can fetch from the package repository is looked at where apt does not use it yet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ox_deploy import secrets
from ox_deploy.deploys.hosts import subjects_of
from ox_deploy.facts.hosts import HostState, HostStatus
from ox_deploy.facts.repository import Access, RepositoryAccess
from ox_deploy.operations import hosts
from ox_deploy.preflight import Look, Subject, find
from ox_deploy.questions.question import Question
from ox_deploy.questions.run import current_run
from ox_deploy.remote.repository import state
from ox_deploy.secrets import Secret
from tests.unit.deployment import prepared
from tests.unit.fakes import FakeHost, run
from tests.unit.guide import Guide
from tests.unit.programs import under_test

URL = "https://repository.example.com/OX6/6.10/"
PASSWORD = "Zc4qLw8mPn2rTx6v"
LOGIN = f"machine {URL} login anna password {PASSWORD}\n"

# What apt-helper of Debian 12 (apt 2.6.1) says, each with its exit code.
FAILED = """Err:1 {url}
  {words}
E: Failed to fetch {url}  {words}
E: Download Failed
"""
HELPER = """#!/usr/bin/python3
import json, sys
with open({log!r}, "a") as log:
    folder = next(each for each in sys.argv if "netrcparts" in each).partition("=")[2]
    import glob, os
    logins = [(oct(os.stat(path).st_mode)[-3:], open(path).read()) for path in glob.glob(folder + "*.conf")]
    log.write(json.dumps([sys.argv[-2], logins]) + "\\n")
answer = json.load(open({answers!r}))[sys.argv[-2].rpartition("/")[2]]
print(answer, end="")
sys.exit(100 if answer else 0)
"""


class Apt:
    """A host whose apt says this of the release files."""

    def __init__(self, folder: Path, **answers: str) -> None:
        self.folder, self.log = folder, folder / "log"
        helper, said = folder / "apt-helper", folder / "answers"
        helper.write_text(HELPER.format(log=str(self.log), answers=str(said)))
        helper.chmod(0o755)
        texts = {
            name: words and FAILED.format(url=URL + name, words=f"{words} [IP: 192.0.2.9 443]")
            for name, words in answers.items()
        }
        said.write_text(json.dumps(texts))
        self.program: Any = under_test(state)
        self.program.HELPER = str(helper)
        self.files = {"sources": str(folder / "ox.sources"), "credentials": str(folder / "ox.conf")}

    def ask(self, login: str | None = None) -> str | None:
        wanted = {"url": URL, **self.files, "source": "Types: deb\n", "login": login}
        error: str | None = self.program.repository_state(wanted)["error"]
        return error

    @property
    def asked(self) -> list[Any]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


def test_repository_is_asked_once_with_the_login_in_a_file_that_nobody_else_can_read(tmp_path: Path) -> None:
    apt = Apt(tmp_path, InRelease="")
    assert apt.ask(LOGIN) is None
    assert apt.asked == [[f"{URL}InRelease", [["600", LOGIN]]]]


def test_repository_with_a_detached_signature_will_do(tmp_path: Path) -> None:
    apt = Apt(tmp_path, InRelease="404  Not Found", Release="")
    assert apt.ask() is None
    assert apt.asked == [[f"{URL}InRelease", []], [f"{URL}Release", []]]


def test_refusal_of_both_is_told_in_apts_words(tmp_path: Path) -> None:
    apt = Apt(tmp_path, InRelease="403  Forbidden", Release="401  Unauthorized")
    assert apt.ask(LOGIN) == "401 Unauthorized"


def test_server_that_cannot_be_reached_is_asked_once(tmp_path: Path) -> None:
    apt = Apt(tmp_path, InRelease="Could not resolve 'repository.example.com'")
    assert apt.ask() == "Could not resolve 'repository.example.com'"
    assert len(apt.asked) == 1


@pytest.mark.parametrize("login", [None, LOGIN])
def test_repository_that_apt_uses_already_is_not_asked(tmp_path: Path, login: str | None) -> None:
    apt = Apt(tmp_path)
    Path(apt.files["sources"]).write_text("Types: deb\n")
    if login:
        Path(apt.files["credentials"]).write_text(login)
    assert apt.ask(login) is None
    assert apt.asked == []


def test_other_login_is_tried(tmp_path: Path) -> None:
    apt = Apt(tmp_path, InRelease="401  Unauthorized", Release="401  Unauthorized")
    Path(apt.files["sources"]).write_text("Types: deb\n")
    Path(apt.files["credentials"]).write_text(LOGIN.replace(PASSWORD, "another"))
    assert apt.ask(LOGIN) == "401 Unauthorized"


def test_silent_server_has_an_end(tmp_path: Path) -> None:
    apt = Apt(tmp_path)
    (tmp_path / "apt-helper").write_text("#!/bin/sh\nsleep 60\n")
    apt.program.SECONDS = 0.2
    assert apt.ask() == "it has not finished within 0.2 s"


def test_system_without_apts_helper_is_not_asked(tmp_path: Path) -> None:
    apt = Apt(tmp_path)
    (tmp_path / "apt-helper").unlink()
    assert apt.ask() is None


# --- what is said -----------------------------------------------------------------------------------------


def question(login: Secret | None) -> Question[Access]:
    return Question(RepositoryAccess, url=URL, sources="s", source="t", credentials="c", login=login)


SENTENCES: dict[str, tuple[str, bool, str]] = {
    "wrong": (
        "401 Unauthorized",
        True,
        "refuses the login (401 Unauthorized); it should let apt read it; correct `ox_repository_user` and "
        "`ox_repository_password` in the secrets file.",
    ),
    "forbidden": (
        "403 Forbidden",
        True,
        "refuses the login (403 Forbidden); it should let apt read it; correct `ox_repository_user` and "
        "`ox_repository_password` in the secrets file.",
    ),
    "none": (
        "401 Unauthorized",
        False,
        "demands a login (401 Unauthorized); it should let apt read it; add `ox_repository_user` and "
        "`ox_repository_password` in the secrets file.",
    ),
    "elsewhere": (
        "404 Not Found",
        True,
        "has no release file (404 Not Found); it should be the address of a flat apt repository; correct "
        "`ox_repository_url`.",
    ),
    "certificate": (
        "Certificate verification failed: The certificate is NOT trusted.",
        True,
        "has a certificate that apt does not accept (Certificate verification failed: The certificate is NOT trusted.)"
        "; it should be one for this name, valid, and of an authority that this host knows; install ca-certificates "
        "there, or add the authority to it.",
    ),
    "unreachable": (
        "Could not connect to 192.0.2.9:443 (192.0.2.9). - connect (111: Connection refused)",
        True,
        "cannot be fetched by apt (Could not connect to 192.0.2.9:443 (192.0.2.9). - connect (111: Connection refused))"
        "; it should be; correct `ox_repository_url`, or the network, the name servers or apt's proxy "
        "(`Acquire::http::Proxy`) of this host.",
    ),
}


@pytest.mark.parametrize(("error", "has_login", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_what_is_wrong_is_one_sentence_without_the_password(error: str, has_login: bool, sentence: str) -> None:
    subject = Subject("web", frozenset({"web"}), "192.0.2.10", "", 1, 1, ())
    asked = replace(subject, repository=question(Secret(LOGIN) if has_login else None))
    assert find({"web": Look(asked, repository=Access(error=error))}) == {"web": [f"{URL} {sentence}"]}
    assert find({"web": Look(asked, repository=Access())}) == {}


@pytest.mark.parametrize("has_python", [True, False])
def test_host_is_asked_along_with_all_else_and_not_without_python(has_python: bool) -> None:
    asked = Subject("web", frozenset({"web"}), "192.0.2.10", "", 1, 1, (), repository=question(None))
    status = HostStatus(has_python=has_python, init="systemd", addresses=["192.0.2.10"])
    status.answers = [{"error": "404 Not Found"}] if has_python else []
    # It knows no other fact.
    host = FakeHost({HostState: status}, name="web")
    run(hosts.check, host, subject=asked)
    assert [each["questions"] for _, each in host.asked] == [(question(None),)]
    found = current_run().looks["web"].repository
    assert (found and found.error) == ("404 Not Found" if has_python else None)


def test_password_goes_by_standard_input_and_is_shown_nowhere() -> None:
    asking = question(Secret(LOGIN))
    assert PASSWORD in asking.program.stdin
    shown = (asking.program.get_raw_value(), asking.program, asking, asking.arguments, hash(asking), asking._key)
    assert PASSWORD not in " ".join(map(repr, shown)) + asking.program.get_raw_value()


def test_only_hosts_that_fetch_from_it_are_asked(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(guide.settings["secrets_file"])
    secrets.create(file, guide.settings["contexts"])
    file.write_text(f'{file.read_text()}"ox_repository_user" = "anna"\n"ox_repository_password" = "{PASSWORD}"\n')
    cluster = guide.build()
    with prepared(monkeypatch, guide.inventory()):
        asked = {name: each.repository for name, each in subjects_of(cluster).items()}
    assert sorted(name for name, each in asked.items() if each) == ["oxgw01", "oxgw02", "web"]
    assert asked["web"] and f"password {PASSWORD}" in asked["web"].program.stdin

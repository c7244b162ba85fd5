"""Keys, certificates and secrets are judged on the control machine, each fault with its sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ox_deploy import certificate, chain, secrets
from ox_deploy.deploys.inputs import check
from ox_deploy.errors import InputError
from ox_deploy.questions.run import current_run
from tests.unit.certificates import DAY, PRIVATE_KEY_PACKET, PUBLIC_KEY_PACKET, WEB_NAME, Issuer, armoured
from tests.unit.guide import Guide

ROOT_CA = Issuer("Root", ())
MIDDLE = Issuer("Middle", (), by=ROOT_CA)
LEAF = Issuer(by=MIDDLE)
SELF = Issuer()
RSA_1024 = rsa.generate_private_key(65537, 1024)  # noqa: S505 - too weak, to be refused
JUNK = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
DAY_FORM = "%Y-%m-%d"
HTML = b"<!DOCTYPE html>\n<html><body>Not found</body></html>\n"


@pytest.fixture
def ready(guide: Guide) -> Guide:
    secrets.create(Path(guide.settings["secrets_file"]), guide.settings["contexts"])
    current_run().secrets.clear()
    return guide


def refusal(guide: Guide) -> str:
    cluster = guide.build()
    with pytest.raises(InputError) as refused:
        check(cluster)
    sentence = str(refused.value)
    assert sentence.isprintable()
    assert sentence.endswith(".")
    return sentence


def give(guide: Guide, folder: Path, key: str, content: bytes | str) -> None:
    file = folder / "given"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    guide.settings[key] = str(file)


def give_pair(guide: Guide, folder: Path, text: str, key: str) -> Guide:
    (folder / "c.pem").write_text(text)
    (folder / "k.pem").write_text(key)
    return guide.set(web_certificate=str(folder / "c.pem"), web_certificate_key=str(folder / "k.pem"))


def test_guides_inputs_are_taken(ready: Guide) -> None:
    check(ready.build())


AS_TEXT = "it should be ASCII-armoured, as `gpg --export --armor` writes it."
OTHER_FORM = {
    "ox_repository_key": AS_TEXT,
    "web_certificate": "it should be in PEM format, which `openssl` writes with `-outform PEM`.",
    "web_certificate_key": "it should be in PEM format, which `openssl` writes with `-outform PEM`.",
}
KIND = {"ox_repository_key": "signing key", "web_certificate": "certificate", "web_certificate_key": "key"}


@pytest.mark.parametrize("key", sorted(KIND))
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; put the {kind} into it."),
        (b" \n\t\n", "is empty; put the {kind} into it."),
        (b"\x30\x82\x01\xf5\xff\xfe", "is binary; {form}"),
        (b"a\0b", "is binary; {form}"),
        (HTML, "is a web page; it should be a {kind}; download it again."),
        (b"x" * 1_000_001, "has 1000001 bytes, which is too long for a {kind}; use the right file."),
    ],
    ids=["empty", "blank", "binary", "nul", "html", "large"],
)
def test_file_that_is_something_else_is_refused(
    ready: Guide, tmp_path: Path, key: str, content: bytes, words: str
) -> None:
    give(ready, tmp_path, key, content)
    wanted = words.format(form=OTHER_FORM[key], kind=KIND[key])
    assert refusal(ready) == f"group_data/all.py: the file of `{key}` {wanted}"


WHOLE = armoured(PUBLIC_KEY_PACKET)
NO_BLOCK = f"has no complete PGP public key block; {AS_TEXT}"
DAMAGED = "is damaged: its checksum is wrong, or it is not a public key; download it again."
PRIVATE = "holds a private key, which would be sent to all hosts; use the public key."


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello\n", NO_BLOCK),
        (WHOLE.partition("-----END")[0], NO_BLOCK),
        (armoured(PRIVATE_KEY_PACKET, kind="PRIVATE KEY BLOCK"), PRIVATE),
        (WHOLE + armoured(PRIVATE_KEY_PACKET, kind="PRIVATE KEY BLOCK"), PRIVATE),
        (SELF.private(), PRIVATE),
        (SELF.certificate(), NO_BLOCK),
        (armoured(PRIVATE_KEY_PACKET), DAMAGED),
        (armoured(PUBLIC_KEY_PACKET, checksum=1), DAMAGED),
        (armoured(b"hello"), DAMAGED),
        (WHOLE + "and more\n", "has something besides its PGP public key block; remove the rest."),
    ],
)
def test_repository_key_that_is_none_is_refused(ready: Guide, tmp_path: Path, text: str, words: str) -> None:
    give(ready, tmp_path, "ox_repository_key", text)
    assert refusal(ready) == f"group_data/all.py: the file of `ox_repository_key` {words}"


@pytest.mark.parametrize(
    "text", [WHOLE, WHOLE + WHOLE, WHOLE.replace("\n", "\r\n"), WHOLE.replace("\n\n", "\nComment: x\n\n", 1)]
)
def test_repository_key_in_any_usual_form_is_taken(ready: Guide, tmp_path: Path, text: str) -> None:
    give(ready, tmp_path, "ox_repository_key", text)
    check(ready.build())


def _bundle(*issuers: Issuer) -> str:
    return "".join(issuer.certificate() for issuer in issuers)


def _day(delta: timedelta, form: str = DAY_FORM) -> str:
    return f"{datetime.now(UTC) + delta:{form}}"


FIT: dict[str, Callable[[], tuple[str, Issuer]]] = {
    "self-signed": lambda: (_bundle(SELF), SELF),
    "whole-chain": lambda: (_bundle(LEAF, MIDDLE, ROOT_CA), LEAF),
    "wildcard": lambda: (_bundle(own := Issuer(names=("*.example.com",))), own),
    "capitals": lambda: (_bundle(own := Issuer(names=("GroupWare.Example.com",))), own),
    "rsa": lambda: (_bundle(own := Issuer(key=rsa.generate_private_key(65537, 2048))), own),
    "ed25519": lambda: (_bundle(own := Issuer(key=ed25519.Ed25519PrivateKey.generate(), algorithm=None)), own),
    "comments": lambda: ("subject=x\n" + _bundle(SELF) + "\n\n", SELF),
}


@pytest.mark.parametrize("name", FIT)
def test_certificate_that_will_do_is_taken(ready: Guide, tmp_path: Path, name: str) -> None:
    text, own = FIT[name]()
    check(give_pair(ready, tmp_path, text, own.private()).build())


UNFIT: dict[str, tuple[Callable[[], tuple[str, Issuer]], str]] = {
    "ended": (
        lambda: (_bundle(own := Issuer(begins=-9 * DAY, ends=-2 * DAY)), own),
        f" expired on {_day(-2 * DAY)}; use one that is valid.",
    ),
    "middle-ended": (
        lambda: (
            _bundle(own := Issuer(by=(m := Issuer("M", (), by=ROOT_CA, begins=-9 * DAY, ends=-2 * DAY))), m, ROOT_CA),
            own,
        ),
        f": certificate 2 of the file expired on {_day(-2 * DAY)}; use one that is valid.",
    ),
    "weak": (
        lambda: (_bundle(own := Issuer(key=RSA_1024)), own),
        " has an RSA key of 1024 bits, which is too weak; it should have 2048 or more.",
    ),
    "small-curve": (
        lambda: (_bundle(own := Issuer(key=ec.generate_private_key(ec.SECP224R1()))), own),
        " has a key of 224 bits on a curve, which is too weak; it should have 256 or more.",
    ),
    "dsa": (
        lambda: (_bundle(own := Issuer(key=dsa.generate_private_key(2048))), own),
        " has a DSA key, which nothing accepts any more; it should have an RSA or an elliptic-curve key.",
    ),
    "weak-middle": (
        lambda: (_bundle(own := Issuer(by=(m := Issuer("M", (), by=ROOT_CA, key=RSA_1024))), m, ROOT_CA), own),
        ": certificate 2 of the file has an RSA key of 1024 bits, which is too weak; it should have 2048 or more.",
    ),
    "other-name": (
        lambda: (_bundle(own := Issuer(names=("other.example.com", "192.0.2.9"))), own),
        f" is for other.example.com, 192.0.2.9; it should be for {WEB_NAME}, which is `web_name`; correct whichever "
        "is wrong.",
    ),
    "deeper-wildcard": (
        lambda: (_bundle(own := Issuer(names=("*.com",))), own),
        f" is for *.com; it should be for {WEB_NAME}, which is `web_name`; correct whichever is wrong.",
    ),
    "common-name-only": (
        lambda: (_bundle(own := Issuer(names=())), own),
        f" is for no name among its subject alternative names, the only ones that count; it should be for {WEB_NAME}, "
        "which is `web_name`; correct whichever is wrong.",
    ),
    "client-only": (
        lambda: (_bundle(own := Issuer(client_only=True)), own),
        " is not for servers, according to its extended key usage; use one that is.",
    ),
    "without-intermediate": (
        lambda: (_bundle(LEAF), LEAF),
        " lacks the certificate that issued its last one (CN=Middle), which no client here knows; append it to the "
        "file. For a CA of your own, that is the CA's certificate.",
    ),
    "wrong-order": (
        lambda: (_bundle(LEAF, ROOT_CA, MIDDLE), LEAF),
        ": certificate 2 of the file did not issue certificate 1; the server's own should come first, then the one "
        "that issued it, and so on.",
    ),
    "stranger-in-chain": (
        lambda: (_bundle(SELF, ROOT_CA), SELF),
        ": certificate 2 of the file did not issue certificate 1; the server's own should come first, then the one "
        "that issued it, and so on.",
    ),
    "junk-behind": (
        lambda: (_bundle(SELF) + JUNK, SELF),
        ": part 2 of the file is not a certificate, and the server would not start; remove it, or replace it with "
        "the whole certificate.",
    ),
    "cut-off": (
        lambda: (_bundle(SELF) + JUNK.partition("-----END")[0], SELF),
        " has a certificate without its BEGIN or END line; replace it with the whole certificate.",
    ),
    "with-key": (
        lambda: (_bundle(SELF) + SELF.private(), SELF),
        " also holds a private key, which others could read on the hosts; keep the key in its own file.",
    ),
    "text": (lambda: ("hello\n", SELF), " is not a certificate in PEM format; use one that is."),
}


@pytest.mark.parametrize("name", UNFIT)
def test_certificate_that_will_not_do_is_refused(ready: Guide, tmp_path: Path, name: str) -> None:
    make, words = UNFIT[name]
    text, own = make()
    assert refusal(give_pair(ready, tmp_path, text, own.private())) == f"group_data/all.py: `web_certificate`{words}"


def test_certificate_that_is_not_valid_yet_is_refused(ready: Guide, tmp_path: Path) -> None:
    own = Issuer(begins=5 * DAY)
    begins = x509.load_pem_x509_certificate(own.certificate().encode()).not_valid_before_utc
    said = refusal(give_pair(ready, tmp_path, own.certificate(), own.private()))
    assert re.fullmatch(
        rf"group_data/all.py: `web_certificate` is not valid before {begins:%Y-%m-%d %H:%M} UTC; wait until then, or "
        r"use one that is valid now\.",
        said,
    )


@pytest.mark.parametrize("name", ["md5", "sha1"])
def test_weak_signature_is_found(name: str) -> None:
    class Signed:
        issuer, subject = "a", "b"
        signature_hash_algorithm = type("Hash", (), {"name": name})()

    found: Any = Signed()
    assert chain._weakness_of_signature(found) == (
        f"is signed with {name.upper()}, which is too weak; it should be signed with SHA-256 or better"
    )


def test_intermediate_that_this_machine_knows_need_not_be_there(
    ready: Guide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = x509.load_pem_x509_certificate(ROOT_CA.certificate().encode())
    monkeypatch.setattr(chain, "known_roots", lambda: (root,))
    check(give_pair(ready, tmp_path, _bundle(LEAF, MIDDLE), LEAF.private()).build())


def _encrypted(own: Issuer) -> str:
    form = PrivateFormat.PKCS8
    return str(own.key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"x")).decode())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (lambda: Issuer().private(), "is not the key of `web_certificate`; set both to files that belong together."),
        (lambda: _encrypted(SELF), "is encrypted; it should be a PEM key without a passphrase; use one that is."),
        (lambda: SELF.certificate(), "is not a PEM key without a passphrase; use one that is."),
        (lambda: SELF.private() * 2, "is not a PEM key without a passphrase; use one that is."),
        (lambda: SELF.private()[:80], "is not a PEM key without a passphrase; use one that is."),
    ],
    ids=["other", "encrypted", "certificate", "two", "cut-off"],
)
def test_key_that_will_not_do_is_refused(ready: Guide, tmp_path: Path, key: Callable[[], str], words: str) -> None:
    said = refusal(give_pair(ready, tmp_path, SELF.certificate(), key()))
    assert said == f"group_data/all.py: `web_certificate_key` {words}"


def test_certificates_of_database_servers_are_judged_alike() -> None:
    ca = replace(ROOT_CA)
    where = "inventory.py, host dbmaster"
    late = Issuer("db", ("192.0.2.21",), by=ca, begins=5 * DAY)
    with pytest.raises(InputError, match="`mysql_tls_certificate` is not valid before"):
        certificate.check_issued(late.certificate(), ca.certificate(), "192.0.2.21", where)
    weak = Issuer("db", ("192.0.2.21",), by=ca, key=RSA_1024)
    with pytest.raises(InputError, match="`mysql_tls_certificate` has an RSA key of 1024 bits"):
        certificate.check_issued(weak.certificate(), ca.certificate(), "192.0.2.21", where)
    old = Issuer("Root", (), key=ca.key, begins=-9 * DAY, ends=-DAY)
    good = Issuer("db", ("192.0.2.21",), by=ca)
    with pytest.raises(InputError, match="`mysql_tls_ca` expired on"):
        certificate.check_issued(good.certificate(), old.certificate(), "192.0.2.21", where)


# --- secrets ---------------------------------------------------------------------------------------------


def write(guide: Guide, text: bytes, add: bool = True) -> Guide:
    path = Path(guide.settings["secrets_file"])
    before = path.read_bytes() if add and path.exists() else b""
    path.write_bytes(before + text)
    current_run().secrets.clear()
    return guide


def test_secrets_file_that_is_a_directory_is_refused(guide: Guide, tmp_path: Path) -> None:
    guide.set(secrets_file=str(tmp_path))
    assert refusal(guide) == (
        f"{tmp_path}: it is a directory; it should be the file with the passwords; correct `secrets_file`."
    )


def test_secrets_file_below_a_file_is_refused(ready: Guide) -> None:
    path = f"{ready.settings['secrets_file']}/x"
    assert refusal(ready.set(secrets_file=path)) == (
        f"{path}: it cannot be accessed (Not a directory); correct `secrets_file`."
    )


def test_secrets_file_that_is_not_utf8_is_refused(ready: Guide) -> None:
    write(ready, b"\xff\xfe", add=False)
    assert refusal(ready) == f"{ready.settings['secrets_file']}: it is not UTF-8 (byte 1); save it as UTF-8."


@pytest.mark.parametrize("text", [b"x", b"x = ", b'x = "a\0b"', b"[", b'x = "' + b"\\ud800" + b'"', b"x = 1\nx = 2"])
def test_secrets_file_that_is_not_toml_is_refused(ready: Guide, text: bytes) -> None:
    write(ready, text, add=False)
    assert refusal(ready).startswith(f"{ready.settings['secrets_file']}: it is not valid TOML (")


def _with(guide: Guide, name: str, value: str) -> Guide:
    path = Path(guide.settings["secrets_file"])
    kept = [line for line in path.read_text().splitlines() if not line.startswith(f'"{name}"')]
    return write(guide, "\n".join([*kept, f"{name} = {value}", ""]).encode(), add=False)


LONG = "Ab3dEf9hJkLm"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mysql_replication", "5", "should be a text in quotes."),
        ("mysql_replication", '["a"]', "should be a text in quotes."),
        ("ox_repository_user", '"me"', ""),
        (
            "mysql_openexchange",
            f'"{LONG * 11}"',
            "has 132 characters; it should have at most 128; choose another, or let `python -m ox_deploy.secrets` "
            "make one.",
        ),
        (
            "mysql_replication",
            f'"{LONG * 9}"',
            "has 108 characters, but MariaDB lets a replica log in with at most 96; choose a shorter one.",
        ),
    ],
)
def test_secret_that_will_not_do_is_refused(ready: Guide, name: str, value: str, words: str) -> None:
    said = refusal(_with(ready, name, value))
    if words:
        assert said == f"{ready.settings['secrets_file']}: `{name}` {words}"
    else:
        assert "only one of `ox_repository_user` and `ox_repository_password` is set" in said


def test_mysql_takes_shorter_passwords_of_slaves(ready: Guide) -> None:
    ready.set(database_server="mysql")
    assert refusal(_with(ready, "mysql_replication", f'"{LONG * 3}"')).endswith(
        "`mysql_replication` has 36 characters, but MySQL lets a replica log in with at most 32; choose a shorter one."
    )


@pytest.mark.parametrize("value", ['""', '"a b"', '"a\\u0000b"', '"ä"', '"a\\nb"'])
def test_repositorys_password_that_apt_cannot_read_is_refused(ready: Guide, value: str) -> None:
    _with(ready, "ox_repository_user", '"me"')
    assert refusal(_with(ready, "ox_repository_password", value)).endswith(
        "`ox_repository_password` is empty or has blanks, control characters or non-ASCII characters, which apt "
        "cannot read; change it."
    )

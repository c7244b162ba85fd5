"""Certificates of database servers: made on the host, known to the others, or given."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import pwd
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from ox_deploy.certificate import RENEW_DAYS, check_issued, check_pair, fits, for_address
from ox_deploy.errors import InputError
from ox_deploy.facts.service import Service, ServiceStatus
from ox_deploy.facts.tls import Tls, TlsStatus
from ox_deploy.mysql.servers import DATABASE_SERVERS
from ox_deploy.operations import tls
from ox_deploy.remote.tls import certificate as tls_certificate
from ox_deploy.remote.tls import state as tls_state
from tests.unit.fakes import FakeHost, Outcome, both_phases, file_state, run
from tests.unit.guide import Pair
from tests.unit.programs import under_test, with_environment

ADDRESS, OTHER = "192.0.2.21", "192.0.2.22"
WHERE = "inventory.py, host dbmaster"
Key = ec.EllipticCurvePrivateKey


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


def issued(
    key: Key, name: str = ADDRESS, days: float = 365, by: tuple[str, Key] | None = None, addresses: bool = True
) -> str:
    """A certificate for an address or of a CA, issued by another one or by itself."""
    issuer, signer = by or (name, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=400))
        .not_valid_after(datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days))
    )
    if addresses:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def public(key: Key) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


KEY, OTHER_KEY, CA_KEY, BETWEEN_KEY = new_key(), new_key(), new_key(), new_key()
OWN, OF_OTHER = issued(KEY), issued(OTHER_KEY, OTHER)
CA = issued(CA_KEY, "ca", addresses=False)
BETWEEN = issued(BETWEEN_KEY, "between", by=("ca", CA_KEY), addresses=False)
BY_CA = issued(KEY, by=("ca", CA_KEY))
BY_BETWEEN = issued(KEY, by=("between", BETWEEN_KEY))


# --- certificates ----------------------------------------------------------------------------------------


def test_certificate_is_kept_while_it_is_right() -> None:
    assert fits(OWN, public(KEY), ADDRESS)


UNFIT = {
    "other-address": (OWN, public(KEY), OTHER),
    "other-key": (OWN, public(OTHER_KEY), ADDRESS),
    "no-address": (issued(KEY, addresses=False), public(KEY), ADDRESS),
    "ends-soon": (issued(KEY, days=RENEW_DAYS - 1), public(KEY), ADDRESS),
    "of-a-ca": (BY_CA, public(KEY), ADDRESS),
    "none": ("", "", ADDRESS),
    "no-key": (OWN, "", ADDRESS),
    "damaged": (OWN[:100], public(KEY), ADDRESS),
}


@pytest.mark.parametrize(("certificate", "key", "address"), UNFIT.values(), ids=UNFIT)
def test_certificate_is_not_kept_when_it_is_wrong(certificate: str, key: str, address: str) -> None:
    assert not fits(certificate, key, address)


def test_certificate_of_a_server_is_found_by_its_address() -> None:
    assert for_address(OWN + OF_OTHER, OTHER) == OF_OTHER
    assert for_address(OWN, OTHER) == for_address("", OTHER) == for_address("no PEM", OTHER) == ""


@pytest.mark.parametrize(
    ("certificate", "ca"),
    [(BY_CA, CA), (BY_CA, OF_OTHER + CA), (BY_BETWEEN + BETWEEN, CA), (BY_BETWEEN + BETWEEN + CA, CA), (OWN, OWN)],
)
def test_given_certificate_is_taken(certificate: str, ca: str) -> None:
    check_issued(certificate, ca, ADDRESS, WHERE)


FOREIGN = (
    f"{WHERE}: `mysql_tls_certificate` was not issued by `mysql_tls_ca`; set both to files that belong together, and "
    "append any intermediate certificates to the certificate."
)
NOT_FOR = (
    f"{WHERE}: `mysql_tls_certificate` is for {{}}; it should have 192.0.2.21, which the other database "
    "servers connect to, as an IP address among its subject alternative names."
)
REFUSED = {
    "other-ca": (BY_CA, OF_OTHER, FOREIGN),
    "ca-of-the-same-name": (BY_CA, issued(OTHER_KEY, "ca", addresses=False), FOREIGN),
    "what-is-between-is-missing": (BY_BETWEEN, CA, FOREIGN),
    "other-address": (OF_OTHER, OF_OTHER, NOT_FOR.format(OTHER)),
    "no-address": (issued(KEY, "ca", addresses=False), CA, NOT_FOR.format("no address")),
    "no-ca": (BY_CA, "x", "group_data/all.py: `mysql_tls_ca` is not a certificate in PEM format; use one that is."),
}


@pytest.mark.parametrize(("certificate", "ca", "sentence"), REFUSED.values(), ids=REFUSED)
def test_given_certificate_is_refused_with_a_sentence(certificate: str, ca: str, sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        check_issued(certificate, ca, ADDRESS, WHERE)
    assert str(refused.value) == sentence


def test_given_certificate_that_ended_is_refused() -> None:
    ended = issued(KEY, days=-1)
    with pytest.raises(InputError, match=r"`mysql_tls_certificate` expired on 20\d\d-\d\d-\d\d; use one that is valid"):
        check_issued(ended, ended, ADDRESS, WHERE)


def test_given_pair_is_named_as_it_is_set(pairs: tuple[Pair, Pair]) -> None:
    names = ("mysql_tls_certificate", "mysql_tls_key")
    with pytest.raises(InputError, match=f"{WHERE}: `mysql_tls_key` is not the key of `mysql_tls_certificate`"):
        check_pair(pairs[0].certificate, pairs[1].key, WHERE, names)


# --- operations ------------------------------------------------------------------------------------------

MARIADB = DATABASE_SERVERS["mariadb"]
FILES = tls.Files(pair="/etc/mysql/ssl/replication.pem", trusted="/etc/mysql/ssl/replication-ca.pem")
ARGUMENTS = {"pair": FILES.pair, "trusted": FILES.trusted, "owner": "mysql"}
RIGHT = TlsStatus(certificate=OWN, public_key=public(KEY), private=True)


def certified(status: TlsStatus) -> Outcome:
    host = FakeHost({Tls: status})
    outcome = both_phases(tls.certificate, host, files=FILES, address=ADDRESS)
    assert host.asked[-1] == (Tls, ARGUMENTS)
    return outcome


def test_server_that_has_a_certificate_keeps_it() -> None:
    certified(RIGHT).assert_noop()


@pytest.mark.parametrize(
    "status",
    [
        TlsStatus(),
        TlsStatus(certificate=OWN, public_key=public(KEY), private=False),
        TlsStatus(certificate=OWN, public_key=public(OTHER_KEY), private=True),
    ],
)
def test_server_without_a_right_certificate_makes_one(status: TlsStatus) -> None:
    job = certified(status).job("tls_certificate")
    assert job == {"pair": FILES.pair, "owner": "mysql", "address": ADDRESS}


SERVERS = {OTHER: "dbslave", ADDRESS: "dbmaster"}


def trusting(other: object, known: str = "", stored: str | None = None, pending: bool = False) -> FakeHost:
    """The master, with what it trusts, and what another server answers."""
    state = None if stored is None else file_state(stored)
    facts: dict[Any, Any] = {
        Tls: TlsStatus(certificate=OWN, trusted=known),
        Service: ServiceStatus(files={FILES.trusted: state}, pending=pending),
    }
    host = FakeHost(facts, name="dbmaster", dbslave=FakeHost({Tls: other}, name="dbslave"))
    host.peers["dbmaster"] = host
    return host


def trusted(host: FakeHost, **options: Any) -> Outcome:
    return both_phases(tls.trust, host, files=FILES, servers=SERVERS, server=MARIADB, **options)


OF_DBSLAVE = TlsStatus(certificate=OF_OTHER)


def test_server_trusts_the_certificates_of_all_and_uses_its_own() -> None:
    job = trusted(trusting(OF_DBSLAVE)).job("service_configure")
    (file,) = job["files"]
    assert (file["path"], file["content"], file["mode"]) == (FILES.trusted, OWN + OF_OTHER, "0644")
    (command,) = job["commands"]
    assert command[-1] == "--execute=FLUSH NO_WRITE_TO_BINLOG SSL"
    assert job["units"] == []
    job = trusted(trusting(OF_DBSLAVE), option_file="/root/my.cnf").job("service_configure")
    assert job["commands"][0][:2] == ["mariadb", "--defaults-file=/root/my.cnf"]


def test_server_that_trusts_all_is_left_alone_whatever_their_roles_are() -> None:
    host = trusting(OF_DBSLAVE, stored=OWN + OF_OTHER)
    trusted(host).assert_noop()
    turned = dict(reversed(SERVERS.items()))
    both_phases(tls.trust, host, files=FILES, servers=turned, server=MARIADB).assert_noop()
    assert host.peers["dbslave"].asked[-1] == (Tls, ARGUMENTS)


def test_run_that_died_before_the_server_used_its_certificate_is_completed() -> None:
    job = trusted(trusting(OF_DBSLAVE, stored=OWN + OF_OTHER, pending=True)).job("service_configure")
    assert job["files"] == []
    assert len(job["commands"]) == 1


@pytest.mark.parametrize("answer", [ConnectionError("no route to host"), TlsStatus()])
def test_server_that_tells_no_certificate_is_known_from_before(answer: object) -> None:
    trusted(trusting(answer, known=OWN + OF_OTHER, stored=OWN + OF_OTHER)).assert_noop()
    (file,) = trusted(trusting(answer)).job("service_configure")["files"]
    assert file["content"] == OWN


def test_bare_server_has_something_to_do() -> None:
    host = trusting(TlsStatus())
    host.facts[Tls] = TlsStatus()
    assert run(tls.trust, host, executing=False, files=FILES, servers=SERVERS, server=MARIADB).commands


# --- programs --------------------------------------------------------------------------------------------

OWNER = pwd.getpwuid(os.getuid()).pw_name


def test_pair_that_a_host_makes_fits_and_its_key_stays_there(tmp_path: Path) -> None:
    pair, known = tmp_path / "ssl" / "pair.pem", tmp_path / "ssl" / "ca.pem"
    for _ in range(2):
        tls_certificate.tls_certificate({"pair": str(pair), "owner": OWNER, "address": ADDRESS})
    assert pair.stat().st_mode & 0o777 == 0o600
    assert list(pair.parent.iterdir()) == [pair]
    known.write_text(OF_OTHER)
    wanted = Tls().command(str(pair), str(known), OWNER).arguments
    document = tls_state.tls_state(dict(wanted))
    status = Tls().parse(document)
    assert fits(status.certificate, status.public_key, ADDRESS)
    assert (status.private, status.trusted) == (True, OF_OTHER)
    assert "PRIVATE" not in json.dumps(document)
    assert for_address(status.certificate, ADDRESS) == status.certificate
    check_pair(status.certificate, pair.read_text())
    check_issued(status.certificate, status.certificate, ADDRESS, WHERE)
    certificate = x509.load_pem_x509_certificate(status.certificate.encode())
    # Others' clocks may be behind.
    slack = datetime.datetime.now(datetime.UTC) - certificate.not_valid_before_utc
    assert slack > datetime.timedelta(days=1)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc > datetime.timedelta(days=3650)


def test_nothing_is_replaced_if_the_pair_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = tmp_path / "pair.pem"
    pair.write_text("as before")
    program = under_test(tls_certificate)
    with pytest.raises(SystemExit):
        program.tls_certificate({"pair": str(pair), "owner": OWNER, "address": "no address"})
    assert "`openssl ca -selfsign` failed" in capsys.readouterr().err
    assert (pair.read_text(), list(tmp_path.iterdir())) == ("as before", [pair])


def test_key_that_others_can_read_is_told(tmp_path: Path) -> None:
    pair = tmp_path / "pair.pem"
    pair.write_text(OWN + KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    wanted = {"pair": str(pair), "trusted": str(tmp_path / "none"), "owner": OWNER}
    program = under_test(tls_state)
    for mode, private in ((0o600, True), (0o640, False)):
        pair.chmod(mode)
        status = Tls().parse(program.tls_state(wanted))
        assert status == TlsStatus(certificate=OWN, public_key=public(KEY), private=private)
    assert not program.is_private(str(pair), "nobody")


def test_host_without_anything_says_so(tmp_path: Path) -> None:
    wanted = {"pair": str(tmp_path / "none"), "trusted": str(tmp_path / "none"), "owner": "no-such-user"}
    program = under_test(tls_state)
    assert Tls().parse(program.tls_state(dict(wanted))) == Tls().parse({}) == TlsStatus()
    with_environment(program, PATH="")
    assert program.public_key_of(str(tmp_path)) == ""

"""Keys of the lab: SSH key pair, repository credentials, and the web host's certificate."""

from __future__ import annotations

import datetime
import ipaddress
import json
import runpy
import secrets
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

import ox_deploy.secrets
from tests.lab import state


@dataclass(frozen=True)
class Credentials:
    user: str
    password: str


def ssh_public_key() -> str:
    """The public half of the lab's SSH key, which is made when it is missing."""
    if not state.SSH_KEY.exists():
        key = ed25519.Ed25519PrivateKey.generate()
        state.write_private(state.SSH_KEY, _pem(key, serialization.PrivateFormat.OpenSSH))
    private = serialization.load_ssh_private_key(state.SSH_KEY.read_bytes(), password=None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.decode() + " oxlab\n"


def repo_credentials() -> Credentials:
    """User and password of the package repository, random, the same as long as the lab is up."""
    if not state.REPO_CREDENTIALS.exists():
        document = {"user": "oxlab", "password": secrets.token_urlsafe(18)}
        state.write_private(state.REPO_CREDENTIALS, json.dumps(document) + "\n")
    return Credentials(**json.loads(state.REPO_CREDENTIALS.read_text()))


def ensure_passwords() -> None:
    """The passwords the deployment needs, made when they are missing, and those of the package repository."""
    settings = runpy.run_path(str(state.ROOT / "group_data" / "all.py"))
    ox_deploy.secrets.create(state.SECRETS, settings["contexts"])
    repository = repo_credentials()
    stored = tomllib.loads(state.SECRETS.read_text())
    stored |= {"ox_repository_user": repository.user, "ox_repository_password": repository.password}
    state.write_private(state.SECRETS, "".join(f"{name} = {json.dumps(value)}\n" for name, value in stored.items()))


def ensure_certificate(addresses: Iterable[str]) -> None:
    """A self-signed certificate for the names that the web host may have, and its addresses."""
    wanted = [x509.DNSName(name) for name in (state.WEB_NAME, state.OTHER_WEB_NAME, "localhost")]
    names = [*wanted, *(x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(addresses))]
    if _certificate_names() == names:
        return
    _write_certificate(names, days=365)


def replace_certificate(days: int) -> None:
    """Put another certificate in the place of the one that is there, valid for some days."""
    names = _certificate_names(at_least_days=0)
    assert names, "the lab has no certificate"
    _write_certificate(names, days)


def _write_certificate(names: list[x509.GeneralName], days: int) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _self_signed(key, names, days)
    state.write_private(state.TLS_KEY, _pem(key, serialization.PrivateFormat.PKCS8))
    state.write_private(state.TLS_CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM).decode())


def _certificate_names(at_least_days: int = 30) -> list[x509.GeneralName] | None:
    if not (state.TLS_CERTIFICATE.exists() and state.TLS_KEY.exists()):
        return None
    certificate = x509.load_pem_x509_certificate(state.TLS_CERTIFICATE.read_bytes())
    if certificate.not_valid_after_utc < datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=at_least_days):
        return None
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def _self_signed(key: ec.EllipticCurvePrivateKey, names: list[x509.GeneralName], days: int) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, state.WEB_NAME)])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )


def _pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> str:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

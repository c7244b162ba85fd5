"""A look at the web host's certificate and key before they are sent to it, and certificates for one moment."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from ox_deploy.errors import InputError


def check_pair(certificate: str, key: str) -> None:
    """Raise InputError unless both are PEM and the key is that of the (first) certificate.

    + certificate: PEM text, the server's certificate first, then its chain
    + key: PEM text without a passphrase
    """
    try:
        public = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(
            "group_data/all.py: `web_certificate` is not a certificate in PEM form; name such a file."
        ) from None
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise InputError(
            "group_data/all.py: `web_certificate_key` is not a PEM key without passphrase; name such a file."
        ) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != private.public_key().public_bytes(*form):
        raise InputError(
            "group_data/all.py: `web_certificate_key` is not the key of `web_certificate`; name the right one of each."
        )


def one_time_pair(name: str) -> str:
    """Return a new key and its self-signed certificate as PEM text, valid for two days on clocks that differ by one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + 2 * day)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (private + certificate.public_bytes(Encoding.PEM)).decode()

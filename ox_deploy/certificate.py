"""A look at the web host's certificate and key before they are sent to it."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

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

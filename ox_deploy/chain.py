"""Whether a certificate with its chain will do for a server: judged before any host is touched."""

from __future__ import annotations

import datetime
import ipaddress
import re
import ssl
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ox_deploy.errors import InputError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_SMALLEST_RSA, _SMALLEST_CURVE = 2048, 256
_WEAK_HASHES = {"md2", "md4", "md5", "sha1"}


def read_chain(text: str, what: str) -> list[x509.Certificate]:
    """Return the certificates of a PEM file.

    + what: begins the sentence, such as "group_data/all.py: `web_certificate`"

    Raises InputError where anything in it is not a certificate.
    """
    blocks = list(_BLOCK.finditer(text))
    if any("PRIVATE KEY" in block[1] for block in blocks):
        raise InputError(
            f"{what} also holds a private key, which others could read on the hosts; keep the key in its own file."
        )
    if not blocks:
        raise InputError(f"{what} is not a certificate in PEM format; use one that is.")
    chain = [_certificate(block, number, what) for number, block in enumerate(blocks, start=1)]
    if "-----" in _BLOCK.sub("", text):
        raise InputError(
            f"{what} has a certificate without its BEGIN or END line; replace it with the whole certificate."
        )
    return chain


def _certificate(block: re.Match[str], number: int, what: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(block[0].encode())
        certificate.public_key()
        _ = certificate.extensions
    except (ValueError, UnsupportedAlgorithm):
        if number == 1:
            raise InputError(f"{what} is not a certificate in PEM format; use one that is.") from None
        raise InputError(
            f"{what}: part {number} of the file is not a certificate, and the server would not start; remove it, or "
            "replace it with the whole certificate."
        ) from None
    return certificate


def check_times(chain: Sequence[x509.Certificate], what: str, now: datetime.datetime | None = None) -> None:
    """Raise InputError if one of some certificates has ended or is not valid yet."""
    now = now or datetime.datetime.now(datetime.UTC)
    for number, certificate in enumerate(chain):
        which = "" if number == 0 else f": certificate {number + 1} of the file"
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if ends < now:
            raise InputError(f"{what}{which} expired on {ends:%Y-%m-%d}; use one that is valid.")
        if begins > now:
            raise InputError(
                f"{what}{which} is not valid before {begins:%Y-%m-%d %H:%M} UTC; wait until then, or use one that is "
                "valid now."
            )


def check_strength(chain: Sequence[x509.Certificate], what: str) -> None:
    """Raise InputError if servers or browsers refuse one of some certificates as too weak."""
    for number, certificate in enumerate(chain):
        which = "" if number == 0 else f": certificate {number + 1} of the file"
        weakness = _weakness_of_key(certificate) or _weakness_of_signature(certificate)
        if weakness:
            raise InputError(f"{what}{which} {weakness}.")


def _weakness_of_key(certificate: x509.Certificate) -> str | None:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _SMALLEST_RSA:
            return f"has an RSA key of {key.key_size} bits, which is too weak; it should have {_SMALLEST_RSA} or more"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.key_size < _SMALLEST_CURVE:
            bits = f"{key.key_size} bits on a curve"
            return f"has a key of {bits}, which is too weak; it should have {_SMALLEST_CURVE} or more"
    elif isinstance(key, dsa.DSAPublicKey):
        return "has a DSA key, which nothing accepts any more; it should have an RSA or an elliptic-curve key"
    elif not isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return "has a key that cannot sign; it should have an RSA or an elliptic-curve key"
    return None


def _weakness_of_signature(certificate: x509.Certificate) -> str | None:
    if certificate.issuer == certificate.subject:
        return None  # nobody looks at the signature of a root
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return "is signed with an unknown algorithm; it should be signed with SHA-256 or better"
    if algorithm and algorithm.name in _WEAK_HASHES:
        return f"is signed with {algorithm.name.upper()}, which is too weak; it should be signed with SHA-256 or better"
    return None


def check_name(certificate: x509.Certificate, name: str, what: str) -> None:
    """Raise InputError unless a certificate is for the name, or the IPv4 address, of the web host."""
    names = _names(certificate)
    if not any(_fits(pattern, name) for pattern in names):
        found = ", ".join(names[:5]) or "no name among its subject alternative names, the only ones that count"
        raise InputError(
            f"{what} is for {found}; it should be for {name}, which is `web_name`; correct whichever is wrong."
        )


def check_use(certificate: x509.Certificate, what: str) -> None:
    """Raise InputError if a certificate says that it is not for servers."""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(uses):
        raise InputError(f"{what} is not for servers, according to its extended key usage; use one that is.")


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return names.get_values_for_type(x509.DNSName) + [str(ip) for ip in names.get_values_for_type(x509.IPAddress)]


def _fits(pattern: str, name: str) -> bool:
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if pattern.startswith("*."):
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.partition(".")[2] == pattern[2:]
        return False
    return pattern == name


def check_order(chain: Sequence[x509.Certificate], what: str) -> None:
    """Raise InputError unless each certificate is issued by the next, and the last by one that clients have."""
    for number, (certificate, issuer) in enumerate(pairwise(chain), start=1):
        if not is_issued(certificate, issuer):
            raise InputError(
                f"{what}: certificate {number + 1} of the file did not issue certificate {number}; the server's own "
                "should come first, then the one that issued it, and so on."
            )
    last = chain[-1]
    if last.issuer != last.subject and not any(is_issued(last, root) for root in known_roots()):
        raise InputError(
            f"{what} lacks the certificate that issued its last one ({last.issuer.rfc4514_string()}), which no client "
            "here knows; append it to the file. For a CA of your own, that is the CA's certificate."
        )


def is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether a certificate was issued by another one."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


@cache
def known_roots() -> tuple[x509.Certificate, ...]:
    """Return the CAs that this machine trusts, as clients do."""
    paths = ssl.get_default_verify_paths()
    files = [paths.cafile, paths.openssl_cafile, f"{paths.openssl_capath}/ca-certificates.crt"]
    found = next((Path(file) for file in files if file and Path(file).is_file()), None)
    try:
        return tuple(x509.load_pem_x509_certificates(found.read_bytes())) if found else ()
    except (OSError, ValueError):
        return ()

"""A look at certificates and keys before they are sent or used, and certificates for one moment."""

from __future__ import annotations

import datetime
import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509.oid import NameOID

from ox_deploy.chain import (
    check_name,
    check_order,
    check_strength,
    check_times,
    check_use,
    is_issued,
    read_chain,
)
from ox_deploy.errors import InputError

# A certificate that ends earlier is made anew.
RENEW_DAYS = 60
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_FORM = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_pair(
    certificate: str,
    key: str,
    where: str = "group_data/all.py",
    names: tuple[str, str] = ("web_certificate", "web_certificate_key"),
) -> None:
    """Raise InputError unless both are PEM and the key is that of the (first) certificate.

    + certificate: PEM text, the server's certificate first, then its chain
    + key: PEM text without a passphrase
    + where, names: where the two are set, and the names of the settings
    """
    public = read_chain(certificate, f"{where}: `{names[0]}`")[0].public_key()
    private = _private_key(key, f"{where}: `{names[1]}`")
    if public.public_bytes(*_FORM) != private.public_key().public_bytes(*_FORM):
        raise InputError(
            f"{where}: `{names[1]}` is not the key of `{names[0]}`; set both to files that belong together."
        )


def _private_key(text: str, what: str) -> PrivateKeyTypes:
    """Return the one private key of a PEM file; parameters of its curve may stand before it."""
    blocks = _PRIVATE_KEY.findall(text)
    encrypted = any("ENCRYPTED" in block for block in blocks)
    try:
        if len(blocks) != 1 or encrypted:
            raise ValueError
        return load_pem_private_key(blocks[0].encode(), password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        problem = "is encrypted; it should be" if encrypted else "is not"
        raise InputError(f"{what} {problem} a PEM key without a passphrase; use one that is.") from None


def check_web(certificate: str, key: str, name: str) -> None:
    """Raise InputError unless the web host can show a certificate to browsers.

    + certificate, key: as `check_pair` takes them
    + name: `web_name`

    A self-signed one is taken.
    """
    what = "group_data/all.py: `web_certificate`"
    check_pair(certificate, key)
    chain = read_chain(certificate, what)
    check_times(chain, what)
    check_strength(chain, what)
    check_name(chain[0], name, what)
    check_use(chain[0], what)
    check_order(chain, what)


def check_issued(certificate: str, ca: str, address: str, where: str) -> None:
    """Raise InputError unless a database server's certificate is for its address, has not ended, and comes from the CA.

    + certificate: PEM text of a certificate with its chain, as `check_pair` takes it
    + ca: PEM text of one CA or more
    + where: where the certificate is set
    """
    what = f"{where}: `mysql_tls_certificate`"
    chain = read_chain(certificate, what)
    authorities = read_chain(ca, "group_data/all.py: `mysql_tls_ca`")
    if address not in _addresses(chain[0]):
        named = ", ".join(_addresses(chain[0])) or "no address"
        raise InputError(
            f"{where}: `mysql_tls_certificate` is for {named}; it should have {address}, which the other "
            "database servers connect to, as an IP address among its subject alternative names."
        )
    check_times(chain, what)
    check_times(authorities, "group_data/all.py: `mysql_tls_ca`")
    check_strength(chain, what)
    check_strength(authorities, "group_data/all.py: `mysql_tls_ca`")
    if not all(_is_issued(each, [*chain[number:], *authorities]) for number, each in enumerate(chain, start=1)):
        raise InputError(
            f"{where}: `mysql_tls_certificate` was not issued by `mysql_tls_ca`; set both to files that belong "
            "together, and append any intermediate certificates to the certificate."
        )


def _is_issued(certificate: x509.Certificate, issuers: list[x509.Certificate]) -> bool:
    return any(is_issued(certificate, issuer) for issuer in issuers)


def _addresses(certificate: x509.Certificate) -> list[str]:
    """Return the IP addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def fits(certificate: str, public_key: str, address: str) -> bool:
    """Tell whether a server can go on with a self-signed certificate: it is for its address and key, and lasts.

    + certificate, public_key: PEM texts, "" where there is none
    """
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
        key = load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    renew = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=RENEW_DAYS)
    is_its_key = parsed.public_key().public_bytes(*_FORM) == key.public_bytes(*_FORM)
    # One that was given before comes from a CA, and is of no use without that.
    is_its_own_ca = _is_issued(parsed, [parsed])
    return is_its_key and is_its_own_ca and address in _addresses(parsed) and parsed.not_valid_after_utc > renew


def for_address(certificates: str, address: str) -> str:
    """Return those of some certificates that are for an address, as PEM text."""
    try:
        parsed = x509.load_pem_x509_certificates(certificates.encode())
    except ValueError:
        return ""
    return "".join(each.public_bytes(Encoding.PEM).decode() for each in parsed if address in _addresses(each))


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

"""Certificates, keys and OpenPGP blocks as tests want them, good and bad."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ox_deploy.local_files import _crc24
from tests.unit.guide import Pair

WEB_NAME = "groupware.example.com"
# An old-format packet of the kind "public key", as short as it can be looked at.
PUBLIC_KEY_PACKET = bytes([0x98, 4, 4, 0, 0, 0])
PRIVATE_KEY_PACKET = bytes([0x94, 4, 4, 0, 0, 0])
DAY = datetime.timedelta(days=1)


def armoured(packets: bytes, checksum: int | None = None, kind: str = "PUBLIC KEY BLOCK") -> str:
    """An ASCII-armoured OpenPGP block."""
    total = (_crc24(packets) if checksum is None else checksum).to_bytes(3, "big")
    lines = [base64.b64encode(packets).decode(), f"={base64.b64encode(total).decode()}"]
    return "\n".join([f"-----BEGIN PGP {kind}-----", "", *lines, f"-----END PGP {kind}-----", ""])


def name_of(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


@dataclass
class Issuer:
    """A key with a certificate: self-signed, or signed by another one."""

    common_name: str = WEB_NAME
    names: tuple[str, ...] = (WEB_NAME,)
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    by: Issuer | None = None
    begins: datetime.timedelta = -DAY
    ends: datetime.timedelta = 365 * DAY
    algorithm: Any = field(default_factory=hashes.SHA256)
    client_only: bool = False

    def certificate(self) -> str:
        now = datetime.datetime.now(datetime.UTC)
        by = self.by or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(name_of(self.common_name))
            .issuer_name(name_of(by.common_name))
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now + self.begins)
            .not_valid_after(now + self.ends)
        )
        if self.names:
            names: list[x509.GeneralName] = [_general(name) for name in self.names]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if self.client_only:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return builder.sign(by.key, self.algorithm).public_bytes(Encoding.PEM).decode()

    def private(self) -> str:
        return str(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())

    def pair(self) -> Pair:
        return Pair(self.certificate(), self.private())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

"""The web host's certificate and key, looked at before they are sent."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from ox_deploy.certificate import check_pair
from ox_deploy.errors import InputError
from tests.unit.guide import Pair

NOT_A_CERTIFICATE = "group_data/all.py: `web_certificate` is not a certificate in PEM format; use one that is."
NOT_A_KEY = "group_data/all.py: `web_certificate_key` is not a PEM key without a passphrase; use one that is."
NOT_ITS_KEY = (
    "group_data/all.py: `web_certificate_key` is not the key of `web_certificate`; set both to files that belong "
    "together."
)


def refusal(certificate: str, key: str) -> str:
    with pytest.raises(InputError) as refused:
        check_pair(certificate, key)
    return str(refused.value)


def test_certificate_with_its_key_is_taken(pairs: tuple[Pair, Pair]) -> None:
    check_pair(*pairs[0])


def test_chain_may_follow_the_certificate(pairs: tuple[Pair, Pair]) -> None:
    check_pair(pairs[0].certificate + pairs[1].certificate, pairs[0].key)


def test_chain_before_the_certificate_is_refused(pairs: tuple[Pair, Pair]) -> None:
    assert refusal(pairs[1].certificate + pairs[0].certificate, pairs[0].key) == NOT_ITS_KEY


def test_key_of_another_certificate_is_refused(pairs: tuple[Pair, Pair]) -> None:
    assert refusal(pairs[0].certificate, pairs[1].key) == NOT_ITS_KEY


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_refused(pairs: tuple[Pair, Pair], text: str) -> None:
    assert refusal(text, pairs[0].key) == NOT_A_CERTIFICATE


def test_swapped_files_are_refused(pairs: tuple[Pair, Pair]) -> None:
    assert refusal(pairs[0].key, pairs[0].certificate) == (
        "group_data/all.py: `web_certificate` also holds a private key, which others could read on the hosts; keep "
        "the key in its own file."
    )


def test_what_is_no_key_is_refused_without_being_shown(pairs: tuple[Pair, Pair]) -> None:
    assert refusal(pairs[0].certificate, pairs[0].key[:100]) == NOT_A_KEY


def test_key_with_a_passphrase_is_refused(pairs: tuple[Pair, Pair]) -> None:
    key = load_pem_private_key(pairs[0].key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    closed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode()
    assert refusal(pairs[0].certificate, closed) == (
        "group_data/all.py: `web_certificate_key` is encrypted; it should be a PEM key without a passphrase; use one "
        "that is."
    )

"""Password hashes. Perl does the crypt: Python has dropped it, and Perl is on every Debian host."""

import base64
import hashlib
import hmac
import subprocess

PERL = "my ($word, $salt) = split /\\0/, join('', <STDIN>), 2; print crypt($word, $salt) // ''"


def crypt(password: str, salt: str) -> str:
    """By standard input, so that no password is in a process list."""
    result = subprocess.run(
        ["/usr/bin/perl", "-e", PERL], input=f"{password}\0{salt}", capture_output=True, text=True, check=True
    )
    return result.stdout


def sha(password: str) -> str:
    return base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()  # noqa: S324 - what 6.x stores


def matches(password: str, mechanism: str, stored: str) -> bool:
    computed = sha(password) if mechanism == "{SHA}" else crypt(password, stored)
    return bool(stored) and hmac.compare_digest(computed.encode(), stored.encode())

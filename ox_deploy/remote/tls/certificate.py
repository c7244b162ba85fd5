"""Make a private key and its self-signed certificate for this host's database server."""

from __future__ import annotations

import datetime
import os
import pwd
import tempfile

from ox_deploy.remote.common.commands import run_or_fail
from ox_deploy.remote.common.files import read_present
from ox_deploy.remote.common.types import Document

DAYS = 3650
# Clocks may differ.
SLACK_DAYS = 2
CONFIGURATION = """
[req]
distinguished_name = name
[name]
[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = policy
x509_extensions = extensions
[policy]
commonName = supplied
[extensions]
subjectAltName = IP:{address}
subjectKeyIdentifier = hash
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, digitalSignature, keyCertSign
"""


def tls_certificate(job: Document) -> None:
    """Make both in one file, which replaces the old one in one step."""
    path = job["pair"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path), prefix=".ox-deploy.") as folder:
        for name, text in (("cnf", CONFIGURATION.format(folder=folder, address=job["address"])), ("index", "")):
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        for command in commands(job["address"]):
            run_or_fail(command, cwd=folder)
        put(folder, path, job["owner"])


def commands(address: str) -> list[list[str]]:
    """Return what makes key, request and certificate. Only `openssl ca` lets a certificate begin in the past."""
    now = datetime.datetime.now(datetime.UTC)
    begin, end = ((now + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ") for days in (-SLACK_DAYS, DAYS))
    return [
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key"],
        ["openssl", "req", "-new", "-config", "cnf", "-key", "key", "-subj", "/CN=" + address, "-out", "request"],
        [
            "openssl",
            "ca",
            "-selfsign",
            "-batch",
            "-notext",
            "-config",
            "cnf",
            "-keyfile",
            "key",
            "-startdate",
            begin,
            "-enddate",
            end,
            "-in",
            "request",
            "-out",
            "certificate",
        ],
    ]


def put(folder: str, path: str, owner: str) -> None:
    """Put both where the server finds them, readable by nobody else."""
    new = os.path.join(folder, "pair")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchown(file.fileno(), pwd.getpwnam(owner).pw_uid, 0)
        file.write(read_present(os.path.join(folder, "certificate")) + read_present(os.path.join(folder, "key")))
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)

"""The connection on which a physical backup goes from the master to the replica, for both ends.

One certificate is made for one seeding, and both ends have it with its key: who shows it is the other end.
"""

from __future__ import annotations

from ox_deploy.remote.master_slaves.seed.common import private

PORT = 4444
NAME = "ox-seed"
# The last file of a stream: without it, the stream broke off.
COMPLETE = "ox-seed-complete"
LISTEN_SECONDS = 60
SILENCE_SECONDS = 600


def tls(folder: str, certificate: str) -> str:
    """Return socat's options for the certificate, which it reads from a file of root's."""
    path = private(folder, "stream.pem", certificate)
    return f"cert={path},cafile={path},verify=1,commonname={NAME},keepalive"

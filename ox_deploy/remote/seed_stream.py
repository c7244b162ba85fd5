"""The connection on which a physical backup goes from the master to the slave; its text is put before both ends.

One certificate is made for one seeding, and both ends have it with its key: who shows it is the other end.
"""

PORT = 4444
NAME = "ox-seed"
# The last file of a stream: without it, the stream broke off.
COMPLETE = "ox-seed-complete"
LISTEN_SECONDS = 60
SILENCE_SECONDS = 600


def tls(folder, certificate):
    """Return socat's options for the certificate, which it reads from a file of root's."""
    path = private(folder, "stream.pem", certificate)
    return "cert={0},cafile={0},verify=1,commonname={1},keepalive".format(path, NAME)

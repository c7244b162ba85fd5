"""Print which hosts the caches of this node are connected with."""


def cache_peers(wanted):
    """Return the cache ports of established connections by the other host's address."""
    peers = {}
    for local, address, remote in sockets(ESTABLISHED):
        for port in {local, remote} & set(wanted["ports"]):
            peers.setdefault(address, set()).add(port)
    return {address: sorted(ports) for address, ports in peers.items()}

"""The lab's network: fixed addresses in a subnet of its own."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import docker
from docker.errors import APIError
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from tests.lab import state
from tests.lab.images import LABEL

NAME = state.NAME
LABELS = {LABEL: state.NAME}
FILTER: dict[str, str | list[str] | bool] = {"label": f"{LABEL}={state.NAME}"}
TRIES = 5


def ensure(client: docker.DockerClient) -> Network:
    """The lab's network, made in a free subnet if there is none."""
    found = find(client)
    if found:
        return found
    for _ in range(TRIES - 1):
        with suppress(APIError):
            return create(client, _free_subnet(client))
    return create(client, _free_subnet(client))


def find(client: docker.DockerClient) -> Network | None:
    """The network of the lab, if it has one."""
    return next((network for network in client.networks.list(filters=FILTER) if network.name == NAME), None)


def _free_subnet(client: docker.DockerClient) -> str:
    """Let Docker choose a subnet that is free, and of no snapshot: that would have to be made again elsewhere.

    Docker gives fixed addresses only in a subnet that was asked for. Another lab that comes up at the same time may
    take it in between.
    """
    taken = {image["Labels"]["oxlab.subnet"] for image in client.api.images(filters={"label": "oxlab.subnet"})}
    probes: list[Network] = []
    try:
        while True:
            probe = client.networks.create(f"{NAME}-probe{len(probes)}", labels=LABELS)
            probes.append(probe)
            probe.reload()
            if subnet_of(probe) not in taken:
                return subnet_of(probe)
    finally:
        for probe in probes:
            probe.remove()


def create(client: docker.DockerClient, subnet: str) -> Network:
    """Make the lab's network. Raises docker.errors.APIError if another one has this subnet."""
    ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
    network = client.networks.create(NAME, driver="bridge", ipam=ipam, labels=LABELS)
    network.reload()
    return network


def subnet_of(network: Network) -> str:
    """The IPv4 subnet of a network, such as 172.18.0.0/16."""
    return str(addresses(network))


def addresses(network: Network) -> ipaddress.IPv4Network:
    """The addresses of a network; a number in brackets is one of them."""
    subnets = [ipaddress.ip_network(entry["Subnet"]) for entry in network.attrs["IPAM"]["Config"]]
    return next(subnet for subnet in subnets if isinstance(subnet, ipaddress.IPv4Network))

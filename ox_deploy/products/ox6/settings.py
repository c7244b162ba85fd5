"""The settings that only this product has."""

from __future__ import annotations

from ox_deploy import rules
from ox_deploy.settings import Settings


class Ox6Settings(Settings):
    """Those of every cluster, and where the caches find each other."""

    multicast_network: rules.MulticastNetwork = "224.0.0.0/8"
    cache_multicast_address: rules.MulticastAddress = "224.0.0.1"
    cache_multicast_port: rules.PortNumber = 6780
    session_cache_multicast_port: rules.PortNumber = 6781


def own(settings: Settings) -> Ox6Settings:
    """Return a cluster's settings as what they are where this is its product."""
    assert isinstance(settings, Ox6Settings)
    return settings

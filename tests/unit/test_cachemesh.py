"""The cache mesh's decisions: its files, the routing table, and whom it takes for a peer."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.lab.ox6.cachemesh import cachemesh
from tests.lab.ox6.cachemesh.cachemesh import ConfigError, Settings

SHIPPED = """
jcs.region.User=LTCP
jcs.auxiliary.LTCP.attributes.TcpServers=127.0.0.1:57461
jcs.auxiliary.LTCP.attributes.TcpListenerPort=57462
# jcs.auxiliary.LTCP.attributes.UdpDiscoveryAddr=224.0.0.1
# jcs.auxiliary.LTCP.attributes.UdpDiscoveryPort=6780
jcs.auxiliary.LTCP.attributes.UdpDiscoveryEnabled=false
"""

CONFIGURED = """
# jcs.auxiliary.LTCP.attributes.TcpServers=127.0.0.1:57461
jcs.auxiliary.LTCP.attributes.TcpListenerPort=57462
jcs.auxiliary.LTCP.attributes.UdpDiscoveryAddr=224.0.0.1
jcs.auxiliary.LTCP.attributes.UdpDiscoveryPort=6780
jcs.auxiliary.LTCP.attributes.UdpDiscoveryEnabled=true
"""

HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def line(interface: str, network: str, mask: str, flags: int = 1) -> str:
    """A line of /proc/net/route on the machine that runs the test."""
    numbers = [socket.htonl(cachemesh.number_of(address)) for address in (network, "0.0.0.0", mask)]
    destination, gateway, netmask = (f"{number:08X}" for number in numbers)
    return f"{interface}\t{destination}\t{gateway}\t{flags:04X}\t0\t0\t0\t{netmask}\t0\t0\t0\n"


DEFAULT = line("eth0", "0.0.0.0", "0.0.0.0", 3)
LINK = line("eth0", "172.18.0.0", "255.255.0.0")


def interface(*lines: str, group: str = "224.0.0.1") -> str | None:
    return cachemesh.multicast_interface(cachemesh.parse_routes(HEADER + "".join(lines)), group)


def test_shipped_file_knows_the_local_peer_only() -> None:
    assert cachemesh.parse_ccf(SHIPPED, "LTCP") == Settings(57462, (("127.0.0.1", 57461),), None)


def test_configured_file_discovers() -> None:
    assert cachemesh.parse_ccf(CONFIGURED, "LTCP") == Settings(57462, (), ("224.0.0.1", 6780))


def test_both_ways_are_possible_at_once() -> None:
    text = CONFIGURED.replace("# jcs", "jcs")
    assert cachemesh.parse_ccf(text, "LTCP") == Settings(57462, (("127.0.0.1", 57461),), ("224.0.0.1", 6780))


def test_another_auxiliary_is_not_mistaken() -> None:
    text = SHIPPED + CONFIGURED.replace("LTCP", "SessionLTCP").replace("57462", "58849").replace("6780", "6781")
    assert cachemesh.parse_ccf(text, "LTCP").discovery is None
    assert cachemesh.parse_ccf(text, "SessionLTCP") == Settings(58849, (), ("224.0.0.1", 6781))


def test_several_servers_with_blanks() -> None:
    assert cachemesh.parse_servers("a:1, b:2 ,") == (("a", 1), ("b", 2))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("TcpListenerPort=57462", "X=1", "TcpListenerPort is missing"),
        ("=57462", "=many", "Not a port: 'many'"),
        ("=6780", "=66000", "Not a port"),
        ("=224.0.0.1", "=10.0.0.1", "not a multicast address"),
        ("=224.0.0.1", "=everyone", "not a multicast address"),
    ],
)
def test_unusable_file_is_refused(old: str, new: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        cachemesh.parse_ccf(CONFIGURED.replace(old, new), "LTCP")


def test_server_without_a_port_is_refused() -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        cachemesh.parse_servers("127.0.0.1")


def test_settings_of_a_service_name_the_file_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "admindaemon").mkdir()
    (tmp_path / "admindaemon/cache.ccf").write_text("")
    with pytest.raises(ConfigError, match=r"admindaemon/cache\.ccf: .*TcpListenerPort"):
        cachemesh.read_settings("admindaemon", tmp_path)


def test_only_groupware_has_a_session_cache(tmp_path: Path) -> None:
    for service in ("admindaemon", "groupware"):
        (tmp_path / service).mkdir()
        (tmp_path / service / "cache.ccf").write_text(SHIPPED)
    (tmp_path / "groupware/sessioncache.ccf").write_text(SHIPPED.replace("LTCP", "SessionLTCP"))
    assert [name for name, _ in cachemesh.read_settings("groupware", tmp_path)] == ["cache", "session"]
    assert [name for name, _ in cachemesh.read_settings("admindaemon", tmp_path)] == ["cache"]


def test_default_route_does_not_carry_announcements() -> None:
    assert interface(DEFAULT, LINK) is None


@pytest.mark.parametrize("mask", ["240.0.0.0", "255.0.0.0", "255.255.255.0"])
def test_multicast_route_does(mask: str) -> None:
    assert interface(DEFAULT, LINK, line("eth1", "224.0.0.0", mask)) == "eth1"


def test_most_specific_route_wins() -> None:
    routes = (line("eth0", "224.0.0.0", "240.0.0.0"), line("eth1", "224.0.0.1", "255.255.255.255"))
    assert interface(*routes) == "eth1"


def test_route_must_cover_the_group() -> None:
    assert interface(DEFAULT, line("eth0", "224.0.0.0", "255.0.0.0"), group="239.1.2.3") is None


def test_dead_routes_do_not_count() -> None:
    assert interface(line("eth0", "224.0.0.0", "255.0.0.0", 0)) is None
    assert interface(line("*", "224.0.0.0", "255.0.0.0", 0x201)) is None


def test_peer_is_another_service_with_the_same_cache() -> None:
    message = {"kind": "announce", "cache": "cache", "id": "b", "port": 57462}
    assert cachemesh.is_peer(message, "announce", "cache", "a")
    assert not cachemesh.is_peer(message, "announce", "cache", "b")
    assert not cachemesh.is_peer(message, "announce", "session", "a")
    assert not cachemesh.is_peer(message, "hello", "cache", "a")
    assert not cachemesh.is_peer({**message, "port": "x"}, "announce", "cache", "a")


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"1"])
def test_noise_is_no_message(data: bytes) -> None:
    assert cachemesh.decode(data) == {}


def test_discovered_peer_is_forgotten_and_a_configured_one_is_not() -> None:
    later = time.monotonic() + cachemesh.FORGET_SECONDS + 1
    assert cachemesh.Peer(("a", 1), "a").is_forgotten(later)
    assert not cachemesh.Peer(("a", 1), "a", static=True).is_forgotten(later)

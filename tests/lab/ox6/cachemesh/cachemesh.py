#!/usr/bin/python3
"""The cache mesh of one OX service: JCS lateral caches with UDP discovery, as seen on the wire.

    cachemesh.py SERVICE                      run the mesh of `groupware` or `admindaemon`
    cachemesh.py SERVICE peers                print the connected peers of the running mesh as JSON
    cachemesh.py SERVICE remove REGION KEY    tell every peer to drop a cache entry

The services announce themselves by multicast; each keeps a TCP connection to the listener of each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import logging.handlers
import signal
import socket
import struct
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ETC = Path("/opt/open-xchange/etc")
LOGS = Path("/var/log/open-xchange")
ROUTES = Path("/proc/net/route")

# The cache files of a service: (file, auxiliary, name). Only groupware services share sessions.
CACHES = {
    "groupware": (
        ("groupware/cache.ccf", "LTCP", "cache"),
        ("groupware/sessioncache.ccf", "SessionLTCP", "session"),
    ),
    "admindaemon": (("admindaemon/cache.ccf", "LTCP", "cache"),),
}

# A newcomer must be seen at once; later an announcement is only a sign of life.
FIRST_ANNOUNCEMENTS = (0.0, 0.5, 0.5, 1.0)
ANNOUNCE_SECONDS = 5.0
ANSWER_SECONDS = 0.3
FORGET_SECONDS = 16.0
RETRY_SECONDS = 1.0
HEARTBEAT_SECONDS = 2.0
SILENCE_SECONDS = 8.0
CONNECT_SECONDS = 2.0

EVERYWHERE = "0.0.0.0"
ROUTE_UP, ROUTE_REJECT = 0x1, 0x200
IP_MULTICAST_ALL = 49

log = logging.getLogger("cachemesh")

Address = tuple[str, int]
Message = dict[str, Any]


class ConfigError(Exception):
    """A cache file that cannot be used, in one sentence."""


@dataclass(frozen=True)
class Settings:
    """The lateral cache of one .ccf file."""

    listener: int
    servers: tuple[Address, ...] = ()
    discovery: Address | None = None


@dataclass(frozen=True)
class Route:
    """A line of the kernel's routing table."""

    interface: str
    network: int
    mask: int


def read_properties(text: str) -> dict[str, str]:
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#!")
    return {key.strip(): value.strip() for key, _, value in pairs}


def parse_ccf(text: str, auxiliary: str) -> Settings:
    """The settings of an auxiliary. A line that is commented out counts for nothing, as in JCS."""
    prefix = f"jcs.auxiliary.{auxiliary}.attributes."
    properties = read_properties(text)
    found = {key.removeprefix(prefix): properties[key] for key in properties if key.startswith(prefix)}
    if "TcpListenerPort" not in found:
        raise ConfigError(f"{prefix}TcpListenerPort is missing.")
    enabled = found.get("UdpDiscoveryEnabled", "false").lower() == "true"
    discovery = None
    if enabled:
        # The defaults of JCS itself, for a file that enables discovery and names no address.
        group = found.get("UdpDiscoveryAddr") or "228.4.5.6"
        discovery = (group, port(found.get("UdpDiscoveryPort") or "6789"))
        if not is_multicast(group):
            raise ConfigError(f"{prefix}UdpDiscoveryAddr is not a multicast address: {group}.")
    return Settings(port(found["TcpListenerPort"]), parse_servers(found.get("TcpServers", "")), discovery)


def parse_servers(text: str) -> tuple[Address, ...]:
    return tuple(parse_server(part.strip()) for part in text.split(",") if part.strip())


def parse_server(text: str) -> Address:
    host, _, number = text.rpartition(":")
    if not host:
        raise ConfigError(f"TcpServers holds something else than HOST:PORT: {text}.")
    return host, port(number)


def port(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"Not a port: {text!r}.")
    return int(text)


def is_multicast(address: str) -> bool:
    try:
        return number_of(address) >> 28 == 0b1110
    except OSError:
        return False


def number_of(address: str) -> int:
    number: int = struct.unpack("!I", socket.inet_aton(address))[0]
    return number


def parse_routes(text: str) -> list[Route]:
    """The usable routes of /proc/net/route. Its addresses are in the byte order of the machine."""
    routes = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        flags = int(fields[3], 16)
        if flags & ROUTE_UP and not flags & ROUTE_REJECT:
            network, mask = (socket.ntohl(int(fields[i], 16)) for i in (1, 7))
            routes.append(Route(fields[0], network, mask))
    return routes


def multicast_interface(routes: list[Route], group: str) -> str | None:
    """The interface of the most specific route to a group.

    The default route does not count: on a host with several networks it carries announcements to the wrong
    one, which is why the guide asks for a route of its own.
    """
    number = number_of(group)
    fitting = [route for route in routes if route.mask and number & route.mask == route.network]
    return max(fitting, key=lambda route: route.mask).interface if fitting else None


@dataclass
class Peer:
    """A service whose listener we keep a connection to."""

    address: Address
    name: str
    static: bool = False
    last_seen: float = field(default_factory=time.monotonic)
    writer: asyncio.StreamWriter | None = None
    task: asyncio.Task[None] | None = None
    hurry: asyncio.Event = field(default_factory=asyncio.Event)

    def is_forgotten(self, now: float) -> bool:
        return not self.static and now - self.last_seen > FORGET_SECONDS


class Mesh(asyncio.DatagramProtocol):
    """One lateral cache: a listener, its discovery, and the connections to its peers."""

    def __init__(self, service: str, cache: str, settings: Settings, host: str) -> None:
        self.service, self.cache, self.settings, self.host = service, cache, settings, host
        self.id = uuid.uuid4().hex
        self.peers: dict[Address, Peer] = {}
        self.callers: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None
        self.discovery: asyncio.DatagramTransport | None = None
        self.answered = 0.0
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._listen()
        for address in self.settings.servers:
            self._add_peer(address, f"{address[0]}:{address[1]}", static=True)
        if self.settings.discovery:
            await self._discover(self.settings.discovery)
        else:
            log.info("%s: UDP discovery is off, peers: %s", self.cache, self.settings.servers or "none")

    async def stop(self) -> None:
        if self.server:
            self.server.close()
        if self.discovery:
            self.discovery.close()
        tasks = [*self.tasks, *(peer.task for peer in self.peers.values() if peer.task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in self.callers:
            writer.close()

    def introduction(self, kind: str) -> Message:
        message = {
            "kind": kind,
            "id": self.id,
            "cache": self.cache,
            "service": self.service,
            "host": self.host,
        }
        return {**message, "port": self.settings.listener}

    # -- discovery

    async def _discover(self, group: Address) -> None:
        """As in a JVM, the interface is chosen once: a route that comes later needs a restart."""
        interface = multicast_interface(parse_routes(ROUTES.read_text()), group[0])
        if interface is None:
            log.warning("%s: no multicast route to %s: Network is unreachable, staying alone", self.cache, group[0])
            return
        loop = asyncio.get_running_loop()
        try:
            sock = multicast_socket(group, interface)
            self.discovery, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)
        except OSError as error:
            log.warning("%s: no discovery on %s:%d: %s", self.cache, *group, error)
            return
        log.info("%s: discovery on %s:%d through %s", self.cache, *group, interface)
        self._run(self._announce_always())

    async def _announce_always(self) -> None:
        for pause in FIRST_ANNOUNCEMENTS:
            await asyncio.sleep(pause)
            self.announce()
        while True:
            await asyncio.sleep(ANNOUNCE_SECONDS)
            self.announce()
            self._forget_silent_peers()

    def announce(self) -> None:
        group = self.settings.discovery
        if self.discovery is None or group is None:
            return
        if multicast_interface(parse_routes(ROUTES.read_text()), group[0]) is None:
            log.warning("%s: the multicast route is gone: nothing announced", self.cache)
            return
        self.discovery.sendto(json.dumps(self.introduction("announce")).encode(), group)

    def datagram_received(self, data: bytes, sender: Any) -> None:
        message = decode(data)
        if not is_peer(message, "announce", self.cache, self.id):
            return
        address = (str(sender[0]), int(message["port"]))
        peer = self.peers.get(address)
        if peer is None:
            self._add_peer(address, name_of(message))
            self._answer()
            return
        peer.last_seen = time.monotonic()
        peer.hurry.set()

    def error_received(self, error: Exception) -> None:
        log.warning("%s: announcement failed: %s", self.cache, error)

    def _answer(self) -> None:
        """A newcomer need not wait for our next turn. Many newcomers at once get one answer."""
        now = time.monotonic()
        if now - self.answered > ANSWER_SECONDS:
            self.answered = now
            asyncio.get_running_loop().call_later(ANSWER_SECONDS / 2, self.announce)

    def _forget_silent_peers(self) -> None:
        now = time.monotonic()
        for address, peer in list(self.peers.items()):
            if peer.writer is None and peer.is_forgotten(now):
                log.info("%s: forgetting %s at %s:%d", self.cache, peer.name, *address)
                del self.peers[address]
                if peer.task:
                    peer.task.cancel()

    # -- connections to others

    def _add_peer(self, address: Address, name: str, static: bool = False) -> None:
        peer = Peer(address, name, static)
        self.peers[address] = peer
        peer.task = asyncio.get_running_loop().create_task(self._keep_connected(peer))

    async def _keep_connected(self, peer: Peer) -> None:
        reported = False
        while True:
            peer.hurry.clear()
            try:
                if await self._talk(peer):
                    return
                reported = False
            except (OSError, EOFError) as error:
                if not reported:
                    reason = str(error) or "silence"
                    log.info("%s: no connection to %s at %s:%d: %s", self.cache, peer.name, *peer.address, reason)
                reported = True
            finally:
                peer.writer = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SECONDS):
                    await peer.hurry.wait()

    async def _talk(self, peer: Peer) -> bool:
        """Hold one connection until it breaks. True when the peer turns out to be ourselves."""
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(*peer.address)
        try:
            send(writer, self.introduction("hello"))
            hello = await receive(reader)
            if hello.get("id") == self.id:
                return True
            if hello.get("cache") != self.cache:
                raise OSError("the peer serves another cache")
            peer.writer = writer
            log.info("%s: connected to %s at %s:%d", self.cache, peer.name, *peer.address)
            async with heartbeat(writer):
                while True:
                    await receive(reader)
        finally:
            writer.close()

    # -- connections from others

    async def _listen(self) -> None:
        try:
            self.server = await asyncio.start_server(self._serve, EVERYWHERE, self.settings.listener)
        except OSError as error:
            log.error("%s: cannot listen on port %d: %s", self.cache, self.settings.listener, error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = "a stranger"
        try:
            hello = await receive(reader)
            send(writer, self.introduction("hello"))
            if not is_peer(hello, "hello", self.cache, self.id):
                return
            caller = name_of(hello)
            self.callers.add(writer)
            async with heartbeat(writer):
                while True:
                    self._handle(caller, await receive(reader))
        except (OSError, EOFError):
            log.info("%s: %s hung up", self.cache, caller)
        finally:
            self.callers.discard(writer)
            writer.close()

    def _handle(self, caller: str, message: Message) -> None:
        if message.get("kind") == "remove":
            region, key = message.get("region"), message.get("key")
            log.info("%s: %s removed %s from %s", self.cache, caller, key, region)

    # -- what the service uses the mesh for

    def remove(self, region: str, key: str) -> int:
        """Tell every peer to drop an entry; how many were told."""
        writers = [peer.writer for peer in self.peers.values() if peer.writer]
        for writer in writers:
            send(writer, {"kind": "remove", "region": region, "key": key})
        return len(writers)

    def connected(self) -> list[str]:
        return sorted(f"{p.name} {p.address[0]}:{p.address[1]}" for p in self.peers.values() if p.writer)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


def multicast_socket(group: Address, interface: str) -> socket.socket:
    """A socket that hears this group only, and sends to it through the interface of the multicast route."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        # Both services of a host listen on the same group and port, and hear each other.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        index = socket.if_nametoindex(interface)
        request = struct.pack("4s4si", socket.inet_aton(group[0]), b"\0" * 4, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        sock.bind(group)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def is_peer(message: Message, kind: str, cache: str, own_id: str) -> bool:
    """Whether a message is from another service that has the same kind of cache."""
    same = message.get("kind") == kind and message.get("cache") == cache
    return same and message.get("id") != own_id and isinstance(message.get("port"), int)


def name_of(message: Message) -> str:
    return f"{message.get('host')}/{message.get('service')}"


def decode(data: bytes) -> Message:
    try:
        message = json.loads(data)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def send(writer: asyncio.StreamWriter, message: Message) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(message).encode() + b"\n")


async def receive(reader: asyncio.StreamReader) -> Message:
    """The next message. Silence and a closed connection are errors: heartbeats come all the time."""
    async with asyncio.timeout(SILENCE_SECONDS):
        line = await reader.readline()
    if not line:
        raise EOFError("connection closed")
    return decode(line)


@contextlib.asynccontextmanager
async def heartbeat(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            send(writer, {"kind": "heartbeat"})
            await asyncio.sleep(HEARTBEAT_SECONDS)

    task = asyncio.get_running_loop().create_task(beat())
    try:
        yield
    finally:
        task.cancel()


def control_name(service: str) -> str:
    """A socket in Linux's abstract namespace: no file to own or to clean up."""
    return f"\0open-xchange-cachemesh-{service}"


def controller(meshes: list[Mesh]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError):
            send(writer, {"answer": answer(meshes, await receive(reader))})
            await writer.drain()
        writer.close()

    return serve


def answer(meshes: list[Mesh], question: Message) -> Any:
    if question.get("kind") == "remove":
        region, key = str(question.get("region")), str(question.get("key"))
        return sum(mesh.remove(region, key) for mesh in meshes if mesh.cache == "cache")
    return {mesh.cache: mesh.connected() for mesh in meshes}


def ask(service: str, question: Message) -> int:
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(control_name(service))
        except OSError:
            print(f"The cache mesh of {service} is not running.", file=sys.stderr)
            return 1
        sock.sendall(json.dumps(question).encode() + b"\n")
        with sock.makefile() as stream:
            print(json.dumps(json.loads(stream.readline())["answer"]))
    return 0


def read_settings(service: str, etc: Path = ETC) -> list[tuple[str, Settings]]:
    """Name and settings of each cache of a service."""
    found = []
    for file, auxiliary, name in CACHES[service]:
        try:
            found.append((name, parse_ccf((etc / file).read_text(), auxiliary)))
        except (OSError, ConfigError) as error:
            raise ConfigError(f"{etc / file}: {error}") from None
    return found


async def run(service: str) -> None:
    host = socket.gethostname()
    meshes = [Mesh(service, cache, settings, host) for cache, settings in read_settings(service)]
    for mesh in meshes:
        await mesh.start()
    control = await asyncio.start_unix_server(controller(meshes), control_name(service))
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    control.close()
    for mesh in meshes:
        await mesh.stop()
    log.info("stopped")


def start_log(service: str) -> None:
    """The log of OX has the number 0, older ones count up."""
    handler: logging.Handler
    try:
        path = LOGS / f"open-xchange-cache-{service}.log.0"
        handler = logging.handlers.RotatingFileHandler(path, maxBytes=2 << 20, backupCount=3)
    except OSError:
        handler = logging.StreamHandler()
    line = "%(asctime)s %(levelname)s: %(message)s"
    logging.basicConfig(level=logging.INFO, handlers=[handler], format=line)


def main(arguments: list[str]) -> int:
    match arguments:
        case [service, "peers"] if service in CACHES:
            return ask(service, {"kind": "peers"})
        case [service, "remove", region, key] if service in CACHES:
            return ask(service, {"kind": "remove", "region": region, "key": key})
        case [service] if service in CACHES:
            start_log(service)
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    try:
        asyncio.run(run(service))
    except (ConfigError, OSError) as error:
        log.error("cannot start: %s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

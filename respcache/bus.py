"""The cluster bus: the connections between nodes, which carry the frames of `cluster.frames`.

    bus = Bus(config, loop, owner)
    bus.listen(port)             raises OSError
    await bus.open()             from now on others may connect
    link = bus.connect(node)     begins to connect; the owner is told how that went
    bus.close()

What comes is believed to be from nobody in particular: a connection that does not speak the protocol, or on which a
message does harm, is closed, and that is all that happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

from respcache.cluster.frames import FrameError, Framer, Message, MessageError, decode
from respcache.cluster.nodes import BUS_OFFSET, Node
from respcache.config import Config
from respcache.log import VERBOSE
from respcache.log import logger as log
from respcache.sockets import keep_alive, listening

TOO_HIGH = (
    "Redis port number too high. Cluster communication port is 10,000 port numbers higher than your Redis port. "
    "Your Redis port number must be 55535 or less."
)
MOST_STRANGERS = 1024
"""Connections of nodes that have not said who they are."""
STRANGERS_BYTES = 1 << 20
"""What one of these may have us keep of a message that is not complete; a MEET takes a few KB."""
_FREE_PORTS = range(20_000, 22_768)
"""Where both ports are below those that systems give to outgoing connections."""


class Owner(Protocol):
    """Whose connections they are."""

    def take(self, link: BusLink, message: Message) -> None:
        """A message has come."""

    def connected(self, node: Node, link: BusLink) -> None:
        """A connection to a node is there."""

    def not_connected(self, node: Node) -> None:
        """A connection to a node cannot be had."""

    def now(self) -> int:
        """Milliseconds since the epoch."""


class BusLink(asyncio.Protocol):
    """A connection to or from another node. Implements `cluster.gossip.Wire`."""

    def __init__(self, bus: Bus, node: Node | None) -> None:
        self._bus = bus
        self.inbound = node is None
        self.node = node
        self.created = bus.owner.now()
        self.peer = ""
        self.local = ""
        self.closed = False
        self.task: asyncio.Task[None] | None = None
        """That connects."""
        self._transport: asyncio.Transport | None = None
        self._queue: list[bytes] = []  # until there is a connection
        self._queued = 0
        self._framer = Framer()

    @property
    def pending(self) -> int:
        """Bytes that wait to be sent."""
        return self._queued if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, frame: bytes) -> None:
        """Sends a message, or queues it while the connection is being made; nothing once that is closed."""
        if self.closed:
            return
        if self._transport is None:
            self._queue.append(frame)
            self._queued += len(frame)
        else:
            self._transport.write(frame)
        limit = self._bus.config.cluster_link_sendbuf_limit
        if limit and self.pending > limit:
            self._overflow()

    def _overflow(self) -> None:
        way = "from" if self.inbound else "to"
        name = self.node.name if self.node is not None else ""
        text = "Freeing cluster link(%s node %s, used memory: %d) due to exceeding send buffer memory limit."
        log.warning(text, way, name, self.pending)
        self._bus.overflowed += 1
        self.close()

    def close(self) -> None:
        """Closes it, and the node has it no more. What was not sent is dropped."""
        if self.closed:
            return
        self.closed = True
        self._queue.clear()
        self._queued = 0
        self._bus.links.pop(self, None)
        node = self.node
        if node is not None and node.link is self:
            node.link = None
        if node is not None and node.inbound is self:
            node.inbound = None
        if self._transport is not None:
            self._transport.abort()
        elif self.task is not None:
            self.task.cancel()

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is there."""
        self._transport = transport = cast(asyncio.Transport, transport)  # that of uvloop is none by its class
        if self.closed:
            transport.abort()
            return
        if self.inbound:
            self._bus.admit(self)
        sock = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            keep_alive(sock, max(2 * self._bus.config.cluster_node_timeout // 1000, 1))
        self.peer = _host(transport.get_extra_info("peername"))
        self.local = _host(transport.get_extra_info("sockname"))
        if self.inbound:
            log.debug("Accepting cluster node connection from %s", self.peer)
            return
        assert self.node is not None
        log.debug("Connecting with Node %s at %s:%d", self.node.name, self.node.ip, self.node.cport)
        self._bus.owner.connected(self.node, self)
        queue, self._queue = self._queue, []
        self._queued = 0
        for frame in queue:
            self.send(frame)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if self.closed:
            return
        try:
            frames = self._framer.feed(data)
            if self.node is None and self._framer.size > STRANGERS_BYTES:
                raise FrameError("a message from nobody knows whom is too long")
        except FrameError as error:
            log.log(VERBOSE, "Bad message on the cluster bus from %s: %s", self.peer, error)
            self.close()
            return
        for frame in frames:
            if self.closed:
                break
            try:
                self._bus.owner.take(self, decode(frame))
            except MessageError as error:
                log.debug("Ignored message on the cluster bus from %s: %s", self.peer, error)
            except OSError:
                log.warning("A message on the cluster bus from %s came to nothing", self.peer)
            except Exception:
                log.exception("A message on the cluster bus from %s did harm", self.peer)
                self.close()

    def pause_writing(self) -> None:
        """The other end does not read. If it is there to ask and we to answer, it asks no more before it does."""
        if self.inbound and self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        if self.inbound and self._transport is not None:
            self._transport.resume_reading()

    def eof_received(self) -> bool:
        """The other end is going."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self.close()


class Bus:
    """All connections of a node to others, and where it listens."""

    def __init__(self, config: Config, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self.config = config
        self.owner = owner
        self._loop = loop
        self._bound: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []
        self.links: dict[BusLink, None] = {}
        """In the order in which they came."""
        self.overflowed = 0
        """Connections closed because more than cluster-link-sendbuf-limit waited to be sent."""
        self.port = 0

    # Life

    def listen(self, port: int) -> None:
        """Listens on a port of all addresses of `bind`. Raises OSError."""
        try:
            for word in self.config.bind:
                host = word.removeprefix("-")  # it may be missing
                try:
                    self._bound.append(listening(host, port, self.config.tcp_backlog))
                except OSError as error:
                    if host == word:
                        text = f"Failed listening on port {port} (cluster), aborting: {host}: {error.strerror}"
                        raise OSError(error.errno, text) from None
            if not self._bound:
                text = "No bind address is configured, but it is required for the Cluster bus."
                raise OSError(text)
        except BaseException:
            self._close_bound()
            raise
        self.port = port

    def listen_beside(self, before: int) -> int:
        """Listens on a port for which the one that clients use is free as well. Returns that. Raises OSError.

        The port of clients `before` comes first, if it was chosen here: others look for this node there.
        """
        dice = random.SystemRandom()
        host = self.config.bind[0].removeprefix("-")
        for attempt in range(1000):
            port = before if before in _FREE_PORTS and not attempt else dice.choice(_FREE_PORTS)
            with contextlib.suppress(OSError):
                listening(host, port, 1).close()
                self.listen(port + BUS_OFFSET)
                return port
        raise OSError("There is no free pair of ports for a node of a cluster")

    async def open(self) -> None:
        """Accepts connections."""
        bound, self._bound = self._bound, []
        for sock in bound:
            self._listeners.append(await self._loop.create_server(partial(BusLink, self, None), sock=sock))

    def close(self) -> None:
        """Closes everything."""
        self._close_bound()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for link in [*self.links]:
            link.close()

    def _close_bound(self) -> None:
        while self._bound:
            self._bound.pop().close()

    # Connections

    def admit(self, link: BusLink) -> None:
        """Takes in a connection that others made. A node says at once who it is: of too many strangers the one that
        came first goes."""
        strangers = [other for other in self.links if other.node is None]
        if len(strangers) >= MOST_STRANGERS:
            log.log(VERBOSE, "Closing the cluster bus connection of %s: too many are of nobody", strangers[0].peer)
            strangers[0].close()
        self.links[link] = None

    def connect(self, node: Node) -> BusLink | None:
        """Begins to connect to a node; None if there is no hope."""
        if not node.ip or not node.cport:
            return None
        link = BusLink(self, node)
        self.links[link] = None
        link.task = self._loop.create_task(self._connect(link, node))
        return link

    async def _connect(self, link: BusLink, node: Node) -> None:
        source = str(self.config.bind_source_addr)
        try:
            await self._loop.create_connection(
                lambda: link, node.ip, node.cport, local_addr=(source, 0) if source else None
            )
        except OSError as error:
            reason = error.strerror or str(error)
            log.debug("Unable to connect to Cluster Node [%s]:%d -> %s", node.ip, node.cport, reason)
            link.close()
            self.owner.not_connected(node)
        except Exception:
            log.exception("Connecting with Node %s did harm", node.name)
            link.close()


def _host(address: object) -> str:
    """Of a socket's address; an IPv4 address inside of an IPv6 one is shown as what it is."""
    host = str(address[0]) if isinstance(address, tuple) and address else ""
    return host.removeprefix("::ffff:") if "." in host else host


def monotonic_clock() -> Callable[[], int]:
    """A clock of milliseconds since the epoch that never jumps: right when it was made, and steady from then on."""
    ahead = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + ahead) // 1_000_000

"""The bytes of the bus: what real nodes send is read, and written again byte for byte; what we write they understand.

The other side is a node of thirty lines that says whatever a test has it say.
"""

from __future__ import annotations

import dataclasses
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from respcache.cluster import frames
from respcache.cluster.frames import Extensions, Gossip, Header, Message
from respcache.cluster.nodes import MASTER, MYSELF, PFAIL, REPLICA
from respcache.cluster.slots import from_ranges, ranges
from tests.servers import HAVE_ORACLE, Server, free_port, start_redis
from tests.wire import OK, Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server")


def encode(message: Message) -> bytes:
    """A decoded message as bytes again; what encoders fill in themselves is taken away first."""
    header = dataclasses.replace(message.header, count=0, extensions=0, mflags=message.header.mflags & 3)
    match message:
        case frames.Ping(_, gossip, extensions):
            return frames.encode_ping(header, gossip, extensions)
        case frames.Fail(_, id):
            return frames.encode_fail(header, id)
        case frames.Publish(_, channel, text):
            return frames.encode_publish(header, channel, text)
        case frames.Update(_, epoch, id, slots):
            return frames.encode_update(header, epoch, id, slots)
        case frames.Plain():
            return frames.encode_plain(header)
    raise AssertionError(message)


class Puppet:
    """A node that answers pings with pongs, keeps all it gets, and says what it is told to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.header = Header(
            type=frames.PING, sender=b"a" * 40, port=self.port, cport=self.port + 10000, flags=MYSELF | MASTER
        )
        self.gossip: list[Gossip] = []
        # The last two mean nothing to 7.0, which skips them.
        self.extensions = Extensions("puppet.example", "puppet", shard_id=b"b" * 40)
        self.frames: list[bytes] = []
        self.messages: list[Message] = []
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", self.port + 10000))
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._links: dict[int, socket.socket] = {}
        self._pinged = 0.0

    def connect(self, port: int) -> None:
        self._links[port] = socket.create_connection(("127.0.0.1", port + 10000))
        self._selector.register(self._links[port], selectors.EVENT_READ, frames.Framer())

    def say(self, port: int, type: int, **changes: object) -> None:
        """Sends a PING, or a message without data."""
        header = dataclasses.replace(self.header, type=type, **changes)  # type: ignore[arg-type]
        plain = (
            frames.encode_plain(header)
            if type not in frames.PINGS
            else frames.encode_ping(header, self.gossip, self.extensions)
        )
        self._links[port].sendall(plain)

    def wait(self, found: Callable[[Message], object], seconds: float = 8.0) -> Message:
        """The first message, old or new, that is what is looked for."""
        until = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < until:
            for message in self.messages[seen:]:
                if found(message):
                    return message
            seen = len(self.messages)
            self.run()
        raise AssertionError(f"not found in {len(self.messages)} messages")

    def run(self) -> None:
        if time.monotonic() > self._pinged + 0.2:
            self._pinged = time.monotonic()
            for port in self._links:
                self.say(port, frames.PING)
        for key, _ in self._selector.select(0.05):
            if key.fileobj is self._listener:
                peer, _ = self._listener.accept()
                self._selector.register(peer, selectors.EVENT_READ, frames.Framer())
                continue
            assert isinstance(key.fileobj, socket.socket)
            try:
                data = key.fileobj.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                self._selector.unregister(key.fileobj)
                self._links = {port: link for port, link in self._links.items() if link is not key.fileobj}
                key.fileobj.close()
            for frame in key.data.feed(data):
                self._take(frame, key.fileobj)

    def _take(self, frame: bytes, peer: socket.socket) -> None:
        message = frames.decode(frame)
        self.frames.append(frame)
        self.messages.append(message)
        self.header.current_epoch = max(self.header.current_epoch, message.header.current_epoch)
        if message.header.type in (frames.PING, frames.MEET):
            peer.sendall(
                frames.encode_ping(
                    dataclasses.replace(self.header, type=frames.PONG), self.gossip, self.extensions
                )
            )

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


def call(server: Server, *words: str | int | bytes) -> Any:
    with Wire(server.port) as wire:
        return wire(*words)


def test_every_message_of_real_nodes_is_read_and_written_again() -> None:
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", 2000)
    with (
        start_redis(*options, "--cluster-announce-hostname", "host-a.example") as a,
        start_redis(*options) as b,
    ):
        puppet = Puppet()
        try:
            converse(puppet, a, b)
        finally:
            puppet.close()


def converse(puppet: Puppet, a: Server, b: Server) -> None:
    wait, me = puppet.wait, puppet.header
    ids = {server: call(server, "CLUSTER", "MYID") for server in (a, b)}
    call(a, "CLUSTER", "ADDSLOTSRANGE", 0, 100, 3300, 3300)  # of b
    call(a, "CLUSTER", "BUMPEPOCH")
    call(a, "CLUSTER", "MEET", "127.0.0.1", puppet.port)
    met = wait(lambda m: m.header.type == frames.MEET)
    assert isinstance(met, frames.Ping)
    assert met.header.sender == ids[a]
    assert met.extensions.hostname == "host-a.example"
    assert ranges(met.header.slots) == [(0, 100), (3300, 3300)]

    # Known now: it pings, and answers our pings.
    wait(lambda m: m.header.type == frames.PING)
    puppet.connect(a.port)
    wait(lambda m: m.header.type == frames.PONG)
    wait(lambda _: b",puppet.example master" in call(a, "CLUSTER", "NODES"))
    call(b, "CLUSTER", "MEET", "127.0.0.1", a.port)
    wait(lambda m: isinstance(m, frames.Ping) and any(g.id == ids[b] for g in m.gossip))
    puppet.connect(b.port)
    wait(lambda m: m.header.sender == ids[b] and m.header.type == frames.PING)

    call(a, "PUBLISH", "ch", "hello")
    published = wait(lambda m: m.header.type == frames.PUBLISH)
    assert isinstance(published, frames.Publish)
    assert (published.channel, published.message) == (b"ch", b"hello")

    # As a replica of a.
    me.flags, me.master = MYSELF | REPLICA, ids[a]
    puppet.say(a.port, frames.PING)
    wait(lambda m: m.header.type == frames.PONG and call(a, "CLUSTER", "REPLICAS", ids[a]))
    call(a, "SPUBLISH", "b", "sharded")
    published = wait(lambda m: m.header.type == frames.PUBLISHSHARD)
    assert isinstance(published, frames.Publish)
    assert (published.channel, published.message) == (b"b", b"sharded")
    puppet.say(
        a.port, frames.AUTH_REQUEST, current_epoch=me.current_epoch + 1, mflags=frames.MFLAG_FORCE_ACK,
        config_epoch=met.header.config_epoch, slots=met.header.slots,
    )  # fmt: skip
    assert wait(lambda m: m.header.type == frames.AUTH_ACK).header.sender == ids[a]

    # As a master that claims what is not its own.
    me.flags, me.master, me.slots = MYSELF | MASTER, b"", from_ranges([(0, 5)])
    update = wait(lambda m: m.header.type == frames.UPDATE)
    assert isinstance(update, frames.Update)
    assert update.id == ids[a]
    assert ranges(update.slots) == [(0, 100), (3300, 3300)]

    # As the master of b.
    me.slots, me.config_epoch = from_ranges([(200, 300)]), me.current_epoch + 1
    me.current_epoch += 1
    wait(lambda _: call(b, "CLUSTER", "REPLICATE", me.sender) == OK)
    wait(lambda m: m.header.sender == ids[b] and m.header.master == me.sender)
    call(b, "CLUSTER", "FAILOVER")
    assert wait(lambda m: m.header.type == frames.MFSTART).header.sender == ids[b]
    call(b, "CLUSTER", "FAILOVER", "FORCE")
    request = wait(lambda m: m.header.type == frames.AUTH_REQUEST).header
    assert request.sender == ids[b]
    assert request.mflags == frames.MFLAG_FORCE_ACK
    assert ranges(request.slots) == [(200, 300)]

    # b ends; a has our word for it too.
    b.kill()
    puppet.gossip = [
        Gossip(ids[b], 0, int(time.time()), "127.0.0.1", b.port, b.port + 10000, REPLICA | PFAIL)
    ]
    failed = wait(lambda m: m.header.type == frames.FAIL)
    assert isinstance(failed, frames.Fail)
    assert failed.id == ids[b]

    kinds = {message.header.type for message in puppet.messages}
    assert kinds == set(frames.MessageType) - {frames.MODULE}
    for frame, message in zip(puppet.frames, puppet.messages, strict=True):
        assert encode(message) == frame

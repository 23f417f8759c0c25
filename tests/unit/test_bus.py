"""The connections between nodes, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from respcache import bus as module
from respcache.bus import Bus, BusLink, monotonic_clock
from respcache.cluster import frames
from respcache.cluster.frames import Header, Message, Publish
from respcache.cluster.nodes import MASTER, Node
from respcache.config import Config
from respcache.directives import DIRECTIVES
from tests.servers import free_port

ID = b"a" * 40
FRAME = frames.encode_publish(Header(type=frames.PUBLISH, sender=ID), b"ch", b"hello")


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.messages: list[tuple[BusLink, Message]] = []
        self.made: list[tuple[Node, BusLink]] = []
        self.failed: list[Node] = []
        self.trouble: Exception | None = None

    def take(self, link: BusLink, message: Message) -> None:
        self.messages.append((link, message))
        if self.trouble is not None:
            raise self.trouble

    def connected(self, node: Node, link: BusLink) -> None:
        self.made.append((node, link))

    def not_connected(self, node: Node) -> None:
        self.failed.append(node)

    def now(self) -> int:
        return 1


@contextlib.asynccontextmanager
async def opened(**directives: object) -> AsyncIterator[tuple[Bus, Owner]]:
    config = Config(DIRECTIVES)
    config.load({"bind": "127.0.0.1", **directives})
    owner = Owner()
    bus = Bus(config, asyncio.get_running_loop(), owner)
    bus.listen(free_port())
    await bus.open()
    try:
        yield bus, owner
    finally:
        bus.close()
        await asyncio.sleep(0.01)


def node_at(bus: Bus) -> Node:
    node = Node(ID, MASTER, 0)
    node.ip, node.cport = "127.0.0.1", bus.port
    return node


async def until(what: Callable[[], object]) -> None:
    for _ in range(500):
        if what():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not in five seconds")


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


def test_messages_go_both_ways() -> None:
    async def go() -> None:
        async with opened() as (one, owner), opened() as (other, peer):
            node = node_at(other)
            link = node.link = one.connect(node)
            assert link is not None
            link.send(FRAME)  # before there is a connection
            assert link.pending == len(FRAME)
            await until(lambda: peer.messages)
            assert owner.made == [(node, link)]
            back, message = peer.messages[0]
            assert isinstance(message, Publish)
            assert (back.inbound, back.node, back.peer, back.local) == (True, None, "127.0.0.1", "127.0.0.1")
            assert not link.inbound
            for _ in range(3):
                back.send(FRAME)
            await until(lambda: len(owner.messages) == 3)
            assert link.pending == 0

    run(go)


def test_a_closed_link_is_closed_at_both_ends() -> None:
    async def go() -> None:
        async with opened() as (one, _), opened() as (other, peer):
            node = node_at(other)
            link = node.link = one.connect(node)
            assert link is not None
            await until(lambda: other.links)
            (back,) = other.links
            back.node, node.inbound = node, back
            link.close()
            assert node.link is None
            await until(lambda: not other.links)
            assert node.inbound is None
            assert not one.links
            link.send(FRAME)  # vanishes
            link.close()
            await asyncio.sleep(0.02)
            assert peer.messages == []

    run(go)


def test_nobody_there() -> None:
    async def go() -> None:
        async with opened() as (one, owner):
            node = Node(ID, MASTER, 0)
            assert one.connect(node) is None
            node.ip, node.cport = "127.0.0.1", free_port()
            node.link = one.connect(node)
            await until(lambda: owner.failed)
            assert owner.failed == [node]
            assert node.link is None
            assert not one.links

    run(go)


def test_closed_before_it_was_there() -> None:
    async def go() -> None:
        async with opened() as (one, owner), opened() as (other, _):
            link = one.connect(node_at(other))
            assert link is not None
            link.close()
            await asyncio.sleep(0.05)
            assert owner.made == []
            assert owner.failed == []
            assert not other.links

    run(go)


async def stranger(bus: Bus) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", bus.port)


@pytest.mark.parametrize(
    "bad",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"RCmb\0\0\0\x10" + bytes(2240),  # shorter than a header
        b"RCmb\xff\xff\xff\xff" + bytes(2240),
    ],
)
def test_who_does_not_speak_the_protocol_is_thrown_out_and_nobody_else(bad: bytes) -> None:
    async def go() -> None:
        async with opened() as (one, owner):
            _, good = await stranger(one)
            reader, writer = await stranger(one)
            writer.write(bad)
            assert await reader.read() == b""
            writer.close()
            good.write(FRAME)
            await until(lambda: owner.messages)
            good.close()
            await until(lambda: not one.links)

    run(go)


def test_a_message_that_makes_no_sense_is_skipped() -> None:
    async def go() -> None:
        async with opened() as (one, owner):
            _, writer = await stranger(one)
            version_2 = FRAME[:9] + b"\2" + FRAME[10:]
            unknown = FRAME[:12] + b"\0\x63" + FRAME[14:]
            for byte in version_2 + unknown + FRAME:  # in whatever pieces it comes
                writer.write(bytes([byte]))
            await until(lambda: owner.messages)
            assert len(owner.messages) == 1
            assert len(one.links) == 1
            writer.close()

    run(go)


def test_a_message_that_does_harm_ends_its_connection_only(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        async with opened() as (one, owner):
            reader, writer = await stranger(one)
            owner.trouble = ZeroDivisionError()
            writer.write(FRAME + FRAME)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
            assert len(owner.messages) == 1
            _, writer = await stranger(one)
            owner.trouble = OSError(28, "No space left on device")  # nodes.conf: not the sender's fault
            writer.write(FRAME + FRAME)
            await until(lambda: len(owner.messages) == 3)
            assert len(one.links) == 1
            writer.close()

    run(go)
    assert "did harm" in caplog.text


def test_a_stranger_has_us_keep_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STRANGERS_BYTES", 10_000)
    big = frames.encode_publish(Header(type=frames.PUBLISH, sender=ID), b"ch", bytes(50_000))

    async def go() -> None:
        async with opened() as (one, owner):
            reader, writer = await stranger(one)
            writer.write(big[:-1])
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
            _, writer = await stranger(one)
            await until(lambda: one.links)
            (link,) = one.links
            link.node = node_at(one)
            writer.write(big)
            await until(lambda: owner.messages)
            writer.close()

    run(go)


def test_strangers_are_not_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_STRANGERS", 3)

    async def go() -> None:
        async with opened() as (one, owner):
            first, *others = [await stranger(one) for _ in range(3)]
            await until(lambda: len(one.links) == 3)
            _, writer = await stranger(one)  # those who say nothing do not keep others out
            with contextlib.suppress(ConnectionResetError):
                assert await first[0].read() == b""
            writer.write(FRAME)
            await until(lambda: owner.messages)
            assert len(one.links) == 3
            for each in (first[1], writer, *(writer for _, writer in others)):
                each.close()

    run(go)


def test_who_does_not_read_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    async def go() -> None:
        async with opened(cluster_link_sendbuf_limit=1_000_000) as (one, _):
            _, writer = await stranger(one)
            await until(lambda: one.links)
            (link,) = one.links
            frame = frames.encode_publish(Header(type=frames.PUBLISH, sender=ID), b"ch", bytes(100_000))
            for _ in range(300):
                link.send(frame)
                await asyncio.sleep(0)
                if link.closed:
                    break
            assert link.closed
            assert one.overflowed == 1
            writer.close()

    run(go)
    assert "exceeding send buffer memory limit" in caplog.text


def test_who_asks_and_does_not_read_is_not_heard() -> None:
    async def go() -> None:
        async with opened() as (one, owner):
            reader, writer = await stranger(one)
            answer = frames.encode_publish(Header(type=frames.PUBLISH, sender=ID), b"ch", bytes(100_000))
            owner.take = lambda link, message: link.send(answer)  # type: ignore[method-assign]
            asked, peak = 0, 0
            while writer.transport.get_write_buffer_size() < 100_000 and asked < 100_000:
                writer.write(FRAME * 100)
                asked += 100
                await asyncio.sleep(0)
                peak = max(peak, *(link.pending for link in one.links))
            assert peak < asked * len(answer) / 2
            assert asked < 100_000
            for _ in range(asked):  # then all is answered
                await reader.readexactly(len(answer))
            writer.close()

    run(go)


def test_a_queue_for_somebody_out_of_reach_has_the_same_limit() -> None:
    async def go() -> None:
        async with opened(cluster_link_sendbuf_limit=10_000) as (one, _):
            node = Node(ID, MASTER, 0)
            node.ip, node.cport = "127.0.0.1", free_port()
            link = node.link = one.connect(node)
            assert link is not None
            for _ in range(20):
                link.send(FRAME)
            assert link.closed
            assert node.link is None
            assert link.pending == 0

    run(go)


def test_a_port_that_is_taken() -> None:
    async def go() -> None:
        async with opened() as (one, owner):
            other = Bus(one.config, asyncio.get_running_loop(), owner)
            with pytest.raises(OSError) as caught:
                other.listen(one.port)
            assert f"Failed listening on port {one.port} (cluster), aborting" in str(caught.value)
            other.close()

    run(go)


def test_a_missing_address_may_be_missing_but_not_all() -> None:
    async def go() -> None:
        config = Config(DIRECTIVES)
        config.load({"bind": "-192.0.2.1 127.0.0.1"})
        bus = Bus(config, asyncio.get_running_loop(), Owner())
        bus.listen(free_port())
        bus.close()
        config.load({"bind": "-192.0.2.1"})
        with pytest.raises(OSError, match="No bind address"):
            bus.listen(free_port())

    run(go)


def test_a_pair_of_ports() -> None:
    async def go() -> None:
        async with opened() as (one, owner):
            other = Bus(one.config, asyncio.get_running_loop(), owner)
            port = other.listen_beside(0)
            assert other.port == port + 10_000
            await other.open()
            third = Bus(one.config, asyncio.get_running_loop(), owner)
            assert third.listen_beside(port) != port  # it is taken
            third.close()
            other.close()
            await asyncio.sleep(0.01)
            assert third.listen_beside(port) == port
            third.close()

    run(go)


def test_the_source_address() -> None:
    async def go() -> None:
        async with opened(bind_source_addr="127.0.0.9") as (one, _), opened() as (other, _):
            one.connect(node_at(other))
            await until(lambda: other.links)
            assert next(iter(other.links)).peer == "127.0.0.9"

    run(go)


def test_the_clock_is_right_and_never_goes_back() -> None:


    now = monotonic_clock()
    assert abs(now() - time.time() * 1000) < 1000
    times = [now() for _ in range(1000)]
    assert times == sorted(times)



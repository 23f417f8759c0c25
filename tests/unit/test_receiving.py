"""All data of a master, loaded as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

import respcache
from respcache.loading import LoadError, LoadingStopped
from respcache.persistence.snapshot import Snapshot
from respcache.receiving import HIGH, Incoming, receive
from respcache.saving import rdb_encoder
from respcache.state import ServerState


def file_of(count: int) -> bytes:
    """An RDB file with so many keys."""
    state = respcache.Server(port=0).state
    db = state.keyspace.databases[0]
    for number in range(count):
        db.set(b"key:%d" % number, b"x" * 100)
    db.put(b"mortal", b"1", 1000)
    parts: list[bytes] = []
    Snapshot(state.keyspace, rdb_encoder(state), at_once=True).run_now(parts.append)
    return b"".join(parts)


def run(feed: Callable[[Incoming, ServerState], None], total: int = -1) -> tuple[ServerState, object]:
    """Receives what `feed` gives. Returns the server, and the loader or the error."""

    async def main() -> tuple[ServerState, object]:
        state = respcache.Server(port=0).state
        state.loop = asyncio.get_running_loop()
        incoming = Incoming(state.loop, lambda: None, lambda: None)
        task = asyncio.create_task(receive(state, incoming, total))
        await asyncio.sleep(0.01)
        assert state.loading is not None
        feed(incoming, state)
        try:
            async with asyncio.timeout(10):
                loader = await task
        except (LoadError, LoadingStopped) as error:
            return state, error
        finally:
            assert state.loading is None
        return state, loader

    return asyncio.run(main())


@pytest.mark.parametrize("size", [1, 1000, 1 << 20])
def test_pieces(size: int) -> None:
    data = file_of(3000 if size > 1 else 30)

    def feed(incoming: Incoming, _state: ServerState) -> None:
        for at in range(0, len(data), size):
            incoming.put(data[at : at + size])
        incoming.end()

    state, loader = run(feed, len(data))
    assert getattr(loader, "keys", 0) == state.keyspace.databases[0].size == (3001 if size > 1 else 31)
    assert state.keyspace.databases[0].deadlines.count == 1


@pytest.mark.parametrize("cut", [0, 5, 100, -1])
def test_half_of_a_file(cut: int) -> None:
    data = file_of(50)

    def feed(incoming: Incoming, _state: ServerState) -> None:
        incoming.put(data[:cut])
        incoming.end()

    assert isinstance(run(feed)[1], LoadError)


def test_bytes_behind_the_end() -> None:
    data = file_of(5)

    def feed(incoming: Incoming, _state: ServerState) -> None:
        incoming.put(data + b"x")
        incoming.end()

    assert isinstance(run(feed)[1], LoadError)


def test_a_wrong_byte() -> None:
    data = file_of(50)

    def feed(incoming: Incoming, _state: ServerState) -> None:
        incoming.put(data[:-12] + b"\x00" + data[-11:])
        incoming.end()

    assert isinstance(run(feed)[1], LoadError)


def test_it_is_given_up() -> None:
    def feed(incoming: Incoming, _state: ServerState) -> None:
        incoming.put(b"REDIS0011")
        incoming.end(drop=True)

    assert isinstance(run(feed)[1], LoadError)


def test_the_end_of_the_server() -> None:
    data = file_of(3000)

    def feed(incoming: Incoming, state: ServerState) -> None:
        assert state.loading is not None
        state.loading.stop()
        incoming.put(data)
        incoming.end()

    assert isinstance(run(feed)[1], LoadingStopped)


def test_the_end_of_the_server_while_nothing_comes() -> None:
    def feed(_incoming: Incoming, state: ServerState) -> None:
        assert state.loading is not None
        state.loading.stop()

    assert isinstance(run(feed)[1], LoadingStopped)


def test_the_socket_waits_for_the_thread() -> None:
    async def main() -> list[str]:
        said: list[str] = []
        loop = asyncio.get_running_loop()
        incoming = Incoming(loop, lambda: said.append("pause"), lambda: said.append("resume"))
        for _ in range(3):
            incoming.put(b"x" * HIGH)
        assert said == ["pause"]
        read = 0
        while read < 3 * HIGH:
            part = incoming.read(1 << 18)
            assert len(part) <= 1 << 18
            read += len(part)
        await asyncio.sleep(0)
        incoming.end()
        assert incoming.read(1) == b""
        return said

    assert asyncio.run(main()) == ["pause", "resume"]

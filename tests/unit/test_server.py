"""The server's wiring: who is let in, what follows the configuration, where it listens."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from respcache import loading
from respcache.clock import Clock
from respcache.config import Config, SetError
from respcache.connection import Connection
from respcache.directives import DIRECTIVES
from respcache.listeners import _reason
from respcache.protocol.errors import MAX_CLIENTS
from respcache.server import EXACT_BELOW, PROTECTED, SHUTTING_DOWN, Server
from tests.unit.test_connection import Peers
from tests.wire import encode


@pytest.fixture
def peers(request: pytest.FixtureRequest) -> Iterator[Peers]:
    made = Peers(**getattr(request, "param", {}))
    yield made
    made.state.loop.close()


def of(**directives: Any) -> pytest.MarkDecorator:
    """Has the fixture `peers` make its server with these."""
    return pytest.mark.parametrize("peers", [directives], indirect=True, ids=[""])


# Who is let in


def test_clients_are_registered_and_forgotten(peers: Peers) -> None:
    one, _ = peers.connect()
    two, _ = peers.connect()
    assert list(peers.state.clients.values()) == [one.client, two.client]
    assert peers.state.stats.connections == 2
    one.data_received(encode("PING"))
    one.connection_lost(None)
    assert list(peers.state.clients.values()) == [two.client]
    assert peers.state.stats.net_input == len(encode("PING"))
    assert peers.state.stats.net_output == len(b"+PONG\r\n")
    assert peers.server._connections == {two}


@of(maxclients=1)
def test_no_more_than_maxclients(peers: Peers) -> None:
    first, _ = peers.connect()
    second, sock = peers.connect()
    assert sock.told == MAX_CLIENTS.reply
    assert sock.closed
    assert peers.state.stats.rejected_connections == 1
    assert peers.state.stats.connections == 1
    second.connection_lost(None)
    first.connection_lost(None)
    _, third = peers.connect()
    assert not third.closed


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_protected_mode_lets_this_machine_in(peers: Peers, peer: str) -> None:
    _, sock = peers.connect(peer)
    assert not sock.closed


@pytest.mark.parametrize("peer", ["10.0.0.1", "::2", "::ffff:10.0.0.1", "1270.0.0.1"])
def test_protected_mode_keeps_others_out(peers: Peers, peer: str) -> None:
    connection, sock = peers.connect(peer)
    assert sock.told == PROTECTED
    assert PROTECTED.startswith(b"-DENIED ")
    assert PROTECTED.count(b"\n") == 1
    assert sock.closed
    connection.data_received(encode("SET", "k", "v"))
    assert peers.state.keyspace.databases[0].size == 0
    assert peers.state.clients == {}
    assert peers.state.stats.rejected_connections == 1


@of(requirepass="s3cret")
def test_a_password_is_protection_enough(peers: Peers) -> None:
    connection, sock = peers.connect("10.0.0.1")
    assert not sock.closed
    connection.data_received(encode("GET", "k"))
    assert sock.told == b"-NOAUTH Authentication required.\r\n"
    connection.data_received(encode("AUTH", "s3cret") + encode("GET", "k"))
    assert sock.told == b"+OK\r\n$-1\r\n"


@of(protected_mode=False)
def test_protected_mode_may_be_off(peers: Peers) -> None:
    _, sock = peers.connect("10.0.0.1")
    assert not sock.closed


def test_nobody_is_let_in_while_it_stops(peers: Peers) -> None:
    peers.server._closing = True
    _, sock = peers.connect()
    assert sock.told == SHUTTING_DOWN
    assert sock.closed


# What follows the configuration


@pytest.mark.parametrize(
    ("slower", "spike", "after", "exact"),
    [
        ("10000", "0", 0.01, False),
        ("-1", "0", float("inf"), False),
        ("0", "0", 0.0, True),
        ("-1", "100", 0.1, False),
        ("500000", "5", 0.005, True),
    ],
)
def test_slow_commands(peers: Peers, slower: str, spike: str, after: float, exact: bool) -> None:
    peers.state.config.set_many([("slowlog-log-slower-than", slower), ("latency-monitor-threshold", spike)])
    assert peers.state.slow_after == after
    assert peers.server._dispatcher.exact_timing == exact == (after < EXACT_BELOW)


def test_limits(peers: Peers) -> None:
    peers.state.config.set_many(
        [("proto-max-bulk-len", "1mb"), ("client-query-buffer-limit", "2mb"), ("slowlog-max-len", "7")]
    )
    assert peers.server._limits.max_bulk == 1 << 20
    assert peers.state.max_pending_input == 2 << 20
    assert peers.state.slowlog.entries.maxlen == 7
    connection, _ = peers.connect()
    peers.state.config.set_many([("client-output-buffer-limit", "normal 3mb 2mb 60")])
    assert connection.output_limit == (3 << 20, 2 << 20, 60)


def test_a_keepalive_that_the_kernel_does_not_take(peers: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Connection, seconds: int) -> None:
        raise OSError("Invalid argument")

    monkeypatch.setattr(Connection, "keep_alive", refuse)
    _, sock = peers.connect()
    assert not sock.closed


# Where it listens


def run(main: Any) -> None:
    asyncio.run(main)


def test_options() -> None:
    clock = Clock(lambda: 1_700_000_000_000)
    server = Server(port=0, clock=clock, hz=50, save=None)
    assert server.state.clock is clock
    assert server.config.bind == ("127.0.0.1",) or list(server.config.bind) == ["127.0.0.1"]
    assert server.config.hz == 50
    config = Config(DIRECTIVES)
    assert Server(config=config).config is config
    assert len(Server(port=0).state.run_id) == 40


@pytest.mark.parametrize(
    ("directives", "url"),
    [
        ({}, "redis://127.0.0.1:7"),
        ({"bind": "*"}, "redis://127.0.0.1:7"),
        ({"bind": "-::1 -127.0.0.1"}, "redis://127.0.0.1:7"),
        ({"bind": "::1"}, "redis://[::1]:7"),
        ({"bind": "::*"}, "redis://[::1]:7"),
        ({"bind": "10.1.2.3"}, "redis://10.1.2.3:7"),
        ({"requirepass": "a/b @:%"}, "redis://:a%2Fb%20%40%3A%25@127.0.0.1:7"),
    ],
)
def test_url(directives: dict[str, Any], url: str) -> None:
    server = Server(port=7, **directives)
    server.state.port = 7
    assert server.url == url


def test_one_free_port_for_all_addresses() -> None:
    async def main() -> None:
        async with Server(port=0, bind="127.0.0.1 127.0.0.2 -192.0.2.1") as server:
            names = {listener.sockets[0].getsockname() for listener in server._listeners.tcp}
            assert names == {("127.0.0.1", server.port), ("127.0.0.2", server.port)}

    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.2", 0))
    except OSError:
        pytest.skip("this machine has one address of its own only")
    run(main())


def test_other_addresses_while_it_runs() -> None:
    async def ping(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(encode("PING"))
        assert await reader.readexactly(7) == b"+PONG\r\n"
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with Server(port=0) as server, Server(port=0) as other:
            first = server.port
            reader, writer = await asyncio.open_connection("127.0.0.1", first)
            server.config.set_many([("bind", "*")])
            assert server.port == first
            await ping(first)
            with pytest.raises(SetError, match="Unable to listen on this port"):
                server.config.set_many([("port", str(other.port))])
            assert server.port == first
            await ping(first)
            server.config.set_many([("port", str(first))])
            await ping(first)
            server.config.set_many([("port", "0")])
            assert server.port == 0
            with pytest.raises(ConnectionRefusedError):
                await ping(first)
            server.config.set_many([("port", str(first))])
            server.config.set_many([("bind", "127.0.0.1")])  # before the loop has had its turn
            await ping(first)
            writer.write(encode("PING"))  # who was connected still is
            assert await reader.readexactly(7) == b"+PONG\r\n"
            writer.close()
            server.config.set_many([("port", str(first))])
            server.config.set_many([("bind", "*")])
        with pytest.raises(ConnectionRefusedError):
            await ping(first)

    run(main())


def test_it_stops_while_new_addresses_are_being_opened() -> None:
    async def main() -> None:
        async with Server(port=0) as server:
            server.config.set_many([("bind", "*")])
        assert server._listeners.tcp == []
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)

    run(main())


def test_reasons() -> None:
    assert (
        _reason(OSError(errno.EADDRINUSE, "error while attempting to bind on address ('127.0.0.1', 1)"))
        == "Address already in use"
    )
    assert _reason(socket.gaierror(-2, "Name or service not known")) == "Name or service not known"
    assert _reason(OSError("just a text")) == "just a text"


@pytest.mark.parametrize("how", ["stop", "shutdown"])
def test_the_end_while_data_is_loaded_and_another_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(loading, "SLICE", 0)

    async def test() -> None:
        directives: dict[str, Any] = {"dir": str(tmp_path), "save": ""}
        async with Server(port=0, **directives) as server:
            db = server.state.keyspace.databases[0]
            db.set_all([b"key %d" % number for number in range(20_000)])
            server.state.saving.save()
        server = Server(port=0, **directives)
        starting = asyncio.create_task(server.start())
        while not server.state.keyspace.databases[0].size:
            await asyncio.sleep(0)
        assert server.state.loading is not None
        if how == "stop":
            await server.stop()
            assert server.state.loading is None
        else:
            server.state.shutdown()
        await starting
        assert server._cron._tick is None
        assert server.state.keyspace.databases[0].size == 0
        monkeypatch.undo()
        await server.start()
        assert server.state.keyspace.databases[0].size == 10_000
        await server.stop()

    asyncio.run(asyncio.wait_for(test(), 20))

from __future__ import annotations

from collections.abc import Iterator

import pytest

from respcache.peer import address
from tests.unit.test_connection import Peers, Socket
from tests.wire import encode

LIMITS = {"client_output_buffer_limit": ("normal", "1000", "100", "5")}


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers(**LIMITS)
    yield made
    made.state.loop.close()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (("127.0.0.1", 80), b"127.0.0.1:80"),
        (("::1", 80, 0, 0), b"[::1]:80"),
        ("", b""),
        (None, b""),
    ],
)
def test_address(name: object, text: bytes) -> None:
    assert address(name) == text


def test_what_is_sent_stands_behind_what_was_replied(peers: Peers) -> None:
    connection, sock = peers.connect()
    connection.out = []
    connection.send(b"a")
    assert sock.told == b""
    connection.relieve()
    connection.out = None
    connection.send(b"b")
    assert sock.told == b"ab"
    assert connection.client.net_output == 2


def _waiting(peers: Peers, size: int) -> tuple[bool, Socket]:
    connection, sock = peers.connect()
    sock.waiting = size
    connection.check_output(100.0)
    connection.check_output(104.0)
    early = sock.aborted
    connection.check_output(106.0)
    return early, sock


def test_over_the_hard_limit_a_client_goes_at_once(peers: Peers) -> None:
    early, _ = _waiting(peers, 1000)
    assert early
    assert peers.state.stats.output_limit_disconnections == 1


def test_over_the_soft_limit_it_has_time(peers: Peers) -> None:
    early, sock = _waiting(peers, 100)
    assert not early
    assert sock.aborted


def test_below_the_soft_limit_it_stays(peers: Peers) -> None:
    _, sock = _waiting(peers, 99)
    assert not sock.closed


def test_the_soft_limit_counts_from_the_last_time_it_was_passed(peers: Peers) -> None:
    connection, sock = peers.connect()
    sock.waiting = 100
    connection.check_output(100.0)
    connection.resume_writing()
    connection.check_output(104.0)
    connection.check_output(106.0)
    assert not sock.closed


def test_a_peer_that_falls_behind_is_looked_at_with_each_write(peers: Peers) -> None:
    connection, sock = peers.connect()
    connection.pause_writing()
    sock.waiting = 5000
    connection.data_received(encode("PING"))
    assert sock.aborted


def test_nothing_is_written_to_who_is_gone(peers: Peers) -> None:
    connection, sock = peers.connect()
    connection.connection_lost(None)
    connection.send(b"x")
    assert sock.told == b""
    assert (connection.fd, connection.output_pending) == (-1, 0)


def test_who_says_no_more_takes_no_more(peers: Peers) -> None:
    """Its replies are still sent, which may take long if it is slow."""
    (one, told), (two, _) = peers.connect(), peers.connect()
    words = (("HELLO", "3"), ("SUBSCRIBE", "c"), ("MONITOR",), ("BLPOP", "k", "0"))
    one.data_received(b"".join(encode(*each) for each in words))
    assert told.told
    told.waiting = 100
    one.eof_received()
    assert told.closed and not told.aborted
    two.data_received(encode("RPUSH", "k", "v") + encode("PUBLISH", "c", "m") + encode("PING"))
    peers.turn()
    assert told.told == b""
    assert two.client.db.peek(b"k") is not None
    assert not (peers.state.waiting.count or peers.state.pubsub.channels or peers.state.monitors.clients)
    assert one.client.id in peers.state.clients, "it is there until all is sent"
    one.connection_lost(None)
    assert one.client.id not in peers.state.clients


def test_replies_at_the_gate_are_sent_to_who_says_no_more(peers: Peers) -> None:
    connection, sock = peers.connect()
    assert not connection.eof_received()
    connection, sock = peers.connect()
    gate = peers.state.gate
    connection.pass_gate(True)
    gate.shut = True
    connection.data_received(encode("PING"))
    assert connection.eof_received(), "else asyncio closes the transport"
    assert (sock.told, sock.closed) == (b"", False)
    gate.open()
    assert (sock.told, sock.closed) == (b"+PONG\r\n", True)


def test_what_waits_at_the_gate_is_output(peers: Peers) -> None:
    connection, sock = peers.connect()
    gate = peers.state.gate
    connection.output_limit = (50_000, 0, 0)
    connection.pass_gate(True)
    connection.data_received(encode("SET", "big", "x" * 20_000))
    gate.shut = True
    connection.data_received(encode("GET", "big") * 2)
    assert not sock.aborted
    assert 40_000 < connection.output_pending == gate.size
    gate.open()
    assert connection.output_pending == 0
    assert len(sock.told) > 40_000
    gate.shut = True
    connection.data_received(encode("GET", "big") * 100)
    assert sock.aborted
    assert gate.size < 100_000
    assert peers.state.stats.output_limit_disconnections == 1
    gate.open()
    assert sock.told == b""

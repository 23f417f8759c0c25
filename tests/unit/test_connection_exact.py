"""The fast way and the careful way give the same answers, whatever kinds of frames come in and however they are cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from respcache.connection import Connection
from tests.unit.test_connection import Peers, Socket
from tests.wire import encode

WORDS = st.sampled_from(["PING", "ECHO", "GET", "k", "", "+x", "=y", "\n(1", "*3", "a\r\n*1\r\nb"])
REQUESTS = st.lists(WORDS, min_size=1, max_size=4).map(lambda words: encode(*words))
KINDS = st.sampled_from(
    [b"+", b"-", b":", b"$", b"*", b"_", b"#", b",", b"(", b"=", b"%", b"~", b">", b"|", b"!"]
)
FOREIGN = st.builds(
    lambda outer, kind, rest: outer + kind + rest,
    st.sampled_from([b"", b"*1\r\n", b"*2\r\n$4\r\nECHO\r\n", b"*2\r\n$4\r\nPING\r\n$1\r\na\r\n"]),
    KINDS,
    st.sampled_from(
        [
            b"1\r\n",
            b"12\r\n",
            b"1\r\n$4\r\nPING\r\n",
            b"-1\r\n",
            b"t\r\n",
            b"1.5\r\n",
            b"7\r\ntxt:abc\r\n",
            b"99999999\r\n",
        ]
    ),
)
PIECES = st.lists(st.one_of(REQUESTS, REQUESTS, FOREIGN, st.just(b"PING\r\n")), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.state.loop.close()


class CarefulConnection(Connection):
    """Never takes the fast way."""

    __slots__ = ()

    def _run(self, data: bytes) -> None:
        self._go_careful(data)

    _run_one = _run


def carefully(peers: Peers, data: bytes) -> tuple[bytes, bool]:
    """What is said by a connection that never takes the fast way, and whether it hangs up."""
    server = peers.server
    connection, sock = CarefulConnection(server.state, server._limits, False, server._lost), Socket()
    connection.connection_made(sock)  # type: ignore[arg-type]
    connection.data_received(data)
    return sock.told, sock.closed


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(PIECES, st.lists(st.integers(0, 60), max_size=4))
def test_all_ways_give_the_same_answer(peers: Peers, frames: list[bytes], cuts: list[int]) -> None:
    data = b"".join(frames)
    expected = carefully(peers, data)
    connection, sock = peers.connect()
    at = 0
    for size in cuts:
        if data[at : at + size] and not sock.closed:
            connection.data_received(data[at : at + size])
        at += size
    if data[at:] and not sock.closed:
        connection.data_received(data[at:])
    assert (sock.told, sock.closed) == expected

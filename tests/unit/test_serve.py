"""Who is served, in which order, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from respcache.connection import Connection
from respcache.protocol.errors import SYNTAX
from respcache.protocol.reply import bulk
from respcache.serve import serve
from respcache.state import Client
from tests.unit.test_connection import Peers, Socket
from tests.wire import encode


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    yield made
    made.state.loop.close()


class Guest:
    """A connection that waits, by a command made here, for the key `k` to hold a string, and takes it."""

    def __init__(
        self,
        peers: Peers,
        take: Callable[[Client], bytes | None] | None = None,
        gone: bool = False,
        team: str | None = None,
    ) -> None:
        self.connection, self.socket = peers.connect()
        client = self.client = self.connection.client
        entry = client.table[b"get"]
        plain = entry.run

        def attempt() -> bytes | None:
            if take is not None:
                return take(client)
            value = client.db.peek(b"k")
            if value is None:
                return None
            client.db.delete(b"k")
            return bulk(value)

        def blocking(c: Client, _key: bytes) -> bytes:
            return c.block(b"string", [b"k"], 0, attempt, b"*-1\r\n", gone, team)

        entry.run = blocking
        self.connection.data_received(encode("GET", "k") + encode("PING"))
        entry.run = plain


def write(peers: Peers) -> tuple[Connection, Socket]:
    """Another connection, whose first command makes the key."""
    made = peers.connect()
    made[0].data_received(encode("SET", "k", "v") + encode("EXISTS", "k"))
    return made


def test_first_come_first_served_before_the_next_command(peers: Peers) -> None:
    first, second = Guest(peers), Guest(peers)
    assert first.client.paused and first.client.waiter is not None
    _, sock = write(peers)
    assert sock.told == b"+OK\r\n:0\r\n"
    assert first.socket.told == b"$1\r\nv\r\n"
    assert not second.socket.told
    peers.turn()
    assert first.socket.told == b"+PONG\r\n", "what came behind runs when the writer is done"
    assert not first.client.paused and first.client.waiter is None
    write(peers)
    assert second.socket.told == b"$1\r\nv\r\n"


def test_after_a_transaction_only(peers: Peers) -> None:
    guest = Guest(peers)
    connection, sock = peers.connect()
    words = (("MULTI",), ("SET", "k", "v"), ("EXISTS", "k"), ("EXEC",))
    connection.data_received(b"".join(encode(*each) for each in words))
    assert sock.told.endswith(b"*2\r\n+OK\r\n:1\r\n")
    assert guest.socket.told == b"$1\r\nv\r\n"


def test_nobody_waits_inside_of_a_transaction(peers: Peers) -> None:
    connection, _ = peers.connect()
    peers.state.nested = True
    assert connection.client.block(b"list", [b"k"], 0, lambda: None, b"nothing") == b"nothing"


def test_an_error_is_a_reply(peers: Peers) -> None:
    def fail(_client: Client) -> bytes:
        raise SYNTAX

    guest = Guest(peers, fail)
    write(peers)
    assert guest.socket.told == SYNTAX.reply
    assert SYNTAX.__traceback__ is None


def test_a_value_of_another_type_is_nothing(peers: Peers) -> None:
    calls: list[Client] = []
    Guest(peers, calls.append)
    seeker = Guest(peers, calls.append, gone=True)
    db = peers.state.keyspace.databases[0]
    db.set(b"k", {})
    serve(peers.state)
    assert calls == [seeker.client]
    db.delete(b"k")
    serve(peers.state)
    assert calls == [seeker.client] * 2


def test_what_is_in_vain_for_one_of_a_team_is_not_tried_by_the_others(peers: Peers) -> None:
    calls: list[Client] = []
    a, _, b, c = (Guest(peers, calls.append, team=team) for team in ("a", "a", "b", None))
    for _ in range(2):
        write(peers)
        assert calls == [a.client, b.client, c.client]
        calls.clear()
        peers.state.keyspace.databases[0].delete(b"k")


def test_many_are_served_in_the_order_in_which_they_came(peers: Peers) -> None:
    guests = [Guest(peers, (lambda _client: None) if number < 20 else None) for number in range(60)]
    for number in range(20, 60):
        write(peers)
        served = [guest.client.waiter is None for guest in guests]
        assert served == [20 <= at <= number for at in range(60)]


def test_who_is_served_may_serve_others(peers: Peers) -> None:
    def pass_on(client: Client) -> bytes:
        client.db.delete(b"k")
        client.db.set(b"k", b"w")
        return b"+passed\r\n"

    chain, end = Guest(peers, pass_on), Guest(peers)
    _, sock = write(peers)
    assert sock.told == b"+OK\r\n:0\r\n"
    assert chain.socket.told == b"+passed\r\n"
    assert end.socket.told == b"$1\r\nw\r\n"


def test_who_is_gone_waits_no_longer(peers: Peers) -> None:
    guest, other = Guest(peers), Guest(peers)
    guest.connection.connection_lost(None)
    other.connection.close(flush=False)
    assert peers.state.waiting.count == 0
    other.connection.connection_lost(None)
    _, sock = write(peers)
    assert sock.told == b"+OK\r\n:1\r\n"

"""One link that blocks: its state, and all that goes over it at once."""

from __future__ import annotations

import socket
import threading
from time import monotonic

import hiredis

from respcache.client.link import Link, converse
from respcache.client.request import Request
from tests.unit.client.fakes import FakeNode
from tests.unit.client.test_links import SOON, node_of


def test_more_than_buffers_hold_in_both_directions() -> None:
    """A node that answers while it reads, and reads no further until its answers are taken."""
    size, count = 20_000, 300

    def echo(connection: socket.socket) -> None:
        reader = hiredis.Reader()
        while data := connection.recv(1 << 14):
            reader.feed(data)
            while (command := reader.gets()) is not False:
                connection.sendall(b"$%d\r\n%b\r\n" % (len(command[1]), command[1]))

    with FakeNode(echo) as fake:
        request = Request(
            node_of(fake), [(b"ECHO", b"%05d" % number + b"x" * size) for number in range(count)]
        )
        link = Link(request.node, monotonic() + SOON)
        link.begin(request)
        converse([link], monotonic() + 30)
        link.close()
        assert request.failure is None
        assert [reply[:5] for reply in request.replies] == [b"%05d" % number for number in range(count)]


def test_a_link_knows_its_state() -> None:
    end = threading.Event()

    def deaf(connection: socket.socket) -> None:
        end.wait(SOON)

    with FakeNode(deaf) as fake:
        link = Link(node_of(fake), monotonic() + SOON)
        assert not link.closed
        assert not link.sending
        link.begin(Request(node_of(fake), [(b"SET", b"k", b"x" * 50_000_000)]))
        assert link.sending
        link.close()
        assert link.closed
        assert link.descriptor == -1
        end.set()

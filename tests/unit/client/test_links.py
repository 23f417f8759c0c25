"""Links that block: deadlines, nodes at the same time, links that were cut."""

from __future__ import annotations

import socket
import threading
from time import monotonic

import hiredis
import pytest

from respcache.client import DeadlineError, NodeError
from respcache.client.dial import dial
from respcache.client.links import Link, Links, ready
from respcache.client.node import Node, read_nodes
from respcache.client.request import Command, Request
from tests.unit.client.fakes import FakeNode, answering, hanging_up, hesitating, silent, trickling

SOON = 5.0
SLACK = 1.0  # of a machine that is busy


def node_of(fake: FakeNode) -> Node:
    (node,) = read_nodes([fake.name], {})
    return node


def asking(fake: FakeNode, *commands: Command) -> Request:
    return Request(node_of(fake), commands or [(b"PING",)])


def ask(links: Links, *requests: Request, seconds: float = SOON, repeatable: bool = True) -> float:
    """Seconds that it took."""
    start = monotonic()
    links.ask(requests, start + seconds, repeatable=repeatable)
    return monotonic() - start


def test_an_answer_and_the_next_on_the_same_link() -> None:
    links = Links()
    with FakeNode(answering(b"+PONG\r\n", b"$1\r\nx\r\n")) as fake:
        node = node_of(fake)
        first, second = Request(node, [(b"PING",)]), Request(node, [(b"GET", b"k")])
        ask(links, first)
        ask(links, second)
        assert first.replies == [b"PONG"]
        assert second.replies == [b"x"]
        assert fake.accepted == 1
        links.close()


def test_a_node_that_is_silent() -> None:
    links = Links()
    with FakeNode(silent) as fake, FakeNode(answering(b"+PONG\r\n")) as well:
        late, fine = asking(fake), asking(well)
        took = ask(links, late, fine, seconds=0.2)
        assert isinstance(late.failure, DeadlineError)
        assert fine.replies == [b"PONG"]
        assert 0.2 <= took < 0.2 + SLACK
        links.close()


def test_a_node_that_answers_for_ever() -> None:
    links = Links()
    with FakeNode(trickling) as fake:
        request = asking(fake)
        assert ask(links, request, seconds=0.2) < 0.2 + SLACK
        assert isinstance(request.failure, DeadlineError)


def test_nobody_listens() -> None:
    with FakeNode(silent) as fake:
        request = asking(fake)
    assert ask(Links(), request) < SLACK
    assert isinstance(request.failure, NodeError)
    assert not isinstance(request.failure, TimeoutError)


def test_a_node_that_cannot_be_reached_takes_no_time_from_the_others() -> None:
    links = Links()
    # A full backlog: what connects waits, as for a machine that is gone.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, FakeNode(answering(b"+PONG\r\n")) as well:
        address = full.getsockname()
        waiting: list[socket.socket] = []
        for _ in range(4):
            probe = socket.socket()
            probe.setblocking(False)
            probe.connect_ex(address)
            waiting.append(probe)
        (node,) = read_nodes([address], {})
        gone, fine = Request(node, [(b"PING",)]), asking(well)
        took = ask(links, gone, fine, seconds=0.3)
        for probe in waiting:
            probe.close()
        assert isinstance(gone.failure, DeadlineError)
        assert fine.replies == [b"PONG"]
        assert took < 0.3 + SLACK
    links.close()


def test_signing_in_takes_no_longer_than_the_deadline() -> None:
    with FakeNode(hesitating) as fake:
        (node,) = read_nodes([{"host": "127.0.0.1", "port": fake.port, "password": "x"}], {})
        request = Request(node, [(b"PING",)])
        assert ask(Links(), request, seconds=0.2) < 0.2 + SLACK
        assert isinstance(request.failure, DeadlineError)


def test_nothing_is_sent_when_it_took_too_long_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    over = threading.Event()
    dialling: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        heard.append(connection.recv(1 << 16))
        over.set()

    def late(node: Node, seconds: float) -> socket.socket:
        dialling.append(threading.current_thread())
        opened = dial(node, SOON)
        threading.Event().wait(seconds + 0.05)
        return opened

    monkeypatch.setattr("respcache.client.links.dial", late)
    with FakeNode(serve) as fake:
        request = asking(fake, (b"SET", b"k", b"old"))
        ask(Links(), request, seconds=0.1)
        failure = request.failure
        assert isinstance(failure, DeadlineError)
        assert over.wait(SOON)
        assert heard == [b""]
        dialling[0].join(SOON)
        assert request.failure is failure  # who asked has it already


def test_no_time_left() -> None:
    with FakeNode(answering(b"+PONG\r\n")) as fake:
        request = asking(fake)
        ask(Links(), request, seconds=-1)
        assert isinstance(request.failure, DeadlineError)
        assert fake.accepted == 0


def test_what_is_no_redis() -> None:
    with FakeNode(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as fake:
        request = asking(fake)
        ask(Links(), request)
        assert "Protocol error" in str(request.failure)


def once(connection: socket.socket) -> None:
    """Answers the first, hangs up at the second."""
    connection.recv(1 << 16)
    connection.sendall(b"+PONG\r\n")
    connection.recv(1 << 16)


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_link_that_is_cut_under_the_request(repeatable: bool) -> None:
    links = Links()
    with FakeNode(once) as fake:
        node = node_of(fake)
        ask(links, Request(node, [(b"PING",)]))
        request = Request(node, [(b"PING",)])
        ask(links, request, repeatable=repeatable)
        assert (request.replies == [b"PONG"]) is repeatable
        assert (request.failure is None) is repeatable
        assert fake.accepted == (2 if repeatable else 1)
        links.close()


def test_a_fresh_link_that_is_cut_is_a_failure() -> None:
    with FakeNode(hanging_up) as fake:
        request = asking(fake)
        ask(Links(), request)
        assert isinstance(request.failure, NodeError)
        assert fake.accepted == 1


def test_an_idle_link_that_was_cut_is_not_used() -> None:
    cut = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"+PONG\r\n")
        cut.wait(SOON)

    links = Links()
    with FakeNode(serve) as fake:
        ask(links, asking(fake))
        (link,) = links._idle[next(iter(links._idle))]
        cut.set()
        assert ready([link], SOON)  # its end has arrived
        request = Request(next(iter(links._idle)), [(b"INCR", b"n")])
        ask(links, request, repeatable=False)
        assert request.replies == [b"PONG"]
        assert fake.accepted == 2
        links.close()


def test_more_than_buffers_hold_in_both_directions() -> None:
    """A node that answers while it reads, and reads no further until its answers are taken."""
    size, count = 20_000, 300

    def echo(connection: socket.socket) -> None:
        reader = hiredis.Reader()
        while data := connection.recv(1 << 14):
            reader.feed(data)
            while (command := reader.gets()) is not False:
                connection.sendall(b"$%d\r\n%b\r\n" % (len(command[1]), command[1]))

    links = Links()
    with FakeNode(echo) as fake:
        request = Request(
            node_of(fake), [(b"ECHO", b"%05d" % number + b"x" * size) for number in range(count)]
        )
        ask(links, request, seconds=30)
        assert request.failure is None
        assert [reply[:5] for reply in request.replies] == [b"%05d" % number for number in range(count)]
        links.close()


def test_threads_have_links_of_their_own() -> None:
    links = Links()
    with FakeNode(answering(b"+PONG\r\n")) as fake:
        node = node_of(fake)
        replies: list[object] = []

        def work() -> None:
            for _ in range(100):
                request = Request(node, [(b"PING",)])
                links.ask([request], monotonic() + SOON, repeatable=True)
                replies.extend(request.replies)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert replies == [b"PONG"] * 800
        assert fake.accepted <= 8
        links.close()
        assert links._idle[node] == []


def test_closed_links_are_not_kept() -> None:
    links = Links()
    with FakeNode(answering(b"+PONG\r\n")) as fake:
        links.close()
        request = asking(fake)
        ask(links, request)
        assert request.replies == [b"PONG"]
        assert links._idle[request.node] == []


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

"""Links that block: deadlines, nodes at the same time, links that were cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from time import monotonic

import pytest

from respcache.client import DeadlineError, LocalError, NodeError
from respcache.client.dial import dial
from respcache.client.link import ready
from respcache.client.links import Links
from respcache.client.node import Node, read_nodes
from respcache.client.request import Command, Request
from tests.unit.client.fakes import (
    FakeNode,
    answering,
    gated,
    hanging_up,
    hasty,
    hesitating,
    no_files,
    pouring,
    silent,
    swallowing,
    trickling,
)

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

    monkeypatch.setattr("respcache.client.link.dial", late)
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
        ((node, pool),) = links._pools.items()
        (link,) = pool._idle
        cut.set()
        assert ready([link], SOON)  # its end has arrived
        request = Request(node, [(b"INCR", b"n")])
        ask(links, request, repeatable=False)
        assert request.replies == [b"PONG"]
        assert fake.accepted == 2
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
        assert links.pool(node)._idle == []


def test_closed_links_are_not_kept() -> None:
    links = Links()
    with FakeNode(answering(b"+PONG\r\n")) as fake:
        links.close()
        request = asking(fake)
        ask(links, request)
        assert request.replies == [b"PONG"]
        assert links.pool(request.node)._idle == []


def in_threads(links: Links, requests: list[Request], seconds: float = SOON) -> list[threading.Thread]:
    """Ask each in a thread of its own; they arrive in order."""
    threads = []
    for request in requests:
        pool = links.pool(request.node)
        before = len(pool._waiting), pool._taken
        thread = threading.Thread(target=ask, args=(links, request), kwargs={"seconds": seconds})
        thread.start()
        threads.append(thread)
        until(lambda: (len(pool._waiting), pool._taken) != before)  # noqa: B023
    return threads


def until(true: Callable[[], bool]) -> None:
    deadline = monotonic() + SOON
    while not true():
        assert monotonic() < deadline
        threading.Event().wait(0.001)


def test_no_more_links_than_allowed_and_first_come_first_served() -> None:
    links = Links(1)
    open_gate, serve, heard = gated()
    with FakeNode(serve) as fake:
        node = node_of(fake)
        requests = [Request(node, [(b"ECHO", b"%d" % number)]) for number in range(8)]
        threads = in_threads(links, requests)
        assert len(links.pool(node)._waiting) == 7
        open_gate.set()
        for thread in threads:
            thread.join()
        assert all(request.replies == [b"PONG"] for request in requests)
        assert fake.accepted == 1
        assert heard == [b"%d" % number for number in range(8)]
        links.close()
        assert links.pool(node)._taken == 0


def test_a_wait_for_a_link_ends_and_is_not_the_nodes_fault() -> None:
    links = Links(1)
    open_gate, serve, _ = gated()
    with FakeNode(serve) as fake:
        node = node_of(fake)
        first, second, third = (Request(node, [(b"ECHO", b"x")]) for _ in range(3))
        (thread,) = in_threads(links, [first])
        assert 0.1 <= ask(links, second, seconds=0.1) < 0.1 + SLACK
        assert isinstance(second.failure, DeadlineError)
        assert not second.blames(0.1)
        open_gate.set()
        thread.join()
        ask(links, third)
        assert first.replies == third.replies == [b"PONG"]
        assert fake.accepted == 1
        links.close()


def test_who_waits_is_told_when_no_link_can_be_opened() -> None:
    links = Links(1)
    with FakeNode(silent) as fake:
        node = node_of(fake)
    pool = links.pool(node)
    assert pool.take(monotonic() + SOON) is None  # the place; now others wait
    requests = [Request(node, [(b"PING",)]) for _ in range(3)]
    threads = in_threads(links, requests)
    assert not pool.fail(NodeError(node.name, "refused"))
    for thread in threads:
        thread.join()
    assert [request.failure is not None and request.failure.reason for request in requests] == ["refused"] * 3
    assert not any(request.blames(0.0) for request in requests)
    assert pool._taken == 0


def test_the_place_of_a_link_that_failed_is_given_on() -> None:
    links = Links(1)
    with FakeNode(silent) as fake:
        node = node_of(fake)
        requests = [Request(node, [(b"PING",)]) for _ in range(3)]
        threads = in_threads(links, requests[:1], seconds=0.2)
        threads += in_threads(links, requests[1:], seconds=0.4)
        for thread in threads:
            thread.join()
        assert fake.accepted == 2
        until(lambda: links.pool(node)._taken == 0)


def test_without_files_the_links_that_are_open_serve_all() -> None:
    links = Links(5)
    open_gate, serve, heard = gated()
    with FakeNode(serve) as fake:
        node = node_of(fake)
        requests = [Request(node, [(b"ECHO", b"x")]) for _ in range(6)]
        threads = in_threads(links, requests[:1])
        until(lambda: len(heard) == 1)
        with no_files():
            pool = links.pool(node)
            for number, request in enumerate(requests[1:], 1):
                thread = threading.Thread(target=ask, args=(links, request))
                thread.start()
                threads.append(thread)
                until(lambda: len(pool._waiting) == number)  # noqa: B023
            open_gate.set()
            for thread in threads:
                thread.join()
        assert all(request.replies == [b"PONG"] for request in requests)
        assert fake.accepted == 1
        links.close()


def test_without_files_and_links_nobody_is_to_blame() -> None:
    with FakeNode(silent) as fake, no_files():
        request = asking(fake)
        ask(Links(), request)
        assert isinstance(request.failure, LocalError)
        assert not request.blames(0.0)


def test_without_threads_nobody_is_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    links = Links(1)
    with FakeNode(answering(b"+PONG\r\n")) as fake:
        node = node_of(fake)
        for _ in range(2):
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", start)
                request = Request(node, [(b"PING",)])
                ask(links, request)
                assert isinstance(request.failure, LocalError)
        request = Request(node, [(b"PING",)])
        ask(links, request)
        assert request.replies == [b"PONG"]
        links.close()


def test_a_signal_that_raises_costs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    links = Links(1)
    with FakeNode(answering(b"+PONG\r\n")) as fake:
        node = node_of(fake)
        ask(links, Request(node, [(b"PING",)]))
        with monkeypatch.context() as patch:
            patch.setattr("respcache.client.links.converse", interrupted)
            with pytest.raises(KeyboardInterrupt):
                ask(links, Request(node, [(b"PING",)]))
        request = Request(node, [(b"PING",)])
        ask(links, request)
        assert request.replies == [b"PONG"]
        assert fake.accepted == 2
        links.close()


def test_a_deadline_holds_while_much_is_sent_and_received() -> None:
    links = Links()
    with FakeNode(swallowing) as deep, FakeNode(pouring) as wide:
        for request in (asking(deep, (b"SET", b"k", bytes(400_000_000))), asking(wide)):
            assert ask(links, request, seconds=0.05) < 0.5
            assert isinstance(request.failure, DeadlineError)
            assert not request.blames(0.05)


def test_an_answer_that_comes_too_early_ends_the_link() -> None:
    links = Links()
    with FakeNode(hasty) as fake:
        request = asking(fake, (b"SET", b"k", bytes(50_000_000)))
        ask(links, request)
        assert str(request.replies[0]) == "ERR too long"
        assert links.pool(request.node)._taken == 0

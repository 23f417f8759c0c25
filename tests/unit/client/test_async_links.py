"""Links of an event loop: deadlines, nodes at the same time, links that were cut, cancellation."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from respcache.client import DeadlineError, LocalError, NodeError
from respcache.client.async_links import AsyncLinks
from respcache.client.request import Request
from tests.unit.client.fakes import (
    FakeNode,
    answering,
    gated,
    hanging_up,
    hasty,
    no_files,
    pouring,
    silent,
    swallowing,
    trickling,
)
from tests.unit.client.test_links import SLACK, SOON, asking, node_of, once


async def ask(links: AsyncLinks, *requests: Request, seconds: float = SOON, repeatable: bool = True) -> float:
    """Seconds that it took."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    await links.ask(requests, start + seconds, repeatable=repeatable)
    return loop.time() - start


def test_an_answer_and_the_next_on_the_same_link() -> None:
    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(answering(b"+PONG\r\n", b"$1\r\nx\r\n")) as fake:
            node = node_of(fake)
            first, second = Request(node, [(b"PING",)]), Request(node, [(b"GET", b"k")])
            await ask(links, first)
            await ask(links, second)
            assert first.replies == [b"PONG"]
            assert second.replies == [b"x"]
            assert fake.accepted == 1
            await links.close()

    asyncio.run(main())


@pytest.mark.parametrize("trouble", [silent, trickling])
def test_a_node_that_does_not_come_to_an_end(trouble: object) -> None:
    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(trouble) as fake, FakeNode(answering(b"+PONG\r\n")) as well:  # type: ignore[arg-type]
            late, fine = asking(fake), asking(well)
            took = await ask(links, late, fine, seconds=0.2)
            assert isinstance(late.failure, DeadlineError)
            assert fine.replies == [b"PONG"]
            assert 0.19 <= took < 0.2 + SLACK
            await links.close()

    asyncio.run(main())


def test_nobody_listens() -> None:
    async def main() -> None:
        with FakeNode(silent) as fake:
            request = asking(fake)
        assert await ask(AsyncLinks(), request) < SLACK
        assert isinstance(request.failure, NodeError)
        assert not isinstance(request.failure, TimeoutError)

    asyncio.run(main())


@pytest.mark.parametrize("serve", [hanging_up, answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")])
def test_a_fresh_link_that_fails(serve: object) -> None:
    async def main() -> None:
        with FakeNode(serve) as fake:  # type: ignore[arg-type]
            request = asking(fake)
            await ask(AsyncLinks(), request)
            assert isinstance(request.failure, NodeError)
            assert fake.accepted == 1

    asyncio.run(main())


@pytest.mark.parametrize("repeatable", [True, False])
def test_a_link_that_is_cut_under_the_request(repeatable: bool) -> None:
    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(once) as fake:
            node = node_of(fake)
            await ask(links, Request(node, [(b"PING",)]))
            request = Request(node, [(b"PING",)])
            await ask(links, request, repeatable=repeatable)
            assert (request.replies == [b"PONG"]) is repeatable
            assert (request.failure is None) is repeatable
            await links.close()

    asyncio.run(main())


def test_a_cancelled_request_leaves_no_reply_behind() -> None:
    def slow(connection: socket.socket) -> None:
        while data := connection.recv(1 << 16):
            if b"LATE" not in data:
                connection.sendall(b"+PONG\r\n")

    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(slow) as fake:
            node = node_of(fake)
            await ask(links, Request(node, [(b"PING",)]))
            task = asyncio.create_task(ask(links, Request(node, [(b"LATE",)])))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            request = Request(node, [(b"PING",)])
            await ask(links, request)
            assert request.replies == [b"PONG"]
            assert fake.accepted == 2
            await links.close()

    asyncio.run(main())


def test_tasks_have_links_of_their_own() -> None:
    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(answering(b"+PONG\r\n")) as fake:
            node = node_of(fake)
            requests = [Request(node, [(b"PING",)]) for _ in range(20)]
            await asyncio.gather(*(ask(links, request) for request in requests))
            assert all(request.replies == [b"PONG"] for request in requests)
            assert fake.accepted == 20
            await links.close()

    asyncio.run(main())


def test_no_more_links_than_allowed_and_first_come_first_served() -> None:
    async def main() -> None:
        links = AsyncLinks(1)
        open_gate, serve, heard = gated()
        with FakeNode(serve) as fake:
            node = node_of(fake)
            requests = [Request(node, [(b"ECHO", b"%d" % number)]) for number in range(50)]
            tasks = [asyncio.create_task(ask(links, request)) for request in requests]
            await asyncio.sleep(0)
            tasks[20].cancel()
            open_gate.set()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert tasks[20].cancelled()
            assert [bool(request.replies) for request in requests] == [number != 20 for number in range(50)]
            assert fake.accepted == 1
            assert heard == [b"%d" % number for number in range(50) if number != 20]
            await links.close()
            assert links.pool(node)._taken == 0

    asyncio.run(main())


def test_a_wait_for_a_link_ends_and_is_not_the_nodes_fault() -> None:
    async def main() -> None:
        links = AsyncLinks(1)
        open_gate, serve, _ = gated()
        with FakeNode(serve) as fake:
            node = node_of(fake)
            first, second, third = (Request(node, [(b"ECHO", b"x")]) for _ in range(3))
            task = asyncio.create_task(ask(links, first))
            await asyncio.sleep(0)
            assert 0.09 <= await ask(links, second, seconds=0.1) < 0.1 + SLACK
            assert isinstance(second.failure, DeadlineError)
            assert not second.blames(0.1)
            open_gate.set()
            await task
            await ask(links, third)
            assert first.replies == third.replies == [b"PONG"]
            assert fake.accepted == 1
            await links.close()

    asyncio.run(main())


def test_a_turn_that_comes_with_a_cancellation_is_given_on() -> None:
    async def main() -> None:
        links = AsyncLinks(1)
        with FakeNode(answering(b"+PONG\r\n")) as fake:
            node = node_of(fake)
            pool = links.pool(node)
            assert await pool.take(asyncio.get_running_loop().time() + SOON) is None
            waiting = asyncio.create_task(pool.take(asyncio.get_running_loop().time() + SOON))
            await asyncio.sleep(0)
            pool.leave()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert pool._taken == 0

    asyncio.run(main())


def test_cancelled_at_any_moment_costs_no_place() -> None:
    async def main() -> None:
        links = AsyncLinks(3)
        with FakeNode(answering(b"+PONG\r\n")) as fake:
            node = node_of(fake)
            for moment in range(40):
                tasks = [asyncio.create_task(ask(links, Request(node, [(b"PING",)]))) for _ in range(10)]
                for _ in range(moment):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                request = Request(node, [(b"PING",)])
                await ask(links, request)
                assert request.replies == [b"PONG"]
            pool = links.pool(node)
            assert pool._taken == len(pool._idle)
            await links.close()

    asyncio.run(main())


def test_who_waits_is_told_when_no_link_can_be_opened() -> None:
    async def main() -> None:
        links = AsyncLinks(1)
        with FakeNode(silent) as fake:
            node = node_of(fake)
        requests = [Request(node, [(b"PING",)]) for _ in range(100)]
        start = time.monotonic()
        await asyncio.gather(*(ask(links, request) for request in requests))
        assert time.monotonic() - start < SLACK
        assert all(isinstance(request.failure, NodeError) for request in requests)
        assert sum(request.blames(0.0) for request in requests) == 1
        assert links.pool(node)._taken == 0

    asyncio.run(main())


def test_without_files_the_links_that_are_open_serve_all() -> None:
    async def main() -> None:
        links = AsyncLinks(5)
        with FakeNode(answering(b"+PONG\r\n")) as fake:
            node = node_of(fake)
            await ask(links, Request(node, [(b"PING",)]))
            requests = [Request(node, [(b"PING",)]) for _ in range(100)]
            with no_files():
                await asyncio.gather(*(ask(links, request) for request in requests))
            assert all(request.replies == [b"PONG"] for request in requests)
            assert fake.accepted == 1
            await links.close()
            with no_files():
                request = Request(node, [(b"PING",)])
                await ask(links, request)
                assert isinstance(request.failure, LocalError)

    asyncio.run(main())


def test_a_loop_that_comes_late_takes_what_has_arrived() -> None:
    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(answering(b"+PONG\r\n")) as fake, FakeNode(silent) as late:
            here, gone = Request(node_of(fake), [(b"PING",)]), Request(node_of(late), [(b"PING",)])
            await ask(links, Request(here.node, [(b"PING",)]))
            await ask(links, Request(gone.node, [(b"PING",)]), seconds=0.05)
            tasks = [asyncio.create_task(ask(links, request, seconds=0.05)) for request in (here, gone)]
            await asyncio.sleep(0)
            time.sleep(0.2)
            await asyncio.gather(*tasks)
            assert here.replies == [b"PONG"]
            assert isinstance(gone.failure, DeadlineError)
            assert not gone.blames(0.05)
            await links.close()

    asyncio.run(main())


def test_a_deadline_holds_while_much_is_sent_and_received() -> None:
    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(swallowing) as deep, FakeNode(pouring) as wide:
            for request in (asking(deep, (b"SET", b"k", bytes(400_000_000))), asking(wide)):
                assert await ask(links, request, seconds=0.05) < 0.5
                assert isinstance(request.failure, DeadlineError)
                assert not request.blames(0.05)

    asyncio.run(main())


def test_an_idle_link_that_hears_something_is_not_used_again() -> None:
    more: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        more.append(connection)
        while connection.recv(1 << 16):
            connection.sendall(b"+PONG\r\n")

    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(serve) as fake:
            node = node_of(fake)
            await ask(links, Request(node, [(b"PING",)]))
            (link,) = links.pool(node)._idle
            more[0].sendall(b"+late\r\n")
            async with asyncio.timeout(SOON):
                while link.whole:
                    await asyncio.sleep(0.001)
            request = Request(node, [(b"PING",)])
            await ask(links, request)
            assert request.replies == [b"PONG"]
            assert fake.accepted == 2
            await links.close()

    asyncio.run(main())


def test_an_answer_that_comes_too_early_ends_the_link() -> None:
    async def main() -> None:
        links = AsyncLinks()
        with FakeNode(hasty) as fake:
            request = asking(fake, (b"SET", b"k", bytes(50_000_000)))
            await ask(links, request)
            assert str(request.replies[0]) == "ERR too long"
            assert links.pool(request.node)._taken == 0
            assert fake.accepted == 1

    asyncio.run(main())

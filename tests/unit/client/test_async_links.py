"""Links of an event loop: deadlines, nodes at the same time, links that were cut, cancellation."""

from __future__ import annotations

import asyncio
import socket

import pytest

from respcache.client import DeadlineError, NodeError
from respcache.client.async_links import AsyncLinks
from respcache.client.request import Request
from tests.unit.client.fakes import FakeNode, answering, hanging_up, silent, trickling
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

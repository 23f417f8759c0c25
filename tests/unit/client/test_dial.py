"""Connections that redis-py opens, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

import respcache
from respcache.client import CacheError, DeadlineError, LocalError, NodeError, ReplyError
from respcache.client.dial import check, dial, dial_async
from respcache.client.node import Node, NodeLike, read_nodes
from tests.unit.client.fakes import FakeNode, answering, hanging_up, no_files, silent

SOON = 5.0


def dialled(node: NodeLike, seconds: float = SOON) -> bytes:
    """What a node says to PING on a connection dialled, after the garbage was collected."""
    (read,) = read_nodes([node], {})
    opened = dial(read, seconds)
    gc.collect()
    with opened:
        opened.setblocking(True)
        opened.sendall(b"PING\r\n")
        return opened.recv(100)


def dialled_async(node: NodeLike, seconds: float = SOON) -> bytes:
    """The same in an event loop."""

    async def main() -> bytes:
        (read,) = read_nodes([node], {})
        reader, writer = await dial_async(read, seconds)
        gc.collect()
        writer.write(b"PING\r\n")
        reply = await reader.readline()
        writer.close()
        await writer.wait_closed()
        return reply

    return asyncio.run(main())


Dialled = Callable[..., bytes]
both = pytest.mark.parametrize("dialled", [dialled, dialled_async])


@both
def test_signed_in(dialled: Dialled) -> None:
    with respcache.start(port=0, requirepass="secret") as server:
        for options in ({"password": "secret"}, {"username": "default", "password": "secret", "protocol": 3}):
            assert dialled({"host": "127.0.0.1", "port": server.port, "db": 1, **options}) == b"+PONG\r\n"
        with pytest.raises(ReplyError, match=r"(?i)invalid|wrong"):
            dialled({"host": "127.0.0.1", "port": server.port, "password": "guess"})


@both
def test_nothing_is_said_without_need(dialled: Dialled) -> None:
    with FakeNode(answering(b"+first\r\n")) as fake:
        assert dialled(fake.name) == b"+first\r\n"


@both
@pytest.mark.parametrize(
    ("serve", "kind"),
    [
        (silent, DeadlineError),
        (hanging_up, NodeError),
        (answering(b"-LOADING Redis is loading the dataset in memory\r\n"), NodeError),
        (answering(b"-WRONGPASS invalid username-password pair\r\n"), ReplyError),
    ],
)
def test_what_goes_wrong(dialled: Dialled, serve: Any, kind: type[CacheError]) -> None:
    with FakeNode(serve) as fake, pytest.raises(kind) as caught:
        dialled({"host": "127.0.0.1", "port": fake.port, "password": "x"}, 0.2)
    assert type(caught.value) is kind


@both
def test_a_name_that_is_none(dialled: Dialled) -> None:
    with pytest.raises(NodeError, match="idna"):
        dialled("a..b:1")


@pytest.mark.parametrize("url", ["redis://nowhere", "rediss://nowhere", "unix:///nowhere"])
def test_options_that_redis_py_does_not_know(url: str) -> None:
    (node,) = read_nodes([url], {"pasword": "x"})
    with pytest.raises(TypeError, match="no option 'pasword': did you mean 'password'"):
        check(node)
    (node,) = read_nodes([{"url": url, "name": "a", "weigth": 1}], {})
    with pytest.raises(TypeError, match="node a has no option 'weigth': did you mean 'weight'"):
        check(node)
    (node,) = read_nodes([url], {"zzz": 1})
    with pytest.raises(TypeError, match=r"no option 'zzz'$"):
        check(node)


def test_no_file_left() -> None:
    async def main(node: Node) -> None:
        with no_files(), pytest.raises(LocalError, match="Too many open files"):
            await dial_async(node, SOON)

    with FakeNode(silent) as fake:
        (node,) = read_nodes([fake.name], {})
        with no_files(), pytest.raises(LocalError, match="Too many open files"):
            dial(node, SOON)
        asyncio.run(main(node))


def test_a_cancelled_dial_leaves_nothing_open() -> None:
    async def main() -> None:
        with FakeNode(silent) as fake:
            (node,) = read_nodes([{"host": "127.0.0.1", "port": fake.port, "password": "x"}], {})
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await dial_async(node, SOON)
            await asyncio.sleep(0)
        gc.collect()  # an open transport would warn, and a warning is an error here

    asyncio.run(main())

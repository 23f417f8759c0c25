"""The client of event loops: its own duties, on a server in this process."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
from collections.abc import Iterator

import pytest

import respcache
from respcache.client import AsyncCacheClient, CacheClient, CacheError
from respcache.client.operations import Operations
from respcache.client.request import Request
from tests.unit.client.fakes import FakeNode, answering

SOON = 10.0


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    with respcache.start(port=0) as server:
        yield f"127.0.0.1:{server.port}"


def checking() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if "_check_always" in repr(task)]


def test_it_has_the_methods_of_the_other() -> None:
    names = [
        name for name in vars(Operations) if not name.startswith("_") and name not in ("finish", "seconds")
    ]
    for name in names:
        for kind in (CacheClient, AsyncCacheClient):
            assert getattr(kind, name).__doc__ == getattr(Operations, name).__doc__
        assert inspect.iscoroutinefunction(getattr(AsyncCacheClient, name))


def test_nothing_happens_before_the_first_operation_and_after_close() -> None:
    async def main() -> None:
        with FakeNode(answering(b"$-1\r\n")) as fake:
            client = AsyncCacheClient([fake.name])
            assert not checking()
            assert await client.get("k", 5) == 5
            assert len(checking()) == 1
            await client.close()
            assert not checking()
            with pytest.raises(CacheError, match="closed"):
                await client.get("k")
            await client.close()

    asyncio.run(main())


def test_a_client_that_is_forgotten_ends_its_checks(node: str) -> None:
    async def main() -> None:
        client = AsyncCacheClient([node], check_interval=0.01)
        await client.get("k")
        await client._links.close()
        (task,) = checking()
        del client
        gc.collect()
        await asyncio.wait_for(task, SOON)

    asyncio.run(main())


def test_the_node_is_checked_without_operations() -> None:
    async def main() -> None:
        fake = FakeNode(answering(b"$-1\r\n", b"+PONG\r\n"))
        async with AsyncCacheClient([fake.name], check_interval=0.01, failures=1) as client:
            with fake:
                await client.get("k")
                assert client.health()[fake.name].up
            async with asyncio.timeout(SOON):
                while client.health()[fake.name].up:
                    await asyncio.sleep(0.005)
            assert await client.get("k", "missed") == "missed"

    asyncio.run(main())


def test_a_check_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        again = asyncio.Event()
        checks: list[int] = []

        def failing() -> list[Request]:
            checks.append(1)
            if len(checks) == 2:
                again.set()
            raise RuntimeError("no")

        with FakeNode(answering(b"$-1\r\n")) as fake:
            async with AsyncCacheClient([fake.name], check_interval=0.01) as client:
                monkeypatch.setattr(client._operations.fleet, "checks", failing)
                await client.get("k")
                await asyncio.wait_for(again.wait(), SOON)

    asyncio.run(main())


def test_what_it_is_called_and_is_not(node: str) -> None:
    async def main() -> None:
        async with AsyncCacheClient([node], timeout=SOON) as client:
            assert repr(client) == f"<AsyncCacheClient of {node}>"
            assert await client.check() == client.health()
            with pytest.raises(TypeError, match="one in each process"):
                pickle.dumps(client)
            with pytest.raises(TypeError, match="timeout is a number of seconds"):
                await client.get("k", timeout="1")  # type: ignore[arg-type]

    asyncio.run(main())


def test_one_loop_after_the_other(node: str) -> None:
    client = AsyncCacheClient([node], timeout=SOON)

    async def first() -> None:
        assert await client.set("k", {"a"})
        await client._links.close()

    async def second() -> None:
        async with client:
            assert await client.get("k") == {"a"}
            assert client.ring.nodes == {node: 1}

    asyncio.run(first())
    asyncio.run(second())

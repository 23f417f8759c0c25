"""A cache of three servers, ours or redis-server: what it keeps, and what happens when one of them ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from respcache.client import AsyncCacheClient, CacheClient, DeadlineError, NodeError, ReplyError
from respcache.client.operations import Key
from tests.servers import HAVE_ORACLE, Server, free_port, start_redis, start_respcache

TIMEOUT = 0.4
SLACK = 1.0  # of a machine that is busy
PATIENCE = 15.0
KEYS = [f"key:{number}" for number in range(300)]

KINDS = [start_respcache, *([start_redis] if HAVE_ORACLE else [])]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.removeprefix("start_"))
def servers(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(request.param()) for _ in range(3)]


def named(servers: list[Server]) -> list[str]:
    return [f"127.0.0.1:{server.port}" for server in servers]


def until(true: Callable[[], bool]) -> float:
    """Wait for something; the seconds it took."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() < start + PATIENCE
        time.sleep(0.005)
    return time.monotonic() - start


def test_the_quick_start_of_old(servers: list[Server]) -> None:
    client = CacheClient(named(servers), timeout=PATIENCE)
    assert client.set("brazil", "football")
    assert client.set(1, 2)
    assert client.set("team", [("Pelé", 10), {"won": {1958, 1962, 1970}}])
    assert client.get("brazil") == "football"
    assert client.get(1) == 2
    assert client.get("team") == [("Pelé", 10), {"won": {1958, 1962, 1970}}]
    assert client.get("hey") is None
    assert client.get("hey", "nothing") == "nothing"
    assert client.delete(3) is False
    assert client.delete(1) is True
    assert client.get(1) is None
    client.close()


def test_every_operation(servers: list[Server]) -> None:
    with CacheClient(named(servers), timeout=PATIENCE, errors="raise") as cache:
        assert cache.set_many({key: (key, number) for number, key in enumerate(KEYS)}) == []
        assert cache.get_many([*KEYS, "no"]) == {key: (key, number) for number, key in enumerate(KEYS)}
        assert cache.add("key:1", 0) is False
        assert cache.add("new", 0) is True
        assert [cache.increment("new"), cache.increment("new", 5), cache.decrement("new", 2)] == [1, 6, 4]
        assert cache.get("new") == 4
        with pytest.raises(ReplyError, match="not an integer"):
            cache.increment("key:1")
        assert cache.contains("new")
        assert cache.touch("new")
        assert not cache.touch("no")
        assert cache.expire("new", 0.02)
        until(lambda: "new" not in cache)
        assert not cache.expire("new", 1)
        assert cache.set("new", 1, expire=0.05)
        assert cache.expire("new", None)
        assert cache.set("brief", 1, expire=0.02)
        until(lambda: cache.get("brief") is None)
        assert cache.get("new") == 1
        assert cache.delete_many([*KEYS[:100], "no"]) == 100
        assert len(cache.get_many(KEYS)) == 200
        assert cache.clear()
        assert cache.get_many(KEYS) == {}
        big = os.urandom(20_000_000)
        assert cache.set("big", big)
        assert cache.get("big") == big
        many = range(20_000)
        assert cache.set_many(dict.fromkeys(many, "v" * 100)) == []
        assert len(cache.get_many(many)) == 20_000


def test_one_node_is_killed_and_comes_back(servers: list[Server]) -> None:
    names = named(servers)
    with CacheClient(names, timeout=TIMEOUT, check_interval=0.1) as cache:
        values = {key: {"value": key} for key in KEYS}
        until(lambda: cache.set_many(values) == [])
        dead = names[1]
        its_keys = {key for key in KEYS if cache.ring.node(key) == dead}
        assert 30 < len(its_keys) < 200

        servers[1].kill()
        slowest = 0.0
        for key in KEYS:  # no exception, and no miss but for its keys
            start = time.monotonic()
            assert cache.get(key) == (None if key in its_keys else values[key])
            slowest = max(slowest, time.monotonic() - start)
        assert slowest < TIMEOUT + SLACK
        assert set(cache.get_many(KEYS)) == set(KEYS) - its_keys
        assert set(cache.set_many(values)) == its_keys
        lost = min(its_keys)
        assert [cache.set(lost, 1), cache.delete(lost), cache.increment(lost)] == [False, False, None]
        assert not cache.health()[dead].up

        servers[1].start()
        until(lambda: cache.health()[dead].up)
        assert cache.set_many(values) == []
        assert cache.get_many(KEYS) == values


def test_one_node_stands_still(servers: list[Server]) -> None:
    names = named(servers)
    with CacheClient(names, timeout=TIMEOUT, check_interval=0.1) as cache:
        until(lambda: cache.set_many(dict.fromkeys(KEYS, 1)) == [])
        its_keys = {key for key in KEYS if cache.ring.node(key) == names[0]}
        os.kill(servers[0].pid, signal.SIGSTOP)
        try:
            for _ in range(5):
                start = time.monotonic()
                assert set(cache.get_many(KEYS)) == set(KEYS) - its_keys
                assert time.monotonic() - start < TIMEOUT + SLACK
            until(lambda: not cache.health()[names[0]].up)
            start = time.monotonic()
            for key in its_keys:  # ejected: it costs nothing any more
                assert cache.get(key) is None
            assert time.monotonic() - start < TIMEOUT + SLACK
        finally:
            os.kill(servers[0].pid, signal.SIGCONT)
        until(lambda: cache.health()[names[0]].up)
        assert cache.get_many(KEYS) == dict.fromkeys(KEYS, 1)


def test_rehash(servers: list[Server]) -> None:
    names = named(servers)
    with CacheClient(names, timeout=TIMEOUT, check_interval=0.05, rehash=True) as cache:
        until(lambda: cache.set_many(dict.fromkeys(KEYS, 1)) == [])
        servers[2].kill()
        until(lambda: not cache.health()[names[2]].up)
        until(lambda: cache.set_many(dict.fromkeys(KEYS, 1)) == [])
        assert cache.get_many(KEYS) == dict.fromkeys(KEYS, 1)
        servers[2].start()
        until(lambda: cache.health()[names[2]].up)
        assert set(cache.get_many(KEYS)) == {key for key in KEYS if cache.ring.node(key) != names[2]}


def test_errors_on_request(servers: list[Server]) -> None:
    names = named(servers)
    with CacheClient(names, timeout=TIMEOUT, check_interval=60, errors="raise") as cache:
        until(lambda: cache.set_many(dict.fromkeys(KEYS, 1)) == [])
        key = next(key for key in KEYS if cache.ring.node(key) == names[0])
        os.kill(servers[0].pid, signal.SIGSTOP)
        try:
            with pytest.raises(DeadlineError):
                cache.get(key, timeout=0.05)
        finally:
            os.kill(servers[0].pid, signal.SIGCONT)
        servers[0].kill()
        for operation in (cache.get, cache.delete, cache.increment):
            with pytest.raises(NodeError, match=names[0]):
                operation(key)
        with pytest.raises(NodeError):
            cache.get_many(KEYS)


def test_counting_by_many_threads_and_a_node_that_cuts_idle_links(servers: list[Server]) -> None:
    with CacheClient(named(servers), timeout=PATIENCE) as cache:
        counters = [f"counter:{number}" for number in range(6)]

        def count() -> None:
            for number in range(300):
                assert cache.increment(counters[number % 6]) is not None

        for _ in range(2):
            threads = [threading.Thread(target=count) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for server in servers:
                cut_clients(server)
        assert cache.get_many(counters) == dict.fromkeys(counters, 2 * 6 * 300 // 6)


def cut_clients(server: Server) -> None:
    """Have the server close all connections, and wait until it has."""
    with redis.Redis(port=server.port) as client:
        client.execute_command("CLIENT", "KILL", "SKIPME", "yes")
        until(lambda: len(client.client_list()) == 1)


def files() -> int:
    """Open in this process; 0 where that is not told."""
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


def test_thousands_at_once(servers: list[Server]) -> None:
    keys = [f"k{number}" for number in range(5000)]
    before = files()

    async def main() -> None:
        async with AsyncCacheClient(named(servers), timeout=PATIENCE) as cache:
            assert all(await asyncio.gather(*(cache.set(key, key) for key in keys)))
            assert await asyncio.gather(*(cache.get(key) for key in keys)) == keys
            assert files() < before + 3 * 32 + 20
        async with AsyncCacheClient(named(servers), timeout=0.02, connections=2) as cache:
            found = await asyncio.gather(*(cache.get(key) for key in keys))
            assert found.count(None) > 0  # there was no time for all
            assert all(health.up for health in cache.health().values())

    asyncio.run(main())
    with CacheClient(named(servers), timeout=PATIENCE) as cache:
        found: list[Any] = []

        def work(some: list[str]) -> None:
            found.extend(cache.get(key) for key in some)

        threads = [threading.Thread(target=work, args=(keys[start::500],)) for start in range(500)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == sorted(keys)
        assert files() < before + 3 * 32 + 20


def test_a_node_that_dies_under_many_threads_is_ejected_once(
    servers: list[Server], caplog: pytest.LogCaptureFixture
) -> None:
    names = named(servers)
    with caplog.at_level("INFO", "respcache.client"), CacheClient(names, timeout=PATIENCE) as cache:
        until(lambda: cache.set_many(dict.fromkeys(KEYS, 1)) == [])
        over = threading.Event()

        def work() -> None:
            while not over.is_set():
                for key in KEYS[:50]:
                    cache.get(key)

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        until(lambda: sum(len(pool._idle) for pool in cache._links._pools.values()) > 3)
        servers[0].kill()
        until(lambda: not cache.health()[names[0]].up)
        over.wait(0.3)
        over.set()
        for thread in threads:
            thread.join()
    assert [line for line in caplog.messages if "answers" in line] == []
    assert len(caplog.messages) == 1


def test_what_others_keep_under_a_key(servers: list[Server]) -> None:
    with redis.Redis(port=servers[0].port) as other:
        other.rpush("list", 1)
    name = named(servers)[0]
    with CacheClient([name], timeout=PATIENCE) as cache:
        assert cache.get("list", "no") == "no"
        assert cache.get_many(["list"]) == {}
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            cache.increment("list")
        assert cache.set("list", 1)
        assert cache.get("list") == 1
    with CacheClient([name], timeout=PATIENCE, errors="raise") as cache:
        assert cache.get("list") == 1


def test_what_the_documentation_shows(servers: list[Server]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    code = "\n".join(part.split("```")[0] for part in text.split("```python\n")[1:])
    for number, server in enumerate(servers, 1):
        code = code.replace(f"127.0.0.1:700{number}", f"127.0.0.1:{server.port}")
    shown: dict[str, Any] = {"__name__": "documentation"}
    exec(code, shown)
    with shown["client"] as client:
        assert [shown["titles"]("Brazil") for _ in range(2)] == [[1958, 1962, 1970, 1994, 2002]] * 2
        assert client.get("documentation.titles('Brazil',){}") is not None

    async def count(up_to: int) -> int:
        called.append(up_to)
        return sum(range(up_to))

    async def main() -> None:
        async with shown["cache"]:
            assert [await shown["cached_async"](60)(count)(5) for _ in range(2)] == [10, 10]

    called: list[int] = []
    asyncio.run(main())
    assert called == [5]


def test_threads_and_files_are_given_back(servers: list[Server]) -> None:
    def others() -> int:
        return sum(thread.name == "respcache.client" for thread in threading.enumerate())

    before = files()
    for _ in range(3):
        with CacheClient(named(servers), timeout=PATIENCE) as cache:
            cache.get_many(KEYS)
            assert others() == 1
    until(lambda: others() == 0)
    assert files() == before


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("start", KINDS, ids=lambda kind: kind.__name__.removeprefix("start_"))
def test_signed_in_by_url_and_socket(
    start: Callable[..., Server], protocol: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("s") / "r.sock"
    with start("--requirepass", "secret", "--unixsocket", str(path)) as server:
        nodes: list[Any] = [
            f"redis://:secret@127.0.0.1:{server.port}/3",
            {"path": str(path), "name": "beside", "weight": 2, "password": "secret"},
        ]
        with CacheClient(nodes, timeout=PATIENCE, errors="raise", connection={"protocol": protocol}) as cache:
            assert cache.set_many(dict.fromkeys(KEYS, True)) == []
            assert cache.get_many(KEYS) == dict.fromkeys(KEYS, True)
            assert cache.set("k", 5)
            assert cache.get("k") == 5
            assert cache.increment("k") == 6
            assert cache.get("no") is None
        for wrong in ({}, {"password": "guess"}):
            with (
                CacheClient([("127.0.0.1", server.port)], timeout=PATIENCE, connection=wrong) as cache,
                pytest.raises(ReplyError),
            ):
                cache.get("k")


@pytest.mark.parametrize("start", KINDS, ids=lambda kind: kind.__name__.removeprefix("start_"))
def test_a_node_that_is_full_takes_nothing_and_stays(start: Callable[..., Server]) -> None:
    with start("--maxmemory", "1mb") as server:
        name = f"127.0.0.1:{server.port}"
        with CacheClient([name], timeout=PATIENCE) as cache:
            cache.set("k", 1)
            stored = [cache.set(f"big:{number}", "x" * 100_000) for number in range(30)]
            assert not stored[-1]
            assert cache.set_many({"more": "x"}) == ["more"]
            assert cache.health()[name].up
            assert cache.get("no", 1) == 1


def test_tls(tmp_path: Path) -> None:
    certificate = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    certificate += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run([*certificate, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True)
    except OSError:
        pytest.skip("no openssl")
    port, pem, key = free_port(), tmp_path / "cert.pem", tmp_path / "key.pem"
    options = ["--tls-port", port, "--tls-cert-file", pem, "--tls-key-file", key, "--tls-ca-cert-file", pem]
    if not HAVE_ORACLE:
        pytest.skip("no redis-server")
    try:
        server = start_redis(*map(str, options), "--tls-auth-clients", "no")
    except RuntimeError:
        pytest.skip("this redis-server has no TLS")
    with server:
        node = f"rediss://127.0.0.1:{port}?ssl_ca_certs={pem}"
        with CacheClient([node], timeout=PATIENCE, errors="raise") as cache:
            big = os.urandom(3_000_000)
            for _ in range(5):
                assert cache.set("k", big)
                assert cache.get("k") == big
            (pool,) = cache._links._pools.values()
            assert len(pool._idle) == 1  # one connection did all that

        async def main() -> None:
            async with AsyncCacheClient([node], timeout=PATIENCE, errors="raise") as cache:
                assert await cache.get("k") == big

        asyncio.run(main())


def test_async(servers: list[Server]) -> None:
    names = named(servers)

    async def until_async(true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.005)

    async def main() -> None:
        async with AsyncCacheClient(names, timeout=PATIENCE, check_interval=0.1) as cache:
            assert await cache.set("brazil", "football")
            assert await cache.get("brazil") == "football"
            await asyncio.gather(*(cache.increment("n") for _ in range(200)))
            assert await cache.get("n") == 200
            many: dict[Key, Any] = {key: {key} for key in KEYS}
            assert await cache.set_many(many, expire=60) == []
            assert await cache.get_many(many) == many
            big = os.urandom(20_000_000)
            assert await cache.set("big", big)
            assert await cache.get("big") == big

            dead = names[1]
            its_keys = {key for key in KEYS if cache.ring.node(key) == dead}
            servers[1].kill()
            found = await asyncio.gather(*(cache.get(key) for key in KEYS))
            assert {key for key, value in zip(KEYS, found, strict=True) if value is None} == its_keys
            assert set(await cache.get_many(KEYS)) == set(KEYS) - its_keys
            await until_async(lambda: not cache.health()[dead].up)
            await asyncio.to_thread(servers[1].start)
            await until_async(lambda: cache.health()[dead].up)
            assert await cache.set_many(many) == []
            assert await cache.get_many(KEYS) == many

            os.kill(servers[0].pid, signal.SIGSTOP)
            try:
                start = time.monotonic()
                key = next(key for key in KEYS if cache.ring.node(key) == names[0])
                assert await cache.get(key, "late", timeout=0.1) == "late"
                assert time.monotonic() - start < 0.1 + SLACK
            finally:
                os.kill(servers[0].pid, signal.SIGCONT)
            assert await cache.get(key) == {key}

    asyncio.run(main())

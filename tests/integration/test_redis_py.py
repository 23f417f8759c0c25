"""redis-py, unchanged and without a warning: blocking and asyncio, RESP2 and RESP3."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.retry import Retry

import respcache
from respcache.version import REDIS_VERSION

MB = 1 << 20
ONCE: dict[str, Any] = {"retry": Retry(NoBackoff(), 0)}
"""For clients that fail: unless told, redis-py tries again for seconds."""


@pytest.fixture(scope="module")
def server() -> Iterator[respcache.ServerThread]:
    with respcache.start(port=0) as server:
        yield server


@pytest.fixture(params=[2, 3, None], ids=["resp2", "resp3", "default"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Options of a client: the protocol, or nothing."""
    return {} if request.param is None else {"protocol": request.param}


@pytest.fixture
def client(server: respcache.ServerThread, options: dict[str, Any]) -> Iterator[redis.Redis]:
    with redis.Redis(port=server.port, **options) as client:
        yield client
        client.flushall()


def test_strings_and_keys(client: redis.Redis) -> None:
    assert client.ping() is True
    assert client.set("k", "v") is True
    assert client.get("k") == b"v"
    assert client.get("nothing") is None
    assert client.set("k", "w", nx=True) is None
    assert client.set("k", "w", ex=100, get=True) == b"v"
    assert 0 < client.ttl("k") <= 100
    assert client.mset({"a": 1, "b": 2.5}) is True
    assert client.mget("a", "b", "nothing") == [b"1", b"2.5", None]
    assert client.incr("a", 41) == 42
    assert client.incrbyfloat("b", 0.5) == 3.0
    assert client.append("k", "xyz") == 4
    assert client.getrange("k", 1, 2) == b"xy"
    assert client.exists("a", "b", "nothing") == 2
    assert client.type("a") == b"string"
    assert client.rename("a", "c") is True
    assert client.expire("c", 10) is True
    assert client.persist("c") is True
    assert client.copy("c", "d") is True
    assert sorted(client.keys("*")) == [b"b", b"c", b"d", b"k"]
    assert client.delete("b", "c", "nothing") == 2
    assert client.unlink("d") == 1
    assert client.dbsize() == 1
    assert client.randomkey() == b"k"
    assert client.lcs("k", "k") == b"wxyz"
    assert client.echo("hello") == b"hello"


def test_pipeline(client: redis.Redis) -> None:
    with client.pipeline(transaction=False) as pipe:
        for number in range(1000):
            pipe.set(f"k{number}", number)
        assert pipe.execute() == [True] * 1000
        pipe.get("k7")
        pipe.incr("k7")
        pipe.set("k7", "v", px=-1)
        pipe.get("k999")
        seven, eight, error, last = pipe.execute(raise_on_error=False)
    assert (seven, eight, last) == (b"7", 8, b"999")
    assert isinstance(error, redis.ResponseError)


def test_a_transaction(client: redis.Redis) -> None:
    with client.pipeline() as pipe:  # MULTI and EXEC around it
        pipe.set("k", 1)
        pipe.incr("k")
        pipe.rpush("l", "a", "b")
        pipe.lrange("l", 0, -1)
        pipe.hgetall("nothing")
        assert pipe.execute() == [True, 2, 2, [b"a", b"b"], {}]
        pipe.set("k", "x")
        pipe.incr("k")
        pipe.get("k")
        assert [type(reply) for reply in pipe.execute(raise_on_error=False)] == [bool, redis.ResponseError, bytes]


def test_a_transaction_tries_again(client: redis.Redis) -> None:
    tries = []

    def take(pipe: Any) -> None:
        left = int(pipe.get("stock") or 0)
        tries.append(left)
        if len(tries) == 1:
            client.set("stock", 5)  # somebody else comes between
        pipe.multi()
        pipe.set("stock", left - 1)

    client.set("stock", 10)
    assert client.transaction(take, "stock") == [True]
    assert tries == [10, 5]
    assert client.get("stock") == b"4"


def test_who_waits_is_served(server: respcache.ServerThread, client: redis.Redis) -> None:
    with ThreadPoolExecutor(3) as pool, redis.Redis(port=server.port) as other:
        element = pool.submit(client.blpop, ["queue"], 10)
        member = pool.submit(other.bzpopmin, "scores", 10)
        with redis.Redis(port=server.port) as writer:
            while writer.info("clients")["blocked_clients"] < 2:
                pass
            writer.rpush("queue", "job")
            writer.zadd("scores", {"a": 1.5})
        found: list[Any] = [element.result(10), member.result(10)]
        assert [list(each) for each in found] == [[b"queue", b"job"], [b"scores", b"a", 1.5]]


def test_messages(client: redis.Redis) -> None:
    anyhow: Any = client  # redis-py's pubsub is not typed
    with anyhow.pubsub(ignore_subscribe_messages=True) as messages:
        messages.subscribe("news")
        messages.psubscribe("n*")
        assert messages.get_message(timeout=5) is None
        assert messages.get_message(timeout=5) is None
        assert client.publish("news", "hello") == 2
        found = [messages.get_message(timeout=5) for _ in range(2)]
        assert [(each["type"], each["data"]) for each in found if each] == [
            ("message", b"hello"),
            ("pmessage", b"hello"),
        ]


def test_keyspace_notifications(client: redis.Redis) -> None:
    client.config_set("notify-keyspace-events", "KEA")
    anyhow: Any = client  # redis-py's pubsub is not typed
    with anyhow.pubsub(ignore_subscribe_messages=True) as messages:
        messages.psubscribe("__keyspace@0__:*")
        messages.get_message(timeout=5)
        client.lpush("l", "a")
        message = messages.get_message(timeout=5)
        assert message is not None
        assert (message["channel"], message["data"]) == (b"__keyspace@0__:l", b"lpush")
    client.config_set("notify-keyspace-events", "")


def test_scan_iter(client: redis.Redis) -> None:
    client.mset({f"k{number}": number for number in range(500)} | {"other": 1})
    assert {*client.scan_iter("k*", count=50)} == {b"k%d" % number for number in range(500)}
    assert [*client.scan_iter("oth?r", _type="string")] == [b"other"]


def test_info_and_lists_of_clients(client: redis.Redis) -> None:
    assert client.client_setname("our") is True
    assert client.client_getname() in ("our", b"our")
    info = client.info()
    assert info["redis_version"] == REDIS_VERSION
    assert info["connected_clients"] >= 1
    assert client.info("server")["redis_mode"] == "standalone"
    me = client.client_id()
    (mine,) = [one for one in client.client_list() if one["id"] == str(me)]
    assert (mine["name"], mine["lib-name"], mine["cmd"]) == ("our", "redis-py", "client|list")
    assert mine["lib-ver"] == redis.__version__
    assert client.client_info()["id"] == me
    assert len(client.time()) == 2
    assert client.command_count() == len(client.command())
    assert client.role()[0] in ("master", b"master")
    assert isinstance(client.slowlog_get(), list)
    assert client.memory_usage("nothing") is None


def test_client_setinfo(client: redis.Redis) -> None:
    assert client.client_setinfo("LIB-NAME", "mine") is True
    assert client.client_setinfo("LIB-VER", "1.2") is True
    info = client.client_info()
    assert (info["lib-name"], info["lib-ver"]) == ("mine", "1.2")


def test_config(client: redis.Redis) -> None:
    assert client.config_set("timeout", 77) is True
    assert client.config_get("timeout") == {"timeout": "77"}
    assert client.config_set("timeout", 0) is True
    assert client.config_get("max*")["maxclients"] == "10000"
    assert client.config_resetstat() is True


@pytest.mark.parametrize("size", [16 * 1024 - 1, 64 * 1024, 10 * MB])
def test_big_values(client: redis.Redis, size: int) -> None:
    value = bytes(range(256)) * (size // 256) + b"\r\n*1\r\n$4\r\nPING\r\n"
    assert client.set("big", value) is True
    assert client.get("big") == value
    assert client.mget("big", "nothing", "big") == [value, None, value]
    assert client.strlen("big") == len(value)


def test_errors(client: redis.Redis) -> None:
    client.set("k", "text")
    with pytest.raises(redis.ResponseError, match=r"^value is not an integer or out of range$"):
        client.incr("k")
    with pytest.raises(redis.ResponseError, match=r"^invalid expire time in 'set' command$"):
        client.set("k", "v", ex=-1)
    with pytest.raises(redis.ResponseError, match=r"^no such key$"):
        client.rename("nothing", "k")
    assert client.ping() is True


def test_a_pool_with_50_threads(client: redis.Redis) -> None:
    barrier = threading.Barrier(50)

    def work(number: int) -> bool:
        barrier.wait(10)
        for turn in range(20):
            client.incr("all")
            assert client.set(f"k{number}", turn) is True
            assert client.get(f"k{number}") == b"%d" % turn
        return True

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(work, range(50)))
    assert client.get("all") == b"1000"


def test_decode_responses(server: respcache.ServerThread, options: dict[str, Any]) -> None:
    with redis.Redis(port=server.port, decode_responses=True, **options) as client:
        assert client.set("k", "schön") is True
        assert client.get("k") == "schön"
        assert client.keys("*") == ["k"]
        assert client.config_get("hz") == {"hz": "10"}
        client.flushall()


def test_health_checks(server: respcache.ServerThread, options: dict[str, Any]) -> None:
    with redis.Redis(port=server.port, health_check_interval=1, **options) as client:
        before = client.info("commandstats").get("cmdstat_ping", {"calls": 0})["calls"]
        connection = client.connection_pool.get_connection()
        connection.next_health_check = 1  # long ago
        client.connection_pool.release(connection)
        client.get("k")
        assert client.info("commandstats")["cmdstat_ping"]["calls"] == before + 1


def test_other_databases(server: respcache.ServerThread, options: dict[str, Any]) -> None:
    with (
        redis.Redis.from_url(f"{server.url}/3", **options) as three,
        redis.Redis.from_url(server.url, **options) as zero,
    ):
        three.set("k", "3")
        assert zero.get("k") is None
        assert zero.info("keyspace")["db3"]["keys"] == 1
        assert zero.move("k", 3) is False
        three.flushdb()


def test_a_password(options: dict[str, Any]) -> None:
    with respcache.start(port=0, requirepass="s3cret") as server:
        with redis.Redis.from_url(server.url, **options) as client:
            assert client.ping() is True
            assert client.get("k") is None
        with redis.Redis(port=server.port, username="default", password="s3cret", **options) as client:
            assert client.ping() is True
        with (
            redis.Redis(port=server.port, password="wrong", **ONCE, **options) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        with (
            redis.Redis(port=server.port, **ONCE, **options) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()


def test_a_unix_socket(tmp_path: Path, options: dict[str, Any]) -> None:
    path = str(tmp_path / "our.sock")
    with respcache.start(port=0, unixsocket=path) as server:
        for client in (
            redis.Redis(unix_socket_path=path, **options),
            redis.Redis.from_url(server.url, **options),
        ):
            with client:
                assert client.set("k", "v") is True
                assert client.client_info()["addr"] == f"{path}:0"


def test_it_comes_back_after_a_restart(options: dict[str, Any]) -> None:
    server = respcache.start(port=0)
    with redis.Redis(port=server.port, **ONCE, **options) as client:
        assert client.ping() is True
        server.stop()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        with respcache.start(port=server.port):
            assert client.ping() is True


def test_maxclients(options: dict[str, Any]) -> None:
    with respcache.start(port=0, maxclients=1) as server, redis.Redis(port=server.port, **options) as client:
        assert client.ping() is True
        with (
            redis.Redis(port=server.port, **ONCE, **options) as other,
            pytest.raises(redis.ConnectionError),
        ):
            other.ping()
        assert client.ping() is True


# asyncio, in the loop of the server


def in_one_loop(
    test: Callable[[respcache.Server, Any], Any], options: dict[str, Any], **directives: Any
) -> None:
    async def main() -> None:
        async with (
            respcache.Server(port=0, **directives) as server,
            redis.asyncio.Redis.from_url(server.url, **options) as client,
        ):
            await test(server, client)

    asyncio.run(main())


def test_asyncio(options: dict[str, Any]) -> None:
    async def test(_server: respcache.Server, client: Any) -> None:
        assert await client.ping() is True
        assert await client.set("k", "v", px=100_000) is True
        assert await client.get("k") == b"v"
        async with client.pipeline(transaction=False) as pipe:
            for number in range(100):
                pipe.set(f"k{number}", number)
            assert await pipe.execute() == [True] * 100
        assert len([key async for key in client.scan_iter("k*")]) == 101
        assert (await client.info())["redis_version"] == REDIS_VERSION
        assert await client.config_set("timeout", 5) is True
        assert await client.config_get("timeout") == {"timeout": "5"}
        assert (await client.client_list())[0]["lib-name"].startswith("redis-py")
        value = b"x" * (10 * MB)
        assert await client.set("big", value) is True
        assert await client.get("big") == value
        with pytest.raises(redis.ResponseError, match="not an integer"):
            await client.incr("big")

    in_one_loop(test, options)


def test_asyncio_with_many_tasks(options: dict[str, Any]) -> None:
    async def test(server: respcache.Server, client: Any) -> None:
        async def work(number: int) -> None:
            await client.incr("all")
            assert await client.set(f"k{number}", number) is True
            assert await client.get(f"k{number}") == b"%d" % number

        await asyncio.gather(*(work(number) for number in range(50)))
        assert await client.get("all") == b"50"
        assert 2 <= len(server.state.clients) <= 51

    in_one_loop(test, options)


def test_asyncio_with_a_password(options: dict[str, Any]) -> None:
    async def test(server: respcache.Server, client: Any) -> None:
        assert await client.ping() is True
        retry = redis.asyncio.retry.Retry(NoBackoff(), 0)
        other = redis.asyncio.Redis(port=server.port, retry=retry, **options)
        with pytest.raises(redis.AuthenticationError):
            await other.ping()
        await other.aclose()

    in_one_loop(test, options, requirepass="s3cret")

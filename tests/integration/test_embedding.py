"""The server inside of another program: in its event loop, or in a thread. It leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis

import respcache
import respcache.thread
from respcache.config import ConfigError
from tests.wire import OK, PONG, Error, Wire, encode

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[[Coroutine[Any, Any, None]], None]
FACTORIES: list[Any] = [pytest.param(asyncio.SelectorEventLoop, id="asyncio")]
try:
    import uvloop

    FACTORIES.append(pytest.param(uvloop.new_event_loop, id="uvloop"))
except ImportError:
    pass


@pytest.fixture(params=FACTORIES)
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine in a new loop; afterwards no task, timer, socket or warning of ours is left."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        async def checked() -> None:
            complaints: list[object] = []
            asyncio.get_running_loop().set_exception_handler(lambda _loop, what: complaints.append(what))
            await main
            await asyncio.sleep(0)
            assert asyncio.all_tasks() == {asyncio.current_task()}
            assert complaints == []

        with asyncio.Runner(loop_factory=request.param, debug=True) as runner:
            runner.run(checked())
        gc.collect()  # a ResourceWarning is an error, and comes with the collection

    return run


async def ask(server: respcache.Server, *command: str | int) -> bytes:
    """One command over a connection of its own, and the first piece of the reply."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(encode(*command))
    reply = await reader.read(1 << 16)
    writer.close()
    await writer.wait_closed()
    return reply


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# In the caller's loop


def test_a_server_in_the_callers_loop(run: Run) -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            assert server.url == f"redis://127.0.0.1:{server.port}"
            assert await ask(server, "SET", "k", "v") == b"+OK\r\n"
            assert await ask(server, "GET", "k") == b"$1\r\nv\r\n"
        with pytest.raises(ConnectionRefusedError):
            await ask(server, "PING")

    run(main())


def test_many_servers_in_one_loop(run: Run) -> None:
    async def main() -> None:
        servers = [respcache.Server(port=0) for _ in range(5)]
        await asyncio.gather(*(server.start() for server in servers))
        assert len({server.port for server in servers}) == 5
        for number, server in enumerate(servers):
            assert await ask(server, "SET", "k", number) == b"+OK\r\n"
        for number, server in enumerate(servers):
            assert await ask(server, "GET", "k") == b"$1\r\n%d\r\n" % number
        await asyncio.gather(*(server.stop() for server in servers))

    run(main())


def test_clients_are_closed_when_it_stops(run: Run) -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(3)]
            streams[0][1].write(encode("PING"))
            assert await streams[0][0].readexactly(7) == b"+PONG\r\n"
            streams[1][1].write(b"*2\r\n$4\r\nECHO\r\n$5\r\nha")  # the rest never comes
            streams[2][1].write(encode("CLIENT", "PAUSE", 100_000) + encode("GET", "k"))
            assert await streams[2][0].readexactly(5) == b"+OK\r\n"
        for reader, writer in streams:
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        assert not server.state.clients

    run(main())


def test_a_client_that_does_not_read_is_not_waited_for_long(run: Run) -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
            writer.write(encode("SET", "k", "x" * (16 << 20)) + encode("GET", "k"))
            await writer.drain()
            assert await reader.readexactly(6) == b"+OK\r\n$"
            loop = asyncio.get_running_loop()
            since = loop.time()
        assert loop.time() - since < 3
        writer.close()

    run(main())


def test_stop_may_be_called_by_several_and_again(run: Run) -> None:
    async def main() -> None:
        server = respcache.Server(port=0)
        await server.stop()  # before the start: nothing to do
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(server.stop(), server.stop(), server.wait_stopped())
        assert await reader.read() == b""
        await server.stop()
        writer.close()

    run(main())


def test_a_server_that_stopped_may_start_again(run: Run) -> None:
    async def main() -> None:
        server = respcache.Server(port=0)
        async with server:
            with pytest.raises(RuntimeError, match="runs already"):
                await server.start()
            assert await ask(server, "SET", "k", "v") == b"+OK\r\n"
        async with server:
            assert await ask(server, "GET", "k") == b"$1\r\nv\r\n"
            assert await ask(server, "SHUTDOWN") == b""
            await server.wait_stopped()

    run(main())


def test_shutdown_ends_the_server_only(run: Run) -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as other:
            async with respcache.Server(port=0) as server:
                assert await ask(server, "SHUTDOWN") == b""
                await server.wait_stopped()
                with pytest.raises(ConnectionRefusedError):
                    await ask(server, "PING")
            assert await ask(other, "PING") == b"+PONG\r\n"

    run(main())


def test_an_error_in_the_block_stops_it(run: Run) -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with respcache.Server(port=0) as server:
                raise ZeroDivisionError
        with pytest.raises(ConnectionRefusedError):
            await ask(server, "PING")

    run(main())


def test_a_task_that_is_cancelled_stops_it(run: Run) -> None:
    async def main() -> None:
        server = respcache.Server(port=0)
        started = asyncio.Event()

        async def serve() -> None:
            async with server:
                started.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(serve())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ConnectionRefusedError):
            await ask(server, "PING")

    run(main())


def test_a_port_in_use(run: Run) -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            second = respcache.Server(port=server.port)
            expected = f"Could not create server TCP listening socket 127.0.0.1:{server.port}: Address already in use"
            with pytest.raises(OSError, match=expected):
                await second.start()
            await second.stop()
        await second.start()  # the port is free now
        assert await ask(second, "PING") == b"+PONG\r\n"
        await second.stop()

    run(main())


def test_if_one_address_fails_none_is_kept(run: Run) -> None:
    async def main() -> None:
        port = free_port()
        with pytest.raises(OSError, match=r"192\.0\.2\.1"):
            await respcache.Server(port=port, bind="127.0.0.1 192.0.2.1").start()
        with pytest.raises(OSError, match="no-such-host"):
            await respcache.Server(port=port, bind=["127.0.0.1", "no-such-host.invalid"]).start()
        async with respcache.Server(port=port):
            pass

    run(main())


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this machine")
def test_a_unix_socket_alone(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "our.sock"
        async with respcache.Server(port=0, unixsocket=path) as server:
            assert server.port == 0
            assert server.url == f"unix://{path}"
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(encode("PING"))
            assert await reader.readexactly(7) == b"+PONG\r\n"
            writer.close()
            await writer.wait_closed()
        assert not path.exists()

    run(main())


def test_what_the_host_has_set_stays(run: Run) -> None:
    async def main() -> None:
        before = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
        async with respcache.Server(port=0, hz=500) as server:
            await asyncio.sleep(0.02)
            assert await ask(server, "PING") == b"+PONG\r\n"
            assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before
        assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before

    run(main())


def test_directives() -> None:
    server = respcache.Server(
        port=0, maxclients=3, requirepass="s3cret/@:", bind=["127.0.0.1", "-::1"], save=None
    )
    assert (server.config.maxclients, server.config.requirepass) == (3, "s3cret/@:")
    with pytest.raises(ConfigError, match="no_such_thing='x'"):
        respcache.Server(port=0, no_such_thing="x")


# In a thread


def test_a_server_in_a_thread() -> None:
    server = respcache.start(port=0)
    with Wire(server.port) as c:
        assert c("SET", "k", "v") == OK
        assert c("GET", "k") == b"v"
        server.stop()
        assert c.closed()
    server.stop()  # a second call does nothing
    assert [thread for thread in threading.enumerate() if thread.name == "respcache"] == []
    gc.collect()


def test_the_block_stops_it() -> None:
    with respcache.start(port=0) as server, Wire(server.port) as c:
        assert c("PING") == PONG
    with pytest.raises(ConnectionRefusedError):
        Wire(server.port)


def test_starting_and_stopping_from_many_threads() -> None:
    def once(number: int) -> bytes:
        with respcache.start(port=0) as server, Wire(server.port) as c:
            assert c("SET", "k", number) == OK
            value: bytes = c("GET", "k")
            return value

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(once, range(24))) == [b"%d" % number for number in range(24)]
    assert not respcache.thread._running


def test_stopping_one_server_from_many_threads() -> None:
    server = respcache.start(port=0)
    with ThreadPoolExecutor(8) as pool:
        for stopped in [pool.submit(server.stop) for _ in range(8)]:
            stopped.result(5)


def test_stop_stops_them_all() -> None:
    servers = [respcache.start(port=0) for _ in range(3)]
    respcache.stop()
    for server in servers:
        with pytest.raises(ConnectionRefusedError):
            Wire(server.port)


def test_a_port_in_use_by_a_thread() -> None:
    with respcache.start(port=0) as server:
        with pytest.raises(
            OSError, match=r"Could not create server TCP listening socket .* Address already in use"
        ):
            respcache.start(port=server.port)
        with Wire(server.port) as c:
            assert c("PING") == PONG
    assert not respcache.thread._running


def test_a_bad_directive_in_a_thread() -> None:
    with pytest.raises(ConfigError):
        respcache.start(port=0, maxclients="many")


def test_shutdown_ends_the_thread() -> None:
    server = respcache.start(port=0)
    with Wire(server.port) as c:
        c.send("SHUTDOWN")
        assert c.closed()
    server._thread.join(5)
    assert not server._thread.is_alive()
    server.stop()
    assert not respcache.thread._running


def test_the_url_reaches_it_whatever_it_is(tmp_path: Path) -> None:
    for directives in (
        {"requirepass": "p@ss w/rd:%"},
        {"bind": "*"},
        {"bind": "-::1 127.0.0.1"},
        {"unixsocket": tmp_path / "s"},
        {"unixsocket": tmp_path / "s", "requirepass": "p@ss w/rd:%"},
    ):
        with respcache.start(port=0, **directives) as server, redis.Redis.from_url(server.url) as client:
            assert client.ping() is True


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # its import fails
    with respcache.start(port=0) as server, Wire(server.port) as c:
        assert type(server._loop).__module__.startswith("asyncio.")
        assert c("PING") == PONG
        assert c("NOPE") == Error("ERR unknown command 'NOPE', with args beginning with: ")
    gc.collect()


def test_what_keeps_nothing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if a client has it save; and files that lie about are not its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dump.rdb").write_bytes(b"somebody else's")
    started = respcache.start(port=0, enable_debug_command="yes", appendonly=False, save=False)
    with started as server, Wire(server.port) as c:
        assert c("SET", "a", "1") == OK
        assert c("SAVE") == OK
        assert c("DEBUG", "RELOAD") == OK
        assert c("GET", "a") == b"1"
        where = Path(c("CONFIG", "GET", "dir")[1].decode())
        name = c("CONFIG", "GET", "dbfilename")[1].decode()
        assert (where / name).exists()
    assert not (where / name).exists()
    assert [path.name for path in tmp_path.iterdir()] == ["dump.rdb"]
    assert (tmp_path / "dump.rdb").read_bytes() == b"somebody else's"


@pytest.mark.parametrize("directives", [{"appendonly": True, "save": ""}, {}, {"appendonly": True}])
def test_data_is_kept_when_the_program_just_ends(tmp_path: Path, directives: dict[str, object]) -> None:
    program = (
        f"import redis, respcache\nserver = respcache.start(port=0, dir={str(tmp_path)!r}, **{directives!r})\n"
        "redis.Redis.from_url(server.url).set('a', 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20, cwd=ROOT)
    assert (done.stderr, done.returncode) == (b"", 0)
    with respcache.start(port=0, dir=str(tmp_path), **directives) as server, Wire(server.port) as c:
        assert c("GET", "a") == b"1"

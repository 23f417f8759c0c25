"""What the configuration does to a running server: names, sockets, files and signals."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import respcache
import respcache.thread
from respcache.config import ConfigError, SetError
from respcache.version import __version__
from tests.servers import HAVE_ORACLE, ROOT, Server, free_port, start_redis, start_respcache
from tests.wire import OK, PONG, Error, Wire

BOTH = [start_respcache, *([start_redis] if HAVE_ORACLE else [])]


def fails(*args: str) -> str:
    """What a command line that cannot work says; its status is 1."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "respcache", *args]
    done = subprocess.run(command, capture_output=True, timeout=10, env=environment, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    return (done.stdout + done.stderr).decode()


# Names of commands


@pytest.mark.parametrize("start", BOTH)
def test_renamed_commands(start: Callable[..., Server]) -> None:
    renames = (
        "--rename-command",
        "get",
        "Foo",
        "--rename-command",
        "APPEND",
        "",
        "--rename-command",
        "client",
        "who",
    )
    with start(*renames) as server, Wire(server.port) as c:
        assert c("SET", "k", "v") == OK
        assert c("foo", "k") == c("FOO", "k") == c("fOO", "k") == b"v"
        assert c("FOO") == Error("ERR wrong number of arguments for 'get' command")
        assert c("GET", "k") == Error("ERR unknown command 'GET', with args beginning with: 'k' ")
        assert c("append", "k", "v") == Error(
            "ERR unknown command 'append', with args beginning with: 'k' 'v' "
        )
        assert isinstance(c("WHO", "id"), int)
        assert isinstance(c("CLIENT", "id"), Error)


def test_renames_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("port 0\nunixsocket s\nrename-command nosuch x\n")
    assert fails(str(path)) == (
        f"*** FATAL CONFIG FILE ERROR ***\nReading {path}, at line 3\n>>> 'rename-command nosuch x'\n"
        "No such command in rename-command\n"
    )
    with pytest.raises(ConfigError, match="Target command name already exists"):
        respcache.Server(rename_command=("get", "set"))


# What is refused


@pytest.mark.parametrize(
    "words",
    [
        ("user", "bob", "on"),
        ("aclfile", "x"),
        ("tls-port", "1"),
    ],
)
def test_refused(words: tuple[str, ...]) -> None:
    name, *rest = words
    assert fails(f"--{name}", *rest) == f"'{name}' is not supported yet by respcache {__version__}\n"


def test_nowhere_to_listen() -> None:
    assert fails("--port", "0") == "Configured to not listen anywhere, exiting.\n"


@pytest.mark.parametrize("start", BOTH)
def test_one_word_for_many(start: Callable[..., Server]) -> None:
    with (
        start(
            "--bind",
            "127.0.0.1 -192.0.2.1",
            "--save",
            "60 1",
            "--client-output-buffer-limit",
            "normal 10mb 0 0",
        ) as server,
        Wire(server.port) as c,
    ):
        assert c("CONFIG", "GET", "save") == [b"save", b"60 1"]
        assert c("CONFIG", "GET", "bind") == [b"bind", b"127.0.0.1 -192.0.2.1"]
        assert b"normal 10485760 0 0 " in c("CONFIG", "GET", "client-output-buffer-limit")[1]


def test_keyword_arguments_are_told_without_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        respcache.Server(foo=1)
    assert str(caught.value) == "foo=1: Bad directive or wrong number of arguments"


# Signals and files


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal on this machine")
def test_the_end_of_a_terminal_is_not_its_own() -> None:
    with start_respcache() as server, Wire(server.port) as c:
        os.kill(server.pid, signal.SIGHUP)
        time.sleep(0.1)  # nothing happens: that is what is tested
        assert c("PING") == PONG
        assert server.stop() == 0


def test_the_pid_file_of_a_server_that_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "our.pid"
    path.write_text("of another\n")
    with start_respcache() as server:
        fails("--port", str(server.port), "--bind", "127.0.0.1", "--pidfile", str(path))
    assert path.read_text() == "of another\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes in the background on this machine")
def test_in_the_background(tmp_path: Path) -> None:
    path, port = tmp_path / "our.pid", free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-m",
        "respcache",
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--daemonize",
        "yes",
    ]
    done = subprocess.run([*command, "--pidfile", str(path)], timeout=10, env=environment, check=False)
    assert done.returncode == 0
    deadline = time.monotonic() + 10
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        with Wire(port) as c:
            assert f"process_id:{path.read_text()}".strip().encode() in c("INFO", "server")
            c.send("SHUTDOWN")
            assert c.closed()
    except BaseException:
        os.kill(int(path.read_text()), signal.SIGKILL)
        raise
    while path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# New addresses


def answers(port: int) -> bool:
    try:
        with Wire(port) as c:
            return bool(c("PING") == PONG)
    except OSError:
        return False


def test_a_refused_move_leaves_the_listeners_alone() -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server, respcache.Server(port=0) as other:
            listeners, port = list(server._listeners.tcp), server.port
            with pytest.raises(SetError, match="Unable to listen on this port"):
                server.config.set_many([("port", str(other.port))])
            assert server._listeners.tcp == listeners  # not closed for a moment
            assert server.port == port
            assert await asyncio.to_thread(answers, port)

    asyncio.run(main())


def test_other_addresses_of_the_same_port() -> None:
    async def main() -> None:
        async with respcache.Server(port=0) as server:
            port = server.port
            for bind in ("*", "127.0.0.1 127.0.0.2", "127.0.0.1"):
                server.config.set_many([("bind", bind)])
                assert await asyncio.to_thread(answers, port)
            with pytest.raises(SetError, match="Unable to listen on this port"):
                server.config.set_many([("bind", "127.0.0.1 192.0.2.1")])
            assert server.config.bind == ("127.0.0.1",)
            assert await asyncio.to_thread(answers, port)
            assert server.port == port

    asyncio.run(main())


def test_a_way_back_that_is_half_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather listen on some of the old addresses than on none."""

    async def main() -> None:
        async with respcache.Server(port=0, bind="127.0.0.1 127.0.0.2") as server:
            port, plain = server.port, server._listeners._bind_one

            def bind_one(host: str, number: int) -> socket.socket:
                if host == "127.0.0.2":
                    raise OSError(errno.EADDRINUSE, "taken")
                return plain(host, number)

            monkeypatch.setattr(server._listeners, "_bind_one", bind_one)
            with pytest.raises(SetError, match="Unable to listen on this port"):
                server.config.set_many([("bind", "127.0.0.2")])
            assert server.port == port
            assert await asyncio.to_thread(answers, port)

    asyncio.run(main())


# Servers in threads


def test_a_server_that_shut_down_is_forgotten() -> None:
    server = respcache.start(port=0)
    assert server in respcache.thread._running
    with Wire(server.port) as c:
        c.send("SHUTDOWN")
        assert c.closed()
    server._thread.join(5)
    assert server not in respcache.thread._running
    server.stop()


def test_an_error_while_it_stops_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    server = respcache.start(port=0)
    assert server._server is not None
    close = server._server._listeners.close

    def broken() -> None:
        close()
        raise RuntimeError("made up")

    monkeypatch.setattr(server._server._listeners, "close", broken)
    server.stop()
    assert not server._thread.is_alive()

"""A server in a thread: its life, and what its maker is told. More of it in `test_embedding`."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from respcache import thread
from respcache.config import ConfigError
from respcache.listeners import Listeners
from respcache.thread import ServerThread, start, stop
from tests.servers import ROOT
from tests.wire import PONG, Wire


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "respcache"]


def test_its_life() -> None:
    assert threads() == []
    server = start(port=0)
    assert len(threads()) == 1
    assert threads()[0].daemon  # it does not keep a program from ending
    assert server.url == f"redis://127.0.0.1:{server.port}"
    assert repr(server) == f"<respcache on port {server.port}>"
    with Wire(server.port) as c:
        assert c("PING") == PONG
    server.stop()
    assert threads() == []
    server.stop()


def test_it_is_ready_when_start_returns() -> None:
    for _ in range(20):
        with start(port=0) as server, Wire(server.port) as c:
            assert c("PING") == PONG


def test_directives() -> None:
    with start(port=0, maxclients=7, save=None) as server, Wire(server.port) as c:
        assert c("CONFIG", "GET", "maxclients") == [b"maxclients", b"7"]


@pytest.mark.parametrize(
    ("directives", "error"),
    [
        ({"no_such_thing": 1}, ConfigError),
        ({"bind": "192.0.2.1"}, OSError),
        ({"unixsocket": "/no/such/directory/s"}, OSError),
    ],
)
def test_who_cannot_start_says_so_and_leaves_nothing(
    directives: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        start(port=0, **directives)
    assert threads() == []
    stop()


def test_stop_all() -> None:
    one, two = start(port=0), ServerThread(port=0)
    stop()
    two.stop()
    for server in (one, two):
        with pytest.raises(ConnectionRefusedError):
            Wire(server.port)
    assert not thread._running


def test_stop_from_another_thread_while_it_ends_by_itself() -> None:
    for _ in range(20):
        server = start(port=0)
        with Wire(server.port) as c:
            c.send("SHUTDOWN")
            server.stop()
            assert c.closed()


def test_stop_waits_until_it_has_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Listeners.close

    def slowly(self: Listeners) -> None:
        time.sleep(0.05)
        close(self)

    monkeypatch.setattr(Listeners, "close", slowly)
    server = start(port=0)
    server.stop()
    assert threads() == []


@pytest.mark.parametrize(
    "end", ["", "raise SystemExit(3)", "server.stop()", "del server", "respcache.stop()"]
)
def test_the_end_of_the_program_ends_it(end: str) -> None:
    program = f"import respcache\nserver = respcache.start(port=0)\nprint(server.port)\n{end}\n"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", program], capture_output=True, timeout=10, cwd=ROOT
    )
    assert done.stderr == b""
    assert done.returncode == (3 if "3" in end else 0)
    with pytest.raises(ConnectionRefusedError):
        Wire(int(done.stdout))

"""TIME, ROLE, SHUTDOWN, LOLWUT."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, Error, Verbatim, Wire, arity_error

STARTS = [start_respcache, *([start_redis] if HAVE_ORACLE else [])]


def test_time(c: Wire) -> None:
    seconds, microseconds = c("TIME")
    assert abs(int(seconds) - time.time()) < 5
    assert 0 <= int(microseconds) < 1_000_000
    before = int(seconds) * 1_000_000 + int(microseconds)
    seconds, microseconds = c("TIME")
    assert int(seconds) * 1_000_000 + int(microseconds) >= before
    assert c("TIME", "x") == arity_error("time")


def test_role(c: Wire) -> None:
    role, offset, replicas = c("ROLE")
    assert (role, replicas) == (b"master", [])
    assert offset >= 0  # others may have had replicas
    assert c("ROLE", "x") == arity_error("role")


def art(c: Wire, *args: str | int) -> str:
    reply = c("LOLWUT", *args)
    assert isinstance(reply, Verbatim if c.protocol == 3 else bytes), reply
    data: bytes = reply.data if isinstance(reply, Verbatim) else reply
    return data.decode()


@pytest.mark.parametrize(
    "args", [(), ("foo",), ("version",), ("VERSION", 3), ("version", 7, "x"), (5, 5, 5), ("x", "y", "z")]
)
def test_lolwut(c: Wire, server: Server, args: tuple[str | int, ...]) -> None:
    version = ".".join(map(str, server.version))
    assert art(c, *args).endswith(f"Redis ver. {version}\n")


@pytest.mark.parametrize(
    "args", [("version", 5), ("VERSION", 5, 10, 2, 2), ("version", 6), ("version", 6, 20, 4)]
)
def test_lolwut_of_old_versions(c: Wire, server: Server, args: tuple[str | int, ...]) -> None:
    drawn = art(c, *args)
    assert drawn.count("\n") > 2
    assert f"Redis ver. {'.'.join(map(str, server.version))}\n" in drawn


@pytest.mark.parametrize(
    "args",
    [
        ("version", "x"),
        ("version", ""),
        ("version", 5, "x"),
        ("version", 5, 1, 1, "x"),
        ("version", 6, 1, "x"),
    ],
)
def test_lolwut_wants_numbers(c: Wire, args: tuple[str | int, ...]) -> None:
    assert c("LOLWUT", *args) == NOT_AN_INTEGER


def test_our_art_depends_on_the_arguments_alone() -> None:
    with start_respcache() as server, Wire(server.port) as c:
        assert art(c) == art(c)
        assert len({art(c), art(c, "a"), art(c, "b"), art(c, "a", "b")}) == 4
        *drawn, empty, last = art(c).splitlines()
        assert (empty, last) == ("", f"Redis ver. {'.'.join(map(str, server.version))}")
        assert {len(line) for line in drawn} == {48}
        assert set("".join(drawn)) == set("╱╲")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["FOO"], SYNTAX_ERROR),
        (["SAVE", "NOSAVE"], SYNTAX_ERROR),
        (["NOW", "NOSAVE", "x"], SYNTAX_ERROR),
        (["ABORT", "NOW"], SYNTAX_ERROR),
        (["NOSAVE", "ABORT"], SYNTAX_ERROR),
        (["ABORT"], Error("ERR No shutdown in progress.")),
        (["abort", "ABORT"], Error("ERR No shutdown in progress.")),
    ],
)
def test_shutdown_refused(c: Wire, options: list[str], error: Error) -> None:
    assert c("SHUTDOWN", *options) == error
    assert c("SET", "still", "there") == OK


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("options", [[], ["NOSAVE"], ["nosave", "NOW", "FORCE"], ["NOSAVE", "nosave"]])
def test_shutdown(start: Callable[..., Server], options: list[str]) -> None:
    with start() as server:
        with Wire(server.port) as c, Wire(server.port) as other:
            assert c("SET", "k", "v") == OK
            other.send("ECHO", "before")
            assert other.read() == b"before"
            c.send("SHUTDOWN", *options)
            c.send("ECHO", "after")
            assert c.closed()
            assert other.closed()
        assert server.wait() == 0


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_by_signal(start: Callable[..., Server], number: signal.Signals) -> None:
    with start() as server:
        with Wire(server.port) as c:
            assert c("SET", "k", "v") == OK
            server._signal(number)
            assert c.closed()
        assert server.wait() == 0


def test_replies_before_a_shutdown_are_sent() -> None:
    with start_respcache() as server:
        with Wire(server.port) as c:
            c.raw(b"ECHO one\r\nECHO two\r\nSHUTDOWN NOSAVE\r\nECHO three\r\n")
            assert (c.read(), c.read()) == (b"one", b"two")
            assert c.closed()
        assert server.wait() == 0

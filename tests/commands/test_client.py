"""CLIENT: names, PAUSE, REPLY and the rest that needs no other feature."""

from __future__ import annotations

import time

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_client_list import line_of, lines
from tests.commands.test_connection import BAD_NAME, info
from tests.commands.test_info import fields
from tests.servers import Server
from tests.wire import (
    NOT_AN_INTEGER,
    OK,
    PONG,
    SYNTAX_ERROR,
    Error,
    Reply,
    Status,
    Wire,
    arity_error,
    encode,
)


def waiting(wire: Wire, number: int) -> bool:
    """Whether a client comes to wait, in time."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if line_of(wire, number)["flags"] == "b":
            return True
    return False


# Names


def test_id(c: Wire, connect: Connect) -> None:
    number = c("CLIENT", "ID")
    assert isinstance(number, int)
    assert c("client", "id") == number
    assert connect()("Client", "Id") == number + 1
    assert c("CLIENT", "ID", "x") == arity_error("client|id")


def test_name(c: Wire) -> None:
    assert c("CLIENT", "GETNAME") == c.null
    assert c("CLIENT", "SETNAME", "me!~") == OK
    assert c("CLIENT", "GETNAME") == b"me!~"
    assert info(c)["name"] == "me!~"
    for name in ("a b", "a\n", "\t", "\x7f", "\x1f", "\u00e9", b"\xff", b"\0"):
        assert c("CLIENT", "SETNAME", name) == BAD_NAME
    assert c("CLIENT", "GETNAME") == b"me!~"
    assert c("CLIENT", "SETNAME", "") == OK
    assert c("CLIENT", "GETNAME") == c.null
    assert c("CLIENT", "GETNAME", "x") == arity_error("client|getname")
    assert c("CLIENT", "SETNAME") == arity_error("client|setname")


@pytest.mark.since("7.2")
def test_library(c: Wire) -> None:
    assert c("CLIENT", "SETINFO", "lib-name", "redis-py(x)") == OK
    assert c("CLIENT", "SETINFO", "LIB-VER", "8.1.0") == OK
    assert (info(c)["lib-name"], info(c)["lib-ver"]) == ("redis-py(x)", "8.1.0")
    for option in ("LIB-NAME", "lib-ver"):
        error = Error(f"ERR {option} cannot contain spaces, newlines or special characters.")
        assert c("CLIENT", "SETINFO", option, "a b") == error
    assert c("CLIENT", "SETINFO", "foo", "x") == Error("ERR Unrecognized option 'foo'")
    assert c("CLIENT", "SETINFO", "LIB-NAME") == arity_error("client|setinfo")
    assert c("CLIENT", "SETINFO", "LIB-NAME", "") == OK
    assert (info(c)["lib-name"], info(c)["lib-ver"]) == ("", "8.1.0")


def test_container(c: Wire) -> None:
    assert c("CLIENT") == arity_error("client")
    assert c("CLIENT", "NOSUCH", "x") == Error("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.")
    told = c("CLIENT", "HELP")
    assert told[0] == Status("CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
    assert told[-2] == Status("HELP")
    assert c("CLIENT", "HELP", "x") == arity_error("client|help")


def test_maintenance_notifications_are_accepted_and_listed_nowhere(c: Wire, server: Server) -> None:
    asked = c("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none")
    assert (asked == OK) is not server.is_oracle
    assert c("COMMAND", "INFO", "client|maint_notifications") in ([c.null], [c.null_array])
    assert not any(b"maint" in name for name in c("COMMAND", "LIST"))
    assert not any("MAINT" in line.text for line in c("CLIENT", "HELP"))


# PAUSE


def test_pause_errors(c: Wire) -> None:
    for timeout in ("x", "", "1.5", "99999999999999999999"):
        assert c("CLIENT", "PAUSE", timeout) == Error("ERR timeout is not an integer or out of range")
    assert c("CLIENT", "PAUSE", "-1") == Error("ERR timeout is negative")
    assert c("CLIENT", "PAUSE", "x", "foo") == Error("ERR CLIENT PAUSE mode must be WRITE or ALL")
    assert c("CLIENT", "PAUSE", "1", "WRITE", "x") == Error(
        "ERR unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP."
    )
    assert c("CLIENT", "PAUSE") == arity_error("client|pause")
    assert c("CLIENT", "UNPAUSE", "x") == arity_error("client|unpause")
    assert c("CLIENT", "UNPAUSE") == OK


def test_a_pause_of_writes(c: Wire, connect: Connect) -> None:
    other = connect()
    assert c("CLIENT", "PAUSE", 5000, "write") == OK
    assert other("GET", "k") == other.null
    assert other("SET", "k") == arity_error("set")
    assert other("NOSUCH") == Error("ERR unknown command 'NOSUCH', with args beginning with: ")
    assert other("EXISTS", "k") == 0
    other.raw(encode("GET", "k") + encode("SET", "k", "v") + encode("GET", "k") + encode("ECHO", "last"))
    assert other.read() == other.null
    assert waiting(c, c("CLIENT", "ID") + 1)
    assert other.quiet()
    other.send("ECHO", "later")
    assert c("GET", "k") == c.null
    assert c("CLIENT", "UNPAUSE") == OK
    assert [other.read() for _ in range(4)] == [OK, b"v", b"last", b"later"]
    assert line_of(c, c("CLIENT", "ID") + 1)["flags"] == "N"
    assert c("SET", "k", "w") == OK


@pytest.mark.parametrize("mode", [["ALL"], []])
def test_a_pause_of_everything_ends_in_time(c: Wire, connect: Connect, mode: list[str]) -> None:
    others = [connect() for _ in range(3)]
    since = time.monotonic()
    assert c("CLIENT", "PAUSE", 150, *mode) == OK
    others[0].send("PING")
    others[1].send("CLIENT", "UNPAUSE")
    others[2].send("QUIT")
    assert c("GET") == arity_error("get")
    assert all(other.quiet(0.02) for other in others)
    assert [other.read() for other in others] == [PONG, OK, OK]
    assert 0.14 < time.monotonic() - since < 0.4
    assert others[2].closed()
    assert c("PING") == PONG


def test_a_pause_is_not_shortened(c: Wire, connect: Connect) -> None:
    other = connect()
    c("CLIENT", "PAUSE", 10000, "WRITE")
    c("CLIENT", "PAUSE", 1, "WRITE")
    other.send("SET", "k", "v")
    assert other.quiet(0.2)
    assert c("CLIENT", "UNPAUSE") == OK
    assert other.read() == OK


def test_a_pause_of_no_time(c: Wire) -> None:
    assert c.pipeline([("CLIENT", "PAUSE", 0), ("CLIENT", "UNPAUSE")]) == [OK, OK]
    assert c("SET", "k", "v") == OK


def test_who_ends_a_pause_goes_first(c: Wire, connect: Connect) -> None:
    others = [connect() for _ in range(2)]
    own = c("CLIENT", "ID")
    c("CLIENT", "PAUSE", 10000, "WRITE")
    for i, other in enumerate(others):
        other.send("APPEND", "k", i)
        assert waiting(c, own + 1 + i)
    assert c.pipeline([("CLIENT", "UNPAUSE"), ("GET", "k")]) == [OK, c.null]
    assert [other.read() for other in others] == [1, 2]
    assert c("GET", "k") == b"01"


def test_who_waits_may_pause_again(c: Wire, connect: Connect) -> None:
    other = connect()
    c("CLIENT", "PAUSE", 10000, "WRITE")
    other.raw(encode("SET", "k", "1") + encode("CLIENT", "PAUSE", 10000, "WRITE") + encode("SET", "k", "2"))
    assert waiting(c, c("CLIENT", "ID") + 1)
    c("CLIENT", "UNPAUSE")
    assert [other.read() for _ in range(2)] == [OK, OK]
    assert other.quiet()
    assert c("GET", "k") == b"1"
    c("CLIENT", "UNPAUSE")
    assert other.read() == OK
    assert c("GET", "k") == b"2"


def test_who_leaves_while_waiting_is_forgotten(c: Wire, connect: Connect) -> None:
    own = c("CLIENT", "ID")
    one, two, three = connect(), connect(), connect()
    c("CLIENT", "PAUSE", 10000, "WRITE")
    for i, other in enumerate((one, two, three)):
        other.send("SET", "k", i)
        assert waiting(c, own + 1 + i)
    one.close()
    assert c("CLIENT", "KILL", "ID", own + 2) == 1
    assert two.closed()
    deadline = time.monotonic() + 2
    while len(lines(c)) > 2 and time.monotonic() < deadline:
        pass
    assert c("CLIENT", "UNPAUSE") == OK
    assert three.read() == OK
    assert c("GET", "k") == b"2"


@pytest.mark.since("7.2")
def test_a_pause_is_not_ended_one_by_one(c: Wire, connect: Connect) -> None:
    other = connect()
    own = c("CLIENT", "ID")
    c("CLIENT", "PAUSE", 10000, "WRITE")
    other.send("SET", "k", "v")
    assert waiting(c, own + 1)
    assert c("CLIENT", "UNBLOCK", own + 1) == c("CLIENT", "UNBLOCK", own + 1, "ERROR") == 0
    assert other.quiet()
    c("CLIENT", "UNPAUSE")
    assert other.read() == OK


# REPLY


def test_reply_off(c: Wire) -> None:
    off = ("CLIENT", "REPLY", "off")
    c.raw(
        b"".join(
            encode(*request)
            for request in (
                off,
                ("SET", "k", "v"),
                ("NOSUCH",),
                ("GET",),
                ("CLIENT", "REPLY", "x"),
                ("CLIENT", "REPLY", "SKIP"),
                ("PING",),
                off,
            )
        )
    )
    assert c.quiet()
    c.send("GET", "k")
    assert c.quiet()
    assert c("CLIENT", "REPLY", "ON") == OK
    assert c("GET", "k") == b"v"


@pytest.mark.parametrize("pipelined", [True, False])
def test_reply_skip(c: Wire, pipelined: bool) -> None:
    skip = encode("CLIENT", "REPLY", "SKIP")
    chains: list[tuple[bytes, list[Reply]]] = [
        (skip + encode("PING") + encode("ECHO", "a"), [b"a"]),
        (skip + encode("NOSUCH") + encode("ECHO", "a"), [b"a"]),
        (skip + encode("GET") + encode("ECHO", "a"), [b"a"]),
        (skip + skip + skip + encode("PING") + encode("ECHO", "a"), [b"a"]),
        (skip + encode("CLIENT", "REPLY", "ON") + encode("ECHO", "a"), [OK, b"a"]),
        (skip + encode("CLIENT", "REPLY", "OFF") + encode("ECHO", "a"), []),
    ]
    for data, replies in chains:
        for request in [data] if pipelined else [b"*" + part for part in data.split(b"*")[1:]]:
            c.raw(request)
            time.sleep(0 if pipelined else 0.005)
        assert [c.read() for _ in replies] == replies
    assert c.quiet()


def test_reply_errors(c: Wire) -> None:
    assert c("CLIENT", "REPLY", "on") == OK
    assert c("CLIENT", "REPLY", "x") == SYNTAX_ERROR
    assert c("CLIENT", "REPLY") == c("CLIENT", "REPLY", "ON", "x") == arity_error("client|reply")


def test_quit_is_not_answered_either(c: Wire, server: Server) -> None:
    if not server.is_oracle:  # which forgets to close the connection
        c.raw(encode("CLIENT", "REPLY", "OFF") + encode("QUIT") + encode("PING"))
        assert c.closed()


def test_replies_off_while_waiting(c: Wire, connect: Connect) -> None:
    other = connect()
    c("CLIENT", "PAUSE", 10000, "WRITE")
    other.raw(encode("CLIENT", "REPLY", "SKIP") + encode("SET", "k", "v") + encode("GET", "k"))
    assert waiting(c, c("CLIENT", "ID") + 1)
    c("CLIENT", "UNPAUSE")
    assert other.read() == b"v"


# The rest


def test_no_evict_and_no_touch(c: Wire, server: Server) -> None:
    assert c("CLIENT", "NO-EVICT", "on") == OK
    assert info(c)["flags"] == "e"
    assert c("CLIENT", "NO-EVICT", "OFF") == OK
    assert info(c)["flags"] == "N"
    assert c("CLIENT", "NO-EVICT", "x") == SYNTAX_ERROR
    assert c("CLIENT", "NO-EVICT") == arity_error("client|no-evict")
    if server.version >= (7, 2):
        assert c("CLIENT", "NO-TOUCH", "ON") == OK
        assert info(c)["flags"] == "T"
        assert c("CLIENT", "NO-TOUCH", "off") == OK
        assert c("CLIENT", "NO-TOUCH", "x") == SYNTAX_ERROR


def test_unblock(c: Wire) -> None:
    own = c("CLIENT", "ID")
    assert c("CLIENT", "UNBLOCK", own) == c("CLIENT", "UNBLOCK", 999999) == c("CLIENT", "UNBLOCK", -1) == 0
    assert c("CLIENT", "UNBLOCK", own, "timeout") == c("CLIENT", "UNBLOCK", own, "ERROR") == 0
    assert c("CLIENT", "UNBLOCK", "x") == NOT_AN_INTEGER
    reason = Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
    assert c("CLIENT", "UNBLOCK", own, "foo") == c("CLIENT", "UNBLOCK", "x", "foo") == reason
    assert c("CLIENT", "UNBLOCK", own, "ERROR", "x") == Error(
        "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP."
    )
    assert c("CLIENT", "UNBLOCK") == arity_error("client|unblock")


def test_unblocking_in_an_error_is_counted_as_one(c: Wire, connect: Connect) -> None:
    other = connect()
    number = other("CLIENT", "ID")
    assert c("CONFIG", "RESETSTAT") == OK
    other.send("BLPOP", "k", 0)
    assert waiting(c, number)
    assert c("CLIENT", "UNBLOCK", number, "ERROR") == 1
    assert other.read() == Error("UNBLOCKED client unblocked via CLIENT UNBLOCK")
    assert fields(c, "errorstats") == {"errorstat_UNBLOCKED": "count=1"}
    assert fields(c, "commandstats")["cmdstat_blpop"].endswith(",rejected_calls=0,failed_calls=1")


def test_tracking_that_is_off(c: Wire) -> None:
    assert c("CLIENT", "GETREDIR") == -1
    assert c("CLIENT", "TRACKINGINFO") == c.as_map(
        {b"flags": c.as_set([b"off"]), b"redirect": -1, b"prefixes": []}
    )
    assert c("CLIENT", "GETREDIR", "x") == arity_error("client|getredir")
    assert c("CLIENT", "TRACKINGINFO", "x") == arity_error("client|trackinginfo")

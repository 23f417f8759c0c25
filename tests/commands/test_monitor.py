"""MONITOR: what it shows of whom, and what who monitors may do."""

from __future__ import annotations

import re
import time

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_client_list import line_of
from tests.wire import OK, PONG, QUEUED, Error, Status, Wire

LINE = re.compile(r"(\d{10})\.(\d{6}) \[(\d+) ([^\]]+)\] (.*)")
NO_KEYSPACE = Error("ERR Replica can't interact with the keyspace")


@pytest.fixture
def monitor(connect: Connect) -> Wire:
    """A connection that monitors."""
    wire = connect()
    assert wire("MONITOR") == OK
    return wire


def shown(monitor: Wire) -> str:
    """The database and the words of the next line."""
    line = monitor.read()
    assert isinstance(line, Status)
    found = LINE.fullmatch(line.text)
    assert found, line
    return f"{found[3]} {found[5]}"


def test_line(c: Wire, monitor: Wire) -> None:
    address = line_of(c, c("CLIENT", "ID"))["addr"]
    assert shown(monitor) == '0 "CLIENT" "ID"'
    before = time.time()
    c("SET", "k", "v")
    line = monitor.read()
    found = LINE.fullmatch(line.text)
    assert found, line
    assert before - 1 < float(f"{found[1]}.{found[2]}") < time.time() + 1
    assert found.groups()[2:] == ("0", address, '"SET" "k" "v"')


def test_words(c: Wire, monitor: Wire) -> None:
    c("set", "", b"a\n\r\t\a\b\x00\xff\"\\ '~\x7f")
    assert shown(monitor) == r'''0 "set" "" "a\n\r\t\a\b\x00\xff\"\\ '~\x7f"'''
    c("Get", "k")
    assert shown(monitor) == '0 "Get" "k"'
    c("client", "Id")
    assert shown(monitor) == '0 "client" "Id"'
    c.pipeline([("GET", "a"), ("GET", "b")])
    assert [shown(monitor), shown(monitor)] == ['0 "GET" "a"', '0 "GET" "b"']


def test_what_is_not_shown(c: Wire, monitor: Wire) -> None:
    for words in ("GET", "GET a b", "nope", "CONFIG GET port", "CONFIG FOO", "DEBUG SLEEP 0", "CLIENT LIST"):
        c(*words.split())
    c("INCR", "k")
    assert shown(monitor) == '0 "INCR" "k"'


def test_failed_commands(c: Wire, monitor: Wire) -> None:
    c("SET", "k", "v")
    c("INCR", "k")
    c("SET", "k", "v", "FOO")
    assert [shown(monitor) for _ in range(3)] == ['0 "SET" "k" "v"', '0 "INCR" "k"', '0 "SET" "k" "v" "FOO"']


def test_secrets(c: Wire, monitor: Wire) -> None:
    for words, line in (
        ("AUTH secret", '"AUTH" "(redacted)"'),
        ("auth user secret", '"auth" "(redacted)" "(redacted)"'),
        (
            f"HELLO {c.protocol} AUTH default secret SETNAME x",
            f'"HELLO" "{c.protocol}" "AUTH" "(redacted)" "(redacted)" "SETNAME" "x"',
        ),
    ):
        c(*words.split())
        assert shown(monitor) == f"0 {line}"


def test_database_after_the_command(c: Wire, monitor: Wire) -> None:
    c("SELECT", 3)
    c("GET", "k")
    assert [shown(monitor), shown(monitor)] == ['3 "SELECT" "3"', '3 "GET" "k"']


def test_transaction(c: Wire, monitor: Wire) -> None:
    commands = ["MULTI", "sEt k 1", "CONFIG GET port", "INCR k", "EXEC", "MULTI", "SET k 2", "DISCARD"]
    replies = c.pipeline([command.split() for command in commands])
    assert replies[1:4] == [QUEUED] * 3
    expected = ['"MULTI"', '"sEt" "k" "1"', '"INCR" "k"', '"EXEC"', '"MULTI"', '"DISCARD"']
    assert [shown(monitor) for _ in expected] == [f"0 {line}" for line in expected]


def test_quit(c: Wire, monitor: Wire) -> None:
    assert c("QUIT") == OK
    assert shown(monitor) == '0 "QUIT"'


@pytest.mark.needs("blpop", "rpush")
def test_blocking(c: Wire, connect: Connect) -> None:
    waiter, monitor = connect(), connect()
    monitor("MONITOR")
    waiter.send("BLPOP", "list", 0)
    assert shown(monitor) == '0 "BLPOP" "list" "0"'
    c("RPUSH", "list", "a")
    assert shown(monitor) == '0 "RPUSH" "list" "a"'
    assert waiter.read() == [b"list", b"a"]
    assert monitor.quiet()


def test_paused_commands_are_shown_when_they_run(c: Wire, connect: Connect) -> None:
    other, monitor = connect(), connect()
    monitor("MONITOR")
    c("CLIENT", "PAUSE", 10_000, "WRITE")
    other.send("SET", "k", "v")
    assert monitor.quiet()
    c("CLIENT", "UNPAUSE")
    assert shown(monitor) == '0 "SET" "k" "v"'


def test_several_monitors(c: Wire, connect: Connect) -> None:
    monitors = [connect(), connect(protocol=2), connect(protocol=3)]
    for monitor in monitors:
        assert monitor("MONITOR") == OK
    c("SET", "k", "v")
    for monitor in monitors:
        line = shown(monitor)
        while "HELLO" in line:
            line = shown(monitor)
        assert line == '0 "SET" "k" "v"'


# The one who monitors


def test_mode(monitor: Wire) -> None:
    for words in ("GET k", "SET k v", "PUBLISH a b", "DBSIZE", "KEYS *"):
        assert monitor(*words.split()) == NO_KEYSPACE
    assert monitor("PING") == PONG
    assert shown(monitor) == '0 "PING"'
    monitor.send("MONITOR")  # has no reply
    assert monitor("SELECT", 2) == OK
    assert shown(monitor) == '2 "SELECT" "2"'


def test_flag(c: Wire, monitor: Wire) -> None:
    number = monitor("CLIENT", "ID")
    assert shown(monitor) == '0 "CLIENT" "ID"'
    line = line_of(c, number)
    assert (line["flags"], line["cmd"]) == ("O", "client|id")


def test_reset(c: Wire, monitor: Wire) -> None:
    assert monitor("RESET") == Status("RESET")
    monitor.protocol = 2
    c("SET", "k", "v")
    assert monitor("GET", "k") == b"v"
    assert monitor("CLIENT", "INFO").count(b"flags=N") == 1


def test_end(c: Wire, connect: Connect, monitor: Wire) -> None:
    assert monitor("QUIT") == OK
    assert monitor.closed()
    other = connect()
    assert other("MONITOR") == OK
    other.close()
    assert c("SET", "k", "v") == OK
    assert c("get", "k") == b"v"


def test_subscribed_monitor(c: Wire, monitor: Wire) -> None:
    monitor.send("SUBSCRIBE", "a")
    assert monitor.read_push() == [b"subscribe", b"a", 1]
    assert shown(monitor) == '0 "SUBSCRIBE" "a"'
    assert c("PUBLISH", "a", "m") == 1
    # Which of the two comes first is left open.
    found = sorted(type(monitor.read()).__name__ for _ in range(2))
    assert found == sorted(["Status", "Push" if c.protocol == 3 else "list"])
    monitor.send("UNSUBSCRIBE", "a")
    assert monitor.read_push() == [b"unsubscribe", b"a", 0]
    assert shown(monitor) == '0 "UNSUBSCRIBE" "a"'
    assert monitor("GET", "k") == NO_KEYSPACE


def test_in_transaction(c: Wire) -> None:
    c("MULTI")
    assert c("MONITOR") == QUEUED
    assert c("EXEC") == [Error("ERR MONITOR isn't allowed for DENY BLOCKING client")]
    assert c("GET", "k") == c.null


def test_muted(c: Wire, monitor: Wire) -> None:
    monitor.send("CLIENT", "REPLY", "OFF")
    c("SET", "k", "v")
    assert monitor("CLIENT", "REPLY", "ON") == OK
    assert shown(monitor) == '0 "CLIENT" "REPLY" "ON"'

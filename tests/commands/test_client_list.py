"""CLIENT LIST, INFO and KILL."""

from __future__ import annotations

import re
import time

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_connection import info
from tests.servers import Server
from tests.wire import OK, PONG, SYNTAX_ERROR, Error, Reply, Verbatim, Wire, arity_error, encode

NO_SUCH_CLIENT = Error("ERR No such client")
ID_RANGE = Error("ERR client-id should be greater than 0")

LINE = (
    rb"id=\d+ addr=127\.0\.0\.1:\d+ laddr=127\.0\.0\.1:PORT fd=\d+ name=\S* age=\d+ idle=\d+ flags=\w+ "
    rb"db=\d+ sub=\d+ psub=\d+ ssub=\d+ multi=-1 (watch=0 )?qbuf=\d+ qbuf-free=\d+ "
    rb"argv-mem=\d+ multi-mem=\d+ rbs=\d+ rbp=\d+ obl=\d+ oll=\d+ omem=\d+ "
    rb"tot-mem=\d+ events=rw? cmd=\S+ user=default redir=-1 resp=[23]"
    rb"( lib-name=\S* lib-ver=\S*)?\n"
)


def lines(wire: Wire, *filters: str | int) -> list[dict[str, str]]:
    """The lines of CLIENT LIST, as dictionaries."""
    reply = wire("CLIENT", "LIST", *filters)
    text = reply if wire.protocol == 2 else reply.data
    return [dict(field.split("=", 1) for field in line.split()) for line in text.decode().splitlines()]


def line_of(wire: Wire, number: int) -> dict[str, str]:
    """What CLIENT LIST tells of one client."""
    (line,) = lines(wire, "ID", number)
    return line


# LIST and INFO


def test_line(c: Wire, server: Server) -> None:
    line = LINE.replace(b"PORT", b"%d" % server.port)
    own, everybody = c("CLIENT", "INFO"), c("CLIENT", "LIST")
    if c.protocol == 3:
        assert isinstance(own, Verbatim)
        assert own.kind == everybody.kind == "txt"
        own, everybody = own.data, everybody.data
    assert re.fullmatch(line, own)
    assert re.fullmatch(line, everybody)
    assert (b" watch=" in own) is (server.version >= (7, 4))
    assert (b" lib-ver=" in own) is (server.version >= (7, 2))
    assert c("CLIENT", "INFO", "x") == arity_error("client|info")


def test_list_tells_of_others(c: Wire, connect: Connect) -> None:
    other = connect(protocol=2)
    number = c("CLIENT", "ID") + 1
    assert line_of(c, number)["cmd"] == "NULL"
    assert other("CLIENT", "ID") == number
    assert line_of(c, number)["cmd"] == "client|id"
    other("SELECT", 5)
    assert (line_of(c, number)["cmd"], line_of(c, number)["db"]) == ("select", "5")
    other("gEt", "k")
    other.raw(b"*2\r\n$3\r\nSET")  # half a request is none
    assert line_of(c, number)["cmd"] == "get"
    other.raw(b"\r\n$1\r\nk\r\n")
    assert other.read() == arity_error("set")
    assert line_of(c, number)["cmd"] in ("get", "set")
    assert line_of(c, number)["resp"] == "2"
    own = line_of(c, number - 1)
    assert (own["cmd"], own["idle"], own["resp"]) == ("client|list", "0", str(c.protocol))


def test_age_and_idle(c: Wire, connect: Connect) -> None:
    other = connect()
    other("PING")
    time.sleep(1.05)
    mine, number = info(c), c("CLIENT", "ID") + 1
    assert int(mine["age"]) >= 1  # a busy machine may take its time, and Redis's clock ticks now and then
    assert mine["idle"] in ("0", "1")
    theirs = line_of(c, number)
    assert int(theirs["age"]) >= int(theirs["idle"]) >= 1
    other("PING")
    assert line_of(c, number)["idle"] in ("0", "1")


def test_list_by_id(c: Wire, connect: Connect) -> None:
    connect()
    one = c("CLIENT", "ID")
    two = one + 1

    def ids(*filters: str | int) -> list[int]:
        return [int(line["id"]) for line in lines(c, *filters)]

    assert ids() == [one, two]
    assert ids("ID", two, one, 999999, two) == [two, one, two]
    assert ids("id", 0, -1) == []
    assert c("CLIENT", "LIST", "ID", one, "x") == Error("ERR Invalid client ID")
    assert (
        c("CLIENT", "LIST", "ID") == c("CLIENT", "LIST", "FOO", 1) == c("CLIENT", "LIST", "x") == SYNTAX_ERROR
    )


def test_list_by_type(c: Wire) -> None:
    assert len(lines(c, "TYPE", "normal")) == len(lines(c, "type", "NORMAL")) == 1
    for kind in ("master", "replica", "slave", "pubsub"):
        assert lines(c, "TYPE", kind) == []
    assert c("CLIENT", "LIST", "TYPE", "foo") == Error("ERR Unknown client type 'foo'")
    assert c("CLIENT", "LIST", "TYPE") == c("CLIENT", "LIST", "TYPE", "normal", "x") == SYNTAX_ERROR


# KILL


def test_kill_by_address(c: Wire, connect: Connect) -> None:
    other = connect(protocol=2)
    address = info(other)["addr"]
    assert c("CLIENT", "KILL", "127.0.0.1:1") == c("CLIENT", "KILL", "ID") == NO_SUCH_CLIENT
    assert c("CLIENT", "KILL", address) == OK
    assert other.closed()
    assert c("CLIENT", "KILL", address) == NO_SUCH_CLIENT
    assert c("CLIENT", "KILL", info(c)["addr"]) == OK
    assert c.closed()


def test_kill_by_filters(c: Wire, connect: Connect) -> None:
    def kill(*filters: str | int) -> Reply:
        return c("CLIENT", "KILL", *filters)

    others = [connect(protocol=2) for _ in range(3)]
    one = info(others[0])
    assert kill("ADDR", one["addr"], "ID", 999999) == 0
    assert kill("ADDR", "127.0.0.1:1", "ID", one["id"]) == 0
    assert kill("LADDR", "127.0.0.1:1") == 0
    assert kill("TYPE", "pubsub") == kill("TYPE", "master") == kill("TYPE", "slave") == 0
    assert kill("ID", 999999, "id", one["id"], "addr", one["addr"], "type", "normal", "USER", "default") == 1
    assert others[0].closed()
    assert kill("LADDR", one["laddr"], "SKIPME", "YES") == 2
    assert others[1].closed()
    assert others[2].closed()
    assert c("PING") == PONG


def test_an_empty_address_fits_nobody(c: Wire) -> None:
    assert c("CLIENT", "KILL", "ADDR", "", "SKIPME", "no") == 0
    assert c("CLIENT", "KILL", "LADDR", "", "SKIPME", "no") == 0


def test_kill_oneself(c: Wire) -> None:
    own = c("CLIENT", "ID")
    assert c("CLIENT", "KILL", "ID", own) == 0
    c.raw(encode("CLIENT", "KILL", "ID", own, "SKIPME", "NO") + encode("PING"))
    assert c.read() == 1
    assert c.closed()


def test_who_is_killed_is_gone_at_once(c: Wire, connect: Connect) -> None:
    other = connect()
    other("PING")
    own = c("CLIENT", "ID")
    killed, listed = c.pipeline([("CLIENT", "KILL", "ID", own + 1), ("CLIENT", "LIST", "ID", own + 1)])
    assert killed == 1
    assert listed == c.as_verbatim(b"")
    assert other.closed()


@pytest.mark.parametrize("transaction", [False, True])
def test_who_is_killed_takes_nothing_any_more(c: Wire, connect: Connect, transaction: bool) -> None:
    other = connect()
    number = other("CLIENT", "ID")
    other.send("BLPOP", "k", 0)
    while line_of(c, number)["flags"] != "b":
        pass
    commands = ["MULTI"] * transaction + [f"CLIENT KILL ID {number}", "RPUSH k v"] + ["EXEC"] * transaction
    c.pipeline([command.split() for command in commands])
    assert c("LRANGE", "k", 0, -1) == [b"v"]
    assert other.closed()


def test_the_last_command_was_perhaps_none(c: Wire, connect: Connect) -> None:
    other = connect()
    number = other("CLIENT", "ID")
    for command, name in (
        ("GET", "get"),
        ("NOPE", "NULL"),
        ("eCHO", "echo"),
        ("CONFIG NOPE", "NULL"),
        ("CLIENT", "client"),
    ):
        assert isinstance(other(*command.split()), Error)
        assert line_of(c, number)["cmd"] == name


def test_kill_errors(c: Wire) -> None:
    for value in ("x", "0", "-1", "1.5", ""):
        assert c("CLIENT", "KILL", "ID", value) == ID_RANGE
    assert c("CLIENT", "KILL", "TYPE", "foo") == Error("ERR Unknown client type 'foo'")
    assert c("CLIENT", "KILL", "USER", "nope") == Error("ERR No such user 'nope'")
    assert c("CLIENT", "KILL", "USER", "nope", "ID", "x") == Error("ERR No such user 'nope'")
    assert c("CLIENT", "KILL", "ID", "x", "FOO") == ID_RANGE
    for words in (
        ["ID", 1, "ID"],
        ["FOO", "x"],
        ["SKIPME", "maybe"],
        ["a", "b", "c"],
        ["ADDR", "a", "SKIPME"],
    ):
        assert c("CLIENT", "KILL", *words) == SYNTAX_ERROR
    assert c("CLIENT", "KILL") == arity_error("client|kill")


@pytest.mark.since("7.4")
def test_kill_by_age(c: Wire, connect: Connect) -> None:
    old = connect(protocol=2)
    old("PING")
    time.sleep(1.05)
    young = connect(protocol=2)
    young("PING")
    assert c("CLIENT", "KILL", "MAXAGE", "1000") == 0
    assert c("CLIENT", "KILL", "MAXAGE", "1") == 1
    assert old.closed()
    assert young("PING") == PONG
    assert c("CLIENT", "KILL", "MAXAGE", "x") == Error("ERR maxage is not an integer or out of range")
    assert c("CLIENT", "KILL", "MAXAGE", "0") == Error("ERR maxage should be greater than 0")

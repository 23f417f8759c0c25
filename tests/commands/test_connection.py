"""PING, ECHO, AUTH, HELLO, RESET, QUIT."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.commands.conftest import Connect
from tests.servers import Server
from tests.wire import (
    NULL_BULK,
    OK,
    PONG,
    SYNTAX_ERROR,
    Error,
    Reply,
    Status,
    Wire,
    arity_error,
    encode,
    pairs,
)

NOAUTH = Error("NOAUTH Authentication required.")
WRONGPASS = Error("WRONGPASS invalid username-password pair or user is disabled.")
NO_PASSWORD_SET = Error(
    "ERR AUTH <password> called without any password configured for the default user. "
    "Are you sure your configuration is correct?"
)
NOPROTO = Error("NOPROTO unsupported protocol version")
BAD_VERSION = Error("ERR Protocol version is not an integer or out of range")
BAD_NAME = Error("ERR Client names cannot contain spaces, newlines or special characters.")


def hello_option(name: str) -> Error:
    """The error for an option that HELLO does not know, or that lacks its arguments."""
    return Error(f"ERR Syntax error in HELLO option '{name}'")


def hello_noauth(server: Server) -> Error:
    """The error of HELLO that did not authenticate; 7.2 changed it."""
    form = "HELLO <proto> AUTH" if server.version >= (7, 2) else "HELLO AUTH"
    return Error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the "
        f"{form} <user> <pass> option can be used to authenticate the client and select the RESP protocol "
        "version at the same time"
    )


def info(wire: Wire) -> dict[str, str]:
    """The fields of CLIENT INFO."""
    reply = wire("CLIENT", "INFO")
    line = (reply if isinstance(reply, bytes) else reply.data).decode()
    assert line.endswith("\n")
    return dict(field.split("=", 1) for field in line.split())


@pytest.fixture
def locked(c: Wire, connect: Connect) -> Iterator[Wire]:
    """A connection, in RESP2, to a server that wants the password `secret` and that `c` is already in."""
    assert c("CONFIG", "SET", "requirepass", "secret") == OK
    yield connect(protocol=2)
    assert c("CONFIG", "SET", "requirepass", "") == OK


# PING and ECHO


def test_ping(c: Wire) -> None:
    assert c("PING") == PONG
    assert c("ping", "hi") == b"hi"
    assert c("PiNg", b"\x00\r\n") == b"\x00\r\n"
    assert c("PING", "") == b""
    assert c("PING", "a", "b") == arity_error("ping")


def test_echo(c: Wire) -> None:
    assert c("ECHO", "hi") == b"hi"
    assert c("echo", "x" * 2000) == b"x" * 2000
    assert c("ECHO") == c("ECHO", "a", "b") == arity_error("echo")


# AUTH


def test_auth_without_a_password(c: Wire) -> None:
    assert c("AUTH", "x") == NO_PASSWORD_SET
    assert c("AUTH", "default", "anything") == OK
    assert c("AUTH", "default", "") == OK
    assert c("AUTH", "nobody", "x") == WRONGPASS
    assert c("AUTH") == arity_error("auth")
    assert c("AUTH", "a", "b", "c") == SYNTAX_ERROR
    assert c("PING") == PONG


def test_auth(locked: Wire) -> None:
    assert locked("PING") == NOAUTH
    assert locked("AUTH", "wrong") == WRONGPASS
    assert locked("AUTH", "") == WRONGPASS
    assert locked("AUTH", "default", "wrong") == WRONGPASS
    assert locked("AUTH", "Default", "secret") == WRONGPASS
    assert locked("AUTH", "nobody", "secret") == WRONGPASS
    assert locked("AUTH", "a", "b", "c") == SYNTAX_ERROR
    assert locked("PING") == NOAUTH
    assert locked("AUTH", "secret") == OK
    assert locked("PING") == PONG


def test_auth_with_a_user(locked: Wire) -> None:
    assert locked("AUTH", "default", "secret") == OK
    assert locked("PING") == PONG


def test_a_wrong_password_does_not_log_out(locked: Wire) -> None:
    assert locked("AUTH", "secret") == OK
    assert locked("AUTH", "wrong") == WRONGPASS
    assert locked("PING") == PONG


def test_a_password_may_be_any_text(c: Wire, connect: Connect) -> None:
    assert c("CONFIG", "SET", "requirepass", "p\u00e4ss w\u00f6rd \u2603") == OK
    other = connect(protocol=2)
    assert other("AUTH", "pass word") == WRONGPASS
    assert other("AUTH", b"\xff") == WRONGPASS
    assert other("AUTH", "p\u00e4ss w\u00f6rd \u2603") == OK
    assert c("CONFIG", "SET", "requirepass", "") == OK


def test_who_is_in_stays_in(c: Wire, locked: Wire, connect: Connect) -> None:
    assert c("GET", "k") == c.null
    assert c("CONFIG", "SET", "requirepass", "other") == OK
    assert c("GET", "k") == c.null
    assert locked("AUTH", "secret") == WRONGPASS
    assert locked("AUTH", "other") == OK


def test_without_a_password_everybody_is_let_in(
    server: Server, c: Wire, locked: Wire, connect: Connect
) -> None:
    second, third = connect(protocol=2), connect(protocol=2)
    assert locked("GET", "k") == NOAUTH
    assert second("GET", "k") == NOAUTH
    assert c("CONFIG", "SET", "requirepass", "") == OK
    assert locked("GET", "k") == NULL_BULK
    assert second("AUTH", "secret") == NO_PASSWORD_SET
    assert second("SET", "k", "v") == OK
    assert third("HELLO", "2") == hello_noauth(server)  # which does not ask whether there is a password
    assert third("GET", "k") == b"v"


def test_who_is_not_in_sees_errors_in_their_order(server: Server, locked: Wire) -> None:
    assert locked("NOSUCH") == Error("ERR unknown command 'NOSUCH', with args beginning with: ")
    assert locked("GET") == arity_error("get")
    assert locked("GET", "k") == NOAUTH
    assert locked("CLIENT") == arity_error("client")
    assert locked("CLIENT", "NOSUCH") == Error("ERR unknown subcommand 'NOSUCH'. Try CLIENT HELP.")
    assert locked("CLIENT", "ID", "x") == arity_error("client|id")
    assert locked("CLIENT", "ID") == NOAUTH
    assert locked("HELLO") == hello_noauth(server)
    assert locked("RESET") == Status("RESET")
    assert locked("QUIT") == OK
    assert locked.closed()


def test_auth_in_a_pipeline(locked: Wire) -> None:
    requests = [("GET", "k"), ("AUTH", "wrong"), ("GET", "k"), ("AUTH", "secret"), ("GET", "k"), ("PING",)]
    assert locked.pipeline(requests) == [NOAUTH, WRONGPASS, NOAUTH, OK, NULL_BULK, PONG]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"*11\r\n", "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ],
)
def test_who_is_not_in_may_send_little(locked: Wire, request_: bytes, reason: str) -> None:
    locked.raw(request_)
    assert locked.read() == Error(f"ERR Protocol error: {reason}")
    assert locked.closed()


# HELLO


def about(server: Server, wire: Wire, protocol: int) -> list[tuple[bytes, Reply]]:
    """What HELLO tells."""
    return [
        (b"server", b"redis"),
        (b"version", ".".join(map(str, server.version)).encode()),
        (b"proto", protocol),
        (b"id", wire("CLIENT", "ID")),
        (b"mode", b"standalone"),
        (b"role", b"master"),
        (b"modules", []),
    ]


def test_hello(server: Server, c: Wire) -> None:
    assert c("HELLO") == c.as_map(about(server, c, c.protocol))
    assert c("GET", "k") == c.null


def test_hello_changes_the_protocol(server: Server, c: Wire) -> None:
    for protocol in (3, 2, 3, 3, 2):
        told = c("HELLO", protocol)
        c.protocol = protocol
        assert told == c.as_map(about(server, c, protocol))
        assert c("GET", "k") == c.null


def test_hello_of_no_such_version(c: Wire) -> None:
    assert c("HELLO", "1") == c("HELLO", "4") == c("HELLO", "-2") == c("HELLO", "4", "FOO") == NOPROTO
    for version in ("x", "", "+2", "02", "2.0", "99999999999999999999"):
        assert c("HELLO", version) == BAD_VERSION
    assert c("GET", "k") == c.null


def test_hello_options(c: Wire) -> None:
    assert c("HELLO", c.protocol, "FOO") == hello_option("FOO")
    assert c("HELLO", c.protocol, "auth", "default") == hello_option("auth")
    assert c("HELLO", c.protocol, "SETNAME") == hello_option("SETNAME")
    assert c("HELLO", c.protocol, "AUTH", "nobody", "x") == WRONGPASS
    assert c("HELLO", c.protocol, "SETNAME", "a b") == BAD_NAME
    assert c("CLIENT", "GETNAME") == c.null
    assert pairs(c("HELLO", c.protocol, "setname", "one", "SETNAME", "two"))[b"proto"] == c.protocol
    assert c("CLIENT", "GETNAME") == b"two"
    assert pairs(c("HELLO", c.protocol, "SETNAME", "three", "AUTH", "default", "x"))[b"proto"] == c.protocol
    assert c("CLIENT", "GETNAME") == b"three"
    assert pairs(c("HELLO", c.protocol, "SETNAME", ""))[b"proto"] == c.protocol
    assert c("CLIENT", "GETNAME") == c.null


@pytest.mark.since("7.2")
def test_hello_that_fails_changes_nothing(locked: Wire) -> None:
    assert locked("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "a b") == BAD_NAME
    assert locked("PING") == NOAUTH
    assert locked("HELLO", 3, "SETNAME", "name", "AUTH", "default", "secret", "FOO") == hello_option("FOO")
    assert locked("PING") == NOAUTH
    assert locked("HELLO", 3, "SETNAME", "name", "AUTH", "default", "wrong") == WRONGPASS
    assert locked("AUTH", "secret") == OK
    assert locked("CLIENT", "GETNAME") == NULL_BULK


def test_hello_wants_to_know_who_is_there(server: Server, locked: Wire) -> None:
    assert locked("HELLO") == locked("HELLO", 3) == locked("HELLO", 2, "SETNAME", "x") == hello_noauth(server)
    assert locked("HELLO", 4) == NOPROTO
    assert locked("HELLO", 2, "FOO") == hello_option("FOO")
    assert locked("HELLO", 3, "AUTH", "default", "wrong") == WRONGPASS
    assert locked("PING") == NOAUTH
    locked.protocol = 3
    assert pairs(locked("HELLO", 3, "AUTH", "default", "secret", "SETNAME", "x"))[b"proto"] == 3
    assert locked("CLIENT", "GETNAME") == b"x"
    assert locked("GET", "k") == locked.null


# RESET


def test_reset(c: Wire) -> None:
    c("SELECT", 3)
    c("HELLO", 3, "SETNAME", "name")
    number = c("CLIENT", "ID")
    assert c("RESET") == Status("RESET")
    assert c("GET", "k") == NULL_BULK
    assert c("CLIENT", "GETNAME") == NULL_BULK
    assert c("CLIENT", "ID") == number
    c.protocol = 2
    fields = info(c)
    assert (fields["db"], fields["resp"], fields["name"], fields["flags"]) == ("0", "2", "", "N")
    assert c("RESET", "x") == arity_error("reset")


@pytest.mark.since("7.2")
def test_reset_ends_special_treatment_and_keeps_the_library(c: Wire) -> None:
    c("CLIENT", "NO-EVICT", "ON")
    c("CLIENT", "NO-TOUCH", "ON")
    c("CLIENT", "SETINFO", "LIB-NAME", "lib")
    assert info(c)["flags"] == "eT"
    c("RESET")
    assert (info(c)["flags"], info(c)["lib-name"]) == ("N", "lib")


def test_reset_logs_out(locked: Wire) -> None:
    assert locked("AUTH", "secret") == OK
    assert locked.pipeline([("PING",), ("RESET",), ("PING",), ("AUTH", "secret"), ("PING",)]) == [
        PONG,
        Status("RESET"),
        NOAUTH,
        OK,
        PONG,
    ]
    assert locked("RESET") == Status("RESET")
    assert locked("PING") == NOAUTH
    locked.raw(b"*11\r\n")
    assert locked.read() == Error("ERR Protocol error: unauthenticated multibulk length")
    assert locked.closed()


def test_reset_turns_replies_on(c: Wire) -> None:
    c.raw(encode("CLIENT", "REPLY", "OFF") + encode("PING") + encode("RESET") + encode("ECHO", "a"))
    assert c.read() == Status("RESET")
    assert c.read() == b"a"


def test_reset_after_skip_is_skipped(c: Wire) -> None:
    c.raw(encode("CLIENT", "REPLY", "SKIP") + encode("RESET") + encode("ECHO", "a"))
    assert c.read() == b"a"


# QUIT


@pytest.mark.parametrize("name", ["QUIT", "quit", "Quit"])
def test_quit(c: Wire, name: str) -> None:
    c.raw(encode("PING") + encode(name, "any", "thing") + encode("SET", "k", "v"))
    assert c.read() == PONG
    assert c.read() == OK
    assert c.closed()


def test_what_follows_quit_is_dropped(c: Wire, connect: Connect) -> None:
    c.raw(encode("QUIT") + encode("SET", "k", "v") + b"*garbage")
    assert c.read() == OK
    assert c.closed()
    other = connect()
    assert other("GET", "k") == other.null


@pytest.mark.parametrize("line", [b"POST / HTTP/1.1\r\n", b"Host: example\r\n"])
def test_a_browser_is_cut_off(c: Wire, line: bytes) -> None:
    c.raw(line + b"\r\n")
    assert c.closed()


@pytest.mark.parametrize("name", ["post", "POST", "Host:"])
def test_a_browser_in_a_pipeline_is_cut_off(c: Wire, connect: Connect, name: str) -> None:
    c.raw(encode("ECHO", "a") + encode(name, "/") + encode("SET", "k", "v"))
    with contextlib.suppress(EOFError):  # replies before it are sent by us, and dropped by Redis
        assert c.read() == b"a"
    assert c.closed()
    other = connect()
    assert other("GET", "k") == other.null

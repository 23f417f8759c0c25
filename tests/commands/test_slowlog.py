"""SLOWLOG: what is logged, how it is cut, how much of it is told."""

from __future__ import annotations

import time

import pytest

from tests.commands.conftest import Connect
from tests.servers import Server
from tests.wire import OK, Error, Wire, arity_error

BAD_COUNT = Error("ERR count should be greater than or equal to -1")


def log_all(c: Wire) -> None:
    assert c("CONFIG", "SET", "slowlog-log-slower-than", 0) == OK
    assert c("SLOWLOG", "RESET") == OK


def stop_logging(c: Wire) -> None:
    """This command is the first that is not logged."""
    assert c("CONFIG", "SET", "slowlog-log-slower-than", -1) == OK


def words(c: Wire, *count: int) -> list[list[bytes]]:
    return [entry[3] for entry in c("SLOWLOG", "GET", *count)]


def test_an_entry(c: Wire) -> None:
    assert c("SLOWLOG", "RESET") == OK
    assert c("SLOWLOG", "GET") == []
    c("CLIENT", "SETNAME", "me")
    assert c("DEBUG", "SLEEP", "0.05") == OK
    ((number, second, microseconds, argv, peer, name),) = c("SLOWLOG", "GET")
    assert number >= 0
    assert abs(second - time.time()) < 5
    assert 50_000 <= microseconds < 1_000_000
    assert argv == [b"DEBUG", b"SLEEP", b"0.05"]
    assert peer == b"127.0.0.1:%d" % c._socket.getsockname()[1]
    assert name == b"me"
    assert c("SLOWLOG", "LEN") == 1
    assert c("DEBUG", "SLEEP", "0.05") == OK
    assert [entry[0] for entry in c("SLOWLOG", "GET")] == [number + 1, number]


def test_numbers_go_on_after_reset(c: Wire) -> None:
    log_all(c)
    c("ECHO", "x")
    stop_logging(c)
    ((first, *_), *_) = c("SLOWLOG", "GET")
    assert c("SLOWLOG", "RESET") == OK
    assert c("SLOWLOG", "LEN") == 0
    log_all(c)
    stop_logging(c)
    assert c("SLOWLOG", "GET", -1)[-1][0] > first


def test_all_commands_if_the_threshold_is_zero(c: Wire) -> None:
    log_all(c)
    c("SET", "k", "v")
    c.pipeline([("get", "k"), ("get", "k"), ("GET",), ("NOSUCH",), ("INCR", "k")])
    stop_logging(c)
    assert words(c, 5) == [
        [b"INCR", b"k"],
        [b"get", b"k"],
        [b"get", b"k"],
        [b"SET", b"k", b"v"],
        [b"SLOWLOG", b"RESET"],
    ]


def test_subcommands_keep_all_their_words(c: Wire) -> None:
    log_all(c)
    c("config", "get", "hz")
    stop_logging(c)
    assert words(c, 1) == [[b"config", b"get", b"hz"]]


def test_nothing_if_the_threshold_is_negative(c: Wire) -> None:
    stop_logging(c)
    assert c("SLOWLOG", "RESET") == OK
    assert c("DEBUG", "SLEEP", "0.02") == OK
    assert c("SLOWLOG", "LEN") == 0


def test_arguments_are_cut(c: Wire) -> None:
    log_all(c)
    c("SET", "k", "x" * 130)
    c("DEL", *["w"] * 40)
    c("DEL", *["w"] * 31)
    stop_logging(c)
    exact, many, long = words(c, 3)
    assert exact == [b"DEL", *[b"w"] * 31]
    assert many == [b"DEL", *[b"w"] * 30, b"... (10 more arguments)"]
    assert long == [b"SET", b"k", b"x" * 128 + b"... (2 more bytes)"]


def test_length(c: Wire) -> None:
    assert c("CONFIG", "SET", "slowlog-max-len", 3) == OK
    log_all(c)
    for number in range(6):
        c("ECHO", number)
    stop_logging(c)
    assert c("SLOWLOG", "LEN") == 3
    assert words(c) == [[b"ECHO", b"5"], [b"ECHO", b"4"], [b"ECHO", b"3"]]
    assert c("CONFIG", "SET", "slowlog-max-len", 1) == OK
    assert c("SLOWLOG", "LEN") <= 3


def test_counts(c: Wire) -> None:
    log_all(c)
    for number in range(15):
        c("ECHO", number)
    stop_logging(c)
    assert len(c("SLOWLOG", "GET")) == 10
    assert len(c("SLOWLOG", "GET", 3)) == 3
    assert c("SLOWLOG", "GET", 0) == []
    assert len(c("SLOWLOG", "GET", -1)) == c("SLOWLOG", "LEN") == 16
    assert len(c("SLOWLOG", "GET", 1000)) == 16


@pytest.mark.parametrize("count", [-2, "x", "", "1.5", "9223372036854775808", "01"])
def test_bad_counts(c: Wire, count: int | str) -> None:
    assert c("SLOWLOG", "GET", count) == BAD_COUNT


def test_who_was_slow(c: Wire, connect: Connect) -> None:
    log_all(c)
    other = connect()
    other("ECHO", "x")
    stop_logging(c)
    peers = {entry[4] for entry in c("SLOWLOG", "GET", -1)}
    assert len(peers) == 2


def test_arity_and_unknown(c: Wire) -> None:
    assert c("SLOWLOG") == arity_error("slowlog")
    assert c("SLOWLOG", "LEN", "x") == arity_error("slowlog|len")
    assert c("SLOWLOG", "RESET", "x") == arity_error("slowlog|reset")
    assert c("SLOWLOG", "GET", 1, 2) == Error(
        "ERR unknown subcommand or wrong number of arguments for 'GET'. Try SLOWLOG HELP."
    )
    assert c("SLOWLOG", "Foo") == Error("ERR unknown subcommand 'Foo'. Try SLOWLOG HELP.")


def test_help(c: Wire, server: Server) -> None:
    lines = [line.text for line in c("SLOWLOG", "HELP")]
    assert lines[:2] == ["SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", lines[1]]
    for name in ("GET", "LEN", "RESET", "HELP"):
        assert any(line.split()[0] == name for line in lines[1:])


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ("AUTH s3cret", "AUTH (redacted)"),
        ("AUTH u p", "AUTH (redacted) (redacted)"),
        ("AUTH a b c", "AUTH a b c"),
        ("HELLO 3 AUTH default s3 SETNAME n", "HELLO 3 AUTH (redacted) (redacted) SETNAME n"),
        ("hello 2 setname n auth default s3", "hello 2 setname n auth (redacted) (redacted)"),
        ("HELLO 2 AUTH default", "HELLO 2 AUTH default"),
        ("HELLO 9 AUTH a b", "HELLO 9 AUTH a b"),
        ("HELLO 2 foo AUTH a b", "HELLO 2 foo AUTH a b"),
        ("CONFIG SET masterauth xx", "CONFIG SET masterauth (redacted)"),
        ("CONFIG SET masteruser xx", "CONFIG SET masteruser (redacted)"),
        (
            "config set hz 10 MASTERAUTH y masteruser u",
            "config set hz 10 MASTERAUTH (redacted) masteruser (redacted)",
        ),
        ("CONFIG SET foo bar masterauth z", "CONFIG SET foo bar masterauth (redacted)"),
        ("CONFIG SET hz 10 masterauth", "CONFIG SET hz 10 masterauth"),
        ("CONFIG GET requirepass", "CONFIG GET requirepass"),
    ],
)
def test_passwords_are_not_shown(c: Wire, connect: Connect, request_: str, shown: str) -> None:
    other = connect()
    assert c("CONFIG", "SET", "slowlog-log-slower-than", 0) == OK
    assert c("SLOWLOG", "RESET") == OK
    other(*request_.split())
    logged = [entry[3] for entry in c("SLOWLOG", "GET", -1)]
    assert shown.encode().split() in logged


def test_what_is_queued_is_logged_when_it_runs(c: Wire) -> None:
    c("CONFIG", "SET", "slowlog-log-slower-than", 0)
    c("SLOWLOG", "RESET")
    for command in (("MULTI",), ("SET", "k", "1"), ("EXEC",), ("MULTI",), ("SET", "k", "2"), ("NOPE",), ("EXEC",)):
        c(*command)
    c("CONFIG", "SET", "slowlog-log-slower-than", -1)
    logged = [entry[3] for entry in c("SLOWLOG", "GET", -1)]
    assert [each[0].upper() for each in reversed(logged)][-3:] == [b"MULTI", b"SET", b"MULTI"]

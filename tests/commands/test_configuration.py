"""CONFIG: patterns, several pairs at once, all or nothing, the file written back."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import OK, SYNTAX_ERROR, Error, Pair, Wire, arity_error, pairs

UNKNOWN = Error("ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'")


def refused(name: str, reason: str) -> Error:
    return Error(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}")


def test_get(c: Wire) -> None:
    assert c("CONFIG", "GET", "hz") == c.as_map({b"hz": b"10"})
    assert c("CONFIG", "GET", "HZ") == c.as_map({b"HZ": b"10"})
    assert c("CONFIG", "GET", "Hz", "hz", "H?") == c.as_map({b"Hz": b"10"})
    assert c("CONFIG", "GET", "nosuch") == c.as_map({})
    assert c("CONFIG", "GET", "hz", "hz", "h[z]", "nosuch") == c.as_map({b"hz": b"10"})


def test_get_patterns(c: Wire) -> None:
    assert pairs(c("CONFIG", "GET", "maxmemory*", "hash-max-listpack-*", "databases")).keys() >= {
        *(b"maxmemory", b"maxmemory-policy", b"maxmemory-samples", b"maxmemory-clients", b"databases"),
        *(b"hash-max-listpack-entries", b"hash-max-listpack-value"),
    }
    assert pairs(c("CONFIG", "GET", "*ziplist-value")).keys() == {
        b"hash-max-ziplist-value",
        b"zset-max-ziplist-value",
    }
    assert pairs(c("CONFIG", "GET", "*")) == pairs(c("CONFIG", "GET", "**"))


@pytest.mark.protocol(2)
def test_all_names_and_most_values_are_those_of_the_oracle(pair: Pair) -> None:
    ours, theirs = (pairs(c("CONFIG", "GET", "*")) for c in pair)
    assert not theirs.keys() - ours.keys()
    own = {b"port", b"dir", b"logfile", b"pidfile", b"bind"}
    differing = {name for name in theirs.keys() - own if ours[name] != theirs[name]}
    assert len(differing) <= 12, differing


def test_set(c: Wire) -> None:
    assert c("CONFIG", "SET", "maxmemory-samples", 7) == OK
    assert c("CONFIG", "GET", "maxmemory-samples") == c.as_map({b"maxmemory-samples": b"7"})
    assert c("CONFIG", "SET", "Maxmemory-SAMPLES", 8, "maxmemory", "1gb") == OK
    assert pairs(c("CONFIG", "GET", "maxmemory", "maxmemory-samples")) == {
        b"maxmemory": b"1073741824",
        b"maxmemory-samples": b"8",
    }


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["hz", 20, "nosuch", 1], UNKNOWN),
        (["hz", 20, "hz", 30], refused("hz", "duplicate parameter")),
        (["hz", 20, "HZ", 30], refused("HZ", "duplicate parameter")),
        (["hz", 20, "DATABASES", 3], refused("DATABASES", "can't set immutable config")),
        (
            ["hz", 20, "tls-port", 5],
            refused("tls-port", "Unable to update TLS configuration. Check server logs."),
        ),
        (["hz", 20, "maxmemory", "10x"], refused("maxmemory", "argument must be a memory value")),
        (["hz", 20, "timeout", "a"], refused("timeout", "argument couldn't be parsed into an integer")),
        (["hz", 20, "appendonly", "maybe"], refused("appendonly", "argument must be 'yes' or 'no'")),
        (["hz", 20, "databases", 3], refused("databases", "can't set immutable config")),
        (
            ["hz", 20, "enable-debug-command", "no"],
            refused("enable-debug-command", "can't set immutable config"),
        ),
        (["hz", 20, "dir", "."], refused("dir", "can't set protected config")),
        (["hz", 20, "maxmemory"], SYNTAX_ERROR),
        (["hz"], arity_error("config|set")),
        ([], arity_error("config|set")),
    ],
)
def test_set_is_all_or_nothing(c: Wire, words: list[str | int], error: Error) -> None:
    assert c("CONFIG", "SET", *words) == error
    assert c("CONFIG", "GET", "hz") == c.as_map({b"hz": b"10"})


def test_values_may_be_any_bytes(c: Wire) -> None:
    for value in (b"\xff\x00", "ü".encode(), b"a b", b""):
        assert c("CONFIG", "SET", "requirepass", value) == OK
        assert c("CONFIG", "GET", "requirepass") == c.as_map({b"requirepass": value})
    assert c("CONFIG", "SET", "requirepass", "") == OK


def test_what_is_set_takes_effect(c: Wire) -> None:
    assert c("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 2) == OK
    for _ in range(5):
        c("PING")
    assert c("SLOWLOG", "LEN") == 2
    assert c("CONFIG", "SET", "slowlog-max-len", 1) == OK
    assert c("SLOWLOG", "LEN") == 1


@pytest.mark.protocol(2)
def test_resetstat(c: Wire) -> None:
    c("GET", "k")
    assert c("CONFIG", "RESETSTAT") == OK
    told = dict(line.split(b":", 1) for line in c("INFO", "stats").split(b"\r\n") if b":" in line)
    assert told[b"keyspace_misses"] == b"0"
    assert told[b"total_connections_received"] == b"0"
    assert int(told[b"total_commands_processed"]) <= 1
    assert int(told[b"total_net_input_bytes"]) < 100


def test_rewrite_without_a_file(c: Wire) -> None:
    assert c("CONFIG", "REWRITE") == Error("ERR The server is running without a config file")


@pytest.mark.parametrize("kind", ["respcache", *(["oracle"] if HAVE_ORACLE else [])])
def test_rewrite(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "server.conf"
    path.write_text("# kept\nhz 15\ntimeout 5\n\nmaxmemory 1mb\n")
    start = start_respcache if kind == "respcache" else start_redis
    with start(str(path)) as server:
        with Wire(server.port) as c:
            assert c("CONFIG", "GET", "hz") == [b"hz", b"15"]
            assert c("CONFIG", "SET", "hz", 20, "maxmemory-samples", 9) == OK
            assert c("CONFIG", "REWRITE") == OK
        lines = path.read_text().splitlines()
        assert lines[:4] == ["# kept", "hz 20", "timeout 5", ""]
        assert "maxmemory-samples 9" in lines
        server.stop()
        server.start()
        with Wire(server.port) as c:
            assert c("CONFIG", "GET", "hz") == [b"hz", b"20"]


@pytest.mark.parametrize("kind", ["respcache", *(["oracle"] if HAVE_ORACLE else [])])
def test_rewrite_of_a_file_that_is_gone(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "server.conf"
    path.write_text("hz 15\n")
    start = start_respcache if kind == "respcache" else start_redis
    with start(str(path)) as server, Wire(server.port) as c:
        path.unlink()
        assert c("CONFIG", "REWRITE") == OK
        assert "hz 15" in path.read_text().splitlines()


def test_arity_and_unknown(c: Wire) -> None:
    assert c("CONFIG") == arity_error("config")
    assert c("CONFIG", "GET") == arity_error("config|get")
    assert c("CONFIG", "REWRITE", "x") == arity_error("config|rewrite")
    assert c("CONFIG", "RESETSTAT", "x") == arity_error("config|resetstat")
    assert c("CONFIG", "HELP", "x") == arity_error("config|help")
    assert c("CONFIG", "Nosuch") == Error("ERR unknown subcommand 'Nosuch'. Try CONFIG HELP.")


def test_help(c: Wire, server: Server) -> None:
    lines = [line.text for line in c("CONFIG", "HELP")]
    assert lines[0] == "CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert lines[-2:] == ["HELP", "    Prints this help." if not server.is_oracle else lines[-1]]

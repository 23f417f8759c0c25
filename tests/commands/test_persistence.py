"""SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE, DEBUG RELOAD; FLUSHALL's and SHUTDOWN's part in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_info import fields
from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import OK, QUEUED, SYNTAX_ERROR, Error, Status, Wire, arity_error

STARTS = [start_respcache, *([start_redis] if HAVE_ORACLE else [])]
STARTED = Status("Background saving started")
SCHEDULED = Status("Background saving scheduled")
IN_PROGRESS = Error("ERR Background save already in progress")
CANNOT_END = Error("ERR Errors trying to SHUTDOWN. Check logs.")
MISCONF = (
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands "
    "that may modify the data set are disabled, because this instance is configured to report errors during "
    "writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for "
    "details about the RDB error."
)
REFUSED = Error(MISCONF)


def info(c: Wire, name: str) -> str:
    return fields(c, "persistence")[name]


def settle(c: Wire) -> None:
    """Wait until nothing is being saved."""
    deadline = time.monotonic() + 10
    while {"1"} & {info(c, "rdb_bgsave_in_progress"), info(c, "aof_rewrite_in_progress")}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def c(connect: Connect) -> Iterator[Wire]:
    """A fresh connection; no save outlives its test."""
    yield connect()
    settle(connect())


def test_save(c: Wire, server: Server) -> None:
    assert c("SET", "k", "v") == OK
    saves = int(info(c, "rdb_saves"))
    assert c("SAVE") == OK
    assert int(info(c, "rdb_saves")) == saves + 1
    assert info(c, "rdb_changes_since_last_save") == "0"
    assert (server.directory / "dump.rdb").read_bytes().startswith(b"REDIS00")
    assert abs(c("LASTSAVE") - time.time()) < 5
    assert int(info(c, "rdb_last_save_time")) == c("LASTSAVE")
    assert c("SAVE", "x") == arity_error("save")
    assert c("SAVE", "SCHEDULE") == arity_error("save")


def test_lastsave(c: Wire) -> None:
    assert 0 < c("LASTSAVE") <= time.time()
    assert c("LASTSAVE", "x") == arity_error("lastsave")


def test_bgsave(c: Wire) -> None:
    assert c("SET", "k", "v") == OK
    assert c.pipeline([("BGSAVE",), ("BGSAVE",), ("BGSAVE", "SCHEDULE"), ("SAVE",)]) == [
        STARTED,
        IN_PROGRESS,
        IN_PROGRESS,
        IN_PROGRESS,
    ]
    settle(c)
    assert info(c, "rdb_last_bgsave_status") == "ok"
    assert info(c, "rdb_last_bgsave_time_sec") in ("0", "1")
    assert info(c, "rdb_current_bgsave_time_sec") == "-1"
    assert info(c, "rdb_changes_since_last_save") == "0"
    assert c("BGSAVE", "schedule") == STARTED


@pytest.mark.parametrize("words", [["x"], ["SCHEDULE", "x"], ["SCHEDULE", "SCHEDULE"], ["", "SCHEDULE"]])
def test_bgsave_syntax(c: Wire, words: list[str]) -> None:
    assert c("BGSAVE", *words) == SYNTAX_ERROR


def test_in_a_transaction(c: Wire) -> None:
    assert c("MULTI") == OK
    assert c("SAVE") == Error("ERR Command not allowed inside a transaction")
    assert c("DISCARD") == OK
    saves = int(info(c, "rdb_saves"))
    assert c("MULTI") == OK
    assert c("BGSAVE") == QUEUED
    assert c("BGSAVE", "SCHEDULE") == QUEUED
    assert c("EXEC") == [SCHEDULED, SCHEDULED]
    deadline = time.monotonic() + 5
    while int(info(c, "rdb_saves")) == saves:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_bgrewriteaof(c: Wire) -> None:
    assert c("BGREWRITEAOF", "x") == arity_error("bgrewriteaof")
    assert c("BGREWRITEAOF") == Status("Background append only file rewriting started")
    settle(c)


def test_bgsave_right_behind_bgrewriteaof(c: Wire) -> None:
    """The rewrite takes a snapshot, be it in a moment."""
    started, refused, scheduled = c.pipeline([("BGREWRITEAOF",), ("BGSAVE",), ("BGSAVE", "SCHEDULE")])
    assert started == Status("Background append only file rewriting started")
    assert refused == Error(
        "ERR Another child process is active (AOF?): can't BGSAVE right now. "
        "Use BGSAVE SCHEDULE in order to schedule a BGSAVE whenever possible."
    )
    assert scheduled == SCHEDULED
    settle(c)


def test_flushall_ends_a_bgsave(c: Wire) -> None:
    assert c("SET", "k", "v") == OK
    assert c.pipeline([("BGSAVE",), ("FLUSHALL",)]) == [STARTED, OK]
    settle(c)
    assert info(c, "rdb_last_bgsave_status") == "ok"


def test_flushall_saves_if_there_are_save_points(c: Wire, server: Server) -> None:
    assert c("SET", "k", "v") == OK
    assert c("SAVE") == OK
    assert c("CONFIG", "SET", "save", "3600 1") == OK
    full = (server.directory / "dump.rdb").stat().st_size
    assert c("FLUSHALL") == OK
    deadline = time.monotonic() + 5
    while info(c, "rdb_changes_since_last_save") != "0":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (server.directory / "dump.rdb").stat().st_size < full
    assert c("BGSAVE") == STARTED


def test_debug_reload(c: Wire) -> None:
    assert c("SET", "k", "v") == OK
    assert c("SET", "m", "v", "PX", 1_000_000) == OK
    assert c("SELECT", 3) == OK
    assert c("RPUSH", "l", *range(1000)) == 1000
    assert c("SADD", "s", "a", "1") == 2
    assert c("HSET", "h", "f", "v") == 1
    assert c("ZADD", "z", 1.5, "a") == 1
    assert c("XADD", "x", "1-1", "f", "v") == b"1-1"
    digest = c("DEBUG", "DIGEST")
    assert c("DEBUG", "RELOAD") == OK
    assert c("DEBUG", "DIGEST") == digest
    assert c("SELECT", 0) == OK
    assert 900_000 < c("PTTL", "m") <= 1_000_000
    assert c("SET", "k", "w") == OK
    assert c("DEBUG", "RELOAD", "nosave") == OK
    assert c("GET", "k") == b"v"
    assert c("SET", "k", "w") == OK
    assert c("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE") == OK
    assert c("GET", "k") == b"v"
    error = Error("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    assert c("DEBUG", "RELOAD", "x") == error


def broken(server: Server) -> None:
    """From now on there is a directory where the file should be."""
    (server.directory / "dump.rdb").mkdir()
    (server.directory / "dump.rdb" / "x").touch()


@pytest.mark.parametrize("start", STARTS)
def test_misconf(start: Callable[..., Server]) -> None:
    with start("--save", "3600 1") as server, Wire(server.port) as c:
        broken(server)
        assert c("SET", "k", "v") == OK
        assert c("SAVE") == Error("ERR")
        assert c("SET", "k", "v") == OK
        assert c("BGSAVE") == STARTED
        settle(c)
        assert info(c, "rdb_last_bgsave_status") == "err"
        for words in (["SET", "k", "w"], ["PING"], ["PING", "x"], ["FLUSHALL"], ["DEL", "k"]):
            assert c(*words) == REFUSED
        assert c("GET", "k") == b"v"
        assert c("PUBLISH", "a", "b") == 0
        assert c("SET") == arity_error("set")
        assert c("MULTI") == OK
        assert c("GET", "k") == QUEUED
        assert c("SET", "k", "w") == REFUSED
        assert c("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
        assert c("SHUTDOWN") == CANNOT_END
        for name, off, on in (("stop-writes-on-bgsave-error", "no", "yes"), ("save", "", "3600 1")):
            assert c("CONFIG", "SET", name, off) == OK
            assert c("SET", "k", "v") == OK
            assert c("CONFIG", "SET", name, on) == OK
            assert c("SET", "k", "v") == REFUSED
        (server.directory / "dump.rdb" / "x").unlink()
        (server.directory / "dump.rdb").rmdir()
        assert c("SAVE") == OK
        assert c("SET", "k", "w") == OK
        assert info(c, "rdb_last_bgsave_status") == "ok"
        assert [each.name for each in server.directory.glob("temp*")] == []


@pytest.mark.parametrize("start", STARTS)
def test_a_transaction_that_was_queued_before(start: Callable[..., Server]) -> None:
    with start("--save", "3600 1") as server, Wire(server.port) as c, Wire(server.port) as other:
        broken(server)
        assert c("MULTI") == OK
        assert c("SET", "k", "v") == QUEUED
        assert other("BGSAVE") == STARTED
        settle(other)
        assert c("EXEC") == Error(f"EXECABORT Transaction discarded because of: {MISCONF}")


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("points", "options", "saved"),
    [
        ("", [], False),
        ("", ["SAVE"], True),
        ("3600 1", [], True),
        ("3600 1", ["NOSAVE"], False),
        ("3600 1", ["save", "NOW", "FORCE"], True),
    ],
)
def test_shutdown(start: Callable[..., Server], points: str, options: list[str], saved: bool) -> None:
    with start("--save", points) as server:
        with Wire(server.port) as c:
            assert c("SET", "k", "v") == OK
            c.send("SHUTDOWN", *options)
            assert c.closed()
        assert server.wait() == 0
        assert (server.directory / "dump.rdb").exists() == saved
        server.start()
        with Wire(server.port) as c:
            assert c("GET", "k") == (b"v" if saved else c.null)
            assert info(c, "rdb_last_load_keys_loaded") == str(int(saved))
            assert info(c, "rdb_changes_since_last_save") == "0"
            c.send("SHUTDOWN", "NOSAVE")
            assert c.closed()


@pytest.mark.parametrize("start", STARTS)
def test_a_shutdown_that_cannot_save(start: Callable[..., Server]) -> None:
    with start("--save", "3600 1") as server, Wire(server.port) as c:
        broken(server)
        assert c("SET", "k", "v") == OK
        assert c("SHUTDOWN") == CANNOT_END
        assert c("SHUTDOWN", "SAVE") == CANNOT_END
        assert c("GET", "k") == b"v"
        c.send("SHUTDOWN", "FORCE")
        assert c.closed()
        assert server.wait() == 0

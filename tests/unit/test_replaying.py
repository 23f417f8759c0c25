"""replaying.py: commands of a file run without gates, waits, or being told to anybody."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from respcache.clock import Clock
from respcache.execute import execute
from respcache.persistence.aof import AofDirectory
from respcache.persistence.aof_load import UnknownCommandError
from respcache.replaying import NoConnection, Replay, Replayer
from respcache.server import Server
from respcache.state import Client
from respcache.store.hash import ListpackEx
from respcache.store.list import List


def replayer(**directives: Any) -> tuple[Server, Replayer]:
    server = Server(port=0, **directives)
    server.state.nested = True
    return server, Replayer(server.state)


def test_commands_run_whatever_their_case() -> None:
    server, run = replayer()
    for argv in ([b"SET", b"a", b"1"], [b"Incr", b"a"], [b"select", b"3"], [b"set", b"b", b"2"]):
        run(argv)
    assert server.state.keyspace.databases[0].get(b"a") in (b"2", 2)
    assert b"b" in server.state.keyspace.databases[3]
    assert run.errors == 0


def test_subcommands() -> None:
    server, run = replayer()
    run([b"XGROUP", b"create", b"s", b"g", b"$", b"MKSTREAM"])
    assert b"s" in server.state.keyspace.databases[0]
    with pytest.raises(UnknownCommandError, match="Unknown command"):
        run([b"XGROUP", b"nosuch"])
    run([b"XGROUP"])
    assert run.errors == 1


def test_unknown_commands() -> None:
    _, run = replayer()
    with pytest.raises(UnknownCommandError, match="Unknown command 'NOSUCH'"):
        run([b"NOSUCH", b"x"])
    with pytest.raises(UnknownCommandError):
        run([b"\xff" * 1000])


def test_errors_are_counted_and_that_is_all() -> None:
    server, run = replayer()
    run([b"SET", b"a", b"x"])
    for argv in ([b"INCR", b"a"], [b"LPUSH", b"a", b"x"], [b"GET"], [b"SET", b"a"], [b"QUIT"]):
        run(argv)
    assert run.errors >= 4
    assert server.state.keyspace.databases[0].get(b"a") == b"x"


def test_nothing_blocks() -> None:
    server, run = replayer()
    run([b"RPUSH", b"l", b"1", b"2", b"3"])
    run([b"BLPOP", b"l", b"0"])
    run([b"BLPOP", b"none", b"0"])
    run([b"BLMOVE", b"l", b"m", b"LEFT", b"RIGHT", b"0"])
    value = server.state.keyspace.databases[0].get(b"l")
    assert isinstance(value, List)
    assert list(value) == [b"3"]
    assert not run.client.paused
    assert run.errors == 0


def test_a_transaction_is_not_over_when_it_replays_the_files(tmp_path: Path) -> None:
    state = Server(port=0).state
    directory = AofDirectory(str(tmp_path), "a")
    directory.take()
    directory.open_last().close()
    state.nested = True
    Replay(state, directory).run_now()
    assert state.nested
    directory.leave()


def test_canonical_and_new_names_of_renamed_commands_run() -> None:
    server, run = replayer(rename_command=["SET", "put"])
    run([b"SET", b"a", b"1"])
    run([b"PUT", b"b", b"2"])
    assert server.state.keyspace.databases[0].size == 2


def test_what_was_taken_away_still_runs() -> None:
    server, run = replayer(rename_command=["SET", ""])
    run([b"SET", b"a", b"1"])
    assert server.state.keyspace.databases[0].size == 1


def test_a_handler_that_breaks_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> bytes:
        raise RuntimeError("a mistake")

    _, run = replayer()
    run._table[b"DECR"] = fail
    with caplog.at_level(logging.ERROR):
        run([b"DECR", b"a"])
    assert run.errors == 1
    assert "a mistake" in caplog.text


def test_no_client_is_seen() -> None:
    async def test() -> None:
        async with Server(port=0) as server:
            Replayer(server.state)
            assert not server.state.clients

    asyncio.run(test())


def test_what_redis_writes_of_a_trim_that_was_limited() -> None:
    server, run = replayer()
    for number in range(1, 21):
        run([b"XADD", b"s", b"%d-0" % number, b"f", b"v"])
    run([b"XADD", b"s", b"MAXLEN", b"=", b"5", b"LIMIT", b"10", b"21-0", b"f", b"v"])
    assert run.errors == 0
    stream = server.state.keyspace.databases[0].get(b"s")
    assert stream is not None
    assert stream.length == 5


def test_nothing_expires_while_it_is_replayed(tmp_path: Path) -> None:
    """It was alive when the next command came."""

    async def test() -> None:
        directives: dict[str, Any] = {"port": 0, "dir": str(tmp_path), "appendonly": True}
        now = [1_000_000_000_000]
        async with Server(clock=Clock(lambda: now[0]), **directives) as server:
            for words in ("SET k 5 PX 100", "INCR k", "PERSIST k", "SET gone 1 PX 100"):
                run_in(server, *words.encode().split())
        now[0] += 1000
        async with Server(clock=Clock(lambda: now[0]), **directives) as server:
            db = server.state.keyspace.databases[0]
            assert db.get(b"k") in (b"6", 6)
            assert db.get(b"gone") is None

    asyncio.run(test())


def run_in(server: Server, *argv: bytes) -> None:
    """As a client without a connection."""
    execute(Client(server.state, NoConnection(), b"", b"", False), list(argv))


def test_times_to_live_count_from_now() -> None:
    now = 1_700_000_000_000
    server, run = replayer(clock=Clock(lambda: now))
    db = server.state.keyspace.databases[0]
    with server.state.keyspace.without_time():
        for key in (b"a", b"b", b"c"):
            run([b"SET", key, b"v"])
        run([b"EXPIRE", b"a", b"100"])
        run([b"PEXPIREAT", b"b", b"1"])  # it was alive when what follows was done to it
        run([b"GETEX", b"c", b"PX", b"5"])
        run([b"HSET", b"h", b"f", b"v"])
        run([b"HEXPIRE", b"h", b"100", b"FIELDS", b"1", b"f"])
        found = [db.deadline(key) for key in (b"a", b"b", b"c")]
    assert found == [now + 100_000, 1, now + 5]
    hash_ = db.get(b"h")
    assert isinstance(hash_, ListpackEx) and hash_.deadlines is not None
    assert hash_.deadlines.get(b"f") == now + 100_000

"""Append-only files go both ways: redis-server and redis-check-aof take ours, we take those of redis-server."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import Status, Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server on PATH")

Start = Callable[..., Server]
OPTIONS = ("--appendonly", "yes", "--enable-debug-command", "yes", "--auto-aof-rewrite-percentage", "0")
MANIFEST = "appendonly.aof.manifest"


def commands(seed: int) -> Iterator[tuple[str, ...]]:
    """Commands of all types, and of those that are logged in another form than they were sent."""
    draw = random.Random(seed)
    for number in range(300):
        key, other = f"k{draw.randrange(30)}", f"k{draw.randrange(30)}"
        member, count = f"m{draw.randrange(10)}", str(draw.randrange(1, 100))
        yield draw.choice(
            [
                ("SET", f"s:{key}", f"value {number}\r\n"),
                ("SET", f"s:{key}", "x" * 100, "EX", "10000"),
                ("INCRBY", f"n:{key}", count),
                ("INCRBYFLOAT", f"n:{key}", "0.5"),
                ("APPEND", f"s:{key}", "more"),
                ("RPUSH", f"l:{key}", *[f"{member}{number}"] * 20),
                ("LPOP", f"l:{key}"),
                ("LMOVE", f"l:{key}", f"l:{other}", "LEFT", "RIGHT"),
                ("SADD", f"set:{key}", member, count),
                ("SPOP", f"set:{key}"),
                ("ZADD", f"z:{key}", count, member),
                ("ZINCRBY", f"z:{key}", "1.25", member),
                ("HSET", f"h:{key}", member, count, f"f{number}", "x" * draw.randrange(100)),
                ("HINCRBYFLOAT", f"h2:{key}", member, "1.5"),
                ("XADD", f"x:{key}", "*", "field", count),
                ("XADD", f"x:{key}", "MAXLEN", "~", "10", "*", "field", count),
                ("PFADD", f"p:{key}", member, count),
                ("SETBIT", f"b:{key}", count, "1"),
                ("GEOADD", f"g:{key}", "13.36", "38.11", member),
                ("EXPIRE", f"l:{key}", "5000"),
                ("PERSIST", f"l:{key}"),
                ("DEL", f"s:{other}"),
                ("RENAME", f"s:{key}", f"s:{other}"),
                ("SELECT", str(draw.randrange(3))),
                ("MULTI",),
                ("EXEC",),
            ]
        )


def fill(server: Server, seed: int = 1) -> None:
    with Wire(server.port) as c:
        for words in commands(seed):
            c(*words)
        c("DISCARD")


def digest(server: Server) -> Any:
    with Wire(server.port) as c:
        return c("DEBUG", "DIGEST")


def aof(server: Server) -> Path:
    return server.directory / "appendonlydir"


def rewrite(server: Server) -> None:
    """BGREWRITEAOF, to its end."""
    with Wire(server.port) as c:
        before = c("INFO", "persistence").count(b"aof_last_bgrewrite_status:ok")
        assert before == 1
        bases = {path.name for path in aof(server).glob("*.base.*")}
        assert "rewriting" in c("BGREWRITEAOF").text
        deadline = time.monotonic() + 10
        while (
            b"aof_rewrite_in_progress:0" not in c("INFO", "persistence")
            or {path.name for path in aof(server).glob("*.base.*")} <= bases
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def check(directory: Path) -> str:
    found = subprocess.run(
        ["redis-check-aof", str(directory / MANIFEST)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    return found.stdout


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("rewritten", [False, True])
@pytest.mark.parametrize(
    ("writer", "reader"), [(start_respcache, start_redis), (start_redis, start_respcache)]
)
def test_one_loads_what_the_other_wrote(writer: Start, reader: Start, preamble: str, rewritten: bool) -> None:
    options = (*OPTIONS, "--aof-use-rdb-preamble", preamble)
    with writer(*options) as first:
        fill(first)
        if rewritten:
            rewrite(first)
            fill(first, 2)
        expected = digest(first)
        first.stop()
        if shutil.which("redis-check-aof"):
            assert "All AOF files and manifest are valid" in check(aof(first))
        with reader(*options, directory=first.directory) as second:
            assert digest(second) == expected
            fill(second, 3)
            rewrite(second)
            expected = digest(second)
            second.stop()
        first.start()
        assert digest(first) == expected


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_kill_and_start_again(policy: str) -> None:
    with start_respcache(*OPTIONS, "--appendfsync", policy) as server:
        for seed in range(3):
            fill(server, seed)
            time.sleep(0.05)  # everysec may keep a write back while it syncs
            expected = digest(server)
            server.kill()
            server.start()
            assert digest(server) == expected


def test_timestamps_are_notes_to_redis() -> None:
    with start_respcache(
        *OPTIONS, "--aof-timestamp-enabled", "yes", "--aof-use-rdb-preamble", "no"
    ) as server:
        fill(server)
        rewrite(server)
        fill(server, 2)
        expected = digest(server)
        server.stop()
        assert all(b"#TS:" in path.read_bytes() for path in aof(server).glob("*.aof"))
        check(aof(server))
        with start_redis(*OPTIONS, directory=server.directory) as redis:
            assert digest(redis) == expected
        server.start()
        assert digest(server) == expected


@pytest.mark.parametrize("preamble", [False, True])
def test_a_single_file_of_old(preamble: bool) -> None:
    """As Redis 4 to 6 wrote it: an RDB file with commands behind it, or commands alone."""
    with start_redis(*OPTIONS, "--aof-use-rdb-preamble", "yes" if preamble else "no") as redis:
        fill(redis)
        rewrite(redis)
        fill(redis, 2)
        expected = digest(redis)
        redis.stop()
        base, increment = (next(aof(redis).glob(f"*.{kind}.*")) for kind in ("base", "incr"))
        (redis.directory / "appendonly.aof").write_bytes(base.read_bytes() + increment.read_bytes())
        shutil.rmtree(aof(redis))
        with start_respcache(*OPTIONS, directory=redis.directory) as server:
            assert digest(server) == expected
            with Wire(server.port) as c:
                c("SET", "later", "1")
            expected = digest(server)
        redis.start()
        assert digest(redis) == expected


def test_switched_on_and_rewritten_while_clients_write() -> None:
    with start_respcache("--appendonly", "no", "--enable-debug-command", "yes") as server:
        done = threading.Event()
        counts = [0] * 4

        def write(number: int) -> None:
            with Wire(server.port) as c:
                while not done.is_set():
                    counts[number] = c("INCR", f"n{number}")
                    c("RPUSH", f"l{number}", "x" * 100)

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for writer in writers:
            writer.start()
        try:
            with Wire(server.port) as c:
                assert c("CONFIG", "SET", "appendonly", "yes") == Status("OK")
                deadline = time.monotonic() + 10
                while b"aof_pending_rewrite:0" not in c("INFO", "persistence") or (
                    b"aof_rewrite_in_progress:0" not in c("INFO", "persistence")
                ):
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            for _ in range(3):
                rewrite(server)
        finally:
            done.set()
            for writer in writers:
                writer.join()
        expected = digest(server)
        server.stop()
        with start_respcache(*OPTIONS, directory=server.directory) as again, Wire(again.port) as c:
            assert [c("GET", f"n{number}") for number in range(4)] == [b"%d" % count for count in counts]
            assert digest(again) == expected
        with start_redis(*OPTIONS, directory=server.directory) as redis:
            assert digest(redis) == expected


# What cannot be loaded


def started(server: Server) -> str:
    """Starts a server that must refuse to. Returns what it said."""
    with pytest.raises(RuntimeError, match="ended with 1"):
        server.start()
    return server.log


def increment(server: Server) -> Path:
    return next(aof(server).glob("*.incr.aof"))


def test_a_torn_end_is_cut_as_redis_does() -> None:
    for start in (start_respcache, start_redis):
        with start(*OPTIONS) as server:
            with Wire(server.port) as c:
                c("SET", "a", "1")
            server.stop()
            whole = increment(server).read_bytes()
            for torn in (
                b"*3\r\n$3\r\nSET\r\n$1\r\nb",
                b"*1\r\n$5\r\nMULTI\r\n*2\r\n$3\r\nDEL\r\n$1\r\na\r\n",
                b"*",
            ):
                increment(server).write_bytes(whole + torn)
                server.start()
                assert increment(server).read_bytes() == whole
                with Wire(server.port) as c:
                    assert c("GET", "a") == b"1"
                server.stop()


GARBAGE = {
    "zero bytes": b"\0" * 100,
    "no words": b"*0\r\n",
    "no array": b"$3\r\nfoo\r\n",
    "no bulk": b"*1\r\n:1\r\n",
    "unknown": b"*1\r\n$6\r\nNOSUCH\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_by_both(garbage: bytes) -> None:
    for start in (start_respcache, start_redis):
        with start(*OPTIONS) as server:
            with Wire(server.port) as c:
                c("SET", "a", "1")
            server.stop()
            with increment(server).open("ab") as file:
                offsets = range(file.tell(), file.tell() + len(garbage))
                file.write(garbage)
            log = started(server)
            if start is start_respcache:
                assert str(increment(server).name) in log
                assert any(f"offset {offset}" in log for offset in offsets)


MANIFESTS = {
    "empty": b"",
    "blank line": b"file a.1.incr.aof seq 1 type i\n\n",
    "no end": b"file a.1.incr.aof seq 1 type i",
    "long": b"file a.1.incr.aof seq 1 type i x " + b"x" * 1000 + b"\n",
    "odd": b"file a.1.incr.aof seq 1 type\n",
    "seq 0": b"file a.1.incr.aof seq 0 type i\n",
    "type": b"file a.1.incr.aof seq 1 type x\n",
    "path": b"file ../a.1.incr.aof seq 1 type i\n",
    "two bases": b"file a.1.incr.aof seq 1 type b\nfile b seq 2 type b\n",
    "order": b"file a.1.incr.aof seq 2 type i\nfile a.2.incr.aof seq 1 type i\n",
    "missing": b"file nowhere seq 1 type i\n",
}
GOOD = {
    "notes": b"#\nfile a.1.incr.aof seq 1 type i\n# x\n",
    "more pairs": b"file a.1.incr.aof seq 1 type i startoffset 7\n",
    "quotes": b'file "a.1.incr.aof" seq 1 type i\n',
    "history": b"file gone seq 1 type h\nfile a.1.incr.aof seq 1 type i\n",
}


@pytest.mark.parametrize("start", [start_respcache, start_redis])
def test_manifests_that_both_accept_or_refuse(start: Start) -> None:
    with start(*OPTIONS, "--appendfilename", "a") as server:
        server.stop()
        for text in MANIFESTS.values():
            (aof(server) / "a.manifest").write_bytes(text)
            log = started(server)
            if start is start_respcache:
                assert "a.manifest" in log
        for text in GOOD.values():
            (aof(server) / "a.manifest").write_bytes(text)
            server.start()
            server.stop()


def test_two_servers_do_not_share_a_directory() -> None:
    with start_respcache(*OPTIONS) as first:
        with pytest.raises(RuntimeError, match=r"Another server that runs uses the append-only directory .*"):
            start_respcache(*OPTIONS, directory=first.directory)
        assert not [path for path in aof(first).iterdir() if not path.name.startswith("appendonly.aof")]
        with Wire(first.port) as c:
            assert c("SET", "a", "1") == Status("OK")

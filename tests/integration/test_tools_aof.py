"""Append-only files of a real server, looked into, beside redis-check-aof."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_tools import DEBUG, fill, groups, tool
from tests.servers import HAVE_ORACLE, Server, start_redis
from tests.wire import Error, Wire

pytestmark = pytest.mark.skipif(
    not HAVE_ORACLE or shutil.which("redis-check-aof") is None,
    reason="no redis-server or redis-check-aof on PATH",
)

NAME = "appendonly.aof"


def write_some(c: Wire) -> None:
    """Commands of several databases, and a transaction."""
    c("SELECT", 3)
    for number in range(300):
        c("SET", f"key:{number}", b"\r\n*1\r\n" * (number % 5))
    c("MULTI")
    c("INCR", "a")
    c("RPUSH", "l", *range(50))
    c("EXEC")
    c("SELECT", 0)
    c("DEL", "set:big")


@pytest.fixture(scope="module")
def oracle() -> Iterator[Server]:
    with start_redis(*DEBUG, "--appendonly", "yes", "--aof-timestamp-enabled", "yes") as server:
        with Wire(server.port) as c:
            fill(c)
            c("BGREWRITEAOF")
            while b"aof_rewrite_in_progress:1" in (info := c("INFO", "persistence")):
                assert info
                time.sleep(0.02)
            time.sleep(1.1)  # a time is noted once a second
            write_some(c)
        yield server


@pytest.fixture
def copy(oracle: Server, tmp_path: Path) -> Path:
    """The manifest of a copy of its files."""
    shutil.copytree(oracle.directory / "appendonlydir", tmp_path / "log")
    return tmp_path / "log" / f"{NAME}.manifest"


def last_of(manifest: Path) -> Path:
    return max(manifest.parent.glob("*.incr.aof"), key=lambda path: path.name)


def redis_check(*args: str | Path, answer: bytes = b"n\n") -> tuple[int, str]:
    ran = subprocess.run(
        ["redis-check-aof", *map(str, args)], input=answer, capture_output=True, timeout=30, check=False
    )
    return ran.returncode, ran.stdout.decode(errors="replace")


def test_check(copy: Path) -> None:
    for path in (copy, copy.parent, last_of(copy)):
        ran = tool("check", path)
        assert ran.returncode == 0, ran.stdout
        assert b"  transactions: 1\n" in ran.stdout
        assert re.search(rb"  times: 20\d\d-", ran.stdout)
        assert b"SET 300" in ran.stdout


def test_the_commands_make_the_same_data(oracle: Server, copy: Path) -> None:
    ran = tool("dump", copy, "--resp")
    assert (ran.returncode, ran.stderr) == (0, b"")
    with start_redis(*DEBUG) as server, Wire(server.port) as c, Wire(oracle.port) as there:
        c.raw(ran.stdout)
        c.send("ECHO", "done")
        while (reply := c.read()) != b"done":
            assert not isinstance(reply, Error), reply
        assert c("DEBUG", "DIGEST") == there("DEBUG", "DIGEST")
        assert groups(c) == groups(there)


def test_verdicts_and_cuts_are_those_of_redis_check_aof(copy: Path) -> None:
    from respcache.tools import main

    last = last_of(copy)
    data = last.read_bytes()
    dice = random.Random(1)
    commands = data.index(b"RPUSH")
    cuts = [dice.randrange(len(data)) for _ in range(20)] + [
        commands,
        len(data) - 1,
        data.index(b"$4\r\nINCR"),
    ]
    for size in cuts:
        torn = data[:size] + (b"" if size % 2 else b"\0garbage")
        last.write_bytes(torn)
        theirs, said = redis_check(copy)
        assert main(["check", str(copy)]) == theirs, (size, said)
        if not theirs:
            continue
        assert main(["check", str(copy), "--fix", "--yes"]) == 0
        ours = last.read_bytes()
        last.write_bytes(torn)
        redis_check("--fix", copy, answer=b"y\n")
        assert len(ours) == last.stat().st_size, (size, said)
        assert data.startswith(ours)


def test_times(copy: Path) -> None:
    last = last_of(copy)
    first = int(re.search(rb"#TS:(\d+)", last.read_bytes())[1])  # type: ignore[index]
    with last.open("ab") as file:
        file.write(b"#TS:%d\r\n*1\r\n$4\r\nPING\r\n" % (first + 100))
    before = last.read_bytes()
    ran = tool("check", copy, "--truncate-to-timestamp", str(first + 50), "--yes")
    assert ran.returncode == 0, ran.stdout
    ours = last.read_bytes()
    assert before[len(ours) :].startswith(b"#TS:")
    last.write_bytes(before)
    redis_check("--truncate-to-timestamp", str(first + 50), copy)
    assert last.read_bytes() == ours

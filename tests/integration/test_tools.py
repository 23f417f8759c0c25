"""Files of a real server, looked into: what is printed of them makes the same data again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import HAVE_ORACLE, ROOT, Server, start_redis, start_respcache
from tests.wire import Error, Reply, Wire

LATE = 4102444800000
DEBUG = ("--enable-debug-command", "yes")

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server on PATH")


def tool(*args: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "respcache", *map(str, args)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)


def fill(c: Wire) -> None:
    words = [b"word %d " % number * (number % 9) for number in range(1, 700)]
    pairs = [word for number, each in enumerate(words) for word in (b"%d" % number, each)]
    c("MSET", *pairs)
    c("SET", "\r\n", b"\x00\xff" * 300)
    for name, some in (("small", words[:9]), ("big", words)):
        c("RPUSH", f"list:{name}", *some)
        c("SADD", f"set:{name}", *some)
        c("HSET", f"hash:{name}", *pairs[: 2 * len(some)])
        c(
            "ZADD",
            f"zset:{name}",
            *[word for n, each in enumerate(some) for word in (b"%.17g" % (n / 7), each)],
        )
    c("ZADD", "zset:small", "-inf", "low", "1e300", "high")
    c("SADD", "set:numbers", *range(-5, 100))
    c("SELECT", 5)
    for number in range(1, 300):
        c("XADD", "stream", f"{number}-1", "f", number, "g", b"\xff")
    c("XDEL", "stream", "7-1", "299-1")
    c("XGROUP", "CREATE", "stream", "group", 0)
    c("XGROUP", "CREATECONSUMER", "stream", "group", "idle")
    c("XREADGROUP", "GROUP", "group", "reader", "COUNT", 20, "STREAMS", "stream", ">")
    c("COPY", "stream", "stream:torn")
    c("XDEL", "stream:torn", "3-1")
    c("XADD", "stream:empty", "9-9", "f", "v")
    c("XDEL", "stream:empty", "9-9")
    c("XGROUP", "CREATE", "stream:none", "group", "$", "MKSTREAM")
    for key in ("stream", "stream:empty"):
        c("PEXPIREAT", key, LATE)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Server]:
    with start_redis(*DEBUG) as server:
        with Wire(server.port) as c:
            fill(c)
            c("SAVE")
        yield server


@pytest.fixture(scope="module")
def file(oracle: Server) -> Path:
    return oracle.directory / "dump.rdb"


def groups(c: Wire) -> list[Reply]:
    """What the digest does not cover."""
    c("SELECT", 5)
    found: list[Reply] = []
    for key in ("stream", "stream:torn", "stream:empty", "stream:none"):
        found += [c("PEXPIRETIME", key), c("XINFO", "GROUPS", key)]
        info = c("XINFO", "STREAM", key)
        assert isinstance(info, list)
        named = dict(zip(info[::2], info[1::2], strict=True))
        wanted = ("length", "last-generated-id", "max-deleted-entry-id", "entries-added")
        found += [named[name.encode()] for name in wanted]
        pending = c("XPENDING", key, "group", "-", "+", 100)
        found.append([each[:2] + each[3:] for each in pending] if isinstance(pending, list) else 0)
    return found


def test_check(oracle: Server, file: Path) -> None:
    ran = tool("check", file)
    assert ran.returncode == 0, ran.stdout
    lines = ran.stdout.decode().splitlines()
    assert lines[0] == f"{file}: sound"
    assert "  checksum: ok" in lines
    assert f"  redis-ver: {'.'.join(map(str, oracle.version))}" in lines
    assert (
        "  db 0: 709 keys (hash 2, list 2, set 3, string 700, zset 2); 0 with a deadline, 0 of them expired"
        in lines
    )
    assert "  db 5: 4 keys (stream 4); 2 with a deadline, 0 of them expired" in lines


def test_damage(file: Path, tmp_path: Path) -> None:
    data = file.read_bytes()
    damaged = tmp_path / "damaged.rdb"
    for text in (data[: len(data) // 2], data[:5000] + b"\xf3" + data[5001:]):
        damaged.write_bytes(text)
        ran = tool("check", damaged)
        assert ran.returncode == 1, ran.stdout
        assert b"damaged at offset " in ran.stdout
        assert b"readable before: " in ran.stdout


@pytest.mark.parametrize("start", [start_respcache, start_redis])
def test_the_commands_make_the_same_data(oracle: Server, file: Path, start: Callable[..., Server]) -> None:
    ran = tool("dump", file, "--resp")
    assert (ran.returncode, ran.stderr) == (0, b"")
    with start(*DEBUG) as server, Wire(server.port) as c, Wire(oracle.port) as there:
        c.raw(ran.stdout)
        c.send("ECHO", "done")
        while (reply := c.read()) != b"done":
            assert not isinstance(reply, Error), reply
        assert c("DEBUG", "DIGEST") == there("DEBUG", "DIGEST")
        assert groups(c) == groups(there)

"""redis-benchmark runs against the server without a warning."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.servers import start_respcache
from tests.wire import Wire, pairs

pytestmark = pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="no redis-benchmark on PATH")

TESTS = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"]


def benchmark(port: int, *options: str | int) -> str:
    """What redis-benchmark prints, its progress left out."""
    command = ["redis-benchmark", "-p", str(port), *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    for word in ("WARNING", "Could not", "ERR", "Error", "fail"):
        assert word not in told
    return re.sub(r"[^\r\n]*\r", "", told)


@pytest.mark.parametrize("protocol", [[], ["-3"]], ids=["resp2", "resp3"])
def test_the_usual_tests(protocol: list[str]) -> None:
    with start_respcache() as server, Wire(server.port) as c:
        options: list[str | int] = [
            "-t",
            "ping,set,get,incr,mset",
            "-n",
            20_000,
            "-c",
            50,
            "-P",
            16,
            "-q",
            *protocol,
        ]
        c("CONFIG", "RESETSTAT")
        told = benchmark(server.port, *options)
        assert re.findall(r"^(.+?): [\d.]+ requests per second, p50=", told, re.MULTILINE) == TESTS
        calls = {key: int(re.findall(rb"calls=(\d+),", stat)[0]) for key, stat in stats(c).items()}
        for name in (b"ping", b"set", b"get", b"incr", b"mset"):
            assert calls[b"cmdstat_" + name] == (40_000 if name == b"ping" else 20_000)
        assert "Traceback" not in server.log


def stats(c: Wire) -> dict[bytes, bytes]:
    lines = c("INFO", "commandstats").splitlines()[1:]
    return pairs([part for line in lines for part in line.split(b":")])


def test_without_a_pipeline_and_with_random_keys() -> None:
    with start_respcache() as server, Wire(server.port) as c:
        told = benchmark(server.port, "-n", 5000, "-r", 100, "-d", 20_000, "-t", "set,get", "--csv")
        assert [line.split(",")[0] for line in told.splitlines()] == ['"test"', '"SET"', '"GET"']
        assert 50 <= c("DBSIZE") <= 100
        assert c("STRLEN", c("RANDOMKEY")) == 20_000

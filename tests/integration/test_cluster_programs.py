"""Programs that know clusters, unchanged: redis-cli -c, redis-benchmark --cluster, and ioredis where there is Node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters import Cluster, call, node_id, slot_of, start_cluster, wait_until

NODE_MODULES = "IOREDIS"
"""The variable of the environment that names a directory with `node_modules/ioredis`. Without it npm is asked."""

needs_cli = pytest.mark.skipif(shutil.which("redis-cli") is None, reason="no redis-cli on PATH")
needs_benchmark = pytest.mark.skipif(shutil.which("redis-benchmark") is None, reason="no redis-benchmark on PATH")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with start_cluster("oooooo", replicas=1) as cluster:
        for server in cluster.masters():
            call(server, "FLUSHALL")  # replicas without any data are not shown to clients
        wait_until(lambda: all(call(server, "CLUSTER", "SLOTS")[0][3:] for server in cluster.nodes))
        yield cluster


@pytest.fixture(autouse=True)
def clean(cluster: Cluster) -> Iterator[None]:
    yield
    for server in cluster.masters():
        call(server, "FLUSHALL")


def cli(cluster: Cluster, *words: str | int, text: str = "") -> str:
    """What redis-cli -c prints when it is started at the first node."""
    command = ["redis-cli", "-c", "-p", str(cluster.nodes[0].port), *map(str, words)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=True)
    assert not done.stderr
    return done.stdout


@needs_cli
@pytest.mark.parametrize("protocol", ["-2", "-3"])
def test_redis_cli(cluster: Cluster, protocol: str) -> None:
    keys = [f"key:{number}" for number in range(40)]
    told = cli(cluster, protocol, text="".join(f"set {key} {key}\n" for key in keys))
    assert told.splitlines().count("OK") == len(keys)
    told = cli(cluster, protocol, text="".join(f"get {key}\n" for key in keys))
    assert [line for line in told.splitlines() if line.startswith("key:")] == keys
    assert len({cluster.node_of(slot_of(key)) for key in keys}) == 3


@needs_cli
def test_redis_cli_while_a_slot_moves(cluster: Cluster) -> None:
    slot = slot_of("way")
    source = cluster.node_of(slot)
    target = next(server for server in cluster.masters() if server is not source)
    call(source, "MSET", "way", "1", "{way}2", "2")
    call(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
    call(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))
    call(source, "MIGRATE", "127.0.0.1", target.port, "way", 0, 5000)
    told = cli(cluster, text="get way\nset {way}3 3\nget {way}2\nget {way}3\n").splitlines()
    assert [line for line in told if line and not line.startswith("-> Redirected to slot [")] == ["1", "OK", "2", "3"]
    assert call(target, "CLUSTER", "COUNTKEYSINSLOT", slot) == 2
    for server in (target, source):
        call(server, "FLUSHALL")
        call(server, "CLUSTER", "SETSLOT", slot, "STABLE")


@needs_benchmark
@pytest.mark.parametrize("options", [["-P", "16"], ["-P", "16", "-3"], ["--threads", "2"]], ids=" ".join)
def test_redis_benchmark(cluster: Cluster, options: list[str]) -> None:
    for server in cluster.nodes:
        call(server, "CONFIG", "RESETSTAT")
    command = ["redis-benchmark", "-p", str(cluster.nodes[0].port), "--cluster", "-t", "set,get,incr,lpush,hset,mset"]
    command += ["-n", "3000", "-c", "6", "-r", "1000", "-q", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told = done.stdout + done.stderr
    for word in ("WARN", "Could not", "ERR", "Error", "MOVED", "CROSSSLOT", "fail"):
        assert word not in told, told
    told = re.sub(r"[^\r\n]*\r", "", told)
    tests = re.findall(r"^(.+?): [\d.]+ requests per second, p50=", told, re.MULTILINE)
    assert tests == ["SET", "GET", "INCR", "LPUSH", "HSET", "MSET (10 keys)"]
    for server in cluster.masters():  # each had its part
        assert "errorstat_" not in call(server, "INFO", "errorstats").decode()
        stats = call(server, "INFO", "commandstats").decode()
        calls = re.search(r"cmdstat_set:calls=(\d+)", stats)
        assert calls is not None
        assert int(calls[1]) >= 500


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ioredis, fetched by npm unless somebody has it already."""
    given = os.environ.get(NODE_MODULES)
    if given:
        return Path(given) / "node_modules"
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node.js here")
    home = tmp_path_factory.mktemp("npm")
    try:
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(home), "ioredis@5"],
            capture_output=True,
            timeout=60,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm cannot install ioredis here")
    return home / "node_modules"


def test_ioredis(cluster: Cluster, node_modules: Path) -> None:
    script = Path(__file__).with_name("ioredis_cluster.js")
    done = subprocess.run(
        ["node", str(script), str(cluster.nodes[4].port)],
        env=os.environ | {"NODE_PATH": str(node_modules)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("OK", "", 0)

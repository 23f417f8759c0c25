"""Replicas whose link is lost again and again, and replicas that are started again: they go on where they were."""

from __future__ import annotations

import contextlib
import random
import re
import time
from pathlib import Path

import pytest

from tests.load import Load, Writes, info, wait_equal, wait_link
from tests.proxy import Proxy
from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="needs a redis-server")

PAIRS = ["ro", "oo", "or"]
OPTIONS = ("--enable-debug-command", "yes", "--repl-diskless-sync-delay", 0, "--repl-backlog-size", "64mb")


def start(kind: str, *args: str | int, directory: Path | None = None) -> Server:
    program = start_redis if kind == "r" else start_respcache
    return program(*OPTIONS, *args, directory=directory)


def syncs(port: int) -> tuple[int, int]:
    """How many full and partial synchronisations a master has granted."""
    with Wire(port) as c:
        stats = info(c, "stats")
    return int(stats["sync_full"]), int(stats["sync_partial_ok"])


def run_cuts(kinds: str, cuts: int) -> None:
    dice = random.Random(cuts)
    with contextlib.ExitStack() as stack:
        master, replica = (stack.enter_context(start(kind)) for kind in kinds)
        proxy = stack.enter_context(Proxy(master.port))
        with Wire(replica.port) as c:
            c("REPLICAOF", "127.0.0.1", proxy.port)
            wait_link(replica.port)
            loads = [Load(master.port, seed) for seed in range(2)]
            for load in loads:
                load.start()
            for _ in range(cuts):
                time.sleep(dice.uniform(0.02, 0.2))
                made = proxy.accepted
                proxy.cut()
                _wait_accepted(proxy, made)
                wait_link(replica.port)
            for load in loads:
                load.finish()
        wait_equal([master.port, replica.port])
        full, partial = syncs(master.port)
        assert full == 1
        assert partial >= cuts * 0.9


def _wait_accepted(proxy: Proxy, made: int) -> None:
    end = time.monotonic() + 10
    while proxy.accepted == made:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("kinds", PAIRS)
def test_a_link_that_is_cut(kinds: str) -> None:
    run_cuts(kinds, 8)


@pytest.mark.long
@pytest.mark.parametrize("kinds", PAIRS)
def test_a_link_that_is_cut_fifty_times(kinds: str) -> None:
    run_cuts(kinds, 50)


def test_a_backlog_that_was_outrun() -> None:
    with contextlib.ExitStack() as stack:
        master, replica = stack.enter_context(start("r")), stack.enter_context(start("o"))
        with Wire(master.port) as c, Wire(replica.port) as there:
            c("CONFIG", "SET", "repl-backlog-size", 16384)
            there("REPLICAOF", "127.0.0.1", master.port)
            wait_link(replica.port)
            there("CONFIG", "SET", "masterauth", "")
            for _ in range(3):
                c("CLIENT", "KILL", "TYPE", "replica")
                c.pipeline([["SET", f"k{number}", "x" * 1000] for number in range(100)])
                _wait_syncing(there)
        wait_equal([master.port, replica.port])
        assert syncs(master.port)[0] >= 2


def _wait_syncing(c: Wire) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end and info(c)["master_link_status"] != "up":
        time.sleep(0.02)


@pytest.mark.parametrize("kinds", PAIRS)
def test_a_replica_that_is_started_again(kinds: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        master = stack.enter_context(start(kinds[0]))
        kept = ("--save", "3600 1", "--replicaof", f"127.0.0.1 {master.port}")
        replica = stack.enter_context(start(kinds[1], *kept, directory=tmp_path))
        wait_link(replica.port)
        early, late = Writes(3), Writes(4)
        with Wire(master.port) as c:
            c("SELECT", 2)
            for _ in range(50):
                c.pipeline(early.batch())
            wait_equal([master.port, replica.port])
            replica.stop()
            for _ in range(50):
                c.pipeline(late.batch())
        replica.start(loaded=True)
        wait_link(replica.port)
        wait_equal([master.port, replica.port])
        assert syncs(master.port) == (1, 1)


@pytest.mark.parametrize("kinds", PAIRS)
def test_a_master_that_becomes_the_replica_of_its_replica(kinds: str) -> None:
    with contextlib.ExitStack() as stack:
        old, new = (stack.enter_context(start(kind)) for kind in kinds)
        writes = Writes(5)
        with Wire(old.port) as a, Wire(new.port) as b:
            b("REPLICAOF", "127.0.0.1", old.port)
            wait_link(new.port)
            for _ in range(50):
                a.pipeline(writes.batch())
            wait_equal([old.port, new.port])
            before = info(a)
            b.pipeline([["MULTI"], ["REPLICAOF", "NO", "ONE"], ["CONFIG", "REWRITE"], ["EXEC"]])
            promoted = info(b)
            assert promoted["role"] == "master"
            assert promoted["master_replid2"] == before["master_replid"]
            assert promoted["master_replid"] != before["master_replid"]
            assert int(promoted["second_repl_offset"]) == int(promoted["master_repl_offset"]) + 1
            for _ in range(20):
                b.pipeline(writes.batch())
            a("SLAVEOF", "127.0.0.1", new.port)
            wait_link(old.port)
            wait_equal([new.port, old.port])
        full, partial = syncs(new.port)
        assert (full, partial) == (0, 1), re.sub(r"\n+", "\n", old.log[-2000:])

"""Masters and replicas of both kinds, in pairs and in a chain: after random writes all have the same data."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from time import sleep

import pytest

from tests.load import Load, Writes, wait_equal, wait_link
from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="needs a redis-server")

CHAINS = {
    "respcache -> respcache": "oo",
    "redis -> respcache": "ro",
    "respcache -> redis": "or",
    "redis -> respcache -> redis": "ror",
    "respcache -> respcache -> respcache": "ooo",
}


def start(kind: str, *args: str | int) -> Server:
    program = start_redis if kind == "r" else start_respcache
    return program("--enable-debug-command", "yes", "--repl-diskless-sync-delay", 0, *args)


def run_chain(kinds: str, seconds: float, args: Sequence[str | int] = ()) -> list[str]:
    """Writes to the first server of a chain, before and after the others become replicas. Returns the logs."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(start(kind, *args)) for kind in kinds]
        with Wire(servers[0].port) as c:
            early = Writes(7)
            for _ in range(100):
                c.pipeline(early.batch())
        loads = [Load(servers[0].port, seed) for seed in range(2)]
        for load in loads:
            load.start()
        for master, replica in itertools.pairwise(servers):
            with Wire(replica.port) as c:
                c("REPLICAOF", "127.0.0.1", master.port)
        for replica in servers[1:]:
            wait_link(replica.port)
        sleep(seconds)
        for load in loads:
            load.finish()
            assert load.commands
        for server in servers:
            assert server.alive, server.log[-3000:]
        wait_equal([server.port for server in servers])
        return [server.log for server in servers]


@pytest.mark.parametrize("kinds", CHAINS.values(), ids=CHAINS.keys())
def test_all_have_the_same_data(kinds: str) -> None:
    run_chain(kinds, 3)


@pytest.mark.long
@pytest.mark.parametrize("kinds", ["ro", "oo", "or"])
def test_data_of_known_size(kinds: str) -> None:
    run_chain(kinds, 1, ("--repl-diskless-sync", "no"))


@pytest.mark.parametrize("kinds", ["ro", "oo"])
def test_with_an_append_only_file(kinds: str) -> None:
    run_chain(kinds, 1, ("--appendonly", "yes"))


@pytest.mark.long
@pytest.mark.parametrize("kinds", CHAINS.values(), ids=CHAINS.keys())
def test_for_half_a_minute(kinds: str) -> None:
    run_chain(kinds, 30)

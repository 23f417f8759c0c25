"""A nodes.conf goes from a real server to us and back."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from respcache.cluster import nodes_conf
from respcache.cluster.nodes import REPLICA
from tests.servers import HAVE_ORACLE, Server, start_redis
from tests.wire import Wire

pytestmark = pytest.mark.skipif(not HAVE_ORACLE, reason="no redis-server")

OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", 2000)


def call(server: Server, *words: str | int | bytes) -> Any:
    with Wire(server.port) as wire:
        return wire(*words)


def wait_for(server: Server, text: bytes, times: int = 1) -> bytes:
    """CLUSTER NODES, as soon as it has a text so many times."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        told: bytes = call(server, "CLUSTER", "NODES")
        if told.count(text) == times:
            return told
        time.sleep(0.05)
    raise AssertionError(told)


def facts(text: str) -> set[tuple[str, ...]]:
    """Lines without what a restart changes: the times and the state of the link."""
    lines = (line.split() for line in text.splitlines())
    return {tuple(words[:4] + words[6:7] + words[8:]) for words in lines if words and words[0] != "vars"}


def test_a_real_file_is_read_and_ours_is_read_by_a_real_server() -> None:
    with (
        start_redis(*OPTIONS) as a,
        start_redis(*OPTIONS, "--cluster-announce-hostname", "host-b.example") as b,
        start_redis(*OPTIONS, "--cluster-replica-no-failover", "yes") as c,
    ):
        ids = {server: call(server, "CLUSTER", "MYID") for server in (a, b, c)}
        call(a, "CLUSTER", "ADDSLOTSRANGE", 0, 5460, 5462, 5462, 16383, 16383)
        call(b, "CLUSTER", "ADDSLOTS", 9000, 10000, 10001)
        for server, epoch in ((a, 1), (b, 2), (c, 3)):
            call(server, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for server in (b, c):
            call(server, "CLUSTER", "MEET", "127.0.0.1", a.port)
        for server in (a, b, c):
            wait_for(server, b" connected", 3)
        call(c, "CLUSTER", "REPLICATE", ids[a])
        wait_for(a, b"slave,nofailover")
        call(a, "CLUSTER", "SETSLOT", 5462, "MIGRATING", ids[b])
        call(a, "CLUSTER", "SETSLOT", 9000, "IMPORTING", ids[b])
        told = wait_for(a, b"host-b.example").decode()
        for server in (b, c):
            server.stop()
        a.stop()

        file = a.directory / "nodes.conf"
        view = nodes_conf.load(file.read_text(), 0)
        assert facts(nodes_conf.describe(view)) == facts(told)
        assert view.myself.id == ids[a]
        assert (view.current_epoch, view.last_vote_epoch) == (3, 0)
        assert view.nodes[ids[c]].flags & REPLICA
        assert view.nodes[ids[c]].master is view.myself

        # As 7.4 writes it, with what 7.0 does not know.
        view.current_epoch, view.last_vote_epoch = 8, 7
        view.nodes[ids[b]].nodename = "bee"
        file.write_text(nodes_conf.render(view))
        a.start()
        # 7.0 takes all that follows the first comma for the hostname, until it hears from the node.
        told = re.sub(",[^ ,]*,tls-port=[^ ]*", "", call(a, "CLUSTER", "NODES").decode())
        assert facts(told) == facts(nodes_conf.describe(view).replace(",host-b.example", ""))
        assert b"cluster_current_epoch:8" in call(a, "CLUSTER", "INFO")
        call(a, "CLUSTER", "SAVECONFIG")
        assert "vars currentEpoch 8 lastVoteEpoch 7" in file.read_text()


def test_a_new_real_file() -> None:
    with start_redis(*OPTIONS) as server:
        # Written before the server looks at its ports.
        view = nodes_conf.load((server.directory / "nodes.conf").read_text(), 0)
        view.myself.port, view.myself.cport = server.port, server.port + 10000
        assert nodes_conf.describe(view).encode() == call(server, "CLUSTER", "NODES")

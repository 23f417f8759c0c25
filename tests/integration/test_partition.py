"""A master and two replicas whose network is cut."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.load import Words, Writes, info
from tests.namespaces import PORT, Network, needs_namespaces
from tests.wire import Argument, Error, Status, Wire

pytestmark = needs_namespaces

MAX_LAG = 2
"""Seconds after which a master takes a silent replica for lost."""
OPTIONS = (
    *("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"),
    *("--min-replicas-to-write", "1", "--min-replicas-max-lag", str(MAX_LAG), "--repl-timeout", "4"),
)


def until(done: Callable[[], bool], seconds: float, what: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what()
        time.sleep(0.02)


def unlinked(c: Wire) -> bool:
    return info(c)["master_link_status"] == "down"


def good(master: Wire, replicas: int) -> bool:
    return info(master).get("min_slaves_good_slaves") == str(replicas)


def equal(wires: Sequence[Wire]) -> bool:
    """Whether all have the same data, and the same history up to the same offset."""
    seen = [info(c) for c in wires]
    return (
        len({(one["master_replid"], one["master_repl_offset"]) for one in seen}) == 1
        and len({str(c("DEBUG", "DIGEST")) for c in wires}) == 1
    )


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Network(tmp_path, "ooo", OPTIONS) as network:
        yield network


@pytest.fixture
def wires(network: Network) -> Iterator[list[Wire]]:
    """Connections to a master and to its two replicas, whose links are up."""
    with contextlib.ExitStack() as stack:
        wires = [stack.enter_context(host.connect()) for host in network.hosts]
        for c in wires[1:]:
            assert c("REPLICAOF", network.hosts[0].host, PORT) == Status("OK")
        until(partial(good, wires[0], 2), 15, partial(info, wires[0]))
        yield wires


REFUSED = Error("NOREPLICAS Not enough good replicas to write.")


def write_until_refused(c: Wire) -> float:
    """Writes until the server refuses to; the seconds that took."""
    began = time.monotonic()
    while (reply := c("RPUSH", "lonely", f"{time.monotonic() - began:.2f}")) != REFUSED:
        assert isinstance(reply, int)
        assert c("WAIT", 1, 1) == 0
        assert time.monotonic() - began < MAX_LAG + 3
    return time.monotonic() - began


def refuses_all(c: Wire) -> None:
    """Checks that nothing is written, however it is tried, and that all is read."""
    before = c("DEBUG", "DIGEST"), info(c)["master_repl_offset"]
    writes: list[tuple[Argument, ...]] = [
        *(("SET", "a", 1), ("DEL", "kept"), ("FLUSHALL",), ("EXPIRE", "kept", 1), ("LPUSH", "l", 1)),
        *(("BLPOP", "l", 0), ("XADD", "x", "*", "a", 1), ("SWAPDB", 0, 1), ("PFADD", "p", 1)),
    ]
    for words in writes:
        assert c(*words) == REFUSED, words
    assert c("MULTI") == Status("OK")
    assert c("SET", "a", 1) == REFUSED
    assert c("EXEC") == Error("EXECABORT Transaction discarded because of previous errors.")
    assert c("GET", "kept") == b"1"
    assert before == (c("DEBUG", "DIGEST"), info(c)["master_repl_offset"])


@pytest.mark.long
def test_a_master_that_is_cut_off_and_comes_back(network: Network, wires: list[Wire]) -> None:
    """The replicas lose their master for longer than repl-timeout, and go on with it."""
    master, *_ = wires
    writes = Writes(11)
    master.pipeline(plain(writes.batch()))
    master("SET", "kept", 1)
    network.cut(network.hosts[0])
    seconds = write_until_refused(master)
    refuses_all(master)
    for c in wires[1:]:
        until(partial(unlinked, c), 10, partial(info, c))
    assert master("SET", "a", 1) == REFUSED
    network.heal(network.hosts[0])
    until(partial(good, master, 2), 15, partial(info, master))
    for _ in range(20):
        master.pipeline(writes.batch())
    until(partial(equal, wires), 15, lambda: [info(c) for c in wires])
    stats = info(master, "stats")
    assert (stats["sync_full"], stats["sync_partial_ok"]) == ("2", "2")
    print(f"refused after {seconds:.1f} s")


def test_a_short_cut(network: Network, wires: list[Wire]) -> None:
    """No link is lost: what was written meanwhile comes late."""
    master, *_ = wires
    network.cut(network.hosts[0])
    write_until_refused(master)
    network.heal(network.hosts[0])
    until(partial(good, master, 2), 10, partial(info, master))
    assert master("SET", "again", 1) == Status("OK")
    until(partial(equal, wires), 10, lambda: [info(c) for c in wires])
    stats = info(master, "stats")
    assert stats["sync_full"] == "2"


@pytest.mark.long
def test_two_masters_become_one(network: Network, wires: list[Wire]) -> None:
    """The majority gets a new master meanwhile. Of the old one's writes those stay that a replica had."""
    old, new, other = wires
    writes = Writes(12)
    for number in range(100):
        old("RPUSH", "acknowledged", number)
    old.pipeline(plain(writes.batch()))
    old("SET", "kept", 1)
    assert old("WAIT", 2, 3000) == 2
    before = old("LRANGE", "acknowledged", 0, -1)
    network.cut(network.hosts[0])
    write_until_refused(old)
    assert new("REPLICAOF", "NO", "ONE") == Status("OK")
    assert other("REPLICAOF", network.hosts[1].host, PORT) == Status("OK")
    until(partial(good, new, 1), 15, partial(info, new))
    new.pipeline([["RPUSH", "acknowledged", "new"], *plain(writes.batch())])
    assert new("WAIT", 1, 3000) == 1
    refuses_all(old)
    network.heal(network.hosts[0])
    assert old("SET", "a", 1) == REFUSED  # nobody follows it any more
    assert old("REPLICAOF", network.hosts[1].host, PORT) == Status("OK")
    until(partial(good, new, 2), 15, partial(info, new))
    new.pipeline(plain(writes.batch()))
    until(partial(equal, [new, other, old]), 15, lambda: [info(c) for c in wires])
    assert new("LRANGE", "acknowledged", 0, -1) == [*before, b"new"]
    assert new("EXISTS", "lonely") == 0
    assert int(info(new, "stats")["sync_full"]) == 1  # the old master's history went on alone


def plain(batch: list[Words]) -> list[Words]:
    """A batch without what might take the list that the test looks at."""
    return [words for words in batch if words[0] not in {"FLUSHALL", "FLUSHDB", "SWAPDB", "SELECT"}]

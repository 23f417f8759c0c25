"""FAILOVER: when it waits, when it goes on, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from respcache.protocol.errors import ReplyError
from respcache.replicated import NoMaster
from tests.unit.test_mastering import Rig


class Master(NoMaster):
    """Notes whom this server is told to follow."""

    def __init__(self) -> None:
        super().__init__()
        self.followed: list[tuple[str, int]] = []
        self.led = 0

    def follow(self, host: str, port: int, failover: bool = False) -> None:
        """Notes it."""
        assert failover
        self.followed.append((host, port))

    def lead(self) -> None:
        """Notes it."""
        self.led += 1


class Pair(Rig):
    """A master with a replica at port 7000."""

    def __init__(self) -> None:
        super().__init__()
        self.master = Master()
        self.state.following = self.master
        self.replica = self.continuing()
        (self.about,) = self.it.replicas.values()
        self.about.port = 7000
        self.ask("SET", "a", 1)
        self.it.flush()

    def ack(self) -> None:
        self.ask("REPLCONF", "ACK", self.state.history.offset, who=self.replica)


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.it.stop()
    made.peers.turn()
    made.state.loop.close()


HERE = ("127.0.0.1", 7000)


def test_it_waits_for_the_replica(pair: Pair) -> None:
    pair.it.fail_over(HERE, 0, False)
    assert pair.it.failover_state == "waiting-for-sync"
    assert pair.ask("SET", "a", 2) == b""
    assert pair.ask("GET", "a", who=pair.new()) == b"$1\r\n1\r\n"
    pair.ask("REPLCONF", "ACK", 1, who=pair.replica)
    assert pair.master.followed == []
    pair.ack()
    assert pair.master.followed == [HERE]
    assert pair.it.failover_state == "failover-in-progress"
    assert pair.ask("PSYNC", "?", -1, who=pair.new()).startswith(
        b"-NOMASTERLINK Can't SYNC while failing over"
    )
    pair.it.failed_over(True)
    assert pair.it.failover_state == "no-failover"
    assert b"+OK" in pair.got(0)


def test_a_replica_that_has_everything_is_not_waited_for(pair: Pair) -> None:
    pair.ack()
    pair.it.fail_over(None, 0, False)
    assert pair.master.followed == [HERE]


def test_it_may_be_aborted(pair: Pair) -> None:
    pair.it.fail_over(HERE, 0, False)
    pair.it.abort_failover()
    assert (pair.it.failover_state, pair.master.led) == ("no-failover", 0)
    pair.it.fail_over(HERE, 0, False)
    pair.ack()
    pair.it.abort_failover()
    assert (pair.it.failover_state, pair.master.led) == ("no-failover", 1)
    pair.it.failed_over(False)  # too late to matter
    with pytest.raises(ReplyError, match="No failover in progress"):
        pair.it.abort_failover()


@pytest.mark.parametrize("force", [False, True])
def test_it_takes_only_so_long(pair: Pair, force: bool) -> None:
    pair.it.fail_over(HERE, 5, force)
    pair.state.loop.run_until_complete(asyncio.sleep(0.02))
    assert pair.master.followed == ([HERE] if force else [])
    assert pair.it.failover_state == ("failover-in-progress" if force else "no-failover")


def test_what_is_refused(pair: Pair) -> None:
    for target, milliseconds, force, text in (
        (None, 10, True, "force option requires"),
        (HERE, 0, True, "force option requires"),
        (("127.0.0.1", 1), 0, False, "is not a replica"),
    ):
        with pytest.raises(ReplyError, match=text):
            pair.it.fail_over(target, milliseconds, force)
    pair.about.state = "wait_bgsave"
    with pytest.raises(ReplyError, match="not online"):
        pair.it.fail_over(HERE, 0, False)
    pair.about.state = "online"
    pair.master.on = True
    with pytest.raises(ReplyError, match="server is a replica"):
        pair.it.fail_over(HERE, 0, False)
    pair.master.on = False
    pair.it.fail_over(HERE, 0, False)
    with pytest.raises(ReplyError, match="already in progress"):
        pair.it.fail_over(HERE, 0, False)

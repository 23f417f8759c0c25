"""The manual failover, each side by itself."""

from __future__ import annotations

import pytest

from respcache.cluster import frames
from respcache.cluster.frames import MFLAG_PAUSED
from respcache.cluster.manual import GRACE, WINDOW, ManualFailover
from respcache.cluster.services import Todo
from tests.unit.cluster.fakes import Shards


class Side(Shards):
    def __init__(self, me: int, replicas: int = 1) -> None:
        super().__init__(me, replicas=replicas)
        self.manual = ManualFailover(self.view, self.services, self.sender)

    def hear(self, number: int, offset: int, mflags: int = MFLAG_PAUSED) -> None:
        self.manual.heard(self.nodes[number], self.header(number, frames.PING, mflags, offset=offset))


# The replica: node 3, of node 0


def test_the_master_is_asked_and_its_offset_awaited() -> None:
    shards = Side(3)
    shards.manual.begin("")
    assert len(shards.links[shards.nodes[0]].take(frames.MFSTART)) == 1
    assert not shards.links[shards.nodes[1]].sent
    shards.hear(0, 50, mflags=0)  # not paused yet
    shards.hear(1, 60)  # not its master
    assert shards.services.calls == []
    shards.hear(0, 100)
    shards.hear(0, 101)  # only the first one counts
    assert shards.services.calls == [("await", 100)]
    shards.services.offset = 99
    shards.manual.look()
    assert not shards.manual.ready
    shards.services.offset = 100
    shards.manual.cron()
    assert shards.manual.ready and Todo.FAILOVER in shards.services.todo


def test_nothing_is_heard_unless_it_was_asked_for() -> None:
    shards = Side(3)
    shards.hear(0, 0)
    shards.manual.look()
    assert not shards.manual.ready and shards.services.calls == []


def test_it_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    shards = Side(3)
    shards.manual.begin("")
    shards.services.time += WINDOW
    shards.manual.cron()
    assert shards.manual.ends
    shards.services.time += 1
    shards.manual.cron()
    assert not shards.manual.ends
    assert "Manual failover timed out." in caplog.text
    shards.hear(0, 0)
    shards.manual.look()
    assert not shards.manual.ready


def test_who_is_ready_is_so_for_the_window_only() -> None:
    shards = Side(3)
    shards.manual.begin("force")
    shards.services.time += WINDOW
    assert shards.manual.ready
    shards.services.time += 1  # this process stood still, say, and the tick that ends it is still to come
    assert not shards.manual.ready


def test_force_asks_nobody() -> None:
    shards = Side(3)
    shards.manual.begin("force")
    assert shards.manual.ready and Todo.FAILOVER in shards.services.todo
    assert not shards.links[shards.nodes[0]].sent


def test_takeover() -> None:
    shards = Side(3)
    shards.manual.begin("takeover")
    assert shards.me.is_master and shards.me.config_epoch == shards.view.current_epoch == 4
    assert shards.me.slot_count == 5462
    assert shards.services.calls == ["save", "lead", "save"]  # the epoch first
    assert not shards.manual.ends
    [pong] = shards.links[shards.nodes[2]].take(frames.PONG)
    assert pong.header.config_epoch == 4


# The master: node 0


def test_the_master_pauses_and_says_so() -> None:
    shards = Side(0)
    shards.services.offset = 1234
    shards.manual.requested(shards.nodes[3])
    assert shards.services.calls == [("pause", 2 * WINDOW)]
    link = shards.links[shards.nodes[3]]
    [ping] = link.take(frames.PING)
    assert (ping.header.offset, ping.header.mflags & MFLAG_PAUSED) == (1234, MFLAG_PAUSED)
    shards.manual.cron()
    assert len(link.take(frames.PING)) == 1
    assert not shards.links[shards.nodes[1]].sent
    shards.view.make_replica(shards.me, shards.nodes[3])
    shards.manual.reset()
    assert shards.services.calls[1:] == ["unpause"]
    assert not shards.view.paused
    shards.manual.cron()
    assert not link.sent


def test_the_master_goes_on_if_nothing_comes_of_it() -> None:
    shards = Side(0)
    shards.manual.requested(shards.nodes[3])
    shards.services.time += WINDOW + GRACE  # the replica, which began before, has given up for long
    shards.manual.cron()
    assert shards.view.paused
    shards.services.time += 1
    shards.manual.cron()
    assert shards.services.calls[1:] == ["unpause"] and not shards.view.paused


def test_only_its_own_replicas_may_ask() -> None:
    shards = Side(0)
    shards.manual.requested(shards.nodes[4])
    shards.manual.requested(shards.nodes[1])
    assert not shards.services.calls and not shards.view.paused


def test_the_second_replica_that_asks_is_the_one() -> None:
    shards = Side(0, replicas=2)
    shards.manual.requested(shards.nodes[3])
    shards.manual.requested(shards.nodes[4])
    assert shards.services.calls == [("pause", 2 * WINDOW), "unpause", ("pause", 2 * WINDOW)]
    assert shards.manual.replica is shards.nodes[4] and shards.view.paused

"""Elections: who asks for votes and when, who votes, and what follows. Three masters 0 1 2, replicas from 3 on."""

from __future__ import annotations

import random

import pytest

from respcache.cluster import frames
from respcache.cluster.election import Election
from respcache.cluster.frames import MFLAG_FORCE_ACK, MFLAG_PAUSED, Plain
from respcache.cluster.manual import WINDOW, ManualFailover
from respcache.cluster.nodes import NOFAILOVER
from respcache.cluster.services import Todo
from tests.unit.cluster.fakes import TIMEOUT, Shards


class Candidate(Shards):
    """A replica of master 0, and its part in elections."""

    def __init__(self, replicas: int = 1) -> None:
        super().__init__(me=3, replicas=replicas)
        self.manual = ManualFailover(self.view, self.services, self.sender)
        dice = random.Random(1)
        self.election = Election(self.view, self.services, self.sender, self.manual, dice)

    def run(self, milliseconds: int) -> int | None:
        """Ticks. Returns when votes were asked for, in milliseconds from now."""
        asked = None
        for passed in range(0, milliseconds, 100):
            self.election.cron()
            if asked is None and self.links[self.nodes[1]].take(frames.AUTH_REQUEST):
                asked = passed
            self.services.time += 100
        return asked

    def grant(self, number: int, **changes: int) -> None:
        node = self.nodes[number]
        self.election.voted(node, self.header(number, frames.AUTH_ACK, **changes))
        self.election.look()


def test_nothing_to_elect() -> None:
    assert Candidate().run(5000) is None


def test_votes_are_asked_for_half_a_second_to_a_second_after_the_failure() -> None:
    shards = Candidate()
    shards.fail(0)
    shards.election.look()
    link = shards.links[shards.nodes[2]]
    asked = shards.run(1200)
    assert asked is not None and 500 <= asked <= 1000
    [request] = link.take(frames.AUTH_REQUEST)
    assert isinstance(request, Plain)
    header = request.header
    assert (header.current_epoch, header.config_epoch, header.mflags & MFLAG_FORCE_ACK) == (4, 1, 0)
    assert header.slots == bytes(shards.nodes[0].slots)
    assert shards.services.calls == ["save"]  # before anybody was asked


def test_a_majority_makes_it_the_master() -> None:
    shards = Candidate()
    shards.fail(0)
    shards.run(1200)
    shards.services.calls.clear()
    shards.grant(1)
    assert shards.me.is_replica
    shards.links[shards.nodes[1]].sent.clear()
    shards.grant(2)
    assert shards.me.is_master and shards.me.config_epoch == 4
    assert (shards.me.slot_count, shards.nodes[0].slot_count) == (5462, 0)
    assert shards.view.owners[0] is shards.me
    assert shards.services.calls == ["lead", "save"]
    assert Todo.STATE in shards.services.todo
    [pong] = shards.links[shards.nodes[1]].take(frames.PONG)
    assert (pong.header.config_epoch, pong.header.master) == (4, b"")
    assert pong.header.slots == bytes(shards.me.slots)
    assert shards.run(5000) is None


def test_votes_that_do_not_count() -> None:
    shards = Candidate()
    shards.grant(1)  # nobody asked
    shards.fail(0)
    shards.run(1200)
    shards.grant(1)
    shards.grant(1)  # said twice
    shards.grant(2, current_epoch=3)  # of an earlier election
    shards.grant(4)  # a replica
    assert shards.me.is_replica
    shards.view.release_all(shards.nodes[2])
    shards.grant(2)  # has no slots any more
    assert shards.me.is_replica
    shards.view.assign(16383, shards.nodes[2])
    shards.grant(2)
    assert shards.me.is_master


def test_a_failed_election_is_tried_again() -> None:
    shards = Candidate()
    shards.fail(0)
    assert shards.run(1200) is not None
    again = shards.run(10_000)
    assert again is not None and 3900 <= again <= 5600  # four node timeouts after the first one
    assert shards.view.current_epoch >= 5
    shards.grant(1, current_epoch=4)  # too late
    shards.grant(2)
    assert shards.me.is_replica


def test_an_election_that_has_expired_cannot_be_won() -> None:
    shards = Candidate()
    shards.fail(0)
    shards.run(1200)
    shards.services.time += 2 * TIMEOUT + 100
    shards.grant(1)
    shards.grant(2)
    assert shards.me.is_replica


def test_rank() -> None:
    shards = Candidate(replicas=4)  # of the first master: 3 4 5 6
    shards.fail(0)
    shards.services.offset = 100
    shards.nodes[4].offset = 101
    shards.nodes[5].offset = 300
    shards.nodes[6].offset = 100
    shards.nodes[5].flags |= NOFAILOVER
    asked = shards.run(3000)
    assert asked is not None and 1500 <= asked <= 2000


def test_a_worse_rank_while_it_waits() -> None:
    shards = Candidate(replicas=3)
    shards.fail(0)
    assert shards.run(400) is None
    shards.nodes[4].offset = shards.nodes[5].offset = 1
    asked = shards.run(4000)
    assert asked is not None and 2100 <= asked <= 2600


def test_other_replicas_are_told_the_offset() -> None:
    shards = Candidate(replicas=2)
    shards.fail(0)
    shards.services.offset = 77
    shards.election.look()
    [pong] = shards.links[shards.nodes[4]].take(frames.PONG)
    assert pong.header.offset == 77
    assert not shards.links[shards.nodes[5]].sent  # of another master


@pytest.mark.parametrize(("factor", "age", "runs"), [(1, 12_000, True), (1, 12_001, False), (0, 1 << 50, True)])
def test_old_data(factor: int, age: int, runs: bool, caplog: pytest.LogCaptureFixture) -> None:
    shards = Candidate()
    shards.services.config.put("cluster-replica-validity-factor", factor)
    shards.services.config.put("repl-ping-replica-period", 10)
    shards.fail(0)
    shards.services.data_age = age
    assert (shards.run(8000) is not None) == runs
    assert ("Disconnected from master for longer than allowed" in caplog.text) != runs


def test_no_failover() -> None:
    shards = Candidate()
    shards.fail(0)
    shards.services.config.put("cluster-replica-no-failover", True)
    assert shards.run(3000) is None
    shards.manual.begin("force")
    assert shards.run(100) == 0


def test_a_master_without_slots_is_not_replaced() -> None:
    shards = Candidate()
    shards.view.release_all(shards.nodes[0])
    shards.fail(0)
    assert shards.run(3000) is None


def test_a_manual_failover_asks_at_once_with_force() -> None:
    shards = Candidate()
    shards.services.data_age = 1 << 50
    shards.manual.begin("force")
    shards.election.look()
    [request] = shards.links[shards.nodes[0]].take(frames.AUTH_REQUEST)
    assert request.header.mflags & MFLAG_FORCE_ACK
    shards.grant(0)
    shards.grant(1)
    assert shards.me.is_master
    assert shards.manual.ends == 0


def test_votes_that_come_too_late_for_a_manual_failover_elect_nobody() -> None:
    shards = Candidate()
    shards.manual.begin("")
    shards.manual.heard(shards.nodes[0], shards.header(0, frames.PING, MFLAG_PAUSED, offset=0))
    shards.manual.look()
    shards.election.look()
    shards.services.time += WINDOW + 1  # this process stood still, and the master goes on
    shards.grant(0)
    shards.grant(1)
    assert shards.me.is_replica


def test_nobody_is_elected_before_the_data_is_loaded() -> None:
    shards = Candidate()
    shards.fail(0)
    shards.services.data_age = 0
    shards.services.ready = False
    assert shards.run(5000) is None
    shards.services.ready = True
    assert shards.run(1200) is not None


def test_a_manual_failover_soon_after_a_failed_election() -> None:
    shards = Candidate()
    shards.fail(0)
    shards.run(1200)
    shards.services.time += 2 * TIMEOUT + 100
    shards.manual.begin("force")
    assert shards.run(100) == 0
    assert shards.view.current_epoch == 5


def test_one_master_after_another(caplog: pytest.LogCaptureFixture) -> None:
    """There is no pause between two manual failovers that both go well."""
    shards = Candidate()
    shards.manual.begin("force")
    shards.election.look()
    shards.grant(0)
    shards.grant(1)
    shards.view.make_replica(shards.me, shards.nodes[4])
    shards.view.assign(16383, shards.nodes[4])
    shards.manual.begin("force")
    shards.election.look()
    assert shards.view.current_epoch == 5
    assert caplog.text.count("Starting a failover election") == 2


# The voter: node 1, asked by replica 3 of node 0


class Voter(Shards):
    def __init__(self) -> None:
        super().__init__(me=1)
        manual = ManualFailover(self.view, self.services, self.sender)
        self.election = Election(self.view, self.services, self.sender, manual)
        self.view.current_epoch = 4

    def votes_for(self, number: int = 3, mflags: int = 0, **changes: int) -> bool:
        node = self.nodes[number]
        self.election.asked(node, self.header(number, frames.AUTH_REQUEST, mflags, **changes))
        return bool(self.links[node].take(frames.AUTH_ACK))


def test_a_vote_is_saved_before_it_is_given() -> None:
    shards = Voter()
    shards.fail(0)
    order: list[str] = []
    shards.services.save = lambda: order.append("save")  # type: ignore[method-assign]
    shards.links[shards.nodes[3]].send = lambda frame: order.append("send")  # type: ignore[method-assign]
    shards.votes_for()
    assert order == ["save", "send"]
    assert shards.view.last_vote_epoch == 4
    assert shards.nodes[0].voted_at == shards.services.time


def test_one_vote_in_an_epoch(caplog: pytest.LogCaptureFixture) -> None:
    shards = Voter()
    shards.fail(0)
    shards.fail(2)
    assert shards.votes_for()
    assert not shards.votes_for(5)
    assert "already voted for epoch 4" in caplog.text
    shards.view.current_epoch = 5
    assert shards.votes_for(5)


def test_one_vote_for_a_master_in_two_node_timeouts(caplog: pytest.LogCaptureFixture) -> None:
    shards = Voter()
    shards.fail(0)
    assert shards.votes_for()
    shards.view.current_epoch = 5
    shards.services.time += 2 * TIMEOUT - 1
    assert not shards.votes_for()
    assert "can't vote about this master before 1 milliseconds" in caplog.text
    shards.services.time += 1
    assert shards.votes_for()


def test_no_vote_while_the_master_is_up() -> None:
    shards = Voter()
    assert not shards.votes_for()
    assert shards.votes_for(mflags=MFLAG_FORCE_ACK)


def test_no_vote_for_an_old_epoch_or_an_old_claim(caplog: pytest.LogCaptureFixture) -> None:
    shards = Voter()
    shards.fail(0)
    assert not shards.votes_for(current_epoch=3)
    assert "reqEpoch (3) < curEpoch(4)" in caplog.text
    shards.nodes[2].config_epoch = 9
    shards.view.assign(7, shards.nodes[2])
    shards.nodes[0].slots[0] |= 1 << 7  # as the replica still sees it
    assert not shards.votes_for()
    assert "slot 7 epoch (9) > reqEpoch (1)" in caplog.text
    shards.nodes[2].config_epoch = 1
    assert shards.votes_for()


def test_no_vote_for_masters_and_for_replicas_of_nobody() -> None:
    shards = Voter()
    assert not shards.votes_for(2)
    shards.view.make_replica(shards.nodes[3], None)
    assert not shards.votes_for(3)


def test_who_has_no_vote() -> None:
    shards = Voter()
    shards.fail(0)
    shards.view.release_all(shards.me)
    assert not shards.votes_for()
    shards.view.assign(1, shards.me)
    shards.view.make_replica(shards.me, shards.nodes[2])
    assert not shards.votes_for()

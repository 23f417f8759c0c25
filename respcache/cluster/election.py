"""The election of a replica to its failed master's place: of who asks for votes, and of who votes.

A replica waits a little after its master has failed, so that the news gets around, and longer if other replicas have
more of the master's data. Then it takes the next epoch and asks everybody. A master with slots votes once in an epoch,
and once in a while for replicas of the same master, so at most one of them has a majority; the epoch of its election
becomes that of its claim to the slots.

For the node:
    manual = ManualFailover(view, services, sender)
    election = Election(view, services, sender, manual)
    migration = ReplicaMigration(view, services, follow)    follow: make_replica, replicate, manual.reset(), save
    each tick: manual.cron(), election.cron(), migration.cron()
    FAILOVER_AUTH_REQUEST: election.asked; FAILOVER_AUTH_ACK: election.voted; MFSTART: manual.requested
    each header of my master: manual.heard
    Todo.MANUAL: manual.look; Todo.FAILOVER: election.look
"""

from __future__ import annotations

import random

from respcache.cluster.frames import MFLAG_FORCE_ACK, Header
from respcache.cluster.manual import ManualFailover
from respcache.cluster.nodes import FAIL, NOFAILOVER, Node, View
from respcache.cluster.sending import Sender
from respcache.cluster.services import Services, Todo
from respcache.cluster.slots import members
from respcache.cluster.takeover import take_over
from respcache.log import logger as log

DELAY = 500
"""Milliseconds from the failure to the request at least; up to as many are added at random, so that no two collide."""
PER_RANK = 1000
"""Milliseconds that are added for each replica that has more data."""
SHORTEST = 2000
"""Milliseconds that votes may take at least."""
QUIET = 5000
"""Milliseconds after the failure, besides the node timeout, in which it is no news that there is no new master yet."""
REPEAT = 10_000
"""Milliseconds after which the log says the same again."""


class Election:
    """The part of this node in elections."""

    def __init__(
        self,
        view: View,
        services: Services,
        sender: Sender,
        manual: ManualFailover,
        dice: random.Random | None = None,
    ) -> None:
        self._view = view
        self._services = services
        self._sender = sender
        self._manual = manual
        self._dice = dice or random.Random()
        self._at = 0  # when votes are, or were, to be asked for; 0: there was nothing to elect so far
        self._window = 0  # which manual failover it is for
        self._asked = False
        self._epoch = 0
        self._rank = 0
        self._votes: set[Node] = set()
        self._told = ""
        self._told_at = 0

    # The candidate

    def cron(self) -> None:
        """What is due each tick."""
        self.look()

    def look(self) -> None:
        """Goes on with an election of this replica, or begins one, if its master has failed or gives way."""
        manual = self._manual
        if not self._is_wanted():
            return
        if self._is_outdated() and not manual.ready:
            self._tell(
                "Disconnected from master for longer than allowed. "
                "Please check the 'cluster-replica-validity-factor' configuration option."
            )
            return
        now = self._services.now()
        timeout = max(2 * self._services.config.cluster_node_timeout, SHORTEST)
        under_way = self._asked and now - self._at <= timeout
        if now - self._at > 2 * timeout or (manual.ready and manual.ends != self._window and not under_way):
            self._schedule(now)
        elif not self._asked and not manual.ready:
            self._look_at_rank()
        if now < self._at:
            self._tell("Waiting the delay before I can start a new failover.")
        elif now - self._at > timeout:
            self._tell("Failover attempt expired.")
        elif not self._asked:
            self._ask()
        elif len(self._votes) >= self._view.quorum:
            self._win()
        else:
            self._tell(
                "Waiting for votes, but majority still not reached.",
                f" Needed quorum: {self._view.quorum}. Number of votes received so far: {len(self._votes)}"
            )

    def voted(self, node: Node, header: Header) -> None:
        """FAILOVER_AUTH_ACK has come."""
        if self._asked and node.is_master and node.slot_count and header.current_epoch >= self._epoch:
            self._votes.add(node)
            self._services.soon(Todo.FAILOVER)

    def _is_wanted(self) -> bool:
        me = self._view.myself
        master = me.master
        if not self._services.ready or not me.is_replica or master is None or not master.slot_count:
            return False
        if self._manual.ready:
            return True
        return bool(master.flags & FAIL) and not self._services.config.cluster_replica_no_failover

    def _is_outdated(self) -> bool:
        """Whether the data here is older than what is allowed to be lost."""
        config = self._services.config
        timeout, factor = config.cluster_node_timeout, config.cluster_replica_validity_factor
        age = self._services.data_age
        if age > timeout:
            age -= timeout  # it took so long to see that the master has failed
        return bool(factor) and age > config.repl_ping_replica_period * 1000 + timeout * factor

    def _rank_now(self) -> int:
        """How many of my master's replicas have more of its data."""
        me, mine = self._view.myself, self._services.offset
        return sum(
            replica is not me and not replica.flags & NOFAILOVER and replica.offset > mine
            for replica in (me.master.replicas if me.master is not None else ())
        )

    def _schedule(self, now: int) -> None:
        """Says when votes are to be asked for, and tells the other replicas how far this one is."""
        manual = self._manual
        self._asked = False
        self._votes.clear()
        self._window = manual.ends
        if manual.ready:
            self._at, self._rank = now, 0
        else:
            self._rank = self._rank_now()
            self._at = now + DELAY + self._dice.randrange(DELAY) + self._rank * PER_RANK
        log.warning(
            "Start of election delayed for %d milliseconds (rank #%d, offset %d).",
            self._at - now,
            self._rank,
            self._services.offset,
        )
        self._sender.pong_all(replicas_of=self._view.myself.master)

    def _look_at_rank(self) -> None:
        """Others may have told meanwhile that they have more."""
        rank = self._rank_now()
        if rank > self._rank:
            added = (rank - self._rank) * PER_RANK
            self._at += added
            self._rank = rank
            log.warning("Replica rank updated to #%d, added %d milliseconds of delay.", rank, added)

    def _ask(self) -> None:
        view = self._view
        view.current_epoch += 1
        self._epoch = view.current_epoch
        self._asked = True
        log.warning("Starting a failover election for epoch %d.", self._epoch)
        self._services.save()
        self._sender.ask_for_votes(force=self._manual.ready)
        self._services.soon(Todo.STATE)

    def _win(self) -> None:
        me = self._view.myself
        log.warning("Failover election won: I'm the new master.")
        if me.config_epoch < self._epoch:
            me.config_epoch = self._epoch
            log.warning("configEpoch set to %d after successful failover", self._epoch)
        self._asked = False
        self._at = 0
        self._votes.clear()
        take_over(self._view, self._services, self._sender)
        self._manual.reset()

    def _tell(self, why: str, details: str = "") -> None:
        """Logs why there is no new master yet; not at once, as the next moment may bring one, and not all the time."""
        now, master = self._services.now(), self._view.myself.master
        if why == self._told and now - self._told_at < REPEAT:
            return
        quiet = self._services.config.cluster_node_timeout + QUIET
        if master is not None and master.flags & FAIL and now - master.fail_time < quiet:
            return
        self._told, self._told_at = why, now
        log.warning("Currently unable to failover: %s%s", why, details)

    # The voter

    def asked(self, node: Node, header: Header) -> None:
        """FAILOVER_AUTH_REQUEST has come: votes for the replica, or says in the log why not."""
        view, services = self._view, self._services
        if not view.myself.is_master or not view.myself.slot_count:
            return
        refusal = self._refuse(node, header)
        if refusal:
            log.warning("Failover auth denied to %s: %s", node.name, refusal)
            return
        assert node.master is not None
        node.master.voted_at = services.now()
        view.last_vote_epoch = view.current_epoch
        services.save()  # after a restart there must be no second vote in this epoch
        self._sender.vote(node)
        log.warning("Failover auth granted to %s for epoch %d", node.name, view.current_epoch)

    def _refuse(self, node: Node, header: Header) -> str:
        """Why there is no vote for it; empty: there is one."""
        view, master = self._view, node.master
        if header.current_epoch < view.current_epoch:
            return f"reqEpoch ({header.current_epoch}) < curEpoch({view.current_epoch})"
        if view.last_vote_epoch == view.current_epoch:
            return f"already voted for epoch {view.current_epoch}"
        if node.is_master:
            return "it is a master node"
        if master is None:
            return "I don't know its master"
        if not master.flags & FAIL and not header.mflags & MFLAG_FORCE_ACK:
            return "its master is up"
        left = 2 * self._services.config.cluster_node_timeout - (self._services.now() - master.voted_at)
        if left > 0:
            return f"can't vote about this master before {left} milliseconds"
        for slot in members(header.slots):
            owner = view.owners[slot]
            if owner is not None and owner.config_epoch > header.config_epoch:
                return f"slot {slot} epoch ({owner.config_epoch}) > reqEpoch ({header.config_epoch})"
        return ""

"""Who does not answer, who has failed, and whether the cluster as a whole is served.

PFAIL is what this node thinks: a ping is pending, and nothing came for `cluster-node-timeout`. FAIL is what a majority
of the masters with slots thinks: they tell each other by gossip, each report counts for twice that time, and whoever
has enough of them says FAIL to everybody.
"""

from __future__ import annotations

from respcache.cluster.nodes import FAIL, PFAIL, Node, View
from respcache.cluster.sending import Sender
from respcache.cluster.services import Services, Todo
from respcache.log import VERBOSE
from respcache.log import logger as log
from respcache.store.slot import SLOTS

START_DELAY = 2000
"""Milliseconds that a master waits after a restart before it serves: others may have taken its slots meanwhile."""
MIN_REJOIN_DELAY, MAX_REJOIN_DELAY = 500, 5000
"""Milliseconds, likewise, since it was last among a minority; between these, `cluster-node-timeout`."""


class Detection:
    """The judge of the other nodes, and of the cluster."""

    def __init__(self, view: View, services: Services, sender: Sender) -> None:
        self._view = view
        self._services = services
        self._sender = sender
        self._restarted = bool(view.size)  # what it knows of slots is old
        self._started = 0
        self._minority_at = 0  # when less than a majority of the masters was last in reach

    # Nodes

    def look(self, node: Node, now: int) -> None:
        """Marks a node that has a ping pending and has been silent for too long."""
        silent = min(now - node.ping_sent, now - node.data_received)
        if silent > self._services.config.cluster_node_timeout and not node.flags & (PFAIL | FAIL):
            log.debug("*** NODE %s possibly failing", node.name)
            node.flags |= PFAIL
            self._services.soon(Todo.STATE)
            if self._view.size == 1:
                self._consider(node)  # nobody else has a say, so no report will come that would lead to this

    def heard(self, node: Node, reporter: Node, failing: bool) -> None:
        """A master tells what it thinks of a node."""
        if failing:
            if reporter not in node.reports:
                log.log(VERBOSE, "Node %s reported node %s as not reachable.", reporter.name, node.name)
            node.reports[reporter] = self._services.now()
            self._consider(node)
        elif node.reports and node.reports.pop(reporter, None) is not None:
            log.log(VERBOSE, "Node %s reported node %s is back online.", reporter.name, node.name)

    def reports(self, node: Node) -> int:
        """How many masters say now that a node does not answer."""
        if not node.reports:
            return 0
        oldest = self._services.now() - 2 * self._services.config.cluster_node_timeout
        for reporter in [reporter for reporter, at in node.reports.items() if at < oldest]:
            del node.reports[reporter]
        return len(node.reports)

    def _consider(self, node: Node) -> None:
        """Declares a node failed if it does not answer us either and enough masters agree.

        Masters without slots are reported to us too, but they are no part of the majority, so they do not count.
        """
        if not node.flags & PFAIL or node.flags & FAIL:
            return
        self.reports(node)
        me = self._view.myself
        count = sum(reporter.is_master and reporter.slot_count > 0 for reporter in node.reports)
        count += me.is_master and me.slot_count > 0
        if count < self._view.quorum:
            return
        log.info("Marking node %s as failing (quorum reached).", node.name)
        self._fail(node)
        self._sender.fail(node)

    def _fail(self, node: Node) -> None:
        node.flags = (node.flags & ~PFAIL) | FAIL
        node.fail_time = self._services.now()
        self._services.soon(Todo.STATE | Todo.SAVE | Todo.FAILOVER)

    def told(self, reporter: Node, node: Node) -> None:
        """FAIL: somebody knows that a majority misses a node."""
        if node is not self._view.myself and not node.flags & FAIL:
            log.info("FAIL message received from %s about %s", reporter.name, node.name)
            self._fail(node)

    def answered(self, node: Node) -> None:
        """A PONG has come."""
        if node.flags & PFAIL:
            node.flags &= ~PFAIL
            self._services.soon(Todo.STATE | Todo.SAVE)
        elif node.flags & FAIL:
            self._clear(node)

    def _clear(self, node: Node) -> None:
        """A failed node is back. If it was a master, it stays failed long enough for a replica to replace it."""
        if node.is_replica or not node.slot_count:
            what = "replica" if node.is_replica else "master without slots"
            log.info("Clear FAIL state for node %s: %s is reachable again.", node.name, what)
        elif self._services.now() - node.fail_time > 2 * self._services.config.cluster_node_timeout:
            text = "Clear FAIL state for node %s: is reachable again and nobody is serving its slots after some time."
            log.info(text, node.name)
        else:
            return
        node.flags &= ~FAIL
        self._services.soon(Todo.STATE | Todo.SAVE)

    # The cluster

    def judge(self) -> None:
        """Works out cluster_state."""
        view, config, now = self._view, self._services.config, self._services.now()
        self._started = self._started or now
        if self._restarted and view.myself.is_master and not view.ok and now - self._started < START_DELAY:
            return
        ok = True
        if config.cluster_require_full_coverage:
            ok = view.assigned == SLOTS and not any(
                node.flags & FAIL and node.slot_count for node in view.nodes.values()
            )
        reachable = sum(node.is_well for node in view.voters)
        if reachable < view.quorum:
            ok = False
            if view.size:  # in a cluster that is only being made there is nothing to have missed
                self._minority_at = now
        if ok == view.ok:
            return
        delay = min(max(config.cluster_node_timeout, MIN_REJOIN_DELAY), MAX_REJOIN_DELAY)
        if ok and view.myself.is_master and now - self._minority_at < delay:
            return
        log.info("Cluster state changed: %s", "ok" if ok else "fail")
        view.become(ok)

"""Replica migration: a master that has lost all its replicas is given one of a master that can spare it."""

from __future__ import annotations

from collections.abc import Callable

from respcache.cluster.nodes import FAIL, HANDSHAKE, MIGRATE_TO, NOADDR, Node, View
from respcache.cluster.services import Services
from respcache.log import logger as log

DELAY = 5000
"""Milliseconds for which a master must have been without a replica: its own may be coming back."""


class ReplicaMigration:
    """Whether this replica is the one to move. Nobody is asked: all replicas look at the same facts."""

    def __init__(self, view: View, services: Services, follow: Callable[[Node], None]) -> None:
        """`follow` makes this node a replica of another one."""
        self._view = view
        self._services = services
        self._follow = follow

    def cron(self) -> None:
        """Moves this replica if it is its turn."""
        view, config = self._view, self._services.config
        orphan, master = self._orphan(), view.myself.master
        if orphan is None or master is None or not view.ok:
            return
        if not config.cluster_allow_replica_migration or not self._may_leave(master):
            return
        if self._services.now() - orphan.orphaned_at > DELAY and self._candidate() is view.myself:
            log.warning("Migrating to orphaned master %s", orphan.name)
            self._follow(orphan)

    def _orphan(self) -> Node | None:
        """The first of the masters that need a replica; notes for all of them since when they do."""
        now = self._services.now()
        first = None
        for node in self._view.others:
            receives = node.is_master and node.flags & (MIGRATE_TO | FAIL) == MIGRATE_TO
            if receives and not node.working_replicas:
                if first is None and node.slot_count and not node.flags & (NOADDR | HANDSHAKE):
                    first = node
                node.orphaned_at = node.orphaned_at or now
            else:
                node.orphaned_at = 0
        return first

    def _may_leave(self, master: Node) -> bool:
        """Whether enough of its replicas stay with my master."""
        good = sum(replica.is_well for replica in master.replicas)
        return good >= 2 and good > self._services.config.cluster_migration_barrier

    def _candidate(self) -> Node | None:
        """The replica with the smallest id of those masters that have the most of them."""
        masters = [node for node in self._view.nodes.values() if node.is_master and not node.flags & FAIL]
        most = max((node.working_replicas for node in masters), default=0)
        replicas = [
            replica
            for node in masters
            if node.working_replicas == most
            for replica in node.replicas
            if not replica.flags & FAIL
        ]
        return min(replicas, key=lambda node: node.id, default=None)

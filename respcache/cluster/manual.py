"""The manual failover: CLUSTER FAILOVER makes a replica and its master, which is up, change places.

    replica                              master
    MFSTART                       ->
                                         has clients' writes wait, so that its offset is final
                                  <-     PING, marked PAUSED, with that offset; one each tick
    has everything up to it: ready
    asks for votes (election.py)  ->     votes as the others do, though it is itself the master that is up
    PONG: all slots are its own   ->     becomes a replica, and its clients go on: they are sent to the new master

No write is lost, and clients see nothing but a short wait. Who has not got there in time gives up: the replica first,
also if votes come then, so that the master which goes on has not been replaced. FORCE leaves the master out, TAKEOVER
the voters too.
"""

from __future__ import annotations

from respcache.cluster import frames
from respcache.cluster.frames import MFLAG_PAUSED, Header
from respcache.cluster.nodes import Node, View
from respcache.cluster.sending import Sender
from respcache.cluster.services import Services, Todo, Way
from respcache.cluster.takeover import take_over
from respcache.log import logger as log

WINDOW = 5000
"""Milliseconds that it may take."""
GRACE = 1000
"""Milliseconds for which the master waits longer: until it hears of a replica that was elected at the last moment."""


class ManualFailover:
    """A manual failover of this replica, or of a replica of this master, that may be under way."""

    def __init__(self, view: View, services: Services, sender: Sender) -> None:
        self._view = view
        self._services = services
        self._sender = sender
        self._offset: int | None = None  # the master's last
        self.ends = 0
        """When it is given up; 0: none is under way."""
        self._reached = False  # all that the master had is here, or that is not asked for
        self.replica: Node | None = None
        """On a master: who is to take its place."""

    def reset(self) -> None:
        """Ends it, however it went. To be called whenever this node gets another role, or another master."""
        if self.replica is not None:
            self._services.unpause()
        self._view.paused = False
        self._offset = None
        self.ends = 0
        self._reached = False
        self.replica = None

    # The replica

    @property
    def ready(self) -> bool:
        """Whether this replica may ask for votes now, and win, be its master up or not."""
        return self._reached and self._services.now() <= self.ends

    def begin(self, way: Way) -> None:
        """CLUSTER FAILOVER, on a replica whose master is known. Raises OSError if nodes.conf cannot be written."""
        view, services = self._view, self._services
        self.reset()
        self.ends = services.now() + WINDOW
        if way == "takeover":
            log.warning("Taking over the master (user request).")
            if view.bump_epoch():
                log.info("New configEpoch set to %d", view.myself.config_epoch)
            services.save()  # nothing is taken over in an epoch that could be taken again after a restart
            take_over(view, services, self._sender)
            self.reset()
        elif way == "force":
            log.warning("Forced failover user request accepted.")
            self._reached = True
            services.soon(Todo.FAILOVER)
        elif view.myself.master is not None:
            log.warning("Manual failover user request accepted.")
            self._sender.start_manual(view.myself.master)

    def heard(self, node: Node, header: Header) -> None:
        """A header of a node has come: the first one of my master that is marked tells its offset."""
        if (
            self.ends
            and self._offset is None
            and header.mflags & MFLAG_PAUSED
            and node is self._view.myself.master
        ):
            self._offset = header.offset
            log.info("Received replication offset for paused master manual failover: %d", header.offset)
            self._services.await_offset(header.offset)

    def look(self) -> None:
        """Goes on if all that the master had is applied."""
        if not self.ends or self._reached or self._offset is None:
            return
        if self._services.offset == self._offset:
            self._reached = True
            log.info("All master replication stream processed, manual failover can start.")
            self._services.soon(Todo.FAILOVER)

    # The master

    def requested(self, replica: Node) -> None:
        """MFSTART has come."""
        if replica.master is not self._view.myself:
            return
        self.reset()
        now = self._services.now()
        self.ends = now + WINDOW + GRACE
        self.replica = replica
        self._services.pause_writes(now + 2 * WINDOW)
        self._view.paused = True
        log.warning("Manual failover requested by replica %s.", replica.name)
        self._ping(replica)

    def _ping(self, replica: Node) -> None:
        if replica.link is not None:
            self._sender.ping(replica.link, replica, frames.PING)

    # Both

    def cron(self) -> None:
        """What is due each tick."""
        if not self.ends:
            return
        if self.ends < self._services.now():
            log.warning("Manual failover timed out.")
            self.reset()
        elif self.replica is not None:
            self._ping(self.replica)
        else:
            self.look()

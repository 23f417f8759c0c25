"""Replication, as the logic of a cluster asks for it: the part of `cluster.services.Services` that is about that."""

from __future__ import annotations

from asyncio import TimerHandle
from collections.abc import Callable

from respcache.clock import monotonic
from respcache.cluster.nodes import Node
from respcache.state import ServerState

NEVER = 1 << 50
"""Milliseconds: the age of data that never was a copy of the master's."""
STEP = 0.002
"""Seconds between two looks at how much is applied, while a paused master waits for that."""
PATIENCE = 5.0
"""Seconds of that at most."""


class ReplicationServices:
    """The replication of a node. `now` is the cluster's clock."""

    def __init__(self, server: ServerState, now: Callable[[], int]) -> None:
        self._server = server
        self._now = now
        self._timer: TimerHandle | None = None
        self.ready = True
        """The data that was kept is loaded. Until then nobody is followed: half of the one data would be mixed with
        the other. `Following.start` does it then."""

    @property
    def offset(self) -> int:
        """How far the stream of changes is: produced here by a master, applied here by a replica; 0 for a replica
        whose data is not its master's."""
        server = self._server
        if server.following.on:
            return server.history.offset if server.following.continues else 0
        server.mastering.flush()
        return server.history.offset

    @property
    def data_age(self) -> int:
        """Milliseconds since something came from the master, or since the link to it was lost."""
        since = self._server.following.fresh_at
        return int((monotonic() - since) * 1000) if since else NEVER

    def await_offset(self, offset: int, reached: Callable[[], None]) -> None:
        """Calls this when so much of the master's stream is applied, if that is soon."""
        self.stop()
        self._look(offset, reached, monotonic() + PATIENCE)

    def _look(self, offset: int, reached: Callable[[], None], until: float) -> None:
        self._timer = None
        if self.offset == offset:
            reached()
        elif monotonic() < until:
            self._timer = self._server.loop.call_later(STEP, self._look, offset, reached, until)

    def follow(self, master: Node) -> None:
        """Replicates a node. It is called again and again: nothing is done for the master that there is already, at
        the address that it has; a node whose address is not known is waited for."""
        following = self._server.following
        if self.ready and master.ip and (not following.on or following.address != (master.ip, master.port)):
            following.follow(master.ip, master.port)

    def lead(self) -> None:
        """Stops to replicate from anybody. Other replicas of the same master can continue here with what they have."""
        self._server.following.lead()

    def pause_writes(self, until: int) -> None:
        """Has clients' writes wait until a time at most."""
        left = until - self._now()
        self._server.start_pause(self._server.clock.ms() + left, all_commands=False, who="failover")

    def unpause(self) -> None:
        """Ends that; what CLIENT PAUSE has asked for stays."""
        self._server.unpause("failover")

    def stop(self) -> None:
        """Waits for nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""FAILOVER: a master and one of its replicas change places without losing a write.

waiting-for-sync      clients that write wait, until the replica has everything
failover-in-progress  this server follows the replica, and asks it to become the master first
no-failover           again, with the roles changed, or as before if the other one refused
"""

from __future__ import annotations

from asyncio import TimerHandle

from respcache.log import logger as log
from respcache.protocol.errors import ReplyError
from respcache.replicated import Replica
from respcache.state import ServerState

NONE = "no-failover"
WAITING = "waiting-for-sync"
UNDER_WAY = "failover-in-progress"

FOR_EVER = 1 << 62
"""Milliseconds since the epoch."""

IN_PROGRESS = ReplyError(b"ERR FAILOVER already in progress.")
NONE_IN_PROGRESS = ReplyError(b"ERR No failover in progress.")
IS_REPLICA = ReplyError(b"ERR FAILOVER is not valid when server is a replica.")
NO_REPLICAS = ReplyError(b"ERR FAILOVER requires connected replicas.")
FORCE_NEEDS = ReplyError(b"ERR FAILOVER with force option requires both a timeout and target HOST and IP.")
NO_SUCH_REPLICA = ReplyError(b"ERR FAILOVER target HOST and PORT is not a replica.")
NOT_ONLINE = ReplyError(b"ERR FAILOVER target replica is not online.")


class Failover:
    """A failover that may be under way."""

    def __init__(self, server: ServerState, replicas: dict[int, Replica]) -> None:
        self._server = server
        self._replicas = replicas
        self._target: tuple[str, int] | None = None
        self._force = False
        self._timer: TimerHandle | None = None
        self.state = NONE
        """As INFO prints it."""

    def begin(self, target: tuple[str, int] | None, milliseconds: int, force: bool) -> None:
        """FAILOVER to that host and port, or to whoever is the first to have everything. With 0 there is no timeout."""
        if self.state != NONE:
            raise IN_PROGRESS
        if self._server.following.on:
            raise IS_REPLICA
        if not self._replicas:
            raise NO_REPLICAS
        if force and (not milliseconds or target is None):
            raise FORCE_NEEDS
        if target is not None:
            found = self._find(target)
            if found is None:
                raise NO_SUCH_REPLICA
            if found.state != "online":
                raise NOT_ONLINE
            log.info("FAILOVER requested to %s:%d.", *target)
        else:
            log.info("FAILOVER requested.")
        self._target, self._force = target, force
        self.state = WAITING
        self._server.start_pause(FOR_EVER, all_commands=False, who="failover")
        if milliseconds:
            self._timer = self._server.loop.call_later(milliseconds / 1000, self._time_is_up)

    def abort(self) -> None:
        """FAILOVER ABORT."""
        if self.state == NONE:
            raise NONE_IN_PROGRESS
        under_way = self.state == UNDER_WAY
        self._end("Failover manually aborted")
        if under_way:
            self._server.following.lead()

    def look(self) -> None:
        """Goes on if the target has everything, or anybody if there is none. Called when a replica has told."""
        if self.state != WAITING:
            return
        offset = self._server.history.offset
        for replica in self._replicas.values():
            target = replica.ip, replica.port
            if replica.state == "online" and replica.acked == offset and self._target in (None, target):
                log.info("Failover target is %s:%d", *target)
                self._change_places(target)
                return

    def ended(self, well: bool) -> None:
        """The other one has answered."""
        if self.state == UNDER_WAY:
            self._end(
                "Failover succeeded"
                if well
                else "Failover target rejected the request, the failover is aborted"
            )

    def _find(self, target: tuple[str, int]) -> Replica | None:
        for replica in self._replicas.values():
            if (replica.ip, replica.port) == target:
                return replica
        return None

    def _time_is_up(self) -> None:
        self._timer = None
        if self.state == WAITING:
            if self._force and self._target is not None:
                log.info("Failover to %s:%d time out exceeded, failing over.", *self._target)
                self._change_places(self._target)
            else:
                self._end("Replica never caught up before timeout, the failover is aborted")

    def _change_places(self, target: tuple[str, int]) -> None:
        self._cancel_timer()
        self.state = UNDER_WAY
        self._server.following.follow(*target, failover=True)

    def _end(self, why: str) -> None:
        log.info("%s", why)
        self._cancel_timer()
        self.state = NONE
        self._target = None
        self._server.unpause("failover")

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

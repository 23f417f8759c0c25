"""Periodic work: active expiry, idle and slow clients, rates, garbage.

One timer runs `hz` times a second. Each of its duties first asks something cheap (is anything due, is the feature on)
so that an idle server does next to nothing.
"""

from __future__ import annotations

import asyncio
import gc

from respcache.clock import monotonic
from respcache.limiting import evict_clients
from respcache.routing import redirect_waiting
from respcache.serve import serve
from respcache.state import ServerState

EXPIRE_SLICE = 0.002
"""Seconds of deleting keys that are due before the loop gets its turn."""
EXPIRE_PAUSE = 0.003
"""Seconds between two slices while more keys are due."""
FREE_SLICE = 0.002
"""Seconds of freeing what was deleted before the loop gets its turn."""
FREE_PAUSE = 0.004
"""Seconds between two slices while more is to be freed."""
YOUNG = 20_000
"""Containers made since the last collection that make one worth its while."""


class Cron:
    """The timers of a server. With `own_process` it runs the garbage collector too, see `_collect`."""

    def __init__(self, server: ServerState, own_process: bool) -> None:
        self.server = server
        self.own_process = own_process
        self._tick: asyncio.TimerHandle | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._freeing: asyncio.TimerHandle | None = None
        self._ticks = 0

    def start(self) -> None:
        """Starts the timer."""
        if self.own_process:
            gc.collect()
            gc.freeze()
            gc.disable()
        self._tick = self.server.loop.call_later(1 / self.server.config.hz, self._run)

    def stop(self) -> None:
        """Stops all timers."""
        for timer in (self._tick, self._expiry, self._freeing):
            if timer is not None:
                timer.cancel()

    def _run(self) -> None:
        hz = self.server.config.hz
        self._tick = self.server.loop.call_later(1 / hz, self._run)
        self._ticks += 1
        self.server.memory.tick()
        if self.server.config.maxmemory_clients:
            evict_clients(self.server)
        if self._expiry is None:
            self._expire()
        if self._freeing is None:
            self._free()
        if self.server.waiting.ready:
            serve(self.server)
        if self.server.pause.active:
            self.server.time_pause()
        if self.own_process:
            self._collect()
        if self._ticks % hz == 0:
            self._second()

    def _second(self) -> None:
        """What is done once a second."""
        server, now = self.server, monotonic()
        if server.waiting.rest():
            server.modes.switch("serve", False)
        server.saving.cron()
        server.appending.cron()
        server.following.cron()
        server.mastering.cron()
        redirect_waiting(server)
        stats, timeout = server.stats, server.config.timeout
        received, sent = stats.net_input, stats.net_output
        for client in list(server.clients.values()):
            received += client.net_input
            sent += client.net_output
            if timeout and now - client.seen > timeout and not client.listens:
                client.connection.close(flush=False)
            elif client.connection.congested:
                client.connection.check_output(now)
        stats.ops_rate.sample(now, stats.processed)
        stats.input_rate.sample(now, received)
        stats.output_rate.sample(now, sent)

    def _expire(self) -> None:
        """Deletes keys that are due, in slices."""
        self._expiry = None
        server = self.server
        active = server.active_expire and not server.following.on and not server.pause.active
        look = server.keyspace.next_look() if active else None
        if look is None or look > server.clock.ms():
            return
        since = monotonic()
        more = server.keyspace.expire_due(EXPIRE_SLICE)
        server.event("expire-cycle", monotonic() - since)
        if more:
            self._expiry = server.loop.call_later(EXPIRE_PAUSE, self._expire)

    def _free(self) -> None:
        """Frees what was deleted, in slices."""
        self._freeing = None
        graveyard = self.server.keyspace.graveyard
        if graveyard and graveyard.free_slice(FREE_SLICE):
            self._freeing = self.server.loop.call_later(FREE_PAUSE, self._free)

    def _collect(self) -> None:
        """Collects the young garbage and freezes the rest.

        CPython would walk all containers of the data set now and then, for a second or more. Data has no cycles;
        what has are a few short-lived objects. So the collector looks at what was made since its last turn, and
        what survives two turns is never looked at again.
        """
        young, middle, _ = gc.get_count()
        if young > YOUNG:
            gc.collect(0)
        if middle > 10:
            gc.collect(1)
            gc.freeze()

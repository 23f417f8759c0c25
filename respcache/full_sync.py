"""Full synchronization: replicas that cannot continue get all data as an RDB file, and what has changed since.

One snapshot serves all replicas that wait when it begins. Without a disk the file goes straight to their sockets, at
the pace of the slowest: `$EOF:`, a mark of 40 characters, the file, the mark. To those that must know its size it goes
by way of a temporary file that has no name: `$`, the size, the file.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from typing import IO

from respcache.clock import monotonic
from respcache.log import logger as log
from respcache.persistence.snapshot import Snapshot
from respcache.replicated import Replica
from respcache.saving import rdb_encoder
from respcache.state import ServerState

WINDOW = 1 << 20
"""Bytes that may wait to be sent to a replica before the snapshot waits for it."""
PIECE = 256 * 1024
"""Bytes read from a file at a time."""
NAP = 0.001
"""Seconds until it is looked again whether a replica has taken what was sent."""


class _NobodyLeft(Exception):
    """All replicas have gone."""


class FullSync:
    """What gives waiting replicas their data. `replicas` are all that are attached, `flush` makes the offset true."""

    def __init__(self, server: ServerState, replicas: dict[int, Replica], flush: Callable[[], None]) -> None:
        self._server = server
        self._replicas = replicas
        self._flush = flush
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._targets: list[Replica] = []
        self._snapshot: Snapshot | None = None
        self.preparing = False
        """A file is being written, and nothing was sent yet: replicas must be told now and then to wait."""
        self.changed: Callable[[], None] = lambda: None
        """Told when a replica has come online."""

    def look(self) -> None:
        """Begins to send data, if somebody waits for it and nothing is in the way."""
        server, config = self._server, self._server.config
        if self._task is not None or server.snapshot is not None or server.loading is not None:
            return
        waiting = [replica for replica in self._replicas.values() if replica.state == "wait_bgsave"]
        if not waiting:
            return
        waiting = [replica for replica in waiting if replica.parts == waiting[0].parts]
        diskless = config.repl_diskless_sync and all(replica.knows_eof for replica in waiting)
        if diskless:
            left = waiting[0].changed_at + config.repl_diskless_sync_delay - monotonic()
            enough = config.repl_diskless_sync_max_replicas
            if left > 0 and not 0 < enough <= len(waiting):
                if self._timer is None:
                    log.info("Delay next BGSAVE for diskless SYNC")
                    self._timer = server.loop.call_later(left, self._time_is_up)
                return
        self._cancel_timer()
        log.info("Starting BGSAVE for SYNC with target: %s", "replicas sockets" if diskless else "disk")
        self._begin(waiting, diskless)

    def stop(self) -> None:
        """Gives up what is under way."""
        self._cancel_timer()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            self._let_go()  # in case that the task had not begun

    def _time_is_up(self) -> None:
        self._timer = None
        self.look()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self, targets: list[Replica], diskless: bool) -> None:
        """Freezes the moment: what is propagated from here on is held for these replicas."""
        server, history = self._server, self._server.history
        self._flush()
        server.propagator.reselect()
        if targets[0].parts is None:
            self._snapshot = server.snapshot = Snapshot(server.keyspace, rdb_encoder(server))
        self._targets = targets
        for replica in targets:
            replica.held = []
            replica.link.output_limit = (0, 0, 0)  # of what the replica has asked for there is no limit
            if not replica.is_old:
                replica.link.send(b"+FULLRESYNC %b %d\r\n" % (history.id.encode(), history.offset))
        self._task = server.loop.create_task(self._run(diskless))

    async def _run(self, diskless: bool) -> None:
        snapshot = self._snapshot
        try:
            if diskless:
                await self._run_diskless(snapshot)
            else:
                await self._run_by_file(snapshot)
        except _NobodyLeft:
            log.warning("Diskless rdb transfer, last replica dropped.")
        except OSError as error:
            log.warning("Write error saving the DB for replicas: %s", error.strerror or error)
        finally:
            for replica in self._targets:  # those that have not got it all
                replica.link.close(flush=False)
            self._targets = []
            self._let_go()
        self._task = None
        self.look()

    def _let_go(self) -> None:
        """Looks at the data no longer."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.close()
            if self._server.snapshot is snapshot:
                self._server.snapshot = None

    async def _run_diskless(self, snapshot: Snapshot | None) -> None:
        mark = secrets.token_hex(20).encode()
        await self._send(b"$EOF:%b\r\n" % mark)
        await self._write_all(snapshot, self._send)
        await self._send(mark)
        log.info("Diskless rdb transfer, done reading from pipe, %d replicas still up.", len(self._targets))
        self._end(at_ack=True)

    async def _run_by_file(self, snapshot: Snapshot | None) -> None:
        server = self._server
        with tempfile.TemporaryFile(prefix="temp-sync-", suffix=".rdb", dir=server.config.dir) as file:
            self.preparing = True
            try:
                size = await self._fill(file, snapshot)
            finally:
                self.preparing = False
            self._retain()
            for replica in self._targets:
                replica.enter("send_bulk")
            await self._send(b"$%d\r\n" % size)
            while data := await server.loop.run_in_executor(None, file.read, PIECE):
                await self._send(data)
        self._end(at_ack=False)

    async def _fill(self, file: IO[bytes], snapshot: Snapshot | None) -> int:
        """Writes the RDB file; returns its size."""
        run = self._server.loop.run_in_executor
        size = 0

        async def write(data: bytes) -> None:
            nonlocal size
            size += len(data)
            await run(None, file.write, data)

        await self._write_all(snapshot, write)
        await run(None, file.seek, 0)
        return size

    async def _write_all(self, snapshot: Snapshot | None, write: Callable[[bytes], Awaitable[None]]) -> None:
        if snapshot is not None:
            await snapshot.run(write)
            return
        encoder = rdb_encoder(self._server)
        header = encoder.header()
        encoder.seal(header)
        await write(header + encoder.end())

    def _retain(self) -> None:
        """Forgets replicas that have gone. Raises _NobodyLeft."""
        self._targets = [replica for replica in self._targets if replica.id in self._replicas]
        if not self._targets:
            raise _NobodyLeft

    async def _send(self, data: bytes) -> None:
        """Sends to all, and waits until there is room for more."""
        server, since, before = self._server, monotonic(), -1
        self._retain()
        for replica in self._targets:
            replica.link.send(data)
        while (pending := self._most_pending()) > WINDOW:
            if pending != before:
                since, before = monotonic(), pending
            elif monotonic() - since > server.config.repl_timeout:
                self._drop_slow()
            await asyncio.sleep(NAP)

    def _most_pending(self) -> int:
        self._retain()
        return max(replica.link.output_pending for replica in self._targets) + self._server.gate.size

    def _drop_slow(self) -> None:
        for replica in list(self._targets):
            if replica.link.output_pending > WINDOW:
                log.warning("Disconnecting timedout replica (full sync): %s", replica.name)
                replica.link.close(flush=False)

    def _end(self, at_ack: bool) -> None:
        """The replicas have their data. What is propagated they get now, or when they have loaded it."""
        self._retain()
        targets, self._targets = self._targets, []
        for replica in targets:
            if replica.data_only:
                log.info(
                    "RDB transfer completed, rdb only replica (%s) should be disconnected asap", replica.name
                )
                replica.enter("send_bulk")
                replica.held = None
                replica.link.close()
                continue
            replica.come_online()
            log.info("Synchronization with replica %s succeeded", replica.name)
            if at_ack:
                replica.starts_at_ack = True
            else:
                start_stream(self._server, replica)
        self.changed()


def limit(server: ServerState) -> tuple[int, int, int]:
    """Hard and soft limit, and seconds, of what may wait for a replica. It is never less than the backlog, which a
    replica may ask for at once."""
    hard, soft, seconds = server.config.output_limit("replica")
    least = server.config.repl_backlog_size
    return hard and max(hard, least), soft and max(soft, least), seconds


def start_stream(server: ServerState, replica: Replica) -> None:
    """Sends what was held for a replica, and everything else as it comes."""
    held, replica.held = replica.held, None
    replica.held_size = 0
    replica.starts_at_ack = False
    replica.link.output_limit = limit(server)
    if held:
        replica.link.send(b"".join(held))

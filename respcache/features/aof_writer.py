"""Writing the append-only file: when commands are written, when that is made sure of, and when replies may leave.

Commands gather in the propagator's buffer during one turn of the loop, and are written at its end, all in one. Until
then the replies wait at the gate.

    always    after the write, a thread syncs, and then the replies leave. What comes meanwhile waits for the next
              round, so one sync serves all clients
    everysec  the replies leave after the write; a thread syncs once a second. A write would wait for a sync that
              runs: so it waits in the buffer, up to two seconds, and the replies do not
    no        the replies leave after the write

There is no timer while nothing is to be done.
"""

from __future__ import annotations

import os
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

from respcache.clock import Clock, monotonic
from respcache.config import Config
from respcache.features.gate import Gate, Held
from respcache.log import logger as log
from respcache.persistence.aof import Log
from respcache.persistence.aof_growth import NEVER
from respcache.persistence.worker import Worker

SYNC_EACH = 1.0
"""Seconds between the beginnings of two syncs of `everysec`."""
LATE = 2.0
"""Seconds for which a write waits for a sync."""
RETRY = 1.0
"""Seconds until a write or a sync that failed is tried again."""
MOST_HELD = 16 << 20
"""Bytes of replies held back from which on a sync is waited for."""


class Stream(Protocol):
    """What the writer asks of a `respcache.features.propagate.Tap`."""

    wake: Callable[[], None]

    @property
    def size(self) -> int:
        """Bytes that are to be written."""

    def take(self) -> bytes:
        """All that is to be written, which is then the writer's."""

    def reselect(self) -> None:
        """Has the next command say which database it is for."""


class AofWriter:
    """Writes what is propagated to a `Log`, as `appendfsync` says. The callbacks are called in the loop's thread."""

    def __init__(
        self, loop: AbstractEventLoop, config: Config, clock: Clock, gate: Gate, stream: Stream
    ) -> None:
        self._loop = loop
        self._config = config
        self._clock = clock
        self._gate = gate
        self._stream = stream
        self.log: Log | None = None
        """What is written to; None: nothing is."""
        self.busy: Callable[[], bool] = lambda: False
        """Whether a snapshot is being written, during which no-appendfsync-on-rewrite wants no syncs."""
        self.troubled: Callable[[str], None] = lambda _: None
        """Told why nothing can be written, and with an empty text that it can again."""
        self.fatal: Callable[[], None] = lambda: None
        """Told that a reply cannot keep what `always` promises: nothing may be replied any more."""
        self.grown: Callable[[], None] = lambda: None
        """Told when the file has reached `notify_at` bytes."""
        self.notify_at = NEVER
        self.synced = 0
        """Bytes of the stream that are made sure of."""
        self.when_synced: Callable[[], None] = lambda: None
        """Told when they are more."""
        self.delayed = 0
        """Writes that waited for a sync in vain."""
        self.trouble = ""
        """Why nothing can be written."""
        self.write_failed = False
        """It was a write, not a sync, that failed last."""
        self._thread: Worker | None = None
        self._pending = b""  # taken from the stream, and refused by the disk
        self._taken = 0  # bytes taken from the stream so far
        self._written = 0  # those of them that were written
        self._sync: Future[None] | None = None  # under way
        self._syncs = 0  # what `synced` is when that is done
        self._held: Held = []  # replies that wait for it; the gate is shut as long as there are any
        self._retired: list[Log] = []  # to be synced and closed
        self._dirty = False  # something was written since the last sync began
        self._sync_began = -SYNC_EACH
        self._timer: TimerHandle | None = None  # of the next sync
        self._late: TimerHandle | None = None  # of a write that waits for a sync
        self._retry: TimerHandle | None = None
        self._second = 0  # of the last timestamp
        self._dead = False  # `fatal` was called

    # What is told

    @property
    def syncing(self) -> bool:
        """Whether a sync runs."""
        return self._sync is not None

    @property
    def mark(self) -> int:
        """Bytes of the stream so far."""
        return self._taken + self._stream.size

    @property
    def waiting(self) -> int:
        """Bytes that are not written yet."""
        return len(self._pending) + self._stream.size

    # Turning on and off

    def start(self, file: Log) -> None:
        """Writes to this file from now on."""
        self.log = file
        self._second = 0
        self._stream.wake = self._wake
        self._stream.reselect()

    def switch(self, file: Log) -> bool:
        """Writes to another file from now on; the one so far gets what is there, is synced and closed.

        Tells whether it did: not if what is there cannot be written.
        """
        before = self.log
        assert before is not None
        self.write_now()
        if self._pending:
            return False
        self._retired.append(before)
        self.start(file)
        self._start_sync()
        return True

    def drop(self, file: Log) -> None:
        """Writes to another file from now on; the one so far, and all that was meant for it, counts no longer."""
        before = self.log
        self._pending = b""
        self._stream.take()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self.trouble:  # which was that of the file so far
            self.write_failed = False
            self._recovered()
        if before is not None:
            self._submit(before.close)
        self.start(file)

    def finish(self) -> Future[None]:
        """Writes all there is, and nothing more; the file is synced and closed when the future is done, which may
        have an OSError. Then `finished` is to be called: until then replies that `always` holds back wait."""
        file = self.log
        assert file is not None
        self.write_now()
        rest, self._pending = self._pending, b""
        retired, self._retired = self._retired, []
        self.log = self._sync = None
        for timer in (self._timer, self._retry):
            if timer is not None:
                timer.cancel()
        self._timer = self._retry = None
        self._held += self._gate.cut()
        self._gate.shut = True

        def end() -> None:
            try:
                if rest:
                    file.append(rest)
                _sync(retired, len(retired), file)
            finally:
                file.close()

        return self._submit(end)

    def finished(self) -> None:
        """All that was written is made sure of: no reply waits any longer."""
        held, self._held = self._held, []
        if self._dead:
            self._gate.drop([*held, *self._gate.cut()])
        else:
            self._gate.release(held)
        self._gate.open()
        self.write_failed = False
        if self.trouble:
            self._recovered()

    def close(self) -> None:
        """Ends the thread, when it has nothing more to do."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    def _submit(self, act: Callable[[], None]) -> Future[None]:
        if self._thread is None:
            self._thread = Worker("aof-sync")
        return self._thread.submit(act)

    # Writing

    def _open(self) -> None:
        """Lets replies go; but none before those that wait for a sync, which will then be followed by them."""
        if not self._held:
            self._gate.open()

    def _wake(self) -> None:
        """Something is to be written at the end of this turn."""
        if self._late is None and self._retry is None:
            self._gate.shut = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Writes what there is, unless it must wait."""
        if self.log is None or self._dead:
            return  # who ends this opens the gate
        if self._retry is not None:
            self._open()
            return
        if self._sync is not None:
            policy = self._config.appendfsync
            if policy == "always":
                if self._late is not None:  # the policy was another one until now
                    self._late.cancel()
                    self._late = None
                self._gate.shut = True
                if self._gate.size > MOST_HELD:
                    self._sync.exception()  # waits
                return
            if policy == "everysec":
                if self._late is None:
                    self._late = self._loop.call_later(LATE, self._write_late)
                self._open()
                return
            if self._retired:
                return  # see `_write_late`
        self._write()

    def write_now(self) -> None:
        """Writes what there is at once, whatever runs. The replies go on waiting."""
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self.log is not None:
            self._append()

    def _write_late(self) -> None:
        """Waits for the sync no longer, unless it is that of the file before.

        What is written here must not be on disk when the end of that is not: it would have a hole. So then the
        replies wait too.
        """
        self._late = None
        if self._retired and self._sync is not None:
            self._gate.shut = True
            return
        self.delayed += 1
        log.warning(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for "
            "fsync to complete, this may slow down the server."
        )
        self._write()

    def _write(self) -> None:
        """Writes what there is, and lets the replies go as the policy says."""
        self._append()
        if self._pending:
            return  # it failed
        policy = self._config.appendfsync
        if policy == "always" and self._dirty and not self._suspended():
            if self._sync is None:
                self._start_sync()
                self._held += self._gate.cut()
            return
        self._open()
        if policy == "everysec" and self._dirty:
            self._sync_soon()

    def _append(self) -> None:
        """Writes what there is."""
        file, stream = self.log, self._stream
        assert file is not None
        data = stream.take()
        self._taken += len(data)
        if self._config.aof_timestamp_enabled and data:
            data = self._timestamp() + data
        if self._pending:
            data, self._pending = self._pending + data, b""
        if not data:
            return
        try:
            file.append(data)
        except OSError as error:
            self._pending = data
            self._failed(error, "Error writing to the AOF file", write=True)
            return
        self._dirty = True
        self._written = self._taken
        if self.write_failed:
            self.write_failed = False
            log.warning("AOF write error looks solved. The server can write again.")
            self._recovered()
        if file.size >= self.notify_at:
            self.grown()

    def _timestamp(self) -> bytes:
        second = self._clock.ms() // 1000
        if second == self._second:
            return b""
        self._second = second
        return b"#TS:%d\r\n" % second

    # Syncing

    def _suspended(self) -> bool:
        return bool(self._config.no_appendfsync_on_rewrite) and self.busy()

    def _sync_soon(self) -> None:
        """Syncs when the last time was a second ago."""
        if self._timer is not None or self._sync is not None:
            return
        left = self._sync_began + SYNC_EACH - monotonic()
        if left <= 0 and not self._suspended():
            self._start_sync()
        else:
            self._timer = self._loop.call_later(max(left, 0.1), self._sync_due)

    def _sync_due(self) -> None:
        self._timer = None
        if self._dirty and self.log is not None and self._config.appendfsync != "no":
            self._sync_soon()

    def _start_sync(self) -> None:
        """Has the thread sync all that is written; does nothing while it is at that."""
        file = self.log
        if self._sync is not None or file is None:
            return
        self._dirty = False
        self._syncs = self._written
        self._sync_began = monotonic()
        retired, count = self._retired, len(self._retired)
        self._sync = self._submit(lambda: _sync(retired, count, file))
        self._sync.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._synced, done))

    def _synced(self, done: Future[None]) -> None:
        """A sync is over."""
        if self._sync is not done:
            return
        self._sync = None
        error = done.exception()
        held, self._held = self._held, []
        if isinstance(error, OSError):
            self._dirty = True
            self._failed(error, "Fail to fsync the AOF file", write=False, held=held)
            return
        if error is not None:
            raise error
        self.synced = self._syncs
        self.when_synced()
        if self.trouble and not self.write_failed:
            log.warning("AOF fsync error looks solved. The server can write again.")
            self._recovered()
        self._gate.release(held)
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self.log is None or self._dead:
            return
        policy = self._config.appendfsync
        if self._retired or (self._dirty and policy == "always"):
            self._start_sync()
            if policy == "always":
                self._held += self._gate.cut()
        if self._stream.size or self._pending:
            self.flush()
            return
        if policy != "always" or self._sync is None:
            self._open()
        if self._dirty and policy == "everysec":
            self._sync_soon()

    # Errors

    def _failed(self, error: OSError, what: str, write: bool, held: Held | None = None) -> None:
        """A write or a sync has failed."""
        text = os.strerror(error.errno) if error.errno else str(error)
        if not self.trouble:
            log.warning("%s: %s", what, text)
        self.trouble = text
        self.write_failed = self.write_failed or write
        if self._config.appendfsync == "always":
            self._dead = self._gate.shut = True
            self._gate.drop([*(held or ()), *self._gate.cut()])
            log.critical(
                "Can't recover from AOF %s error when the AOF fsync policy is 'always'. Exiting...",
                "write" if write else "fsync",
            )
            self.fatal()
            return
        self.troubled(text)
        if held:
            self._gate.release(held)
        self._open()
        if self._retry is None:
            self._retry = self._loop.call_later(RETRY, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        if self.log is None:
            return
        if self.write_failed or self._stream.size:
            self.flush()
        if self.trouble and not self.write_failed:
            self._start_sync()

    def _recovered(self) -> None:
        self.trouble = ""
        self.troubled("")


def _sync(retired: list[Log], count: int, file: Log) -> None:
    """What the thread does: the files that are written to no longer, so many, come first, and are closed.

    The loop may add to `retired` meanwhile, `file` for one; it looks at what is left when this is over.
    """
    for _ in range(count):
        retired[0].sync()
        retired.pop(0).close()
    file.sync()

"""Rewriting the append-only file: a new base from a snapshot of the data, in place of all that came before.

    1  a new incremental file is made and noted in the manifest
    2  in one turn of the loop: the old file gets what is there, the new one all that follows, and the snapshot begins
    3  the snapshot is written to a temporary file, synced, and named as the next base
    4  a new manifest names that base and the new incremental file; the others become history, and are deleted

A crash anywhere leaves a manifest whose files hold everything. A failed rewrite leaves the new incremental file in
use; the next one replaces all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio import wrap_future
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from respcache.clock import monotonic
from respcache.log import logger as log
from respcache.persistence.aof import AofDirectory, Log
from respcache.persistence.encode import CommandEncoder, Encoder
from respcache.persistence.rdb_file import BackgroundFile, RdbFile
from respcache.persistence.snapshot import Snapshot
from respcache.persistence.worker import Worker
from respcache.saving import rdb_encoder
from respcache.state import ServerState

FREE_FAILURES = 3
"""Failures in a row from which on automatic rewrites wait: 1, 2, 4 ... minutes, an hour at most."""
LONGEST_WAIT = 3600.0
BUSY_WAIT = 0.02
"""Seconds between two looks at whether another snapshot is over."""

Result = TypeVar("Result")


def base_encoder(server: ServerState, rdb: bool) -> Encoder:
    """What a base is written with, an RDB file or one of commands."""
    return rdb_encoder(server, aof_base=True) if rdb else CommandEncoder()


def make_base(server: ServerState, directory: AofDirectory) -> None:
    """Makes a base in place of all that was, of what there is, while everything else waits. Raises OSError."""
    rdb = bool(server.config.aof_use_rdb_preamble)
    path = directory.next_base(rdb)
    log.info("Creating AOF base file %s", os.path.basename(path))
    file = RdbFile(path)
    try:
        Snapshot(server.keyspace, base_encoder(server, rdb), at_once=True).run_now(file.write)
        file.commit()
    except BaseException:
        file.discard()
        raise
    directory.adopt_base(rdb, keep=0)


def next_increment(directory: AofDirectory, before: Log | None) -> Log:
    """Makes the file for what follows; the one `before` it may be closed meanwhile. Raises OSError."""
    file = directory.add_increment()
    if before is not None:
        with contextlib.suppress(OSError, ValueError):
            before.sync()  # so that not much of it is left to be synced when the next one waits for that
    return file


@dataclass(frozen=True, slots=True)
class Job:
    """What one rewrite is to do."""

    directory: AofDirectory
    prepare: Callable[[], Log | None]
    """Makes the file for what follows; called by a thread."""
    begin: Callable[[Log | None], None]
    """Has everything from now on written there."""
    done: Callable[[bool], None]
    """Told at the end whether it went well."""
    first: bool = False
    """The file for what follows is temporary: it becomes part of the append-only file together with the base."""
    keep: int = 1
    """How many of the incremental files are still needed then, besides that."""


class Rewriting:
    """The rewrite that runs, and what there is to know of the last one."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._thread: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._since = 0.0
        self._firm = False  # the last step is under way: it cannot be given up
        self._failed_at = 0.0
        self.failures = 0
        """In a row."""
        self.rewrites = 0
        """That were begun."""
        self.took = -1
        """Seconds of the last one, -1: there was none."""
        self.ok = True
        """How it ended."""

    @property
    def running(self) -> bool:
        """Whether one runs."""
        return self._task is not None

    @property
    def seconds(self) -> int:
        """Since when it runs, -1 if none does."""
        return int(monotonic() - self._since) if self.running else -1

    @property
    def must_wait(self) -> bool:
        """Whether so many have failed that the next one that nobody asks for must wait."""
        if self.failures < FREE_FAILURES:
            return False
        wait = min(60.0 * 2 ** min(self.failures - FREE_FAILURES, 10), LONGEST_WAIT)
        return bool(monotonic() - self._failed_at < wait)

    def start(self, job: Job) -> None:
        """Begins one. The caller has made sure that none runs, and no snapshot is being taken."""
        log.info("Background append only file rewriting started")
        self._since = monotonic()
        self.rewrites += 1
        self._task = self._server.loop.create_task(self._rewrite(job))
        self._task.add_done_callback(partial(self._ended, job))  # one given up at once never gets to run

    def cancel(self) -> None:
        """Gives the one that runs up, unless it is about to end well."""
        if self._task is not None and not self._firm:
            self._task.cancel()

    async def stop(self) -> None:
        """Gives the one that runs up; returns when nothing runs any more."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])
        thread, self._thread = self._thread, None
        if thread is not None:
            await wrap_future(thread.submit(int))  # behind its last call, which nobody may wait for any more
            thread.shutdown(wait=False)

    def _worker(self) -> Worker:
        if self._thread is None:
            self._thread = Worker("aof-rewrite")
        return self._thread

    async def call(self, act: Callable[[], Result]) -> Result:
        """Has the thread do something, which it ends even if who waits for it does not."""
        return await asyncio.shield(self._server.loop.run_in_executor(self._worker(), act))

    def _ended(self, job: Job, task: asyncio.Task[None]) -> None:
        self._firm = False
        self._task = None
        if task.cancelled():  # as somebody wished: that is no failure
            log.warning("Background AOF rewrite cancelled")
            job.done(False)
            return
        error = task.exception()
        if isinstance(error, OSError):
            log.warning("Error in the background AOF rewrite: %s", error)
        elif error is not None:
            log.error("Error in the background AOF rewrite", exc_info=error)
        self.took = int(monotonic() - self._since)
        self.ok = error is None
        if self.ok:
            self.failures = 0
            log.info("Background AOF rewrite finished successfully")
        else:
            self.failures += 1
            self._failed_at = monotonic()
            log.warning("Background AOF rewrite terminated with error")
        job.done(self.ok)

    async def _rewrite(self, job: Job) -> None:
        server, directory = self._server, job.directory
        rdb = bool(server.config.aof_use_rdb_preamble)
        increment = await self.call(job.prepare)
        file = BackgroundFile(
            self._worker(), directory.next_base(rdb), bool(server.config.aof_rewrite_incremental_fsync)
        )
        try:
            if not rdb and server.config.aof_timestamp_enabled:
                await file.write(b"#TS:%d\r\n" % (server.clock.ms() // 1000))
            while server.snapshot is not None:
                await asyncio.sleep(BUSY_WAIT)
            encoder = base_encoder(server, rdb)
            job.begin(increment)
            snapshot = server.snapshot = Snapshot(server.keyspace, encoder)
            try:
                await snapshot.run(file.write)
            finally:
                server.snapshot = None
            self._firm = True
            await file.commit()
        except BaseException:
            file.discard()
            raise
        last = increment if job.first else None
        await self.call(partial(directory.adopt_base, rdb, job.keep, last))
        if not server.config.aof_disable_auto_gc:
            await self.call(directory.collect)

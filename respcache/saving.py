"""Saving: BGSAVE, SAVE, save points, and the last file before the end.

For the server:
    state.saving = Saving(state)     when the state is made
    saving.cron()                    once a second: save points, and what was scheduled
    saving.loaded(path)              when the data was loaded: nothing has changed since
    await saving.close()             when it ends, behind the last connection: saves what is still to be saved

SHUTDOWN calls `prepare_end` before it lets the server end, and so should whoever asks for the end by a signal: it saves
while the server could still go on, and tells if it cannot. What it said about saving holds for `close`.

A BGSAVE is a task of the loop that walks a snapshot; one thread makes the system calls. SAVE and the last file hold the
loop, as in Redis: nobody may change data that was saved and believe that it was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from respcache.clock import monotonic
from respcache.durable import Fields
from respcache.features.process import resident_memory
from respcache.gates import MISCONF_RDB, deny_writes
from respcache.log import logger as log
from respcache.persistence import rdb_write
from respcache.persistence.encode import Note, RdbEncoder
from respcache.persistence.rdb_file import BackgroundFile, write_file
from respcache.persistence.rdb_strings import RARELY
from respcache.persistence.snapshot import Snapshot
from respcache.persistence.worker import Worker
from respcache.protocol.errors import ReplyError
from respcache.protocol.reply import status
from respcache.state import ServerState
from respcache.store.tracked import frequency, idle
from respcache.version import REDIS_VERSION

RETRY_SECONDS = 5
"""After a failure save points wait so long."""

IN_PROGRESS = ReplyError(b"ERR Background save already in progress")
ANOTHER = ReplyError(
    b"ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule "
    b"a BGSAVE whenever possible."
)
FAILED = ReplyError(b"ERR")
"""All that Redis says of a SAVE that failed; the log says more."""
CANNOT_END = ReplyError(b"ERR Errors trying to SHUTDOWN. Check logs.")
STARTED = status(b"Background saving started")
SCHEDULED = status(b"Background saving scheduled")


def rdb_encoder(server: ServerState, aof_base: bool = False) -> RdbEncoder:
    """What an RDB file of all data of a server is written with: its configuration, and notes as Redis makes them."""
    config = server.config
    aux = {
        "redis-ver": REDIS_VERSION,
        "redis-bits": 64,
        "ctime": server.clock.ms() // 1000,
        "used-mem": resident_memory(),
        **({} if aof_base else _origin(server)),
        "aof-base": int(aof_base),
    }
    return RdbEncoder(
        rdb_write.Format(rdb_write.file_version(server.keyspace.databases), config.list_max_listpack_size),
        [(name.encode(), str(value).encode()) for name, value in aux.items()],
        RARELY if config.rdbcompression else False,
        config.rdbchecksum,
        _note(server),
    )


def _origin(server: ServerState) -> dict[str, object]:
    """Which history the data is of, if there is one that others know, and how far."""
    history, following = server.history, server.following
    if history.backlog is None and not following.on:
        return {}
    server.mastering.flush()
    selected = following.selected if following.on else server.mastering.selected
    return {"repl-stream-db": selected, "repl-id": history.id, "repl-offset": history.offset}


def _note(server: ServerState) -> Note | None:
    """What the policy of maxmemory wants to know of keys again after the next start."""
    policy, databases = server.config.maxmemory_policy, server.keyspace.databases
    if policy.endswith("lru"):
        return lambda db, _slot, key: rdb_write.idle(idle(databases[db], key))
    if policy.endswith("lfu"):
        return lambda db, _slot, key: rdb_write.freq(frequency(databases[db], key))
    return None


class Saving:
    """What was saved when, and what is being saved."""

    def __init__(self, server: ServerState) -> None:
        self._server = server
        self._thread: Worker | None = None
        self._task: asyncio.Task[None] | None = None
        self._snapshot: Snapshot | None = None  # that of the task, once it walks
        self._begun = float("-inf")  # when the last BGSAVE began, monotonic
        self._scheduled = False  # a BGSAVE begins as soon as it can
        self._clean = 0  # changes of the keyspace when it was saved
        self._path = ""  # of the file that holds the data as it was then
        self._ok = True  # how the last BGSAVE ended
        self._took = -1  # seconds of it
        self._saves = 0  # SAVE and BGSAVE that were begun
        self._empty: tuple[str, int, bytes] | None = None  # a file without data that is to be written
        self._emptying: asyncio.Task[None] | None = None
        self._at_end: bool | None = None  # whether to save at the end; None: if it is worth it
        self._last_save = server.unix_started
        self.keys_loaded = 0
        """Keys that the last file had that was loaded, without those that had expired."""
        self.keys_expired = 0
        """And those."""
        server.config.on_change("save", self._judge)
        server.config.on_change("stop-writes-on-bgsave-error", self._judge)

    # What there is to know

    @property
    def path(self) -> str:
        """Where files go."""
        config = self._server.config
        return f"{config.dir}{os.sep}{config.dbfilename}"

    @property
    def changes(self) -> int:
        """Number of changes since data was last saved."""
        return self._server.keyspace.dirty - self._clean

    @property
    def last_save(self) -> int:
        """When data was last saved, in seconds since the epoch; at first, when the server was made."""
        return self._last_save

    @property
    def running(self) -> bool:
        """Whether a BGSAVE runs."""
        return self._task is not None

    @property
    def _blocked(self) -> bool:
        """Whether somebody else takes a snapshot, or is about to."""
        return self._server.snapshot is not None or self._server.appending.rewriting

    @property
    def wanted(self) -> bool:
        """Whether the data is to be saved at the end, and the file is not what there is."""
        return bool(self._server.config.save) and (self.changes > 0 or self._path not in ("", self.path))

    def info(self) -> Fields:
        """The fields current_* and rdb_* of INFO persistence."""
        snapshot = self._server.snapshot
        done, total = (0, 0) if snapshot is None else (snapshot.done_keys, snapshot.total_keys)
        return {
            "current_cow_peak": 0,
            "current_cow_size": 0,
            "current_cow_size_age": 0,
            "current_fork_perc": f"{100 * done / (total or 1):.2f}",
            "current_save_keys_processed": done,
            "current_save_keys_total": total,
            "rdb_changes_since_last_save": self.changes,
            "rdb_bgsave_in_progress": int(self.running),
            "rdb_last_save_time": self._last_save,
            "rdb_last_bgsave_status": "ok" if self._ok else "err",
            "rdb_last_bgsave_time_sec": self._took,
            "rdb_current_bgsave_time_sec": int(monotonic() - self._begun) if self.running else -1,
            "rdb_saves": self._saves,
            "rdb_last_cow_size": 0,
            "rdb_last_load_keys_expired": self.keys_expired,
            "rdb_last_load_keys_loaded": self.keys_loaded,
        }

    # What may be done

    def save_in_background(self, schedule: bool = False) -> bytes:
        """BGSAVE. Returns the reply; raises ReplyError if another snapshot is being taken.

        A transaction is one moment, so what it asks for begins when it is over.
        """
        server = self._server
        if self.running:
            raise IN_PROGRESS
        if self._blocked or server.nested:
            if not schedule and not server.nested:
                raise ANOTHER
            self._scheduled = True
            server.loop.call_soon(self.cron)
            return SCHEDULED
        self._begin()
        return STARTED

    def save(self) -> None:
        """SAVE: saves all data while everything else waits. Raises ReplyError."""
        if self.running:
            raise IN_PROGRESS
        self._saves += 1
        if not self._save():
            raise FAILED

    def cron(self) -> None:
        """Begins a BGSAVE if it is time for one."""
        server, now = self._server, self._server.clock.ms() // 1000
        if self._blocked or self.running or server.loading is not None:
            return
        if self._scheduled:
            self._begin()
            return
        changes = self.changes
        if not changes or not (self._ok or monotonic() - self._begun > RETRY_SECONDS):
            return
        for seconds, least in server.config.save:
            if changes >= least and now - self._last_save > seconds:
                log.info("%d changes in %d seconds. Saving...", least, seconds)
                self._begin()
                return

    def emptied(self) -> None:
        """FLUSHALL has deleted all data: a BGSAVE is vain, and a file that still has that data is out of date.

        Redis makes the new file before it replies. What is in it is known at once, but its way to the disk is as long
        as that of any, so here that is not waited for.
        """
        self._cancel()
        server = self._server
        if server.config.save and server.loading is None:
            parts: list[bytes] = []
            self._write_all(parts.append)
            self._empty = self.path, server.keyspace.dirty, b"".join(parts)
            if self._emptying is None:
                self._emptying = server.loop.create_task(self._write_empty())

    def loaded(self, path: str = "") -> None:
        """The data is now what it was in a file: no changes since."""
        self._clean = self._server.keyspace.dirty
        self._path = path

    def prepare_end(self, save: bool | None = None, force: bool = False) -> None:
        """Saves before the server ends: if `save`, or with None if there are save points.

        Raises ReplyError if that fails, and then the server should stay; not if it is to end by `force`.
        """
        if self._server.loading is not None:
            save = False  # what was not loaded yet would be lost
        self._at_end = save
        if not (self._server.config.save if save is None else save):
            return
        self._cancel()
        log.info("Saving the final RDB snapshot before exiting.")
        if self._save():
            return
        if force:
            log.warning("Error trying to save the DB, but it was forced: exiting.")
            self._at_end = False
        else:
            log.warning("Error trying to save the DB, can't exit.")
            log.warning("Errors trying to shut down the server. Check the logs for more information.")
            self._at_end = None
            raise CANNOT_END

    async def close(self) -> None:
        """Ends what is running and saves what has changed since `prepare_end`, if that is to be saved at all."""
        self._scheduled = False
        self._cancel()
        if self._emptying is not None:
            await self._emptying
        again = self.wanted or (self._at_end and self.changes)
        if again and self._at_end is not False and self._server.loading is None:
            log.info("Saving the final RDB snapshot before exiting.")
            self._save()
        self._at_end = None
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.wrap_future(thread.submit(int))  # behind its last system call
            thread.shutdown(wait=False)

    # How

    def _worker(self) -> Worker:
        if self._thread is None:
            self._thread = Worker("respcache-save")
        return self._thread

    def _open(self, path: str) -> BackgroundFile:
        return BackgroundFile(self._worker(), path, self._server.config.rdb_save_incremental_fsync)

    def _begin(self) -> None:
        """Begins a BGSAVE, which shows the data as it is now."""
        self._scheduled = False
        self._saves += 1
        self._begun = monotonic()
        log.info("Background saving started")
        server = self._server
        snapshot = self._snapshot = server.snapshot = Snapshot(server.keyspace, rdb_encoder(server))
        self._task = server.loop.create_task(self._run(self.path, snapshot))

    async def _run(self, path: str, snapshot: Snapshot) -> None:
        file = self._open(path)
        dirty = snapshot.dirty
        failed: Exception | None = None
        try:
            await snapshot.run(file.write)
            await file.commit()
        except asyncio.CancelledError:
            file.discard()
            raise
        except Exception as error:
            file.discard()
            failed = error
        finally:
            self._let_go(snapshot)
        self._task = None
        self._end(path, dirty, failed)

    def _let_go(self, snapshot: Snapshot) -> None:
        if self._server.snapshot is snapshot:
            self._server.snapshot = None
        if self._snapshot is snapshot:
            self._snapshot = None

    def _end(self, path: str, dirty: int, error: Exception | None) -> None:
        self._took = int(monotonic() - self._begun)
        self._ok = error is None
        if error is None:
            self._saved(path, dirty)
            log.info("Background saving terminated with success")
        else:
            _complain(error, path)
            log.warning("Background saving error")
        self._judge()
        if self._scheduled:
            self.cron()

    def _cancel(self) -> None:
        """Gives a BGSAVE up."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._snapshot is not None:
            self._snapshot.close()  # in case that the task had not begun
            self._let_go(self._snapshot)
        task.cancel()
        self._took = int(monotonic() - self._begun)
        log.warning("Background saving cancelled")

    def _save(self) -> bool:
        """Saves while everything else waits. Tells whether it could; the log tells why not."""
        server, path = self._server, self.path
        file = self._open(path)
        try:
            self._write_all(file.write_now)
            file.commit_now()
        except OSError as error:
            file.discard()
            _complain(error, path)
            return False
        except BaseException:
            file.discard()
            raise
        self._empty = None
        self._saved(path, server.keyspace.dirty)
        self._ok = True
        self._judge()
        return True

    def _write_all(self, write: Callable[[bytes], None]) -> None:
        """Gives a whole file to `write`, beside any snapshot that is being taken: that goes on behind it."""
        Snapshot(self._server.keyspace, rdb_encoder(self._server), at_once=True).run_now(write)

    async def _write_empty(self) -> None:
        while self._empty is not None:
            (path, dirty, data), self._empty = self._empty, None
            try:
                await asyncio.wrap_future(self._worker().submit(write_file, path, data))
            except OSError as error:
                _complain(error, path)
            else:
                if dirty >= self._clean:
                    self._saved(path, dirty)
        self._emptying = None

    def _saved(self, path: str, dirty: int) -> None:
        log.info("DB saved on disk")
        self._clean = dirty
        self._path = path
        self._last_save = self._server.clock.ms() // 1000

    def _judge(self) -> None:
        """Has writes refused while data that is to be saved cannot be, or no longer."""
        config = self._server.config
        failing = not self._ok and config.save and config.stop_writes_on_bgsave_error
        deny_writes(self._server, "rdb", MISCONF_RDB if failing else None)


def _complain(error: Exception, path: str) -> None:
    """Logs why a file could not be written; other errors than those of the system are ours."""
    if isinstance(error, OSError):
        log.warning("Error saving DB on disk: %s: %s", path, error.strerror or error)
    else:
        log.error("Error saving DB on disk: %s", path, exc_info=error)

"""The append-only file of a server: loading it at start, writing to it, switching it on and off, and rewriting it.

For the server:
    state.appending = Appending(state, own_process)     when the state is made, propagator and gate included
    await appending.start()     when it listens, if `appending.wanted`, instead of loading an RDB file: loads and opens
                                the files. Raises LoadError and LoadingStopped: then the server must not start.
                                With load=False when a server that has stopped, and still has its data, starts again
                                Without it, CONFIG SET appendonly yes works all the same
    appending.cron()            once a second: rewrites that are due
    appending.refuses_end       at SHUTDOWN: the first rewrite is not done, only FORCE may end the server now
    await appending.stop()      at the end, when no command runs any more: writes and syncs what is left
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from asyncio import wrap_future
from concurrent.futures import Future
from functools import partial

from respcache.durable import Fields
from respcache.features.aof_writer import AofWriter
from respcache.features.propagate import Tap
from respcache.gates import MISCONF_AOF, deny_writes
from respcache.loading import LoadError
from respcache.log import logger as log
from respcache.persistence.aof import AofDirectory, Log, MissingError
from respcache.persistence.aof_growth import NEVER, Growth
from respcache.persistence.aof_manifest import ManifestError
from respcache.protocol.errors import ReplyError
from respcache.replaying import Replay, load_files
from respcache.rewriting import Job, Rewriting, make_base, next_increment
from respcache.state import ServerState

REWRITE_RUNS = ReplyError(b"ERR Background append only file rewriting already in progress")
CANNOT_REWRITE = ReplyError(
    b"ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
)
SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that has synced is heard, however busy the loop is. (With Python's 5 ms, `always` does
49,000 writes a second instead of 57,000, and replies come up to 10 ms late.)"""

CANNOT_TURN_ON = "Unable to turn on AOF. Check server logs."
NOT_LOADED = ReplyError(b"ERR Error trying to load the AOF files, check server logs.")
STARTED = b"Background append only file rewriting started"
SCHEDULED = b"Background append only file rewriting scheduled"


class Appending:
    """What is written, and what there is to know of it."""

    def __init__(self, server: ServerState, own_process: bool = False) -> None:
        self._server = server
        self._own_process = own_process
        self.on = False
        """The append-only file is in use, or will be when its first base is written."""
        self.scheduled = False
        """A rewrite begins as soon as it can."""
        self._waiting = False  # the first base is still to be written
        self._complete = False  # it has stopped, and the files have all of the data
        self._directory: AofDirectory | None = None
        self._writer: AofWriter | None = None
        self._tap: Tap | None = None  # what the writer takes from
        self._rewriting = Rewriting(server)
        self._ending: asyncio.Task[None] | None = None  # of what was turned off
        self._growth = Growth(server.config)
        config = server.config
        config.on_change("appendonly", self._turn)
        config.on_change("appendfsync", self._flush)
        for name in ("auto-aof-rewrite-percentage", "auto-aof-rewrite-min-size"):
            config.on_change(name, self._watch_size)

    # Life

    @property
    def wanted(self) -> bool:
        """Whether the configuration asks for an append-only file."""
        return bool(self._server.config.appendonly)

    async def start(self, load: bool = True) -> None:
        """Loads the files, which are made if there are none, and writes to them from now on.

        Without `load` the server has its data already, since it runs again after it had stopped. Raises LoadError,
        whose text is for people, and LoadingStopped.
        """
        if self.on:
            return  # it was turned on since
        directory = self._new_directory()
        try:
            directory.take()
            directory.sweep()
            if not (await load_files(self._server, directory) if load else self._reopen(directory)):
                make_base(self._server, directory)
            file = directory.open_last()
        except (ManifestError, MissingError) as error:
            directory.leave()
            raise LoadError(str(error)) from None
        except OSError as error:
            directory.leave()
            where = error.filename or directory.path
            text = str(error) if error.errno is None else f"{where}: {error.strerror}"
            raise LoadError(f"Can't use the append only file: {text}") from None
        except BaseException:
            directory.leave()
            raise
        self._directory = directory
        self._complete = False
        self.on = True
        self._attach(file)
        self._count_sizes(as_base=True)
        if directory.manifest.history:
            self._server.loop.create_task(self._collect(directory))

    async def stop(self) -> None:
        """Ends everything: what was written is synced under every policy, and the directory is free for others.

        If the first base is not done yet, it is made now, while everything else waits.
        """
        self.scheduled = False
        if self._ending is not None:
            await self._ending
        await self._rewriting.stop()
        if self._waiting and self._directory is not None:
            try:
                self._directory.leave()
                self._directory = self._taken_directory()  # what is in it may have changed
                make_base(self._server, self._directory)
                self._directory.collect()
                self._waiting = False
            except (OSError, ManifestError) as error:
                log.warning("Can't write the first base of the append only file: %s", error)
        if self.on:
            self._complete = not self._waiting
            self._detach()
        if self._ending is not None:
            await self._ending

    @property
    def rewriting(self) -> bool:
        """Whether a rewrite runs."""
        return self._rewriting.running

    @property
    def refuses_end(self) -> bool:
        """Whether the data would be lost if the server ended now, since the first base is not written."""
        if self._waiting:
            log.warning("Writing initial AOF, can't exit.")
        return self._waiting

    def _new_directory(self) -> AofDirectory:
        config = self._server.config
        return AofDirectory(
            os.path.abspath(os.path.join(config.dir, config.appenddirname)), config.appendfilename
        )

    def _reopen(self, directory: AofDirectory) -> bool:
        """Looks at what there is. Tells whether that is all of the data: this server wrote it before it stopped."""
        if directory.exists:
            directory.read(check=self._complete)
            return self._complete
        return False

    # Writing

    def _attach(self, file: Log) -> None:
        """Writes to this file from now on."""
        server = self._server
        writer = self._writer
        if writer is not None:
            writer.drop(file)
            return
        self._tap = server.propagator.tap()
        writer = AofWriter(server.loop, server.config, server.clock, server.gate, self._tap)
        writer.busy = lambda: server.snapshot is not None
        writer.troubled = self._troubled
        writer.fatal = self._fatal
        writer.grown = self._grown
        self._writer = writer
        if self._own_process:
            sys.setswitchinterval(SWITCH_INTERVAL)
        server.modes.switch("propagate", True)
        server.use_gate(True)
        writer.start(file)

    def _detach(self) -> None:
        """Writes what there is, and nothing from now on; `_ending` is over when that is made sure of."""
        server, writer, directory = self._server, self._writer, self._directory
        self.on = self._waiting = self.scheduled = False
        self._writer = self._directory = None
        done: Future[None] | None = None
        if writer is not None and self._tap is not None:
            done = writer.finish()
            self._tap.close()
            server.modes.switch("propagate", server.propagator.on)
        if self._ending is None:  # else it was turned on only for as long as that takes, and nothing has begun
            self._ending = server.loop.create_task(self._end(directory, writer, done))

    async def _end(
        self, directory: AofDirectory | None, writer: AofWriter | None, done: Future[None] | None
    ) -> None:
        if writer is not None and done is not None:
            try:
                await wrap_future(done)
            except OSError as error:
                self._complete = False
                log.warning("Error writing the last of the AOF file: %s", error)
            writer.finished()
            self._server.use_gate(False)
            writer.close()
        if directory is not None:
            directory.leave()
        self._ending = None
        if self.on:  # it was turned on again meanwhile: until its first base is done nothing is safe
            self.cron()

    def _flush(self) -> None:
        if self._writer is not None:
            self._server.loop.call_soon(self._writer.flush)

    def _troubled(self, text: str) -> None:
        error = MISCONF_AOF % text.encode() if text else None
        deny_writes(self._server, "aof", error)

    def _fatal(self) -> None:
        if self._own_process:
            logging.shutdown()
            os._exit(1)
        self._server.shutdown()

    # On and off

    def follow(self) -> None:
        """To be called when data was loaded: until then CONFIG SET appendonly changes nothing."""
        with contextlib.suppress(ValueError):  # the log tells
            self._turn()

    def suspend(self) -> None:
        """Writes nothing from now on until `follow`, which begins anew: all data is about to be replaced."""
        if self.on:
            self._rewriting.cancel()
            self._detach()

    def _turn(self) -> None:
        """CONFIG SET appendonly. Raises ValueError."""
        server = self._server
        if not hasattr(server, "loop") or server.loading is not None or self.on == self.wanted:
            return
        if self.wanted:
            self._turn_on()
        else:
            self._rewriting.cancel()
            self._detach()

    def _turn_on(self) -> None:
        """Everything from the moment of the first snapshot on will be written; see `_rewrite`."""
        free = self._ending is None and not self._rewriting.running
        self._rewriting.cancel()  # that of an append-only file that was off
        try:
            self._directory = self._taken_directory() if free else self._new_directory()
        except (OSError, ManifestError) as error:
            log.warning("Can't use the append only file: %s", error)
            raise ValueError(CANNOT_TURN_ON) from None
        self.on = self._waiting = self.scheduled = True
        self.cron()

    def _taken_directory(self) -> AofDirectory:
        """The directory, whose files are to be replaced. Raises OSError and ManifestError."""
        directory = self._new_directory()
        directory.take()
        try:
            if directory.exists:
                directory.read(check=False)
        except BaseException:
            directory.leave()
            raise
        return directory

    # Rewriting

    def rewrite_in_background(self) -> bytes:
        """BGREWRITEAOF. Returns the text to reply. Raises ReplyError."""
        if self._rewriting.running:
            raise REWRITE_RUNS
        if self._server.snapshot is not None or self._ending is not None or self._server.nested:
            self.scheduled = True
            self._server.loop.call_soon(self.cron)
            return SCHEDULED
        try:
            self._rewrite()
        except (OSError, ManifestError) as error:
            log.warning("Can't rewrite the append only file: %s", error)
            raise CANNOT_REWRITE from None
        return STARTED

    def cron(self) -> None:
        """Begins a rewrite that is due, unless something is in the way. Called once a second."""
        if self._rewriting.running or self._server.snapshot is not None or self._ending is not None:
            return
        file = self._file
        grown = self.on and not self._waiting and file is not None and file.size >= self._growth.limit
        if self.scheduled or (grown and not self._rewriting.must_wait):
            try:
                self._rewrite()
            except (OSError, ManifestError) as error:
                log.warning("Can't rewrite the append only file: %s", error)

    def _rewrite(self) -> None:
        """Begins a rewrite. Raises OSError and ManifestError."""
        directory = self._directory
        if directory is None:  # it is off: a base is made all the same
            directory = self._taken_directory()
            job = Job(directory, lambda: None, lambda _: None, partial(self._made, directory), keep=0)
        elif self._waiting:
            directory.leave()
            directory = self._taken_directory()  # what is in it may have changed
            self._directory = directory
            prepare = partial(Log, directory.temporary_increment, empty=True)
            done = partial(self._rewritten, directory)
            job = Job(directory, prepare, self._attach_new, done, first=True, keep=0)
        else:
            done = partial(self._rewritten, directory)
            job = Job(directory, partial(next_increment, directory, self._file), self._switch_to, done)
        self.scheduled = False
        self._rewriting.start(job)

    def _attach_new(self, file: Log | None) -> None:
        assert file is not None
        self._attach(file)

    def _switch_to(self, file: Log | None) -> None:
        assert file is not None
        if self._writer is None or not self._writer.switch(file):
            file.close()
            raise OSError("the last commands cannot be written")
        self._count_sizes()

    def _made(self, directory: AofDirectory, _well: bool) -> None:
        directory.leave()
        self.cron()  # it may have been turned on meanwhile

    def _rewritten(self, directory: AofDirectory, well: bool) -> None:
        if directory is not self._directory:  # it was turned off meanwhile
            self.cron()
            return
        if well:
            self._waiting = False
        elif self._waiting:
            self.scheduled = True
        self._count_sizes(as_base=well)

    async def _collect(self, directory: AofDirectory) -> None:
        if not self._server.config.aof_disable_auto_gc:
            with contextlib.suppress(OSError):
                await self._rewriting.call(directory.collect)

    # Sizes

    def _count_sizes(self, as_base: bool = False) -> None:
        """Looks at the sizes of all files."""
        file = self._file
        if self._directory is not None and file is not None:
            self._growth.count(self._directory, file, as_base)
            self._watch_size()

    @property
    def _file(self) -> Log | None:
        return self._writer.log if self._writer is not None else None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return self._growth.size(self._file)

    def _watch_size(self) -> None:
        if self._writer is not None:
            self._writer.notify_at = self._growth.limit

    def _grown(self) -> None:
        """The file has reached the threshold: it is rewritten, now or when `cron` finds that it can be."""
        if self._writer is None:
            return  # these were the last commands before it is off
        self._writer.notify_at = NEVER
        if self._waiting or self._rewriting.running:
            return
        log.info("Starting automatic rewriting of AOF on %d%% growth", self._growth.percent(self._file))
        self._server.loop.call_soon(self.cron)

    # For others

    def reload(self) -> None:
        """DEBUG LOADAOF: what is on disk takes the place of all data, in one go. Raises ReplyError."""
        server, directory, writer = self._server, self._directory, self._writer
        if writer is not None:
            writer.write_now()
        other = directory or self._new_directory()
        try:
            if directory is None:
                other.read()
            for db in server.keyspace.databases:
                db.clear()
            Replay(server, other).run_now()
            server.saving.loaded()
        except (OSError, ManifestError, MissingError, LoadError) as error:
            log.warning("%s", error)
            raise NOT_LOADED from None
        finally:
            server.propagator.take()
            server.propagator.reselect()
        log.warning("Append Only File loaded by DEBUG LOADAOF")

    @property
    def writer(self) -> AofWriter | None:
        """What writes to the file; None: nothing is written."""
        return self._writer

    def info(self) -> Fields:
        """The fields aof_* of INFO persistence."""
        rewriting, writer = self._rewriting, self._writer
        fields: Fields = {
            "aof_enabled": int(self.on),
            "aof_rewrite_in_progress": int(rewriting.running),
            "aof_rewrite_scheduled": int(self.scheduled),
            "aof_last_rewrite_time_sec": rewriting.took,
            "aof_current_rewrite_time_sec": rewriting.seconds,
            "aof_last_bgrewrite_status": "ok" if rewriting.ok else "err",
            "aof_rewrites": rewriting.rewrites,
            "aof_rewrites_consecutive_failures": rewriting.failures,
            "aof_last_write_status": "err" if writer is not None and writer.trouble else "ok",
            "aof_last_cow_size": 0,
        }
        if writer is not None and self.on:
            fields |= {
                "aof_current_size": self.size,
                "aof_base_size": self._growth.base,
                "aof_pending_rewrite": int(self._waiting),
                "aof_buffer_length": writer.waiting,
                "aof_pending_bio_fsync": int(writer.syncing),
                "aof_delayed_fsync": writer.delayed,
            }
        return fields

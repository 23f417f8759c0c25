"""Loading: data comes from files, while the server listens and answers LOADING.

For the server, when it starts and no append-only file is to be loaded:
    await load_dump(state)           loads `dbfilename` of `dir`, if it is there

It raises LoadError, whose text names the file and the place, and then the server must not start: half of the data
would be taken for all of it, and saved as such. `state.loading.stop()` ends it early: load_dump raises LoadingStopped
soon, and nothing may be saved then.

Who loads other files of the same kind (the base of an append-only file, what a master sends) makes a `Loading`
and calls `load_rdb`.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from respcache.clock import monotonic
from respcache.durable import Fields
from respcache.log import logger as log
from respcache.persistence.rdb_build import Limits
from respcache.persistence.rdb_file import RdbInput
from respcache.persistence.rdb_read import Handler, Value, read_file
from respcache.persistence.source import RdbError, Source
from respcache.state import ServerState
from respcache.store.access import Frequency, Recency
from respcache.store.load import DuplicateKeyError, load_strings, load_value

SLICE = 0.005
"""Seconds of loading before the loop gets its turn."""
REPORT_SECONDS = 5.0
"""Between two lines of the log about a long load."""


class LoadError(Exception):
    """A file that cannot be loaded; the text is for people."""


class LoadingStopped(Exception):
    """Somebody ended the server while it was loading."""


class Loading:
    """A load that is under way, see `ServerState.loading`. While it is, commands are refused."""

    def __init__(self, server: ServerState, total: int) -> None:
        self._server = server
        self._began = self._turn = self._report = monotonic()
        self._started = server.clock.ms() // 1000
        self.total = total
        """Bytes of all files."""
        self.before = 0
        """Bytes of those that were loaded already."""
        self._done = 0
        self.stopped = False
        """`stop` was called."""

    def __enter__(self) -> Loading:
        self._server.loading = self
        self._server.modes.switch("loading", True)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self._server.saving.prepare_end(save=False)  # what is there is not all
        self._server.loading = None
        self._server.modes.switch("loading", False)

    def stop(self) -> None:
        """Has it end soon, without the rest of the data."""
        self.stopped = True

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return monotonic() - self._began

    async def advance(self, done: int) -> None:
        """Notes how many bytes of the file at hand are loaded, and gives the loop its turn when it is due.

        Raises LoadingStopped.
        """
        now = monotonic()
        if now - self._turn >= SLICE:
            self.note(done)
            await asyncio.sleep(0)
            self._turn = monotonic()
        if self.stopped:
            raise LoadingStopped

    def note(self, done: int) -> None:
        """Notes how many bytes of the file at hand are loaded."""
        self._done = self.before + done
        now = monotonic()
        if now - self._report >= REPORT_SECONDS:
            self._report = now
            log.info("Loading: %d%% of %.1f MB", self._percent(), self.total / 2**20)

    def _percent(self) -> float:
        return min(100 * self._done / (self.total or 1), 100.0)

    def info(self) -> Fields:
        """The fields loading_* of INFO persistence."""
        spent, left = self.seconds, max(self.total - self._done, 0)
        return {
            "loading_start_time": self._started,
            "loading_total_bytes": self.total,
            "loading_rdb_used_mem": 0,
            "loading_loaded_bytes": self._done,
            "loading_loaded_perc": f"{self._percent():.2f}",
            "loading_eta_seconds": int(spent * left / self._done) if self._done else 1,
        }


@dataclass(frozen=True, slots=True)
class Origin:
    """Which data it is that a file has."""

    history: str
    offset: int
    selected: int
    """The database that the history has selected for what comes next."""


class Loader(Handler):
    """Takes what is in an RDB file into the databases of a server."""

    def __init__(self, server: ServerState, keep_expired: bool = False, replace: bool = False) -> None:
        """`keep_expired`: keys that are due are loaded all the same, since what follows tells of their end; else
        they are left out. `replace`: keys may be there already.
        """
        self._server = server
        self._databases = server.keyspace.databases
        self._now = 0 if keep_expired else server.clock.ms()
        self._replace = replace
        self._functions = 0
        self._origin: dict[bytes, bytes] = {}
        self.keys = 0
        """Keys loaded."""
        self.expired = 0
        """Keys left out because they were due."""
        self.without_elements = 0
        """Keys left out because there was nothing in them."""

    def aux(self, name: bytes, value: bytes) -> None:
        """A note about the file."""
        if name in (b"redis-ver", b"valkey-ver"):
            log.info("Loading RDB produced by version %s", value.decode("utf-8", "backslashreplace"))
        elif name == b"ctime" and value.isdigit():
            log.info("RDB age %d seconds", max(self._server.clock.ms() // 1000 - int(value), 0))
        elif name == b"used-mem" and value.isdigit():
            log.info("RDB memory usage when created %.2f Mb", int(value) / 2**20)
        elif name.startswith(b"repl-"):
            self._origin[name] = value

    @property
    def origin(self) -> Origin | None:
        """Where the data comes from, if the file says so."""
        history = self._origin.get(b"repl-id", b"").decode("latin-1").lower()
        offset, db = (self._origin.get(name, b"") for name in (b"repl-offset", b"repl-stream-db"))
        if len(history) != 40 or not offset.isdigit():
            return None
        selected = int(db) if db.isdigit() and int(db) < len(self._databases) else 0
        return Origin(history, int(offset), selected)

    def function(self, code: bytes) -> None:
        """A library of functions, which has nobody to run it."""
        if not self._functions:
            log.warning("The file has functions. They are ignored: functions are not supported yet.")
        self._functions += 1

    def select(self, db: int) -> None:
        """Checks that there is such a database."""
        if db >= len(self._databases):
            raise ValueError(
                f"data of database {db}, but there are only {len(self._databases)}: see the directive 'databases'"
            )

    def strings(self, db: int, keys: list[bytes], values: list[bytes], deadlines: dict[bytes, int]) -> None:
        """Many strings."""
        now = self._now
        if self._replace or (deadlines and min(deadlines.values()) <= now):
            for key, value in zip(keys, values, strict=True):
                self.entry(db, key, value, deadlines.get(key), None, None)
            return
        load_strings(self._databases[db], keys, values, deadlines)
        self.keys += len(keys)

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        """A key."""
        if deadline is not None and deadline <= self._now:
            self.expired += 1
            return
        database = self._databases[db]
        if self._replace:
            database.delete(key)
        load_value(database, key, value, deadline)
        accesses = database.accesses
        if idle is not None and isinstance(accesses, Recency):
            accesses.set_idle(key, idle)
        elif freq is not None and isinstance(accesses, Frequency):
            accesses.set_frequency(key, freq)
        self.keys += 1

    def empty(self, db: int, key: bytes) -> None:
        """A key with nothing in it."""
        self.without_elements += 1


def _pieces(source: Source, server: ServerState, loader: Loader, name: str) -> Iterator[int]:
    """Loads a file; yields after each piece how many bytes are done. Raises LoadError."""
    try:
        yield from read_file(source, Limits.of(server.config), loader)
    except RdbError as error:
        raise LoadError(f"{name}: {error}") from None
    except (DuplicateKeyError, ValueError) as error:
        raise LoadError(f"{name}: {error} (before offset {source.offset})") from None
    except OSError as error:
        raise LoadError(f"{name}: {error.strerror or error} (offset {source.offset})") from None


async def load_rdb(loading: Loading, server: ServerState, source: Source, loader: Loader, name: str) -> None:
    """Loads a file of RDB; what follows in the source is left there. `name` is for messages.

    Raises LoadError, and LoadingStopped; what was loaded before stays.
    """
    with without_collector():
        for done in _pieces(source, server, loader, name):
            await loading.advance(done)


async def load_dump(server: ServerState) -> None:
    """Loads `dbfilename` of `dir`, if it is there. Raises LoadError and LoadingStopped."""
    path = server.saving.path
    file = _open(server, path)
    if file is None:
        return
    loader = Loader(server)
    with file, Loading(server, file.size) as loading:
        await load_rdb(loading, server, file.source, loader, path)
        seconds = loading.seconds
    _finish(server, loader, path)
    if loader.origin is not None:
        server.following.restore(loader.origin.history, loader.origin.offset, loader.origin.selected)
    log.info("DB loaded from disk: %.3f seconds", seconds)


def reload(server: ServerState, save: bool = True, flush: bool = True, replace: bool = False) -> None:
    """DEBUG RELOAD: saves, deletes everything and loads it again, in one go.

    Without `save` the file is loaded as it is; without `flush` its keys come to those that are there, and with
    `replace` may be among them. Raises ReplyError if the data cannot be saved, and LoadError.
    """
    if save:
        server.saving.save()
    path = server.saving.path
    file = _open(server, path)
    if file is None:
        raise LoadError(f"{path}: there is no such file")
    if flush:
        for db in server.keyspace.databases:
            db.clear()
    loader = Loader(server, replace=replace)
    with file, without_collector():
        for _ in _pieces(file.source, server, loader, path):
            pass
    _finish(server, loader, path)
    log.warning("DB reloaded by DEBUG RELOAD")


def _open(server: ServerState, path: str) -> RdbInput | None:
    try:
        return RdbInput(path, server.config.rdbchecksum)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror}") from None


def _finish(server: ServerState, loader: Loader, path: str) -> None:
    saving = server.saving
    saving.keys_loaded, saving.keys_expired = loader.keys, loader.expired
    saving.loaded(path)
    log.info("Done loading RDB, keys loaded: %d, keys expired: %d.", loader.keys, loader.expired)
    if loader.without_elements:
        log.warning("%d keys of the file had no elements and were left out.", loader.without_elements)


@contextmanager
def without_collector() -> Iterator[None]:
    """Millions of new values have the garbage collector walk over all of them again and again, in vain."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()

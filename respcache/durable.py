"""What commands may ask of the parts that keep data on disk. They stand above `respcache.state`, which knows them by
these shapes: `respcache.saving`, `respcache.appending`, `respcache.loading`."""

from __future__ import annotations

from typing import Protocol

from respcache.features.aof_writer import AofWriter

Fields = dict[str, str | int]
"""Of INFO, in its order."""


class Saving(Protocol):
    """RDB files: SAVE, BGSAVE, save points."""

    @property
    def changes(self) -> int:
        """Changes since the last save."""

    @property
    def last_save(self) -> int:
        """When that was, in seconds since the epoch; the start of the server if it never was."""

    @property
    def path(self) -> str:
        """Where files go."""

    keys_loaded: int
    """Keys of the last file that was loaded."""
    keys_expired: int
    """Those that were left out because they had expired."""

    def info(self) -> Fields:
        """The fields rdb_* and current_* of INFO persistence."""

    def save(self) -> None:
        """SAVE. Raises ReplyError."""

    def save_in_background(self, schedule: bool = False) -> bytes:
        """BGSAVE. Returns the status to reply, raises ReplyError."""

    def emptied(self) -> None:
        """FLUSHALL has deleted all data."""

    def loaded(self, path: str = "") -> None:
        """The data is now what it was in a file: no changes since."""

    def prepare_end(self, save: bool | None = None, force: bool = False) -> None:
        """Saves before the server ends, see `respcache.saving`. Raises ReplyError: the server cannot end."""

    def cron(self) -> None:
        """What is due: a save point, a scheduled save. Called once a second."""


class Appending(Protocol):
    """The append-only file."""

    on: bool
    """Commands are written to it."""

    @property
    def writer(self) -> AofWriter | None:
        """What writes to it, and knows what was made sure of; None: nothing is written."""

    @property
    def rewriting(self) -> bool:
        """Whether a rewrite runs, which takes a snapshot."""

    @property
    def refuses_end(self) -> bool:
        """Whether the server must not end now, since the first base is still to be written; it says so in the log."""

    def reload(self) -> None:
        """DEBUG LOADAOF: puts what is on disk in place of all data. Raises ReplyError."""

    def info(self) -> Fields:
        """The fields aof_* of INFO persistence."""

    def suspend(self) -> None:
        """Writes nothing from now on until `follow`, which begins anew: all data is about to be replaced."""

    def follow(self) -> None:
        """Data was loaded: does what the configuration says of the file."""

    def rewrite_in_background(self) -> bytes:
        """BGREWRITEAOF. Returns the text to reply, raises ReplyError."""

    def cron(self) -> None:
        """What is due: a rewrite, a retry. Called once a second."""


class Loading(Protocol):
    """A load that is under way."""

    def stop(self) -> None:
        """Has it end soon, without the rest of the data."""

    def info(self) -> Fields:
        """The fields loading_* of INFO persistence."""

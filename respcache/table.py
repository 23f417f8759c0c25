"""Tables: which function a name calls for a client in a certain mode.

A connection's whole decision is one look-up in `client.table`. Modes differ by their tables, features that are on
are wrapped around the entries' functions when the tables are compiled, and recompiling changes entries in place, so
that every client sees it at once.
"""

from __future__ import annotations

from typing import Protocol

from respcache.features.blocking import Disconnect
from respcache.features.stats import CommandStats
from respcache.registry import Command, Handler


class Entry:
    """What a name means in one mode."""

    __slots__ = ("command", "lone", "queues", "run", "stats")

    def __init__(self, command: Command, run: Handler, stats: CommandStats, lone: bool) -> None:
        self.command = command
        self.run = run
        """Called with the client and the arguments behind the name (and behind the subcommand's name)."""
        self.stats = stats
        """Shared by the entries of a command in all modes."""
        self.lone = lone
        """Each call is timed by itself: it may be slow, or the slow log wants to know exactly."""
        self.queues = False
        """A call only queues the command; it is over before the slow log could mind."""

    @property
    def names(self) -> list[bytes]:
        """The words of a request before its arguments."""
        return self.command.name.encode().split(b"|")

    @property
    def words(self) -> int:
        """How many those are."""
        return 1 if self.command.parent is None else 2


class Gone(dict[bytes, Entry]):
    """The table of a client whose connection is closed: its next request ends what is being run for it."""

    def __missing__(self, _name: bytes) -> Entry:
        raise Disconnect


class Mode:
    """The tables of one mode."""

    __slots__ = ("entries", "name", "subcommands", "table")

    def __init__(self, name: str) -> None:
        self.name = name
        self.table: dict[bytes, Entry] = {}
        """Fast look-up: commands without subcommands, by name in lower and in upper case."""
        self.entries: dict[bytes, Entry] = {}
        """All commands by name in lower case, containers included."""
        self.subcommands: dict[bytes, dict[bytes, Entry]] = {}
        """By container, then by subcommand, in lower case."""


class Modes(Protocol):
    """The compiled tables, by mode."""

    normal: Mode
    queueing: Mode
    """Of clients behind MULTI."""

    @property
    def asking(self) -> Mode:
        """Of clients whose last request was ASKING."""

    @property
    def unauthenticated(self) -> Mode:
        """Of clients that have not authenticated."""

    @property
    def subscribed(self) -> Mode:
        """Of RESP2 clients with subscriptions."""

    @property
    def monitoring(self) -> Mode:
        """Of clients that are sent what others do."""

    @property
    def replicating(self) -> Mode:
        """Of replicas, who are sent the stream of changes and nothing else."""

    def compile(self) -> None:
        """Compiles all tables again, in place."""

    def mute(self, mode: Mode) -> Mode:
        """The mode in which the same commands run and nothing is replied."""

    def switch(self, name: str, on: bool) -> None:
        """Turns a layer or a gate on or off, see `respcache.dispatch`."""

    def pause(self, all_commands: bool | None) -> None:
        """Makes all commands wait, or only those that may write, or none."""

"""A server whose changes are propagated, and one that lives of what is propagated, for tests."""

from __future__ import annotations

import hiredis

from respcache.clock import Clock
from respcache.features.blocking import Pause
from respcache.registry import REGISTRY
from respcache.state import Client
from respcache.store.digest import digest_of_all
from respcache.store.hash import deadlines_of
from respcache.store.keyspace import Keyspace
from respcache.store.stream import Stream
from respcache.store.stream_groups import Group
from respcache.store.types import type_name
from tests.unit.test_connection import Peers, Socket
from tests.wire import Argument, encode

START = 1_700_000_000_000
"""What the clock says at first, in milliseconds since the epoch."""

Said = list[list[bytes]]
"""Commands, their names in upper case."""


def words(data: bytes) -> Said:
    """The commands of a stream."""
    reader = hiredis.Reader()
    reader.feed(data)
    found: Said = []
    while (argv := reader.gets()) is not False:
        found.append([argv[0].upper(), *argv[1:]])
    return found


class Origin:
    """A server that tells what it changes, with a clock that stands still."""

    def __init__(self, **directives: object) -> None:
        self.now = START
        self.peers = Peers(clock=Clock(lambda: self.now), enable_debug_command="yes", save="", **directives)
        self.state = self.peers.state
        self.propagator = self.state.propagator
        self.propagator.start()
        self.state.modes.switch("propagate", True)
        self.connection, self.socket = self.peers.connect()
        self("FLUSHALL")
        self.taken()  # with the first SELECT

    def __call__(self, *command: Argument) -> bytes:
        """Runs a command and returns the reply."""
        self.connection.data_received(encode(*command))
        return self.socket.told

    def connect(self, *command: Argument) -> Socket:
        """Another client, that sends a command."""
        connection, sock = self.peers.connect()
        connection.data_received(encode(*command))
        return sock

    def taken(self) -> Said:
        """What was propagated since the last time; the first database is selected at first."""
        return words(self.propagator.take())

    def told(self, *command: Argument) -> list[str]:
        """Runs a command and returns what is propagated, one line for each, as `lines`."""
        assert not self(*command).startswith(b"-"), command
        return self.lines()

    def lines(self) -> list[str]:
        """What was propagated since the last time; words are joined by blanks."""
        return [b" ".join(argv).decode("latin-1") for argv in self.taken()]

    def expire(self) -> None:
        """Deletes all that is due."""
        while self.state.keyspace.expire_due(1):
            pass

    def close(self) -> None:
        self.state.loop.close()


class Replica:
    """A server that replays a stream, in which nothing expires by itself: for its data the time stands still."""

    def __init__(self) -> None:
        self.peers = Peers()
        self.state = self.peers.state
        self.state.clock.ms = lambda: START + (1 << 40)  # replayed long after
        for db in self.state.keyspace.databases:
            db.clock = Clock(lambda: 0)
        connection, _ = self.peers.connect()
        self.client: Client = connection.client
        self.state.nested = True

    def replay(self, commands: Said) -> None:
        """Runs commands; none may fail."""
        for argv in commands:
            if argv[0] in (b"MULTI", b"EXEC"):
                continue
            command = REGISTRY.resolve(argv)
            assert command is not None, argv
            try:
                command.handler(self.client, *argv[2 if command.parent else 1 :])
            except (Exception, Pause) as error:
                raise AssertionError(f"{error!r} of {argv}") from error

    def close(self) -> None:
        self.state.loop.close()


def contents(keyspace: Keyspace) -> dict[tuple[int, bytes], object]:
    """All that is stored, deadlines included, in a form that can be compared; not when consumers did something."""
    found: dict[tuple[int, bytes], object] = {(-1, b""): digest_of_all(keyspace.databases)}
    for db in keyspace.databases:
        for shard in db.shards if db.size else ():
            for key, value in shard.items():
                kind: object = type_name(value)
                fields = sorted((deadlines_of(value) or _NONE).items()) if kind == b"hash" else []
                if isinstance(value, Stream):
                    groups = {name: _group(group) for name, group in value.groups.items()}
                    kind = (value.last_id, value.entries_added, value.max_deleted_id, groups)
                found[db.index, key] = (db.deadline(key), fields, kind)
    return found


def _group(group: Group) -> object:
    pending = {id: (found.consumer.name, found.delivered, found.count) for id, found in group.pending.items()}
    return group.last_id, group.entries_read, sorted(group.consumers), pending


_NONE: dict[bytes, int] = {}


def well_formed(commands: Said) -> bool:
    """Whether MULTI and EXEC come in turn, around two commands or more."""
    inside = -1
    for argv in commands:
        if argv[0] == b"MULTI":
            if inside >= 0:
                return False
            inside = 0
        elif argv[0] == b"EXEC":
            if inside < 2:
                return False
            inside = -1
        elif inside >= 0 and argv[0] != b"SELECT":
            inside += 1
    return inside < 0

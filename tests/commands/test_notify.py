"""Keyspace notifications: which events a change is, in which order, and where they are published."""

from __future__ import annotations

import shlex
import time

import pytest

from tests.commands.conftest import Connect
from tests.wire import OK, Error, Wire

ALL = "EAmn"


class Events:
    """Listens to the events of a server. `ask` changes something there."""

    def __init__(self, ask: Wire, listener: Wire) -> None:
        self.ask = ask
        self.listener = listener
        for pattern in ("__key*__:*", "end"):
            listener("PSUBSCRIBE", pattern)

    def __call__(self, *commands: str, flags: str = ALL) -> str:
        """The events of some commands as `set a, 1:del b`: database 0 is not named. Errors do not matter."""
        assert self.ask("CONFIG", "SET", "notify-keyspace-events", flags) == OK
        for command in commands:
            self.ask(*shlex.split(command))
        assert self.ask("CONFIG", "SET", "notify-keyspace-events", "") == OK
        self.ask("PUBLISH", "end", "")
        return ", ".join(_event(channel, word) for channel, word in self.read())

    def read(self) -> list[tuple[str, str]]:
        """Channel and message of what was published up to now."""
        found = []
        while (message := self.listener.read_push())[2] != b"end":
            _, _, channel, word = message
            found.append((channel.decode(), word.decode()))
        return found


def _event(channel: str, word: str) -> str:
    kind, _, name = channel.partition("__:")
    where, _, number = kind.partition("@")
    assert where in ("__keyevent", "__keyspace")
    words = f"{name} {word}" if where == "__keyevent" else f"{word} {name} (keyspace)"
    return words if number == "0" else f"{number}:{words}"


@pytest.fixture
def events(c: Wire, connect: Connect) -> Events:
    """The events of the server of the test."""
    return Events(c, connect())


def check(events: Events, table: str) -> None:
    """Each line reads `what is there before || commands => events`, with `;` between commands."""
    for line in table.strip().splitlines():
        case, arrow, expected = line.partition(" =>")
        assert arrow, line
        before, _, commands = case.rpartition(" || ")
        events.ask("FLUSHALL")
        for command in filter(None, before.split("; ")):
            assert not isinstance(events.ask(*shlex.split(command)), Error), line
        assert events(*commands.split("; ")) == expected.strip(), line


def test_what_debug_makes_is_no_event_of_a_command(events: Events) -> None:
    assert events("DEBUG POPULATE 1", flags="EA") == ""


STRINGS = """
SET a 1 => new a, set a
SET a 1 || SET a 2 => set a
SET a 1 || SET a 2 XX => set a
SET a 1 || SET a 2 NX =>
SET a 2 NX => new a, set a
SET a 2 XX =>
SET a 1 EX 10 => new a, set a, expire a
SET a 1 PX 10000 => new a, set a, expire a
SET a 1 EXAT 99999999999 => new a, set a, expire a
SET a 1 EX 10 || SET a 2 KEEPTTL => set a
SET a 1 EX 10 || SET a 2 => set a
SET a 1 PXAT 1000 => new a, set a, expire a
SET a 1 || SET a 1 PXAT 1000 => set a, expire a
SET a 1 EXAT 1 => new a, set a, expire a
SET a 1 || SET a 2 GET => set a
SET a 2 GET => keymiss a, new a, set a
SET a 1 || SET a 2 NX GET =>
SET a 1 || SET a 2 XX GET EX 100 => set a, expire a
SETEX a 10 1 => new a, set a, expire a
PSETEX a 10000 1 => new a, set a, expire a
SETNX a 1 => new a, set a
SET a 1 || SETNX a 1 =>
MSET a 1 b 2 a 3 => new a, set a, new b, set b, set a
MSETNX a 1 b 2 => new a, set a, new b, set b
SET a 1 || MSETNX a 1 b 2 =>
GET a => keymiss a
SET a 1 || GET a =>
MGET a b => keymiss a, keymiss b
SET a 1 || MGET a b a => keymiss b
GETSET a 1 => keymiss a, new a, set a
SET a 1 || GETSET a 2 => set a
GETDEL a => keymiss a
SET a 1 || GETDEL a => del a
GETEX a => keymiss a
SET a 1 || GETEX a =>
SET a 1 || GETEX a EX 10 => expire a
SET a 1 || GETEX a PXAT 1 => del a
SET a 1 || GETEX a EXAT 99999999 => del a
SET a 1 EX 10 || GETEX a PERSIST => persist a
SET a 1 || GETEX a PERSIST =>
GETRANGE a 0 1 => keymiss a
SUBSTR a 0 1 => keymiss a
STRLEN a => keymiss a
APPEND a x => new a, append a
SET a 1 || APPEND a x => append a
SET a 1 || APPEND a '' => append a
APPEND a '' => new a, append a
SETRANGE a 0 x => new a, setrange a
SETRANGE a 0 '' =>
SET a abc || SETRANGE a 1 '' =>
SET a abc || SETRANGE a 1 x => setrange a
LCS a b => keymiss a, keymiss b
SET a x || LCS a b => keymiss b
"""

COUNTERS = """
INCR a => new a, incrby a
SET a 1 || INCR a => incrby a
DECR a => new a, incrby a
INCRBY a 5 => new a, incrby a
DECRBY a 5 => new a, incrby a
INCRBYFLOAT a 5 => new a, incrbyfloat a
SET a 1 || INCRBYFLOAT a 0.5 => incrbyfloat a
SET a x || INCR a =>
"""

EXPIRE = """
TTL a => keymiss a
PTTL a => keymiss a
EXPIRETIME a => keymiss a
EXPIRE a 10 =>
SET a 1 || EXPIRE a 10 => expire a
SET a 1 || EXPIRE a 10 XX =>
SET a 1 || EXPIRE a 10 NX => expire a
SET a 1 || EXPIRE a -1 => del a
SET a 1 || EXPIRE a 0 => del a
SET a 1 || PEXPIRE a 10000 => expire a
SET a 1 || EXPIREAT a 99999999999 => expire a
SET a 1 || EXPIREAT a 1 => del a
SET a 1 || PEXPIREAT a 999999999999999 => expire a
SET a 1 || PEXPIREAT a 1 => del a
PERSIST a =>
SET a 1 || PERSIST a =>
SET a 1 EX 10 || PERSIST a => persist a
"""

KEYS = """
EXISTS a b => keymiss a, keymiss b
TYPE a => keymiss a
OBJECT ENCODING a =>
OBJECT IDLETIME a =>
OBJECT FREQ a =>
MEMORY USAGE a =>
DEBUG OBJECT a =>
TOUCH a b => keymiss a, keymiss b
DEL a =>
SET a 1; SET b 2 || DEL a b c a => del a, del b
SET a 1; SET b 2 || UNLINK a b c => del a, del b
RENAME a b =>
SET a 1 || RENAME a b => new b, rename_from a, rename_to b
SET a 1; SET b 1 || RENAME a b => new b, rename_from a, rename_to b
SET a 1 || RENAME a a =>
SET a 1 || RENAMENX a b => new b, rename_from a, rename_to b
SET a 1; SET b 1 || RENAMENX a b =>
SET a 1 || RENAMENX a a =>
SET a 1 EX 100; SET b 2 || RENAME a b => new b, rename_from a, rename_to b
COPY a b => keymiss a
SET a 1 || COPY a b => new b, copy_to b
SET a 1; SET b 2 || COPY a b =>
SET a 1; SET b 2 || COPY a b REPLACE => new b, copy_to b
SET a 1 || COPY a a DB 3 => 3:new a, 3:copy_to a
SET a 1 EX 100 || COPY a b DB 3 => 3:new b, 3:copy_to b
"""

DATABASES = """
MOVE a 1 =>
SET a 1 || MOVE a 1 => 1:new a, move_from a, 1:move_to a
SET a 1 EX 10 || MOVE a 1 => 1:new a, move_from a, 1:move_to a
SET a 1; SELECT 1; SET a 1; SELECT 0 || MOVE a 1 =>
SET a 1; SET b 2 || FLUSHDB =>
SET a 1; SET b 2 || FLUSHALL =>
SET a 1 || SWAPDB 0 1 =>
SET a 1 || RANDOMKEY =>
RANDOMKEY =>
SET a 1 || KEYS * =>
SET a 1 || SCAN 0 =>
"""

DUE = """
GET a => expired a, keymiss a
SET a 2 => expired a, new a, set a
INCR a => expired a, new a, incrby a
DEL a => expired a
EXPIRE a 10 => expired a
RENAME b a => expired a, new a, rename_from b, rename_to a
COPY b a => expired a, new a, copy_to a
RENAMENX b a => expired a, new a, rename_from b, rename_to a
MSET a 1 => expired a, new a, set a
SETNX a 1 => expired a, new a, set a
EXISTS a => expired a, keymiss a
GETSET a 1 => expired a, keymiss a, new a, set a
SET a 1 GET => expired a, keymiss a, new a, set a
GETDEL a => expired a, keymiss a
APPEND a x => expired a, new a, append a
PERSIST a => expired a
KEYS * =>
SCAN 0 => expired a
MOVE a 1 => expired a
COPY a b REPLACE => expired a, keymiss a
"""
"""What happens when `a` is due and still there; `b` is there."""

TABLES = {"strings": STRINGS, "counters": COUNTERS, "expire": EXPIRE, "keys": KEYS, "databases": DATABASES}


@pytest.mark.parametrize("family", TABLES)
def test_events(events: Events, family: str) -> None:
    check(events, TABLES[family])


def test_due_keys(events: Events) -> None:
    ask = events.ask
    for line in DUE.strip().splitlines():
        command, _, expected = line.partition(" =>")
        ask("FLUSHALL")
        ask("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        if " b" in command:
            ask("SET", "b", 1)
        ask("SET", "a", 1, "PX", 1)
        time.sleep(0.003)
        assert events(command) == expected.strip(), line


def test_active_expiry(events: Events) -> None:
    ask = events.ask
    ask("CONFIG", "SET", "notify-keyspace-events", "Ex")
    ask("SET", "a", 1, "PX", 10)
    _, pattern, channel, key = events.listener.read_push()
    assert (pattern, channel, key) == (b"__key*__:*", b"__keyevent@0__:expired", b"a")


def test_classes(events: Events) -> None:
    commands = ("GET a", "SET a 1", "EXPIRE a 100", "DEL a")
    assert events(*commands, flags="E$") == "set a"
    assert events(*commands, flags="Eg") == "expire a, del a"
    assert events(*commands, flags="Em") == "keymiss a"
    assert events(*commands, flags="En") == "new a"
    assert events(*commands, flags="El") == ""
    assert events(*commands, flags="EA") == "set a, expire a, del a"
    assert events(*commands, flags="A") == ""
    assert events(*commands, flags="KE") == ""
    assert events(*commands, flags="K$") == "set a (keyspace)"
    assert events(*commands, flags="KE$") == "set a (keyspace), set a"


def test_key_of_any_bytes(events: Events) -> None:
    ask, listener = events.ask, events.listener
    ask("CONFIG", "SET", "notify-keyspace-events", "KE$")
    ask("SET", b"\r\n\xff", 1)
    assert listener.read_push()[2:] == [b"__keyspace@0__:\r\n\xff", b"set"]
    assert listener.read_push()[2:] == [b"__keyevent@0__:set", b"\r\n\xff"]


def test_other_database(events: Events) -> None:
    events.ask("SELECT", 9)
    assert events("SET a 1", "DEL a", flags="EA") == "9:set a, 9:del a"


def test_transaction(events: Events) -> None:
    assert events("MULTI", "SET a 1", "INCR a", "EXEC", flags="EA") == "set a, incrby a"


@pytest.mark.protocol(3)
def test_to_whom_it_changes_itself(c: Wire, connect: Connect) -> None:
    # Before 7.2 the message stands before the reply.
    c("CONFIG", "SET", "notify-keyspace-events", "E$")
    c("SUBSCRIBE", "__keyevent@0__:set")
    c.send("SET", "a", 1)
    assert sorted(map(str, (c.read(), c.read()))) == sorted(
        map(str, (OK, c.as_push([b"message", b"__keyevent@0__:set", b"a"])))
    )


def test_configuration(c: Wire) -> None:
    assert c("CONFIG", "SET", "notify-keyspace-events", "KEA") == OK
    assert c("CONFIG", "GET", "notify-keyspace-events") == c.as_map({b"notify-keyspace-events": b"AKE"})
    reply = c("CONFIG", "SET", "notify-keyspace-events", "q")
    assert isinstance(reply, Error)

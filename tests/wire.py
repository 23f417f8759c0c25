"""A small blocking client that tells exactly what a server sent.

redis-py turns replies into friendly Python values: `+OK` and `$2 OK` look alike, as do the three nulls. Here
every RESP type stays distinct:

    bulk string -> bytes, integer -> int, array -> list; the rest are the types of this module.

So a test reads `assert c("SET", "k", "v") == OK` and `assert c("GET", "k") == b"v"`. Where RESP2 and RESP3
differ, the connection knows what to expect: `c.null`, `c.as_map({b"f": b"v"})`, `c.as_double("1.5")`.

Decoding is strict: a length or an integer that is not in its canonical form raises `ProtocolError`.
"""

from __future__ import annotations

import enum
import select
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT = 5.0
"""Seconds that any single wait for the server may take."""

Argument = str | bytes | int | float

# Replies are typed Any: a union of fifteen recursive types would make each `reply[0]` of a test a type error.
Reply = Any


class ProtocolError(Exception):
    """The server sent something that is not RESP, or not in its canonical form."""


class Null(enum.Enum):
    """The three nulls: `$-1` and `*-1` of RESP2, `_` of RESP3."""

    BULK = "$-1"
    ARRAY = "*-1"
    RESP3 = "_"


@dataclass(frozen=True, slots=True)
class Status:
    """`+text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Error:
    """`-text`, the code included: `Error("ERR syntax error")`."""

    text: str


@dataclass(frozen=True, slots=True)
class Double:
    """`,text`: the text is kept as sent, since its digits are part of the contract."""

    text: str


@dataclass(frozen=True, slots=True)
class Bool:
    """`#t` or `#f`: never equal to an integer."""

    value: bool


@dataclass(frozen=True, slots=True)
class BigNumber:
    """`(text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Verbatim:
    """`=len` with its three-letter format."""

    kind: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Map:
    """`%n`, its pairs in the order sent."""

    pairs: tuple[tuple[Reply, Reply], ...]

    def __getitem__(self, key: Reply) -> Reply:
        """The value of the first pair with this key; KeyError if there is none."""
        for name, value in self.pairs:
            if name == key:
                return value
        raise KeyError(key)


@dataclass(frozen=True, slots=True)
class Set:
    """`~n`, its members in the order sent; `members()` compares without order."""

    items: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Push:
    """`>n`."""

    items: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class Attributed:
    """`|n`: attributes and the reply that follows them."""

    attributes: Map
    reply: Reply


OK = Status("OK")
QUEUED = Status("QUEUED")
PONG = Status("PONG")
NULL_BULK = Null.BULK
NULL_ARRAY = Null.ARRAY
NULL = Null.RESP3
WRONGTYPE = Error("WRONGTYPE Operation against a key holding the wrong kind of value")
SYNTAX_ERROR = Error("ERR syntax error")
NOT_AN_INTEGER = Error("ERR value is not an integer or out of range")
NOT_A_FLOAT = Error("ERR value is not a valid float")


def arity_error(name: str) -> Error:
    """The error of a wrong number of arguments; a subcommand's name is `config|get`."""
    return Error(f"ERR wrong number of arguments for '{name}' command")


def members(reply: Reply) -> list[Reply]:
    """The sorted items of an array or a set, for replies whose order means nothing."""
    assert isinstance(reply, list | Set), f"neither array nor set: {reply!r}"
    return sorted(reply if isinstance(reply, list) else reply.items)


def pairs(reply: Reply) -> dict[Reply, Reply]:
    """The pairs of a map, or of the flat array that is RESP2's map, for replies whose order means nothing."""
    if isinstance(reply, Map):
        found = dict(reply.pairs)
        size = len(reply.pairs)
    else:
        assert isinstance(reply, list), f"neither map nor array: {reply!r}"
        found = dict(zip(reply[::2], reply[1::2], strict=True))
        size = len(reply) // 2
    assert len(found) == size, f"a key comes twice: {reply!r}"
    return found


def _bytes(value: Argument) -> bytes:
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else repr(value)).encode()


def encode(*args: Argument) -> bytes:
    """The command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(args)]
    for value in map(_bytes, args):
        parts.append(b"$%d\r\n%b\r\n" % (len(value), value))
    return b"".join(parts)


class Wire:
    """One connection. Waits end in TimeoutError after `timeout` seconds, in EOFError if the server closes."""

    def __init__(
        self, port: int, *, protocol: int = 2, timeout: float = TIMEOUT, sock: socket.socket | None = None
    ) -> None:
        """Connect to a port of the loopback, or use a connected `sock`; protocol 3 says `HELLO 3` first."""
        self.protocol = protocol
        self.timeout = timeout
        self._socket = sock or socket.create_connection(("127.0.0.1", port), timeout)
        self._buffer = bytearray()
        if sock is None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if protocol == 3:
                hello = self("HELLO", 3)
                if not isinstance(hello, Map):
                    self.close()
                    raise ProtocolError(f"HELLO 3 was answered with {hello!r}")

    @property
    def port(self) -> int:
        """Where the server listens."""
        return int(self._socket.getpeername()[1])

    @property
    def readable(self) -> bool:
        """Whether something has been sent that was not read yet."""
        return bool(self._buffer) or bool(select.select([self._socket], [], [], 0)[0])

    def __call__(self, *args: Argument) -> Reply:
        """Send a command and return the next thing the server says, a push included."""
        self.raw(encode(*args))
        return self.read()

    def send(self, *args: Argument) -> None:
        """Send a command and read nothing."""
        self.raw(encode(*args))

    def pipeline(self, commands: Iterable[Sequence[Argument]]) -> list[Reply]:
        """Send all commands in one write and return as many replies."""
        encoded = [encode(*command) for command in commands]
        self.raw(b"".join(encoded))
        return [self.read() for _ in encoded]

    def raw(self, data: bytes) -> None:
        """Send these bytes as they are."""
        self._socket.settimeout(self.timeout)
        self._socket.sendall(data)

    def read(self, timeout: float | None = None) -> Reply:
        """The next reply or push."""
        return self._value(time.monotonic() + (self.timeout if timeout is None else timeout))

    def read_push(self, timeout: float | None = None) -> list[Reply]:
        """The items of the next message: it must be a push in RESP3, an array in RESP2."""
        message = self.read(timeout)
        expected = Push if self.protocol == 3 else list
        assert isinstance(message, expected), f"not a message: {message!r}"
        return list(message.items) if isinstance(message, Push) else message

    def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes, undecoded."""
        return self._take(size, time.monotonic() + self.timeout)

    def quiet(self, seconds: float = 0.05) -> bool:
        """Whether the server says nothing for so long: a blocked client, a message not sent."""
        if self._buffer:
            return False
        try:
            self._fill(time.monotonic() + seconds)
        except TimeoutError:
            return True
        except (EOFError, ConnectionError):
            pass
        return False

    def closed(self) -> bool:
        """Whether the server closes the connection in time, without another byte."""
        if self._buffer:
            return False
        try:
            self._fill(time.monotonic() + self.timeout)
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            pass
        return False

    def close(self) -> None:
        """Close our end; safe to repeat."""
        self._socket.close()

    def fileno(self) -> int:
        """The file descriptor, for `select`."""
        return self._socket.fileno()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What a reply looks like in the protocol of this connection.

    @property
    def null(self) -> Null:
        """The null of an absent value."""
        return NULL if self.protocol == 3 else NULL_BULK

    @property
    def null_array(self) -> Null:
        """The null of an absent array, as of EXEC, BLPOP and XREAD."""
        return NULL if self.protocol == 3 else NULL_ARRAY

    def as_map(self, content: Mapping[Any, Reply] | Iterable[tuple[Reply, Reply]]) -> Reply:
        """A map; in RESP2 a flat array."""
        items = list(content.items() if isinstance(content, Mapping) else content)
        return Map(tuple(items)) if self.protocol == 3 else [part for pair in items for part in pair]

    def as_set(self, items: Iterable[Reply]) -> Reply:
        """A set; in RESP2 an array."""
        return Set(tuple(items)) if self.protocol == 3 else list(items)

    def as_push(self, items: Iterable[Reply]) -> Reply:
        """A push; in RESP2 an array."""
        return Push(tuple(items)) if self.protocol == 3 else list(items)

    def as_double(self, text: str) -> Reply:
        """A double; in RESP2 a bulk string."""
        return Double(text) if self.protocol == 3 else text.encode()

    def as_bool(self, value: bool) -> Reply:
        """A boolean; in RESP2 an integer."""
        return Bool(value) if self.protocol == 3 else int(value)

    def as_verbatim(self, data: bytes, kind: str = "txt") -> Reply:
        """A verbatim string; in RESP2 a bulk string."""
        return Verbatim(kind, data) if self.protocol == 3 else data

    def as_scores(self, content: Iterable[tuple[Reply, str]]) -> Reply:
        """Members with scores, as of ZRANGE: arrays of two; in RESP2 one flat array of bulk strings."""
        if self.protocol == 3:
            return [[member, Double(score)] for member, score in content]
        return [part for member, score in content for part in (member, score.encode())]

    # Decoding.

    def _value(self, deadline: float) -> Reply:
        line = self._line(deadline)
        kind, rest = line[:1], line[1:]
        match kind:
            case b"$":
                size = _length(rest)
                return NULL_BULK if size < 0 else self._block(size, deadline)
            case b":":
                return _integer(rest)
            case b"+":
                return Status(_text(rest))
            case b"-":
                return Error(_text(rest))
            case b"*":
                size = _length(rest)
                return NULL_ARRAY if size < 0 else [self._value(deadline) for _ in range(size)]
            case b"_" if not rest:
                return NULL
            case b",":
                return Double(_text(rest))
            case b"#" if rest in (b"t", b"f"):
                return Bool(rest == b"t")
            case b"(":
                return BigNumber(_text(rest))
            case b"=":
                block = self._block(_length(rest, null=False), deadline)
                if block[3:4] != b":":
                    raise ProtocolError(f"verbatim string without a format: {block!r}")
                return Verbatim(_text(block[:3]), block[4:])
            case b"%":
                return self._map(rest, deadline)
            case b"~":
                return Set(tuple(self._value(deadline) for _ in range(_length(rest, null=False))))
            case b">":
                return Push(tuple(self._value(deadline) for _ in range(_length(rest, null=False))))
            case b"|":
                return Attributed(self._map(rest, deadline), self._value(deadline))
        raise ProtocolError(f"not a reply: {line!r}")

    def _map(self, size: bytes, deadline: float) -> Map:
        return Map(
            tuple((self._value(deadline), self._value(deadline)) for _ in range(_length(size, null=False)))
        )

    def _line(self, deadline: float) -> bytes:
        seen = 0
        while (end := self._buffer.find(b"\r\n", seen)) < 0:
            seen = max(len(self._buffer) - 1, 0)
            self._fill(deadline)
        line = self._take(end + 2, deadline)[:-2]
        if b"\n" in line or b"\r" in line:
            raise ProtocolError(f"a bare CR or LF in a line: {line!r}")
        return line

    def _block(self, size: int, deadline: float) -> bytes:
        block = self._take(size + 2, deadline)
        if block[-2:] != b"\r\n":
            raise ProtocolError(f"a string of {size} bytes does not end with CRLF: {block[-40:]!r}")
        return block[:-2]

    def _take(self, size: int, deadline: float) -> bytes:
        while len(self._buffer) < size:
            self._fill(deadline)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill(self, deadline: float) -> None:
        # A timeout of zero would mean a non-blocking socket, and another exception.
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        data = self._socket.recv(1 << 16)
        if not data:
            raise EOFError("the server closed the connection")
        self._buffer += data


class Pair:
    """Two connections in the same protocol, to be told the same: `ours, oracle = pair`."""

    def __init__(self, ours: Wire, oracle: Wire) -> None:
        self.ours = ours
        self.oracle = oracle
        self.protocol = ours.protocol

    def __iter__(self) -> Iterator[Wire]:
        return iter((self.ours, self.oracle))

    def both(self, *args: Argument) -> Reply:
        """Send the command to both servers, assert that they answer alike, and return the answer."""
        self.ours.send(*args)
        expected = self.oracle(*args)
        assert self.ours.read() == expected, f"the answers to {args!r} differ"
        return expected


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _integer(data: bytes) -> int:
    try:
        value = int(data)
    except ValueError:
        value = None
    if value is None or b"%d" % value != data:
        raise ProtocolError(f"not a canonical integer: {data!r}")
    return value


def _length(data: bytes, *, null: bool = True) -> int:
    size = _integer(data)
    if size < (-1 if null else 0):
        raise ProtocolError(f"not a length: {data!r}")
    return size

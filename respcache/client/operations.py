"""What a cache does, written once for threads and for asyncio: what to ask of which node, and what the answers mean.

Every method here gives an `Operation`; the two clients differ only in how they carry one out. Their methods are
made of these, docstrings included: so what these say is what the caller of a client reads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from math import inf
from typing import Any, Generic, Literal, TypedDict, TypeVar

from respcache.client.dial import check
from respcache.client.errors import StoredValueError, ValueSizeError, ValueTypeError
from respcache.client.fleet import Fleet
from respcache.client.health import Health
from respcache.client.links import CONNECTIONS
from respcache.client.node import Nodes, read_nodes
from respcache.client.request import FULL, NO_VALUE, Command, Request
from respcache.client.ring import Hash
from respcache.client.values import Codec, Values

T = TypeVar("T")
Key = str | bytes | int
K = TypeVar("K", bound=Key)
Seconds = float | timedelta

log = logging.getLogger("respcache.client")

LARGEST = 512 << 20  # bytes of a value that a node takes
BATCH = 1000  # keys in one command, so that no node is busy with it for long


class Options(TypedDict, total=False):
    """What a client may be told.

    timeout: seconds that an operation takes at most, all its nodes and attempts together; 0.5.
    errors: "miss" (a node that does not answer has no keys) or "raise" (NodeError, DeadlineError).
    codec: for objects of other types than the basic ones: "pickle", or an object with encode and decode.
    failures: how many in a row eject a node; 2.
    check_interval: seconds between two checks of all nodes; 1.0.
    rehash: whether the keys of an ejected node move to the others (as with twemproxy's auto_eject_hosts)
        instead of being misses.
    connections: how many to each node at most; who finds none free waits for one, within its timeout; 32.
    hash, hash_tag: as in a pool of twemproxy; "md5" and "".
    connection: redis-py's options for connections to all nodes: password, username, db, protocol, client_name, ...
    """

    timeout: Seconds
    errors: Literal["miss", "raise"]
    codec: Codec | str | None
    failures: int
    check_interval: Seconds
    rehash: bool
    connections: int
    hash: str | Hash
    hash_tag: str
    connection: Mapping[str, Any]


class Operation(Generic[T]):
    """Requests, at most one for each node, and what is made of their replies.

    `timeout` is as the caller gave it. `repeatable`: asked twice it gives the same.
    """

    __slots__ = ("repeatable", "requests", "result", "timeout")

    def __init__(
        self,
        requests: list[Request],
        result: Callable[[], T],
        timeout: Seconds | None = None,
        *,
        repeatable: bool = True,
    ) -> None:
        self.requests = requests
        self.result = result
        self.timeout = timeout
        self.repeatable = repeatable


def key_bytes(key: Key) -> bytes:
    """A key as nodes know it: text in UTF-8, an int in decimal. Raises ValueTypeError for other types.

    So 1, "1" and b"1" are the same key.
    """
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return b"%d" % key
    raise ValueTypeError(f"a key is str, bytes or int, not {type(key).__name__}")


def in_seconds(what: str, time: Seconds) -> float:
    """A time in seconds. Raises TypeError for what is none."""
    if isinstance(time, timedelta):
        return time.total_seconds()
    if not isinstance(time, int | float) or isinstance(time, bool):
        raise TypeError(f"{what} is a number of seconds or a timedelta, not {time!r}")
    return time


def _until(seconds: Seconds | None) -> Command:
    """The words that end a SET: when the value goes."""
    return () if seconds is None else (b"PX", milliseconds(seconds))


def milliseconds(time: Seconds) -> int:
    """A time to live as Redis takes it, at least a millisecond. Raises ValueError if there is none."""
    seconds = in_seconds("expire", time)
    if not 0 < seconds < inf:
        raise ValueError(f"a time to live is more than nothing and has an end, not {seconds}")
    return max(1, round(seconds * 1000))


class Operations:
    """The operations of a cache on these nodes, with these options."""

    def __init__(self, nodes: Nodes, options: Options) -> None:
        unknown = options.keys() - Options.__annotations__.keys()
        if unknown:
            raise TypeError(
                f"no option {', '.join(sorted(unknown))}: see respcache.client.operations.Options"
            )
        errors = options.get("errors", "miss")
        if errors not in ("miss", "raise"):
            raise ValueError(f'errors is "miss" or "raise", not {errors!r}')
        self.timeout = in_seconds("timeout", options.get("timeout", 0.5))
        self.check_interval = in_seconds("check_interval", options.get("check_interval", 1.0))
        if not (self.timeout > 0 and self.check_interval > 0):
            raise ValueError("timeout and check_interval are more than nothing")
        self.connections = _count("connections", options.get("connections", CONNECTIONS))
        self.strict = errors == "raise"
        self.values = Values(options.get("codec"))
        read = read_nodes(nodes, options.get("connection", {}))
        for node in read:
            check(node)
        self.fleet = Fleet(
            read,
            hash=options.get("hash", "md5"),
            hash_tag=options.get("hash_tag", ""),
            rehash=options.get("rehash", False),
            strict=self.strict,
            limit=_count("failures", options.get("failures", 2)),
            patience=self.timeout,
        )

    def get(self, key: Key, default: Any = None, *, timeout: Seconds | None = None) -> Operation[Any]:
        """The value of a key; the default if it has none, or one that cannot be read, or its node does not answer."""
        name = key_bytes(key)
        return self._ask_one(
            name,
            ((b"GET", name),),
            lambda reply: default if reply is None else self._read(key, reply, default),
            default,
            timeout,
            mild=NO_VALUE,
        )

    def set(
        self, key: Key, value: Any, expire: Seconds | None = None, *, timeout: Seconds | None = None
    ) -> Operation[bool]:
        """Store a value, for so many seconds if `expire` is given; whether its node took it.

        False after a deadline may be wrong: the node may have read all of it. Raises ValueTypeError for a value of a
        type that needs a codec, ValueSizeError for one of more than 512 MB.
        """
        command = (b"SET", key_bytes(key), self._encoded(value), *_until(expire))
        return self._one(command, _is_there, False, timeout)

    def add(
        self, key: Key, value: Any, expire: Seconds | None = None, *, timeout: Seconds | None = None
    ) -> Operation[bool]:
        """Store a value if the key has none; whether it was stored."""
        command = (b"SET", key_bytes(key), self._encoded(value), b"NX", *_until(expire))
        return self._one(command, _is_there, False, timeout, repeatable=False)

    def delete(self, key: Key, *, timeout: Seconds | None = None) -> Operation[bool]:
        """Forget a key; whether it was there."""
        return self._one((b"UNLINK", key_bytes(key)), bool, False, timeout)

    def increment(self, key: Key, delta: int = 1, *, timeout: Seconds | None = None) -> Operation[int | None]:
        """Add to an int, atomically; a key without a value counts from 0. The new value, None without an answer.

        Without an answer it may have been counted: it is never asked twice. Raises ReplyError if the value is
        not an int of 64 bits, or would leave them.
        """
        return self._one((b"INCRBY", key_bytes(key), delta), _unchanged, None, timeout, repeatable=False)

    def decrement(self, key: Key, delta: int = 1, *, timeout: Seconds | None = None) -> Operation[int | None]:
        """Subtract from an int; as `increment`."""
        return self.increment(key, -delta, timeout=timeout)

    def contains(self, key: Key, *, timeout: Seconds | None = None) -> Operation[bool]:
        """Whether a key has a value."""
        return self._one((b"EXISTS", key_bytes(key)), bool, False, timeout)

    def touch(self, key: Key, *, timeout: Seconds | None = None) -> Operation[bool]:
        """Count a key as just used, for nodes that evict what was not; whether it has a value."""
        return self._one((b"TOUCH", key_bytes(key)), bool, False, timeout)

    def expire(self, key: Key, seconds: Seconds | None, *, timeout: Seconds | None = None) -> Operation[bool]:
        """Give a key so many seconds to live from now on, or no end (None); whether it has a value."""
        name = key_bytes(key)
        if seconds is None:
            # PERSIST alone says no for a key that is there and has no end.
            commands: list[Command] = [(b"PERSIST", name), (b"EXISTS", name)]
        else:
            commands = [(b"PEXPIRE", name, milliseconds(seconds))]
        return self._ask_one(name, commands, bool, False, timeout)

    def get_many(self, keys: Iterable[K], *, timeout: Seconds | None = None) -> Operation[dict[K, Any]]:
        """The keys that have values that can be read, with these. Each node is asked once, all at the same time."""
        named = {key: key_bytes(key) for key in keys}
        groups = self.fleet.group(dict.fromkeys(named.values()))
        asked = [
            (Request(node, [(b"MGET", *batch) for batch in _batches(names)]), names)
            for node, names in groups.items()
        ]

        def result() -> dict[K, Any]:
            found: dict[bytes, bytes | None] = {}
            for request, names in asked:
                for batch, values in zip(_batches(names), self._answers(request), strict=False):
                    found.update(zip(batch, values or (), strict=False))
            read: dict[K, Any] = {}
            for key, name in named.items():
                data = found.get(name)
                if data is not None and (value := self._read(key, data, _UNREADABLE)) is not _UNREADABLE:
                    read[key] = value
            return read

        return Operation([request for request, _ in asked], result, timeout)

    def set_many(
        self, values: Mapping[K, Any], expire: Seconds | None = None, *, timeout: Seconds | None = None
    ) -> Operation[list[K]]:
        """Store many values. The keys that could not be stored: none, if all is well."""
        named = {key: key_bytes(key) for key in values}
        encoded = {name: self._encoded(values[key]) for key, name in named.items()}
        until = _until(expire)
        asked = [
            (Request(node, [(b"SET", name, encoded[name], *until) for name in names]), names)
            for node, names in self.fleet.group(encoded).items()
        ]

        def result() -> list[K]:
            stored = {
                name
                for request, names in asked
                for name, reply in zip(names, self._answers(request), strict=False)
                if reply is not None
            }
            return [key for key, name in named.items() if name not in stored]

        return Operation([request for request, _ in asked], result, timeout)

    def delete_many(self, keys: Iterable[Key], *, timeout: Seconds | None = None) -> Operation[int]:
        """Forget many keys; how many were there."""
        groups = self.fleet.group({key_bytes(key): None for key in keys})
        requests = [
            Request(node, [(b"UNLINK", *batch) for batch in _batches(names)])
            for node, names in groups.items()
        ]
        return Operation(
            requests, lambda: sum(count or 0 for each in requests for count in self._answers(each)), timeout
        )

    def clear(self, *, timeout: Seconds | None = None) -> Operation[bool]:
        """Forget all keys of the nodes' databases, also those of others; whether all nodes did."""
        requests = [Request(node, [(b"FLUSHDB", b"ASYNC")]) for node in self.fleet.up()]

        def result() -> bool:
            done = [reply for request in requests for reply in self._answers(request)]
            return None not in done and len(done) == len(self.fleet.nodes)

        return Operation(requests, result, timeout)

    def check(self) -> Operation[dict[str, Health]]:
        """Ask all nodes whether they are there; what is known of them then, by name."""
        return Operation(self.fleet.checks(), self.fleet.health)

    def seconds(self, operation: Operation[Any]) -> float:
        """The time that an operation may take. Raises TypeError if the caller gave none that is one."""
        return self.timeout if operation.timeout is None else in_seconds("timeout", operation.timeout)

    def finish(self, operation: Operation[T]) -> T:
        """Learn from the replies who is well, and make the result of them. Raises what the operation may."""
        self.fleet.account(operation.requests)
        return operation.result()

    def _one(
        self,
        command: Command,
        read: Callable[[Any], T],
        absent: T,
        timeout: Seconds | None,
        *,
        repeatable: bool = True,
    ) -> Operation[T]:
        """One command about its second word."""
        key = command[1]
        assert isinstance(key, bytes)
        return self._ask_one(key, (command,), read, absent, timeout, repeatable=repeatable)

    def _ask_one(
        self,
        key: bytes,
        commands: list[Command] | tuple[Command, ...],
        read: Callable[[Any], T],
        absent: T,
        timeout: Seconds | None,
        *,
        repeatable: bool = True,
        mild: tuple[str, ...] = FULL,
    ) -> Operation[T]:
        """Commands about one key, of which the last reply is read. `mild` errors are as good as none."""
        node = self.fleet.holder(key)
        if node is None:
            return Operation([], lambda: absent, timeout)
        request = Request(node, commands)

        def result() -> T:
            if self._silent(request):
                return absent
            reply = request.replies[-1]
            return absent if request.refused(reply, strict=self.strict, mild=mild) else read(reply)

        return Operation([request], result, timeout, repeatable=repeatable)

    def _encoded(self, value: Any) -> bytes:
        """The bytes to store. Raises ValueTypeError or ValueSizeError."""
        data = self.values.encode(value)
        if len(data) > LARGEST:
            raise ValueSizeError(f"a value of {len(data):,} bytes: a node takes {LARGEST:,} at most")
        return data

    def _read(self, key: Key, data: bytes, unreadable: Any) -> Any:
        """The value of stored bytes. If it cannot be read: a line in the log, or the error if the client is told to."""
        try:
            return self.values.decode(data)
        except StoredValueError as error:
            if self.strict:
                raise
            log.warning("the value of %r is a miss: %s", key, error)
            return unreadable

    def _silent(self, request: Request) -> bool:
        """Whether the node did not answer; raises why, if the client is told to, and always a refusal."""
        if request.refusal is not None:
            raise request.refusal
        if request.failure is not None and self.strict:
            raise request.failure
        return request.failure is not None

    def _answers(self, request: Request) -> list[Any]:
        """The replies of a node, None for each that says it is full; nothing from one that did not answer."""
        if self._silent(request):
            return []
        return [None if request.refused(each, strict=self.strict) else each for each in request.replies]


_UNREADABLE = object()


def _batches(keys: list[bytes]) -> Iterable[list[bytes]]:
    """The keys of one command after the other."""
    return (keys[start : start + BATCH] for start in range(0, len(keys), BATCH))


def _count(what: str, number: int) -> int:
    """A number from 1. Raises TypeError or ValueError for anything else."""
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{what} is an integer, not {number!r}")
    if number < 1:
        raise ValueError(f"{what} is at least 1, not {number}")
    return number


def _is_there(reply: Any) -> bool:
    return reply is not None


def _unchanged(reply: Any) -> Any:
    return reply

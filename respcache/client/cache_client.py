"""A cache on several nodes, for threads."""

from __future__ import annotations

import functools
import logging
import os
import threading
import weakref
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar, Unpack

from respcache.client.errors import CacheError
from respcache.client.health import Health
from respcache.client.links import Links
from respcache.client.node import Nodes
from respcache.client.operations import Key, Operation, Operations, Options
from respcache.client.ring import HashRing

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("respcache.client")


def _carried_out(
    plan: Callable[Concatenate[Operations, P], Operation[T]],
) -> Callable[Concatenate[CacheClient, P], T]:
    """The method of a client that carries an operation out."""

    @functools.wraps(plan)
    def method(self: CacheClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(plan(self._operations, *args, **kwargs))

    return method


class CacheClient:
    """A cache on several nodes: each key belongs to one of them, by a `HashRing`. Threads may share a client.

        with CacheClient(["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"]) as cache:
            cache.set("brazil", "football", expire=60)
            cache.get("brazil")

    A node is `"host:port"`, `"redis://..."`, `"rediss://..."`, `"unix://..."`, `(host, port)`, a line of
    twemproxy's `servers:`, or a mapping: `{"url": ..., "name": ..., "weight": ...}`. A mapping of names to nodes is
    taken instead of a list. Options: see `respcache.client.operations.Options`. Values: see `respcache.client.values`.

    A node that does not answer raises nothing: its keys are misses, and nothing is stored there. After some failures
    in a row it is not asked any more, until a check in the background (a thread, from the first operation to
    `close`) finds it again.
    """

    def __init__(self, nodes: Nodes, **options: Unpack[Options]) -> None:
        self._operations = Operations(nodes, options)
        self._links = Links(self._operations.connections)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._process: int | None = None  # the one in which the checks run
        self._closed = False

    get = _carried_out(Operations.get)
    set = _carried_out(Operations.set)
    add = _carried_out(Operations.add)
    delete = _carried_out(Operations.delete)
    increment = _carried_out(Operations.increment)
    decrement = _carried_out(Operations.decrement)
    contains = _carried_out(Operations.contains)
    touch = _carried_out(Operations.touch)
    expire = _carried_out(Operations.expire)
    get_many = _carried_out(Operations.get_many)
    set_many = _carried_out(Operations.set_many)
    delete_many = _carried_out(Operations.delete_many)
    clear = _carried_out(Operations.clear)
    check = _carried_out(Operations.check)

    __iter__ = None  # what has __getitem__ would be asked for 0, 1, 2, ...

    def __getitem__(self, key: Key) -> Any:
        missing = object()
        value = self.get(key, missing)
        if value is missing:
            raise KeyError(key)
        return value

    def __setitem__(self, key: Key, value: Any) -> None:
        self.set(key, value)

    def __delitem__(self, key: Key) -> None:
        if not self.delete(key):
            raise KeyError(key)

    def __contains__(self, key: Key) -> bool:
        return self.contains(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<CacheClient of {self._operations.fleet}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a client has connections: it cannot be pickled; make one in each process")

    @property
    def ring(self) -> HashRing:
        """The ring of all nodes."""
        return self._operations.fleet.ring

    def health(self) -> dict[str, Health]:
        """The state of every node, by name."""
        return self._operations.fleet.health()

    def close(self) -> None:
        """End the checks and close the connections. Operations raise CacheError from now on."""
        with self._lock:
            self._closed = True
            self._process = None
            self._stop.set()
        self._links.close()

    def _run(self, operation: Operation[T]) -> T:
        if self._process != os.getpid():
            self._start()
        if operation.requests:
            seconds = self._operations.seconds(operation)
            self._links.ask(operation.requests, monotonic() + seconds, repeatable=operation.repeatable)
        return self._operations.finish(operation)

    def _start(self) -> None:
        """Begin to check, at the first operation, and anew in a process that was forked."""
        with self._lock:
            if self._closed:
                raise CacheError("the client is closed")
            if self._process == os.getpid():
                return
            if self._process is not None:  # the connections are our parent's
                self._links = Links(self._operations.connections)
            self._stop = threading.Event()
            self._process = os.getpid()
            # The thread holds no client: one that is forgotten without `close` ends it too.
            weakref.finalize(self, self._stop.set)
            threading.Thread(
                target=_check_always,
                args=(weakref.ref(self), self._stop, self._operations.check_interval),
                name="respcache.client",
                daemon=True,
            ).start()


def _check_always(client: weakref.ref[CacheClient], stop: threading.Event, seconds: float) -> None:
    while not stop.wait(seconds):
        alive = client()
        if alive is None:
            return
        try:
            alive.check()
        except Exception as error:  # or an ejected node would never come back
            log.warning("a check failed: %s", error)
        del alive

"""Clients that read, write and count in a cluster, with a checker.

    with Load(cluster, writers=2) as load:      # threads, each a redis-py RedisCluster with keys of its own
        ... reshard, kill, cut ...
    load.check()                                # no key lost, doubled, or wrong; no reply was wrong meanwhile

Each writer knows what each of its keys may hold: after an acknowledged write exactly that; after one that ended in an
error (`errors` holds them) either that or what was there before. The clients try nothing twice by themselves,
redirections excepted. `check` fails for any error, unless it is told that errors were to be expected. With
`lossy=True` acknowledged writes may be lost as well, as asynchronous replication does when a master is killed; then
only what cannot be explained by that is wrong. `longest` is the longest time, in seconds, that a writer got nothing
done.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisError
from redis.retry import Retry

from tests.clusters import Cluster, call, myself, slot_of
from tests.servers import Server
from tests.wire import NULL_BULK, Argument, Wire

KEYS = 120
"""Of each kind, for each writer: they are spread over all slots."""

PAUSE = 0.001
"""Seconds between two commands of a writer: it is to meet what happens, not to be fast."""


class Wrong(AssertionError):
    """What a key holds is not what it can hold."""


class Writer:
    """One client in one thread, and what it knows of its keys."""

    def __init__(self, number: int, port: int, seed: int, protocol: int, lossy: bool) -> None:
        self.name = f"load{number}"
        self.done = 0
        self.errors: list[str] = []
        self.wrong: list[str] = []
        self.longest = 0.0
        self.strings: dict[str, set[bytes | None]] = {}
        """What each may hold."""
        self.counters: dict[str, tuple[int, int]] = {}
        """The least and the most that each may have come to."""
        self.lists: dict[str, list[tuple[bytes, bool]]] = {}
        """The elements of each in their order; whether it is certain that they are there."""
        self._lossy = lossy
        self._dice = random.Random(seed)
        self._client: Any = RedisCluster(
            startup_nodes=[ClusterNode("127.0.0.1", port)],  # type: ignore[no-untyped-call]
            protocol=protocol,
            socket_timeout=5,
            retry=Retry(NoBackoff(), 0),
        )

    def run(self, stop: threading.Event) -> None:
        """Works until told to stop."""
        steps = (self._set, self._set, self._count, self._push, self._get, self._set_pair, self._look)
        last = time.monotonic()
        while not stop.is_set():
            try:
                self._dice.choice(steps)()
                self.done += 1
                now = time.monotonic()
                self.longest, last = max(self.longest, now - last), now
            except (RedisError, OSError) as error:
                self.errors.append(f"{time.time():.3f} {error!r}")
                time.sleep(0.02)
            except Wrong as error:
                self.wrong.append(str(error))
            time.sleep(PAUSE)
        self._client.close()

    def _key(self, kind: str) -> str:
        return f"{self.name}:{kind}:{self._dice.randrange(KEYS)}"

    def _try(self, may: Callable[[], None], *words: Any) -> Any:
        """Sends a write; `may` notes that it may have happened, which is not known before the reply."""
        try:
            return self._client.execute_command(*words)
        except (RedisError, OSError):
            may()
            raise

    def _value(self) -> bytes:
        return f"{self.name}-{self.done}-".encode() + b"v" * self._dice.choice((0, 10, 300))

    def _set(self) -> None:
        key, value = self._key("string"), self._value()
        could = self.strings.setdefault(key, {None})
        self._try(lambda: could.add(value), "SET", key, value)
        self.strings[key] = {value, *could} if self._lossy else {value}

    def _set_pair(self) -> None:
        """Two keys of one slot at once: it may be that only one of them has moved yet."""
        tag = self._dice.randrange(KEYS)
        first, second = f"{{{self.name}:{tag}}}:a", f"{{{self.name}:{tag}}}:b"
        value = self._value()
        could = [self.strings.setdefault(key, {None}) for key in (first, second)]

        def may() -> None:
            for each in could:
                each.add(value)

        self._try(may, "MSET", first, value, second, value)
        for key, before in zip((first, second), could, strict=True):
            self.strings[key] = {value, *before} if self._lossy else {value}

    def _count(self) -> None:
        key = self._key("counter")
        least, most = self.counters.setdefault(key, (0, 0))

        def may() -> None:
            self.counters[key] = least, most + 1

        value = self._try(may, "INCR", key)
        if not (0 if self._lossy else least) < value <= most + 1:
            raise Wrong(f"INCR {key}: {value}, not {least + 1} to {most + 1}")
        self.counters[key] = (0 if self._lossy else value), value

    def _push(self) -> None:
        key = self._key("list")
        known = self.lists.setdefault(key, [])
        element = b"%d" % len(known)
        self._try(lambda: known.append((element, False)), "RPUSH", key, element)
        known.append((element, not self._lossy))

    def _get(self) -> None:
        key = self._key("string")
        self.compare(key, self._client.execute_command("GET", key))

    def _look(self) -> None:
        key = self._key("list")
        self.compare(key, self._client.execute_command("LRANGE", key, 0, -1))

    def compare(self, key: str, found: Any) -> None:
        """Raises Wrong if a key cannot hold what was found."""
        if key in self.lists or ":list:" in key:
            known = self.lists.get(key, [])
            places = {element: place for place, (element, _) in enumerate(known)}
            order = [places.get(element, -1) for element in found or []]
            certain = [place for place, (_, sure) in enumerate(known) if sure]
            if order != sorted(set(order)) or -1 in order or set(certain) - set(order):
                raise Wrong(f"{key} holds {found}, of {known}")
        elif key in self.counters:
            least, most = self.counters[key]
            if not least <= int(found or 0) <= most:
                raise Wrong(f"{key} holds {found}, not {least} to {most}")
        elif found not in self.strings.get(key, {None}):
            raise Wrong(f"{key} holds {found!r}, not one of {sorted(map(repr, self.strings[key]))[:5]}")

    @property
    def keys(self) -> dict[str, bool]:
        """All keys that may be there; whether they must."""
        sure = {key: None not in values for key, values in self.strings.items()}
        sure |= {key: least > 0 for key, (least, _) in self.counters.items()}
        return sure | {key: any(certain for _, certain in known) for key, known in self.lists.items()}


class Load:
    """All writers, from `with` until its end."""

    def __init__(
        self, cluster: Cluster, writers: int = 2, *, seed: int | None = None, protocol: int = 3, lossy: bool = False
    ) -> None:
        draw = random.Random(seed)
        port = cluster.living[0].port
        self.writers = [Writer(number, port, draw.randrange(1 << 30), protocol, lossy) for number in range(writers)]
        self._cluster = cluster
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=writer.run, args=(self._stop,)) for writer in self.writers]

    @property
    def done(self) -> int:
        """Commands that were answered."""
        return sum(writer.done for writer in self.writers)

    @property
    def errors(self) -> list[str]:
        """Errors that writers got, each with when that was in seconds since the epoch."""
        return [error for writer in self.writers for error in writer.errors]

    @property
    def longest(self) -> float:
        """Seconds: the longest time in which a writer got nothing done."""
        return max(writer.longest for writer in self.writers)

    def stop(self) -> None:
        """Ends the load; may be said twice."""
        self._stop.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def check(self, *, errors: bool = False) -> None:
        """Compares all masters with the books. Raises AssertionError. `errors`: writers were to get some."""
        self.stop()
        wrong = [each for writer in self.writers for each in writer.wrong]
        assert not wrong, f"{len(wrong)} replies were wrong: {wrong[:5]}"
        assert errors or not self.errors, f"{len(self.errors)} errors: {self.errors[:5]}"
        assert self.done, "nothing was written"
        homes = where_keys_are(self._cluster)
        for writer in self.writers:
            keys = writer.keys
            lost = [key for key, must in keys.items() if must and key not in homes]
            assert not lost, f"{len(lost)} keys are lost: {lost[:5]}"
            for server in {*homes.values()}:
                here = [key for key in keys if homes.get(key) is server]
                with Wire(server.port) as c:
                    for key, found in zip(here, c.pipeline(map(_read, here)), strict=True):
                        writer.compare(key, None if found is NULL_BULK else found)
        known = {key for writer in self.writers for key in writer.keys}
        strange = [key for key in homes if key.startswith("load") and key not in known]
        assert not strange, f"keys out of nowhere: {strange[:5]}"


def _read(key: str) -> list[Argument]:
    return ["LRANGE", key, 0, -1] if ":list:" in key else ["GET", key]


def where_keys_are(cluster: Cluster) -> dict[str, Server]:
    """The master that has each key. Raises AssertionError if one is doubled, or not where its slot is."""
    homes: dict[str, Server] = {}
    for server in cluster.masters():
        slots = myself(server).slots
        for word in call(server, "KEYS", "*"):
            key = word.decode()
            assert key not in homes, f"{key} is on {homes[key]!r} and on {server!r}"
            assert slot_of(key) in slots, f"{key} is on {server!r}, which does not own slot {slot_of(key)}"
            homes[key] = server
    return homes

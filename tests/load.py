"""Random writes of every kind, for tests of what must stay equal: replicas."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence

from tests.wire import Argument, Wire

Words = Sequence[Argument]

DATABASES = 3


class Writes:
    """Random commands that a Redis 7.0 knows, on few keys, so that they meet."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def one(self) -> Words:
        """A command. Some fail: the key may hold something else."""
        dice = self._dice
        return dice.choice(self._kinds)(self)

    def batch(self, most: int = 30) -> list[Words]:
        """Some commands, perhaps a transaction, perhaps in another database."""
        dice = self._dice
        commands = [self.one() for _ in range(dice.randrange(1, most))]
        fate = dice.random()
        if fate < 0.2:
            commands = [["MULTI"], *commands, ["EXEC" if fate < 0.18 else "DISCARD"]]
        elif fate < 0.3:
            commands.insert(0, ["SELECT", dice.randrange(DATABASES)])
        elif fate < 0.303:
            commands.append([dice.choice(["FLUSHALL", "FLUSHDB"])])
        elif fate < 0.31:
            commands.append(["SWAPDB", 0, 1])
        return commands

    def _key(self, kind: str) -> str:
        return f"{kind}{self._dice.randrange(12)}"

    def _word(self) -> str:
        dice = self._dice
        return f"w{dice.randrange(40)}" if dice.random() < 0.97 else "x" * dice.randrange(20000)

    def _number(self) -> int:
        return self._dice.randrange(-5, 30)

    def _string(self) -> Words:
        key, dice = self._key("s"), self._dice
        return dice.choice(
            [
                ["SET", key, self._word()],
                ["SET", key, self._word(), "PX", dice.randrange(1, 3000)],
                ["SET", key, self._number(), "EX", 1000],
                ["APPEND", key, self._word()],
                ["SETRANGE", key, dice.randrange(50), self._word()],
                ["SETBIT", key, dice.randrange(500), 1],
                ["INCR", key],
                ["INCRBYFLOAT", key, "1.25"],
                ["GETEX", key, "PX", dice.randrange(1, 2000)],
                ["GETDEL", key],
                ["MSET", key, self._word(), self._key("s"), self._word()],
                ["BITOP", "OR", key, self._key("s"), self._key("s")],
                ["PFADD", self._key("p"), self._word(), self._word()],
                ["PFMERGE", self._key("p"), self._key("p")],
                ["GET", key],
            ]
        )

    def _list(self) -> Words:
        key, dice = self._key("l"), self._dice
        return dice.choice(
            [
                ["RPUSH", key, *[self._word() for _ in range(dice.randrange(1, 30))]],
                ["LPUSH", key, self._word(), self._word()],
                ["LPOP", key, dice.randrange(5)],
                ["RPOP", key],
                ["LSET", key, 0, self._word()],
                ["LTRIM", key, 0, 100],
                ["LREM", key, 1, self._word()],
                ["LINSERT", key, "BEFORE", self._word(), "new"],
                ["LMOVE", key, self._key("l"), "LEFT", "RIGHT"],
                ["BLMOVE", key, self._key("l"), "RIGHT", "LEFT", "0.001"],
                ["BLPOP", key, self._key("l"), "0.001"],
                ["LMPOP", 2, key, self._key("l"), "LEFT", "COUNT", 3],
                ["SORT", key, "ALPHA", "STORE", self._key("l")],
            ]
        )

    def _set(self) -> Words:
        key, dice = self._key("e"), self._dice
        return dice.choice(
            [
                ["SADD", key, *[self._word() for _ in range(dice.randrange(1, 20))]],
                ["SADD", key, *[self._number() for _ in range(dice.randrange(1, 9))]],
                ["SREM", key, self._word(), self._word()],
                ["SPOP", key],
                ["SPOP", key, dice.randrange(10)],
                ["SMOVE", key, self._key("e"), self._word()],
                ["SUNIONSTORE", key, self._key("e"), self._key("e")],
                ["SDIFFSTORE", key, self._key("e"), self._key("e")],
            ]
        )

    def _hash(self) -> Words:
        key, dice = self._key("h"), self._dice
        return dice.choice(
            [
                ["HSET", key, *[self._word() for _ in range(2 * dice.randrange(1, 20))]],
                ["HDEL", key, self._word(), self._word()],
                ["HINCRBY", key, "n", self._number()],
                ["HINCRBYFLOAT", key, "f", "0.1"],
                ["HSETNX", key, self._word(), "1"],
            ]
        )

    def _sorted(self) -> Words:
        key, dice = self._key("z"), self._dice
        return dice.choice(
            [
                ["ZADD", key, self._number(), self._word(), dice.random(), self._word()],
                ["ZADD", key, "GT", self._number(), self._word()],
                ["ZINCRBY", key, "1.5", self._word()],
                ["ZREM", key, self._word()],
                ["ZPOPMIN", key, 2],
                ["BZPOPMAX", key, "0.001"],
                ["ZREMRANGEBYSCORE", key, 3, 5],
                ["ZUNIONSTORE", key, 2, self._key("z"), self._key("z")],
                ["ZRANGESTORE", key, self._key("z"), 0, 20],
                ["GEOADD", self._key("g"), dice.random() * 100, dice.random() * 50, self._word()],
            ]
        )

    def _stream(self) -> Words:
        key, dice = self._key("x"), self._dice
        return dice.choice(
            [
                ["XADD", key, "*", self._word(), self._word()],
                ["XADD", key, "MAXLEN", "~", 100, "*", "f", self._word()],
                ["XTRIM", key, "MAXLEN", dice.randrange(50)],
                ["XGROUP", "CREATE", key, "g", "0", "MKSTREAM"],
                ["XREADGROUP", "GROUP", "g", self._word(), "COUNT", 3, "STREAMS", key, ">"],
                ["XREADGROUP", "GROUP", "g", "c", "COUNT", 3, "BLOCK", 1, "STREAMS", key, ">"],
                ["XAUTOCLAIM", key, "g", "c2", 0, "0", "COUNT", 5],
                ["XGROUP", "DELCONSUMER", key, "g", "c"],
                ["XGROUP", "DESTROY", key, "g"],
            ]
        )

    def _any(self) -> Words:
        dice = self._dice
        key, other = self._key(dice.choice("slehzxp")), self._key(dice.choice("slehzxp"))
        return dice.choice(
            [
                ["DEL", key],
                ["UNLINK", key, other],
                ["PEXPIRE", key, dice.randrange(-1, 2000)],
                ["EXPIRE", key, 1000],
                ["PERSIST", key],
                ["RENAME", key, self._key(key[0])],
                ["COPY", key, self._key(key[0]), "DB", dice.randrange(DATABASES), "REPLACE"],
                ["MOVE", key, dice.randrange(DATABASES)],
                ["PUBLISH", "news", self._word()],
                ["TYPE", key],
            ]
        )

    _kinds = (_string, _string, _list, _set, _hash, _sorted, _stream, _any)


class Load(threading.Thread):
    """A client that writes until it is stopped."""

    def __init__(self, port: int, seed: int, pause: float = 0.0) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._writes = Writes(seed)
        self._pause = pause
        self._over = threading.Event()
        self.commands = 0

    def run(self) -> None:
        """Writes batch after batch."""
        with Wire(self._port) as c:
            while not self._over.is_set():
                batch = self._writes.batch()
                c.pipeline(batch)
                self.commands += len(batch)
                if self._pause:
                    time.sleep(self._pause)

    def finish(self) -> None:
        """Stops it."""
        self._over.set()
        self.join(30)


def info(c: Wire, section: str = "replication") -> dict[str, str]:
    """The fields of a section of INFO."""
    text = c("INFO", section)
    text = text if isinstance(text, bytes) else str(text).encode()
    lines = [line.partition(":") for line in text.decode().splitlines() if ":" in line]
    return {name: value for name, _, value in lines}


def wait_link(port: int, seconds: float = 20.0) -> None:
    """Waits until a replica's link is up."""
    with Wire(port) as c:
        _wait(lambda: info(c)["master_link_status"] == "up", seconds, lambda: str(info(c)))


def wait_equal(ports: Sequence[int], seconds: float = 20.0) -> None:
    """Waits until servers of a chain, the master first, have the same data, in all databases."""
    wires = [Wire(port) for port in ports]
    try:
        _wait(
            lambda: (
                len({str(c("DEBUG", "DIGEST")) for c in wires}) == 1
                and len({info(c)["master_repl_offset"] for c in wires}) == 1
            ),
            seconds,
            lambda: str([(info(c), c("DEBUG", "DIGEST")) for c in wires]),
        )
    finally:
        for c in wires:
            c.close()


def _wait(done, seconds: float, what) -> None:  # type: ignore[no-untyped-def] # two small closures
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, what()
        time.sleep(0.05)

"""kill -9 under load, again and again: what was acknowledged is there after the next start.

One server after another has the same directory. Clients write as fast as they can, and a controller has files saved
and rewritten, and the log switched off and on. Somewhere the server is killed, at times while it is still starting;
then the `tests.ledger.Ledger` tells whether what the next one has loaded is enough.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Awaitable, Callable
from time import monotonic, perf_counter

from tests.ledger import FOREVER, NEVER, Command, Ledger, Link, repeated
from tests.servers import Server, start_respcache
from tests.wire import Error

ROUNDS = 20
LONG = int(os.environ.get("KILLS", "100"))
WRITERS = 8
FILLERS = 20_000
"""Keys that nobody writes to, so that saving and loading take a while."""
OPTIONS = ("--appendonly", "yes", "--auto-aof-rewrite-min-size", "200000")
RDB = ("--save", "3600 1", "--rdbcompression", "no")

Errand = Callable[["Rounds", Link], Awaitable[None]]


class Rounds:
    """The rounds of one test."""

    def __init__(self, server: Server, seed: int, errand: Errand, promise: float = FOREVER) -> None:
        self.server = server
        self.draw = random.Random(seed)
        self.ledger = Ledger(WRITERS, seed)
        self.promised = promise
        """Until when what was acknowledged must survive."""
        self.early = 0
        """Servers that were killed while they were starting."""
        self._errand = errand
        self._promise = promise
        self._killed: float | None = None
        self._command = server.command

    def start(self, *options: str) -> None:
        """Starts the server, which may be killed a few times before it gets that far."""
        self.server.command = [*self._command, *options]
        while self.draw.random() < 0.2:
            killer = threading.Timer(self.draw.uniform(0.1, 0.7), self._kill)
            killer.start()
            try:
                self.server.start()
            except RuntimeError as error:
                self.early += 1
                assert "ended with -9" in str(error)
            finally:
                killer.cancel()
                killer.join()
            self._kill()
        self.server.start()

    def _kill(self) -> None:
        if self.server.alive:
            self.server.kill()

    async def round(self, seconds: float) -> None:
        """Checks what the server has loaded, writes for so long, and kills it."""
        server = self.server
        async with await Link.to(server.port) as link:
            await link("SELECT", 9)
            assert await link("DBSIZE") == FILLERS
        await self.ledger.check(server.port, self.promised, self._killed)
        self.promised = self._promise
        dead = False
        tasks = [
            asyncio.create_task(self.ledger.write(server.port)),
            asyncio.create_task(self._run(lambda: dead)),
        ]
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        dead = True
        server.kill()
        self._killed = monotonic()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        assert not done, "the server has ended by itself"

    async def _run(self, dead: Callable[[], bool]) -> None:
        try:
            async with await Link.to(self.server.port) as link:
                while True:
                    await self._errand(self, link)
                    await asyncio.sleep(self.draw.uniform(0, 0.1))
        except (OSError, EOFError):
            if not dead():
                raise

    def fsync(self) -> float:
        """Seconds that one takes on this disk."""
        path = self.server.directory / "fsync"
        with path.open("wb") as file:
            file.write(b"x" * 100_000)
            file.flush()
            since = perf_counter()
            os.fsync(file.fileno())
            return perf_counter() - since


async def fill(server: Server, last: Command) -> None:
    """Makes the keys that nobody writes to."""
    async with await Link.to(server.port) as link:
        await link("SELECT", 9)
        for start in range(0, FILLERS, 1000):
            keys = [f"key {number}" for number in range(start, start + 1000)]
            await link("MSET", *[word for key in keys for word in (key, "x" * 50)])
        reply = await link(*last)
        assert not isinstance(reply, Error), reply


async def rewrite(rounds: Rounds, link: Link) -> None:
    """Everything that writes files beside the log."""
    what = rounds.draw.choice(("BGREWRITEAOF", "BGREWRITEAOF", "BGSAVE", ""))
    if what:
        await link(what)
        if rounds.draw.random() < 0.7:
            await link.settled("aof_rewrite_in_progress", "rdb_bgsave_in_progress")


async def switch(rounds: Rounds, link: Link) -> None:
    """Turns the log off and on. Until it has its first base nothing is promised of what comes."""
    if rounds.draw.random() < 0.5:
        await rewrite(rounds, link)
        return
    await link.settled("aof_rewrite_in_progress", "rdb_bgsave_in_progress")
    rounds.promised = monotonic()
    assert await link("CONFIG", "SET", "appendonly", "no") == b"OK"
    await asyncio.sleep(rounds.draw.uniform(0, 0.05))
    assert await link("CONFIG", "SET", "appendonly", "yes") == b"OK"
    await link.settled("aof_rewrite_scheduled", "aof_rewrite_in_progress")
    rounds.promised = FOREVER


async def save(rounds: Rounds, link: Link) -> None:
    """Saves, and promises what was acknowledged before that."""
    now = monotonic()
    if rounds.draw.random() < 0.3:
        assert await link("SAVE") == b"OK"
    else:
        assert not isinstance(await link("BGSAVE"), Error)
        await link.settled("rdb_bgsave_in_progress")
        assert await link.field("rdb_last_bgsave_status") == "ok"
    rounds.promised = now


def tell(rounds: Rounds) -> None:
    """What came of it."""
    ledger = rounds.ledger
    print(
        f"{rounds.early} killed early, {ledger.survived} steps survived, {ledger.lost} were lost, the oldest "
        f"{ledger.oldest:.3f} seconds old"
    )
    assert ledger.survived


@repeated(ROUNDS * 3 // 4, LONG)
def test_the_log(seed: int, rounds: int) -> None:
    """`always` and `no` lose nothing: the kernel has what was written before the reply left. Nor does `everysec`,
    but while a sync runs it keeps what comes to itself, as Redis does."""
    print(f"seed {seed}")

    async def test(server: Server) -> None:
        await fill(server, ("PING",))
        server.kill()
        made = Rounds(server, seed, switch)
        for number in range(rounds):
            policy = ("always", "everysec", "no", "always")[number % 4]
            made.start("--appendfsync", policy, "--aof-use-rdb-preamble", made.draw.choice(("yes", "no")))
            sync = made.fsync()
            await made.round(
                made.draw.uniform(1.2, 1.8) if policy == "everysec" else made.draw.uniform(0.05, 0.6)
            )
            if policy == "everysec":
                sync = max(sync, made.fsync())
                made.promised = min(made.promised, monotonic() - 1 - 3 * sync)
        made.start()
        await made.ledger.check(server.port, made.promised)
        tell(made)

    with start_respcache(*OPTIONS) as server:
        asyncio.run(test(server))


@repeated(ROUNDS // 4, LONG // 2)
def test_snapshots(seed: int, rounds: int) -> None:
    """Without a log: the last snapshot that was acknowledged, or a later one, whole."""
    print(f"seed {seed}")

    async def test(server: Server) -> None:
        await fill(server, ("SAVE",))
        server.kill()
        made = Rounds(server, seed, save, NEVER)
        for _ in range(rounds):
            made.start()
            await made.round(made.draw.uniform(0.05, 0.6))
        made.start()
        await made.ledger.check(server.port, made.promised)
        tell(made)

    with start_respcache(*RDB) as server:
        asyncio.run(test(server))

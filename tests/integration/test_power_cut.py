"""Power cuts, with a disk that forgets what it was not made to keep: what was promised is there after them.

A server runs in the loop of the test on a `tests.power.Disk`, clients write as fast as they can, and a controller
has files saved and rewritten. Somewhere the power goes; a new server starts on what may be left, and the
`tests.ledger.Ledger` tells whether that is enough.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic
from typing import Any

import pytest

import respcache
from respcache.features import aof_writer
from tests.ledger import FOREVER, NEVER, Ledger, Link, repeated
from tests.power import Disk
from tests.wire import Error

ROUNDS = 10
"""Of each kind, in a run of the tests."""
LONG = int(os.environ.get("POWER_CUTS", "100"))
SECOND = 0.1
"""What `everysec` takes for a second here, so that a round need not take several."""
WRITERS = 6
LIMIT = 20.0
"""Seconds until something that should be over is taken for hanging."""

Errand = Callable[[Link], Awaitable[None]]
"""What the controller does again and again."""
Work = Callable[["Machine"], Errand]


class Machine:
    """A computer that loses its power again and again."""

    def __init__(self, base: Path, patch: pytest.MonkeyPatch, seed: int, **directives: Any) -> None:
        self.draw = random.Random(seed)
        self.ledger = Ledger(WRITERS, seed)
        self.cuts: list[str] = []
        self.promised = FOREVER
        """Until when what was acknowledged must survive."""
        self._base = base
        self._patch = patch
        self._directives = directives
        self._numbers = itertools.count()
        self._lag = 0.0
        self._crash: float | None = None
        self._running: respcache.Server | None = None
        self.disk = self._new_disk()

    def _new_disk(self, before: Disk | None = None) -> Disk:
        path = self._base / str(next(self._numbers))
        if before is None:
            path.mkdir()
        else:
            before.restore(path)
        disk = Disk(path, self.draw.randrange(1 << 30), slow=self.draw.choice((0.01, 0.03, 0.03, 4 * SECOND)))
        disk.install(self._patch)
        return disk

    def _server(self) -> respcache.Server:
        grow = self.draw.choice((20_000, 1 << 26))
        return respcache.Server(
            port=0, dir=str(self.disk.root), auto_aof_rewrite_min_size=grow, **self._directives
        )

    def lose_power(self) -> None:
        """What is left is a new disk."""
        self.disk.cut()
        self.cuts.append(self.disk.last)
        self.disk = self._new_disk(self.disk)

    async def start(self) -> respcache.Server:
        """A server that has loaded what is there; sometimes the power goes before it has."""
        while True:
            server = self._running = self._server()
            if self.draw.random() < 0.3:
                self.disk.light(self.draw.randrange(25))
            try:
                await asyncio.wait_for(server.start(), LIMIT)
            except Exception:
                if not self.disk.off:
                    raise
            if not self.disk.off:
                self.disk.light(-1)
                return server
            await self.stop()
            self.disk.check()
            self.lose_power()

    async def verify(self) -> respcache.Server:
        """Starts a server and checks what it has."""
        server = await self.start()
        await self.ledger.check(server.port, self.promised, self._crash)
        return server

    async def round(self, work: Work, tolerance: bool = False) -> None:
        """Starts, checks, writes while `work` goes on, and loses power. `tolerance`: as everysec has it."""
        server = await self.verify()
        self.promised = FOREVER
        errand = work(self)
        disk = self.disk
        self._lag = 0.0
        tasks = [
            asyncio.create_task(self.ledger.write(server.port, lambda: not disk.off)),
            asyncio.create_task(self._run(server.port, errand, disk)),
            asyncio.create_task(self._watch(disk)),
        ]
        for _ in range(2):
            seconds = self.draw.uniform(0, 6 * SECOND if tolerance else 3 * SECOND)
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self.draw.random() < 0.8:
                rare = self.draw.random() < 0.7
                disk.light(self.draw.randrange(30 if rare else 300), rare)
        disk.cut()
        self._crash = disk.cut_at
        try:
            await self.stop()
            await asyncio.wait_for(asyncio.gather(*tasks), LIMIT)
        finally:
            for task in tasks:
                task.cancel()
        disk.check()
        if tolerance and self.promised == FOREVER:
            self.promised = disk.cut_at - self.patience
        self.lose_power()

    @property
    def patience(self) -> float:
        """Seconds until `everysec` has made sure of a write: one and a sync, at a rewrite that of two files."""
        sync = 2 * self.disk.slowest
        return max(SECOND, sync) + sync + 0.02 + 2 * self._lag

    async def stop(self) -> None:
        """Ends the server."""
        if self._running is not None:
            await asyncio.wait_for(self._running.stop(), LIMIT)

    async def _run(self, port: int, errand: Errand, disk: Disk) -> None:
        try:
            async with await Link.to(port) as link:
                while not disk.off:
                    await errand(link)
                    await asyncio.sleep(self.draw.uniform(0, 0.05))
        except (OSError, EOFError):
            pass
        except AssertionError:
            if not disk.off:
                raise

    async def _watch(self, disk: Disk) -> None:
        while not disk.off:
            since = monotonic()
            await asyncio.sleep(0.005)
            self._lag = max(self._lag, monotonic() - since - 0.005)


async def ask(link: Link, *command: str) -> Any:
    """Sends a command that must not fail."""
    reply = await link(*command)
    assert not isinstance(reply, Error), (command, reply)
    return reply


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Makes machines."""
    caplog.set_level(logging.CRITICAL + 1)
    monkeypatch.setattr(aof_writer, "SYNC_EACH", SECOND)
    monkeypatch.setattr(aof_writer, "LATE", 2 * SECOND)

    def make(seed: int, **directives: Any) -> Machine:
        return Machine(Path(mkdtemp(dir=tmp_path)), monkeypatch, seed, **directives)

    return make


def cut_again_and_again(machine: Machine, rounds: int, work: Work, tolerance: bool) -> None:
    """So many rounds; says at which seed and cuts it failed."""

    async def run() -> None:
        try:
            for _ in range(rounds):
                await machine.round(work, tolerance)
            await machine.verify()
        except BaseException:
            print(f"the power went at: {machine.cuts[-3:]}")
            raise
        finally:
            await machine.stop()

    asyncio.run(run())
    ledger = machine.ledger
    print(
        f"{len(machine.cuts)} cuts, {ledger.survived} steps survived, {ledger.lost} were lost, the oldest "
        f"{ledger.oldest:.3f} seconds old"
    )
    assert ledger.survived or rounds < ROUNDS // 2


def rewriting(machine: Machine) -> Errand:
    """Everything that changes files, while the log stays on; at times nothing at all."""
    calm = machine.draw.random() < 0.4

    async def work(link: Link) -> None:
        what = "" if calm else machine.draw.choice(("BGREWRITEAOF", "BGREWRITEAOF", "BGSAVE", "SAVE", ""))
        if what == "SAVE":
            await link("SAVE")
        elif what:
            await link(*what.split())
            await link.settled(
                "aof_rewrite_in_progress" if what == "BGREWRITEAOF" else "rdb_bgsave_in_progress"
            )

    return work


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("policy", ["always", "everysec"])
@repeated(ROUNDS // 2, LONG)
def test_the_log(machine: Any, policy: str, preamble: str, seed: int, rounds: int) -> None:
    print(f"seed {seed}")
    made = machine(
        seed,
        appendonly=True,
        appendfsync=policy,
        aof_use_rdb_preamble=preamble,
        save="",
    )
    cut_again_and_again(made, rounds, rewriting, policy == "everysec")


@repeated(ROUNDS // 2, LONG)
def test_the_first_start(machine: Any, seed: int, rounds: int) -> None:
    """Each time on a new disk, where nothing is sure yet."""
    print(f"seed {seed}")
    for number in range(rounds):
        made = machine(seed + number, appendonly=True, appendfsync="always", save="")
        cut_again_and_again(made, 1, rewriting, False)


@repeated(ROUNDS // 2, LONG)
def test_the_log_without_syncs(machine: Any, seed: int, rounds: int) -> None:
    """Nothing is promised but a moment of the past, whole, and a server that starts."""
    print(f"seed {seed}")

    def work(made: Machine) -> Errand:
        made.promised = NEVER
        return rewriting(made)

    made = machine(seed, appendonly=True, appendfsync="no", save="")
    cut_again_and_again(made, rounds, work, False)


@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
@repeated(ROUNDS // 2, LONG)
def test_switched_on_and_off(machine: Any, policy: str, seed: int, rounds: int) -> None:
    """While the log is off, and until it has its first base again, nothing is promised of what comes."""
    print(f"seed {seed}")

    def work(made: Machine) -> Errand:
        if policy == "no":
            made.promised = NEVER

        async def switch(link: Link) -> None:
            if made.draw.random() < 0.3:
                await rewriting(made)(link)
                return
            now = monotonic()
            made.promised = {"always": now, "everysec": now - made.patience, "no": NEVER}[policy]
            await ask(link, "CONFIG", "SET", "appendonly", "no")
            if made.draw.random() < 0.5:
                await asyncio.sleep(made.draw.uniform(0, 0.05))
            await ask(link, "CONFIG", "SET", "appendonly", "yes")
            await link.settled("aof_rewrite_scheduled", "aof_rewrite_in_progress")
            if policy != "no" and not made.disk.off:
                made.promised = FOREVER

        return switch

    made = machine(seed, appendonly=True, appendfsync=policy, save="")
    cut_again_and_again(made, rounds, work, policy == "everysec")


@repeated(ROUNDS, LONG)
def test_snapshots(machine: Any, seed: int, rounds: int) -> None:
    """What is there is one moment, that of the last snapshot that was acknowledged, or a later one."""
    print(f"seed {seed}")

    def work(made: Machine) -> Errand:
        made.promised = NEVER

        async def save(link: Link) -> None:
            now = monotonic()
            if made.draw.random() < 0.5:
                reply = await link("SAVE")
            else:
                reply = await link("BGSAVE")
                await link.settled("rdb_bgsave_in_progress")
                if await link.field("rdb_last_bgsave_status") != "ok":
                    return
            if not isinstance(reply, Error) and not made.disk.off:
                made.promised = now

        return save

    made = machine(seed, save="3600 1", dbfilename="dump.rdb")
    cut_again_and_again(made, rounds, work, False)


def test_the_disk_forgets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instrument itself: what is sure stays, and all else is at times there and at times not."""
    from respcache.persistence import disk as real

    root = tmp_path / "root"
    root.mkdir()
    disk = Disk(root, 1)
    disk.install(monkeypatch)
    fd = real.open_new(str(root / "sure"))
    real.write_all(fd, b"1234")
    real.sync(fd)
    real.sync_directory(str(root))
    real.write_all(fd, b"5678")
    real.rename(str(root / "sure"), str(root / "other"))
    disk.check()
    disk.cut()
    for _ in range(2):
        with pytest.raises(OSError, match="power"):
            real.sync(fd)
    with pytest.raises(OSError, match="power"):
        real.close(fd)
    found = set()
    for number in range(200):
        path = tmp_path / str(number)
        disk.restore(path)
        (file,) = path.iterdir()
        found.add((file.name, file.read_bytes()))
    assert {name for name, _ in found} == {"sure", "other"}
    assert {text for _, text in found} >= {b"1234", b"12345", b"123456", b"12345678"}
    assert all(text.startswith(b"1234") for _, text in found)
    (root / "stranger").write_bytes(b"")
    with pytest.raises(AssertionError):
        disk.check()

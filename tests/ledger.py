"""Clients that write, and the book that is kept of them: what was sent and acknowledged, and when.

Each `Writer` has keys of its own and one step under way at a time, a command or a transaction. Each step changes what
the keys hold in a way that no other step does, so what is found after a crash tells how many steps survived. A
`Ledger` checks that:

    the keys of a writer are as they were after some number of its steps: nothing is torn or doubled, no transaction
    is there by half
    that number is at least that of the steps that had to survive, and no more than were sent
    there is no hole: what was acknowledged before another step was sent is there if that one is
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from tests.wire import Error, encode

Command = tuple[str | int, ...]
State = dict[str, tuple[Any, bool]]
"""By key: the value, in a form that can be compared, and whether it is to expire."""
Effect = Callable[[State, Any], list[State]]
"""What the keys may hold after a step, from what they held before and the reply; that is None if there was none."""

DATABASES = 3
STRINGS = ("s", "r", "c", "a", "b", "f")
NEVER, FOREVER = float("-inf"), float("inf")
LONG = 300
"""Words of a long value."""


class Refused(Exception):
    """The server answered a step with an error."""


class Link:
    """A connection from a loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def to(cls, port: int) -> Link:
        """Connects."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(reader, writer)

    def send(self, *commands: Command) -> None:
        """Sends commands in one piece."""
        self._writer.write(b"".join(encode(*command) for command in commands))

    async def read(self) -> Any:
        """A reply: bytes, int, list, None, Error; a status is bytes. Raises EOFError and OSError."""
        line = await self._reader.readuntil(b"\r\n")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"-":
            return Error(rest.decode())
        size = int(rest)
        if size < 0:
            return None
        if kind == b"$":
            return (await self._reader.readexactly(size + 2))[:-2]
        assert kind == b"*", line
        return [await self.read() for _ in range(size)]

    async def __call__(self, *command: str | int) -> Any:
        """Sends a command and returns the reply."""
        self.send(command)
        return await self.read()

    async def pipeline(self, commands: list[Command]) -> list[Any]:
        """Sends commands and returns their replies."""
        self.send(*commands)
        return [await self.read() for _ in commands]

    async def field(self, name: str) -> str:
        """A field of INFO persistence, an empty text if it is not there."""
        text: bytes = await self("INFO", "persistence")
        found = [line for line in text.decode().splitlines() if line.startswith(f"{name}:")]
        return found[0].partition(":")[2] if found else ""

    async def settled(self, *names: str) -> None:
        """Waits until these fields are 0, at one time."""
        while {await self.field(name) for name in names} != {"0"}:
            await asyncio.sleep(0.002)

    async def __aenter__(self) -> Link:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@dataclass(slots=True)
class Step:
    """What a writer sent."""

    commands: list[Command]
    sent: float
    acknowledged: float | None = None


class Writer:
    """A client, and what it knows."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.database = number % DATABASES
        self.count = 0
        """Steps ever sent: their numbers are in the values."""
        self.steps: list[Step] = []
        """Since the last restart."""
        self.after: list[list[State]] = [[{}]]
        """What the keys may hold after so many of them."""

    def key(self, name: str) -> str:
        """The name of one of its keys on the server."""
        return f"w{self.number}:{name}"

    async def step(self, link: Link, draw: random.Random, counts: Callable[[], bool] = lambda: True) -> None:
        """Sends one step and waits for its reply, which is an acknowledgement if it `counts`.

        Raises Refused, with which the step had no effect, and OSError and EOFError.
        """
        self.count += 1
        state = self.after[-1][0]
        commands, effect = make(draw, state, self.count)
        wire = [(name, self.key(str(key)), *rest) for name, key, *rest in commands]
        if len(wire) > 1:
            wire = [("MULTI",), *wire, ("EXEC",)]
        step = Step(wire, monotonic())
        self.steps.append(step)
        self.after.append(effect(state, None))
        link.send(*wire)
        for _ in wire[1:]:
            reply = await link.read()
            if isinstance(reply, Error):  # the rest of the transaction is refused too
                await self._refused(link, wire, reply, counts)
        reply = await link.read()
        errors = [each for each in (reply if isinstance(reply, list) else [reply]) if isinstance(each, Error)]
        if errors and counts():
            self.steps.pop()
            self.after.pop()
            raise Refused(f"{wire}: {errors}")
        if counts():
            step.acknowledged = monotonic()
            self.after[-1] = effect(state, reply[-1] if len(wire) > 1 else reply)

    async def _refused(
        self, link: Link, wire: list[Command], reply: Error, counts: Callable[[], bool]
    ) -> None:
        link.send(("ECHO", "end"))
        while await link.read() != b"end":
            pass
        if counts():
            self.steps.pop()
            self.after.pop()
        raise Refused(f"{wire}: {reply}")

    async def read(self, link: Link) -> State:
        """What its keys hold."""
        strings = [self.key(name) for name in STRINGS]
        replies = await link.pipeline(
            [
                ("SELECT", self.database),
                ("MGET", *strings),
                *[("PTTL", key) for key in strings],
                ("LRANGE", self.key("l"), 0, -1),
                ("SMEMBERS", self.key("p")),
                ("HGETALL", self.key("h")),
                ("XRANGE", self.key("x"), "-", "+"),
            ]
        )
        _, values, *rest = replies
        times, (items, members, fields, entries) = rest[:-4], rest[-4:]
        found: State = {
            name: (_shortened(value.decode()), time > 0)
            for name, value, time in zip(STRINGS, values, times, strict=True)
            if value is not None
        }
        if items:
            found["l"] = tuple(map(int, items)), False
        if members:
            found["p"] = frozenset(map(int, members)), False
        if fields:
            pairs = zip(map(int, fields[::2]), map(int, fields[1::2]), strict=True)
            found["h"] = tuple(sorted(pairs)), False
        if entries:
            found["x"] = tuple(int(words[1]) for _, words in entries), False
        return found

    def acknowledged(self, until: float) -> int:
        """Steps that were acknowledged no later than that."""
        return sum(step.acknowledged is not None and step.acknowledged <= until for step in self.steps)


def make(draw: random.Random, state: State, number: int) -> tuple[list[Command], Effect]:
    """A step: its commands, whose keys are names, and what they do. Those of a transaction are several."""
    parts = [part(state, number) for part in draw.sample(PARTS, draw.choice((1, 1, 1, 2, 3)))]
    draws = [part for part in parts if part[1] is None]
    if draws:  # what SPOP takes is known from its reply alone
        parts = [*[part for part in parts if part[1] is not None], draws[0]]

    def effect(before: State, reply: Any) -> list[State]:
        after = dict(before)
        for _, change in parts:
            if change is not None:
                change(after)
        if not draws or "p" not in after:
            return [after]
        members, _ = after.pop("p")
        taken = members if reply is None else [int(reply)]
        return [after | ({"p": (members - {one}, False)} if members - {one} else {}) for one in taken]

    return [command for commands, _ in parts for command in commands], effect


def _shortened(text: str) -> str:
    word = text.partition(" ")[0]
    return f"{word} many times" if text == f"{word} " * LONG else text


Change = Callable[[State], Any]
Part = tuple[list[Command], Change | None]


def _set(name: str, make: Callable[[Any], Any], empty: Any = None, mortal: bool | None = False) -> Change:
    """A change of one key; `mortal` None: as it was."""

    def change(state: State) -> None:
        value, expires = state.get(name, (empty, False))
        state[name] = make(value), expires if mortal is None else mortal

    return change


def _set_string(_: State, n: int) -> Part:
    return [("SET", "s", n)], _set("s", lambda _: str(n))


def _set_mortal(_: State, n: int) -> Part:
    return [("SET", "s", n, "EX", 10000)], _set("s", lambda _: str(n), mortal=True)


def _set_long(_: State, n: int) -> Part:
    return [("SET", "r", f"{n} " * LONG)], _set("r", lambda _: f"{n} many times")


def _expire(state: State, n: int) -> Part:
    if "s" not in state:
        return _set_string(state, n)
    return [("EXPIRE", "s", 10000)], lambda after: "s" in after and after.update(s=(after["s"][0], True))


def _expire_now(state: State, n: int) -> Part:
    return [("EXPIRE", "s", -1)], lambda after: after.pop("s", None)


def _get_and_delete(_: State, n: int) -> Part:
    return [("GETDEL", "r")], lambda after: after.pop("r", None)


def _count(_: State, n: int) -> Part:
    return [("INCR", "c")], _set("c", lambda value: str(int(value) + 1), "0", None)


def _count_both(_: State, n: int) -> Part:
    one = _set("a", lambda value: str(int(value) + 1), "0", None)
    other = _set("b", lambda value: str(int(value) + 1), "0", None)
    return [("INCR", "a"), ("INCR", "b")], lambda after: (one(after), other(after))


def _add_half(_: State, n: int) -> Part:
    return [("INCRBYFLOAT", "f", "0.5")], _set(
        "f", lambda value: repr(float(value) + 0.5).removesuffix(".0"), "0", None
    )


def _push(_: State, n: int) -> Part:
    return [("LPUSH", "l", n), ("LTRIM", "l", 0, 9)], _set("l", lambda value: (n, *value)[:10], ())


def _serve(_: State, n: int) -> Part:
    """What a blocking command takes is what was pushed before it."""
    pushed = _set("l", lambda value: (n, *value), ())
    return [("LPUSH", "l", n), ("LPUSH", "l", -n), ("BLPOP", "l", 0)], pushed


def _add(_: State, n: int) -> Part:
    return [("SADD", "p", n, -n)], _set("p", lambda value: value | {n, -n}, frozenset())


def _take(state: State, n: int) -> Part:
    return ([("SPOP", "p")], None) if "p" in state else _add(state, n)


def _field(_: State, n: int) -> Part:
    def change(value: tuple[tuple[int, int], ...]) -> Any:
        return tuple(sorted((dict(value) | {n % 5: n}).items()))

    return [("HSET", "h", n % 5, n)], _set("h", change, ())


def _add_entry(_: State, n: int) -> Part:
    return [("XADD", "x", "MAXLEN", 5, "*", "f", n)], _set("x", lambda value: (*value, n)[-5:], ())


PARTS: list[Callable[[State, int], Part]] = [
    *(
        _set_string,
        _set_mortal,
        _set_long,
        _expire,
        _expire_now,
        _get_and_delete,
        _count,
        _count_both,
        _add_half,
    ),
    *(_push, _serve, _add, _take, _take, _field, _add_entry),
]


def repeated(short: int, long: int) -> pytest.MarkDecorator:
    """So many `rounds` in each run of the tests, and so many in a long run, each from a `seed` of its own."""
    seeds = [random.randrange(1 << 20) for _ in range(2)]
    return pytest.mark.parametrize(
        ("seed", "rounds"),
        [
            pytest.param(seeds[0], short, id="short"),
            pytest.param(seeds[1], long, id="long", marks=pytest.mark.long),
        ],
    )


class Ledger:
    """All writers."""

    def __init__(self, writers: int, seed: int) -> None:
        self.writers = [Writer(number) for number in range(writers)]
        self._draw = random.Random(seed)
        self.refused: list[str] = []
        """Errors of steps, if the writers go on after these."""
        self.survived = 0
        """Steps that were found after restarts."""
        self.lost = 0
        """Steps that were acknowledged, and not found."""
        self.oldest = 0.0
        """Seconds: the longest time between an acknowledgement and the crash which made it void."""

    async def write(
        self, port: int, counts: Callable[[], bool] = lambda: True, stubborn: bool = False
    ) -> None:
        """All write until their connections are lost, or what they hear does not count any more.

        The stubborn go on after errors. Raises Refused if they are not.
        """
        await asyncio.gather(*(self._write(writer, port, counts, stubborn) for writer in self.writers))

    async def _write(self, writer: Writer, port: int, counts: Callable[[], bool], stubborn: bool) -> None:
        try:
            async with await Link.to(port) as link:
                await link("SELECT", writer.database)
                while counts():
                    try:
                        await writer.step(link, self._draw, counts)
                    except Refused as error:
                        if counts() and not stubborn:
                            raise
                        self.refused.append(str(error))
                        await asyncio.sleep(0.002)
        except (OSError, EOFError):
            pass

    @property
    def acknowledged(self) -> int:
        """Steps since the last check that were."""
        return sum(writer.acknowledged(FOREVER) for writer in self.writers)

    async def check(self, port: int, until: float, crash: float | None = None) -> None:
        """Compares what the server has with the book: all that was acknowledged no later than `until` is there.

        From then on the book begins with what was found. Raises AssertionError. `crash` is when it was.
        """
        async with await Link.to(port) as link:
            found = [await writer.read(link) for writer in self.writers]
        self._compare(found, until, crash)

    def _compare(self, states: list[State], until: float, crash: float | None) -> None:
        latest, most = NEVER, []
        for writer, found in zip(self.writers, states, strict=True):
            matches = [at for at, possible in enumerate(writer.after) if found in possible]
            must = writer.acknowledged(until)
            if not matches or matches[-1] < must:
                raise AssertionError(self._explain(writer, found, matches, must))
            if matches[0]:
                latest = max(latest, writer.steps[matches[0] - 1].sent)
            most.append(matches[-1])
        for writer, found, at in zip(self.writers, states, most, strict=True):
            before = writer.acknowledged(latest)
            assert before <= at, f"a hole: {self._explain(writer, found, [at], before)}"
            self.survived += at
            for step in writer.steps[at:]:
                if step.acknowledged is not None:
                    self.lost += 1
                    if crash is not None:
                        self.oldest = max(self.oldest, crash - step.acknowledged)
            writer.steps, writer.after = [], [[found]]

    @staticmethod
    def _explain(writer: Writer, found: State, matches: list[int], must: int) -> str:
        steps = [f"{at}: {step}"[:300] for at, step in enumerate(writer.steps, 1)]
        near = matches[-1] if matches else must
        return (
            f"writer {writer.number} sent {len(steps)} steps, {must} must be there, and what is there is as after "
            f"{matches or 'none of them'}\nfound: {found}\nexpected: {writer.after[must]}\n"
            + "\n".join(steps[max(near - 2, 0) : near + 3])
        )

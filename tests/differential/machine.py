"""The same random commands on both servers: how they are made, sent and compared.

A family has a table, a list of strategies that each make commands of one form:

    TABLE = [
        command("SETRANGE", KEYS, st.integers(-1, 700), VALUES),
        command("SET", KEYS, VALUES, options(("NX",), ("EX", FAR_SECONDS))),
    ]

    @given(sequences(TABLE, DEADLINES))
    @differential(examples=100)
    def test_strings(pair: Pair, commands: list[Command]) -> None:
        run(pair, commands)

`run` empties both servers, sends the sequence as one pipeline, compares each reply and then all that is
stored, digests included. Hypothesis shrinks a sequence that fails. Deadlines are either over or far away, so
nothing depends on time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import respcache.commands  # noqa: F401 - fills the registry
from respcache.registry import REGISTRY
from tests.wire import Argument, Error, Map, Pair, Reply, Set, Wire, encode

Command = tuple[Argument, ...]
Strategy = st.SearchStrategy[Any]
Table = Sequence[st.SearchStrategy[Command]]
Comparison = Callable[[Reply, Reply], bool]

LENGTH = 100
"""Commands of a sequence, more or less."""

# What arguments are made of. Few keys, so that commands meet.

KEYS = st.sampled_from([b"a", b"b", b"c", b"{t}d", b"\xff\r\n"])

INTEGERS = st.one_of(
    st.integers(-20, 20).map(lambda value: b"%d" % value),
    st.sampled_from([b"9223372036854775807", b"-9223372036854775808", b"9223372036854775806", b"-1000000"]),
    st.sampled_from([b"", b"01", b"-0", b"+1", b" 1", b"1.5", b"9223372036854775808", b"x"]),
)
"""Mostly valid ones."""

FLOATS = st.one_of(
    st.integers(-3000, 3000).map(lambda value: b"%.2f" % (value / 100)),
    st.sampled_from(
        [b"0.1", b"1e3", b"-1.5e-7", b"1e17", b"3.141592653589793238", b"0x1p-3", b"1e300", b"5."]
    ),
    st.sampled_from([b"inf", b"-inf", b"nan", b"", b"1e", b" 1", b"x"]),
)

VALUES = st.one_of(
    INTEGERS,
    FLOATS,
    st.sampled_from([b"", b"abc", b"hello world", b"\0\xff\r\n", b"x" * 50, b"0123456789" * 60]),
)

_FAR = 4_102_444_800  # the year 2100

FAR_SECONDS = st.sampled_from([b"100000", b"200000"])
"""A time to live that no test sees the end of."""
FAR_MS = FAR_SECONDS.map(lambda seconds: seconds + b"000")
UNIX_SECONDS = st.sampled_from([b"1", b"%d" % _FAR, b"%d" % (_FAR + 1)])
"""Deadlines, long over or far away."""
UNIX_MS = st.sampled_from([b"1", b"%d000" % _FAR, b"%d001" % _FAR])
BAD_TIMES = st.sampled_from([b"0", b"-1", b"x", b"9223372036854775807", b"9223372036854775"])


def command(name: str, *parts: Strategy | Argument | tuple[Argument, ...]) -> st.SearchStrategy[Command]:
    """Commands of one form. A part is an argument, a tuple of them, or a strategy for either."""
    strategies = [part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts]
    return st.tuples(*strategies).map(lambda made: (name, *_flat(made)))


def several(*parts: Strategy, least: int = 1, most: int = 3) -> Strategy:
    """The parts repeated, as in MSET."""
    return st.lists(st.tuples(*parts), min_size=least, max_size=most).map(lambda made: tuple(_flat(made)))


def options(*choices: Sequence[Strategy | Argument], most: int = 2) -> Strategy:
    """Some of the options in any order, also where they contradict each other. Each is given by its parts."""
    one_of = st.one_of(*(command("", *choice).map(lambda made: made[1:]) for choice in choices))
    return st.lists(one_of, max_size=most).map(lambda made: tuple(_flat(made)))


def _flat(parts: Iterable[Any]) -> Iterable[Argument]:
    for part in parts:
        if isinstance(part, tuple):
            yield from _flat(part)
        else:
            yield part


OTHER_TYPES: Table = [
    command(name, KEYS, *rest)
    for name, *rest in (("RPUSH", "x"), ("SADD", "x"), ("HSET", "f", "v"), ("ZADD", "1", "x"))
    if REGISTRY.find(name)
]
"""Values of other types under the same keys, for WRONGTYPE; a type that is not there yet is left out."""


def sequences(*tables: Table, length: int = LENGTH) -> st.SearchStrategy[list[Command]]:
    """Sequences of commands of these tables, each form with the same probability."""
    forms = [form for table in tables for form in table]
    return st.lists(st.one_of(forms), min_size=length * 9 // 10, max_size=length * 11 // 10)


def differential(examples: int) -> Callable[[Any], Any]:
    """The settings for a test that runs so many sequences."""
    allowed = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=[*allowed, HealthCheck.large_base_example],
    )


# Comparing.


def close(by: int) -> Comparison:
    """Two integers that differ by so much at most, as TTLs do."""

    def compare(ours: Reply, oracle: Reply) -> bool:
        if isinstance(ours, int) and isinstance(oracle, int) and min(ours, oracle) >= 0:
            return abs(ours - oracle) <= by
        return bool(ours == oracle)

    return compare


def unordered(ours: Reply, oracle: Reply) -> bool:
    """The same items in any order."""
    if type(ours) is not type(oracle) or not isinstance(ours, list | Set | Map):
        return bool(ours == oracle)
    return sorted(map(repr, _items(ours))) == sorted(map(repr, _items(oracle)))


def _items(reply: Reply) -> Sequence[Reply]:
    if isinstance(reply, list):
        return reply
    return list(reply.pairs if isinstance(reply, Map) else reply.items)


def anything(ours: Reply, oracle: Reply) -> bool:
    """Replies of the same type; if one is an error, the same."""
    same_errors = ours == oracle or not isinstance(ours, Error)
    return type(ours) is type(oracle) and same_errors


_ENCODINGS = {b"listpack", b"quicklist", b"hashtable", b"intset"}


def encoded(ours: Reply, oracle: Reply) -> bool:
    """OBJECT ENCODING: those of lists and sets have changed since the oldest oracle."""
    return bool(ours == oracle) or ({ours, oracle} <= _ENCODINGS if isinstance(ours, bytes) else False)


COMPARISONS: Mapping[str, Comparison] = {
    "TTL": close(5),
    "PTTL": close(5_000),
    "EXPIRETIME": close(5),
    "PEXPIRETIME": close(5_000),
    "KEYS": unordered,
    "SMEMBERS": unordered,
    "HGETALL": unordered,
    "RANDOMKEY": anything,
    "OBJECT": encoded,
}
"""By command, where equality asks for too much."""

_VIEWS: Mapping[str, tuple[Argument, ...]] = {
    "string": ("GET",),
    "list": ("LRANGE", 0, -1),
    "set": ("SMEMBERS",),
    "hash": ("HGETALL",),
    "zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    "stream": ("XRANGE", "-", "+"),
}
"""How all of a value is read, the key being the first argument."""


def run(pair: Pair, commands: Sequence[Command], comparisons: Mapping[str, Comparison] = COMPARISONS) -> None:
    """Runs the commands on both servers, from nothing, and asserts that replies and contents are the same."""
    flushed, *_ = _compare(pair, [("FLUSHALL",), *commands], comparisons)
    assert not isinstance(flushed, Error)
    keys = pair.oracle("KEYS", "*")
    assert sorted(pair.ours("KEYS", "*")) == sorted(keys), f"different keys are left by {_shown(commands)}"
    types = _compare(pair, [("TYPE", key) for key in keys], {})
    views = [_VIEWS[kind.text] for kind in types]
    asked: list[Command] = [(view[0], key, *view[1:]) for key, view in zip(keys, views, strict=True)]
    asked += [("PEXPIRETIME", key) for key in keys]
    _compare(pair, asked, comparisons, commands)
    _compare(pair, [("DEBUG", "DIGEST")], {}, commands)


def _compare(
    pair: Pair,
    commands: Sequence[Command],
    comparisons: Mapping[str, Comparison],
    history: Sequence[Command] = (),
) -> list[Reply]:
    """Sends the commands to both servers and compares the replies; those of the oracle are returned."""
    data = b"".join(encode(*command) for command in commands)
    for wire in pair:
        wire.raw(data)
    replies = []
    for number, asked in enumerate(commands):
        ours, expected = _read(pair.ours), _read(pair.oracle)
        same = comparisons.get(str(asked[0]), _equal)
        if not same(ours, expected):
            for _ in commands[number + 1 :]:  # the next example finds both connections in step
                _read(pair.ours), _read(pair.oracle)
            before = [*history, *commands[: number + 1]]
            raise AssertionError(f"ours: {ours!r}\noracle: {expected!r}\nafter:\n{_shown(before)}")
        replies.append(expected)
    return replies


def _equal(ours: Reply, oracle: Reply) -> bool:
    return bool(ours == oracle)


def _read(wire: Wire) -> Reply:
    try:
        return wire.read()
    except (OSError, EOFError) as error:
        return error  # differs from any reply


def _shown(commands: Sequence[Command]) -> str:
    return "\n".join("  " + " ".join(map(repr, asked)) for asked in commands)

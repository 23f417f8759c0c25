"""Random HyperLogLogs on both servers, compared byte by byte: sparse, dense, corrupted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.differential.machine import (
    KEYS,
    OTHER_TYPES,
    Command,
    Table,
    command,
    differential,
    run,
    sequences,
    several,
)
from tests.wire import Argument, Pair


def _batch(first: int, size: int) -> tuple[Argument, ...]:
    return tuple(range(first, first + size))


_BATCHES = st.builds(_batch, st.integers(0, 3000), st.sampled_from([1, 2, 20, 20, 300]))
_ELEMENTS = st.one_of(_BATCHES, st.binary(max_size=40).map(lambda element: (element,)))

_LIMITS = st.sampled_from([b"0", b"30", b"200", b"3000", b"3000", b"12000"])

# Whole registers, or nearly: what Redis 7.0 does where an opcode is cut in two is a matter of luck.
_OPCODES = st.lists(
    st.sampled_from([b"\x00", b"\x3f", b"\x40\x00", b"\x41\xff", b"\x80", b"\x83", b"\xfe", b"\x7f\x00"]),
    max_size=12,
).map(b"".join)
_SHAPES = st.tuples(
    st.sampled_from([b"HYLL\x01", b"HYLL\x01", b"HYLL\x00", b"HYLL\x02", b"HYL"]),
    st.sampled_from([bytes(10) + b"\x80", bytes(11), b"\x01\x02\x03" + bytes(7) + b"\x80"]),
    _OPCODES,
    st.sampled_from([b"", b"\x7f\xff", b"\x6f\xff\x5f\xff"]),
).map(b"".join)

HYPERLOGLOGS: Table = [
    command("PFADD", KEYS, _ELEMENTS),
    command("PFADD", KEYS, _ELEMENTS),
    command("PFADD", KEYS, _BATCHES),
    command("PFCOUNT", several(KEYS)),
    command("PFCOUNT", KEYS),
    command("PFMERGE", KEYS, several(KEYS, least=0)),
    command("PFDEBUG", st.sampled_from(["ENCODING", "DECODE", "ENCODING", "TODENSE", "FOO"]), KEYS),
    command("GET", KEYS),
    command("STRLEN", KEYS),
    command("CONFIG", "SET", "hll-sparse-max-bytes", _LIMITS),
]

STRINGS: Table = [
    command("SET", KEYS, _SHAPES),
    # Within the header: behind it, Redis goes on with what is left of a value where we find it corrupted.
    command("SETRANGE", KEYS, st.integers(8, 15), st.sampled_from([b"\x00", b"\x80", b"\x81"])),
    command("APPEND", KEYS, st.sampled_from([b"", b"\x00", b"\x40\x01"])),
    command("DEL", KEYS),
    command("COPY", KEYS, KEYS),
]


def run_with_limit(pair: Pair, commands: list[Command]) -> None:
    """Runs the commands, beginning with the usual limit."""
    run(pair, [("CONFIG", "SET", "hll-sparse-max-bytes", "3000"), *commands])


@given(sequences(HYPERLOGLOGS, HYPERLOGLOGS, STRINGS, OTHER_TYPES))
@differential(examples=100)
def test_hyperloglogs(pair: Pair, commands: list[Command]) -> None:
    run_with_limit(pair, commands)


@given(sequences(HYPERLOGLOGS, HYPERLOGLOGS, STRINGS, OTHER_TYPES))
@differential(examples=5000)
@pytest.mark.long
def test_hyperloglogs_for_long(pair: Pair, commands: list[Command]) -> None:
    run_with_limit(pair, commands)

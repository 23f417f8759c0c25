"""HyperLogLog: how many different elements a key was shown, within 0.81 %, in 12 kilobytes at most.

The values are strings, byte for byte those of Redis: GET takes one out, SET brings one back. So nothing in them is
trusted: each command checks what it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from respcache.commands.bitmaps import data
from respcache.keyspec import key
from respcache.protocol.errors import WRONGTYPE, ReplyError
from respcache.protocol.reply import OK, ONE, ZERO, array, bulk, integer, status
from respcache.registry import (
    ADMIN,
    BRIEF,
    DENYOOM,
    FAST,
    MAY_REPLICATE,
    READONLY,
    SYSCMD,
    WRITE,
    command,
)
from respcache.state import Client
from respcache.store import hyperloglog as hll
from respcache.store.events import NO_EVENT, PFADD
from respcache.store.hll_sparse import START, Raised, decode, sparse_add, sparse_raise, sparse_unpack

_INVALID = ReplyError(b"WRONGTYPE Key is not a valid HyperLogLog string value.")
_CORRUPT = ReplyError(b"INVALIDOBJ Corrupted HLL object detected")
_NO_KEY = ReplyError(b"ERR The specified key does not exist")
_NOT_SPARSE = ReplyError(b"ERR HLL encoding is not sparse")
_SELF_TEST = ReplyError(b"ERR TESTFAILED Registers or estimates are wrong")


def _sketch(value: object) -> hll.Data:
    """The bytes of a value that looks like a HyperLogLog. Raises an error for others."""
    if type(value) is not bytearray and type(value) is not bytes:
        if type(value) is int:
            raise _INVALID
        raise WRONGTYPE
    if not hll.is_valid(value):
        raise _INVALID
    return value


def _registers(sketch: hll.Data) -> hll.Data:
    """Its registers, a byte for each. Raises INVALIDOBJ."""
    if sketch[4] == hll.DENSE:
        return hll.unpack(sketch)
    registers = sparse_unpack(sketch)
    if registers is None:
        raise _CORRUPT
    return registers


def _raise(sketch: bytearray, index: int, value: int, limit: int) -> bool:
    """Raises a register. Tells whether it was lower. A sparse one turns dense in place if it must."""
    if sketch[4] == hll.DENSE:
        return hll.dense_raise(sketch, index, value)
    raised = sparse_add(sketch, index, value, limit)
    if raised is Raised.CORRUPT:
        raise _CORRUPT
    if raised is Raised.DENSE:
        sketch[:] = hll.pack(sketch, _registers(sketch))
        return hll.dense_raise(sketch, index, value)
    return raised is Raised.YES


def _sources(c: Client, *keys: bytes) -> Iterator[hll.Data]:
    """The registers of all that is there. Raises an error for what is no HyperLogLog."""
    for name in keys:
        value = c.db.get(name)
        if value is not None:
            yield _registers(_sketch(value))


@command(
    WRITE | DENYOOM | FAST | BRIEF,
    group="hyperloglog",
    keys=key("RW INSERT"),
    syntax="key:key [element...]",
)
def pfadd(c: Client, key: bytes, *elements: bytes) -> bytes:
    """Shows elements to a HyperLogLog; replies 1 if that changed it. O(1) for each element. Since 2.8.9."""
    old = c.db.peek(key)
    changes = 0
    if old is None:
        sketch = bytearray(hll.EMPTY)
        changes = 1
    else:
        value = _sketch(old)
        sketch = value if type(value) is bytearray else bytearray(value)
    limit = c.server.config.hll_sparse_max_bytes
    try:
        for element in elements:
            changes += _raise(sketch, *hll.place(element), limit)
    finally:  # a corrupted string keeps what was added before that showed
        if changes:
            hll.invalidate(sketch)
            if sketch is old:
                c.db.touch(key, PFADD, changes)
            else:
                c.db.replace(key, sketch, PFADD)
    return ONE if changes else ZERO


@command(
    READONLY | MAY_REPLICATE,
    group="hyperloglog",
    keys=key("RW ACCESS", last=-1, notes="may update the cached cardinality"),
    syntax="key:key...",
)
def pfcount(c: Client, key: bytes, *keys: bytes) -> bytes:
    """How many different elements a HyperLogLog was shown, or several of them together.

    O(1), or O(N) with N keys. Since 2.8.9.
    """
    if keys:
        return _signed(hll.estimate(hll.histogram(hll.merge(_sources(c, key, *keys)))))
    value = c.db.get(key)
    if value is None:
        return ZERO
    sketch = _sketch(value)
    known = hll.cached(sketch)
    if known is None:
        known = hll.estimate(hll.histogram(_registers(sketch)))
        if type(value) is bytearray:
            c.db.prepare(key)
            hll.cache(value, known)
            c.db.touch(key, NO_EVENT)
        else:
            sketch = bytearray(sketch)
            hll.cache(sketch, known)
            c.db.replace(key, sketch, NO_EVENT)
    return _signed(known)


def _signed(count: int) -> bytes:
    """A count as Redis replies it: 2^63, of a corrupted string, is the lowest integer."""
    return integer(count if count < 1 << 63 else count - (1 << 64))


@command(
    WRITE | DENYOOM,
    group="hyperloglog",
    keys=(key("RW ACCESS INSERT"), key("RO ACCESS", at=2, last=-1)),
    syntax="destkey:key sourcekey:key@1...",
)
def pfmerge(c: Client, destination: bytes, *keys: bytes) -> bytes:
    """Shows a HyperLogLog all the elements that others were shown. O(N) with N keys. Since 2.8.9."""
    registers = hll.merge(_sources(c, destination, *keys))
    values = [value for name in (destination, *keys) if (value := c.db.peek(name)) is not None]
    old = c.db.peek(destination)
    merged = bytearray(hll.EMPTY if old is None else data(old))
    if any(value[4] == hll.DENSE for value in values):
        merged = hll.pack(merged, registers)
    else:
        merged = _merge_sparse(merged, registers, c.server.config.hll_sparse_max_bytes)
    hll.invalidate(merged)
    c.db.replace(destination, merged, PFADD)
    return OK


def _merge_sparse(sketch: bytearray, registers: bytes, limit: int) -> bytearray:
    """A sparse one whose registers were raised to these, which are not lower; dense if it grew too long."""
    place = START
    for index in hll.differences(registers, _registers(sketch)):
        raised, place = sparse_raise(sketch, index, registers[index], limit, place)
        if raised is Raised.DENSE:
            return hll.pack(sketch, registers)
    return sketch


@command(
    WRITE | DENYOOM | ADMIN | SYSCMD,
    group="hyperloglog",
    keys=key("RW ACCESS", at=2),
    syntax="subcommand key:key",
)
def pfdebug(c: Client, subcommand: bytes, key: bytes) -> bytes:
    """Shows the inside of a HyperLogLog, or makes it dense. Since 2.8.9."""
    value = c.db.peek(key)
    if value is None:
        raise _NO_KEY
    sketch = _sketch(value)
    sparse = sketch[4] == hll.SPARSE
    match subcommand.upper():
        case b"ENCODING":
            return status(b"sparse" if sparse else b"dense")
        case b"DECODE":
            if not sparse:
                raise _NOT_SPARSE
            return bulk(decode(sketch))
        case b"GETREG":
            registers = _registers(sketch)
            if sparse:
                c.db.replace(key, hll.pack(sketch, registers), NO_EVENT)
            return array([integer(register) for register in registers])
        case b"TODENSE":
            if not sparse:
                return ZERO
            c.db.replace(key, hll.pack(sketch, _registers(sketch)), NO_EVENT)
            return ONE
    raise ReplyError(b"ERR Unknown PFDEBUG subcommand '%b'" % subcommand)


@command(ADMIN | SYSCMD, group="hyperloglog")
def pfselftest(c: Client) -> bytes:
    """Tests that registers keep what is written to them and that estimates are near the truth. Since 2.8.9."""
    if not _registers_hold() or not _estimates_hold():
        raise _SELF_TEST
    return OK


def _registers_hold() -> bool:
    """Whether dense and sparse registers are read back as written."""
    random = Random(1)
    expected = bytearray(hll.REGISTERS)
    dense = hll.pack(hll.EMPTY, expected)
    sparse = bytearray(hll.EMPTY)
    for _ in range(500):
        index, value = random.randrange(hll.REGISTERS), random.randint(1, 32)
        expected[index] = max(expected[index], value)
        hll.dense_raise(dense, index, value)
        sparse_raise(sparse, index, value, len(sparse) + 8)
    return hll.unpack(dense) == expected and sparse_unpack(sparse) == bytes(expected)


def _estimates_hold() -> bool:
    """Whether estimates of up to 10000 elements are within four standard errors."""
    sketch = hll.pack(hll.EMPTY, bytes(hll.REGISTERS))
    for number in range(1, 10_001):
        hll.dense_raise(sketch, *hll.place(b"element %d" % number))
        if number in (1, 10, 100, 1000, 10_000):
            error = hll.estimate(hll.histogram(hll.unpack(sketch))) - number
            if abs(error) > max(1, number * 4 * 1.04 / hll.REGISTERS**0.5):
                return False
    return True

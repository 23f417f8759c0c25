"""RDB files in bytes, without any file: what to write, piece by piece.

    file      "REDIS" version (4 digits) | AUX ... | FUNCTION2 ... | databases | ff | CRC64 (8 bytes LE)
    database  fe number | fb keys keys-with-deadline | entry ...
    entry     [fc deadline (8 bytes LE, ms)] type key value

The version is the lowest that the values allow, so that old servers load what needs no new ones: 10 (Redis 7.0), or 12
(Redis 7.4) if a hash has fields with deadlines. Small values are written packed, as they are held.

    >>> write_value(b"hello"), write_value(12)
    ((0, b'\\x05hello'), (0, b'\\xc0\\x0c'))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, pairwise
from struct import Struct
from typing import Any

from respcache.persistence import crc64, listpack
from respcache.persistence.rdb_stream import stream
from respcache.persistence.rdb_strings import LENGTHS, length, plain_below, string
from respcache.protocol.reply import format_double
from respcache.store import types
from respcache.store.database import Database, Value
from respcache.store.hash import Hash, HashTable, deadlines_of
from respcache.store.lazyfree import is_heavy
from respcache.store.list import List, Listpack
from respcache.store.set import IntSet, ListpackSet, SetValue
from respcache.store.stream import Stream
from respcache.store.zset import ZSet

BASE = 10
"""The version of files without anything newer: Redis 7.0 and all later servers load it."""
NEWEST = 12
"""The version of Redis 7.4, the first with deadlines of fields."""

STRING, SET, HASH, ZSET, INTSET = 0, 2, 4, 5, 11
HASH_LISTPACK, ZSET_LISTPACK, LIST, STREAM_2, SET_LISTPACK, STREAM_3 = 16, 17, 18, 19, 20, 21
HASH_DEADLINES, HASH_LISTPACK_DEADLINES = 24, 25

Pieces = Iterable[bytes]

_PLAIN, _PACKED = b"\x01", b"\x02"  # the containers of a list's nodes
_NODE_BYTES = (65536, 32768, 16384, 8192, 4096)  # by list-max-listpack-size from -5 to -1
_SAFE = 8192  # bytes of a node whose limit is a number of elements
_BATCH = 512
"""Elements of a big value that make a piece."""
_EXACT = 1 << 52
"""Below, an integral score is stored as an integer."""

_INTSET_CODES = {2: "h", 4: "i", 8: "q"}  # of struct, by bytes

_DEADLINE = Struct("<Bq").pack
_DOUBLE = Struct("<d").pack
_INT64 = Struct("<q").pack


@dataclass(frozen=True, slots=True)
class Format:
    """What the written values may be like."""

    version: int = BASE
    """Types that came later are used only where nothing else would do: see `least_version`."""
    list_size: int = -2
    """Of a list's nodes, as `list-max-listpack-size`: so many elements, or a class of bytes if negative."""


DEFAULT = Format()

_STRINGS = [b"%c%b" % (STRING, size) for size in LENGTHS]  # an entry whose key has this length


# Values


def value_pieces(value: Value, form: Format = DEFAULT, compress: int = True) -> tuple[int, Pieces]:
    """The type of a value and its payload in pieces, so that a big container is never there twice.

    The value must not change until the last piece is made. `compress` is `rdbcompression`; RARELY may
    stand for yes.
    """
    write = _WRITERS[type(value)]
    return write(value, form, compress)


def write_value(value: Value, form: Format = DEFAULT, compress: int = True) -> tuple[int, bytes]:
    """The type of a value and its payload."""
    kind, pieces = value_pieces(value, form, compress)
    return kind, b"".join(pieces)


def least_version(kind: int) -> int:
    """The version of files that may hold a type."""
    if kind >= HASH_DEADLINES:
        return 12
    return 11 if kind >= SET_LISTPACK else BASE


def file_version(databases: Iterable[Database]) -> int:
    """The version of a file of these databases, to be told before any value is looked at."""
    return NEWEST if any(db.field_deadlines.count for db in databases) else BASE


def _string(value: bytes | int | bytearray, _form: Format, compress: int) -> tuple[int, Pieces]:
    return STRING, (string(b"%d" % value if isinstance(value, int) else value, compress),)


def _joined(size: int, parts: Iterable[bytes]) -> Iterator[bytes]:
    """A number of parts and then these, many in a piece. No part may be empty."""
    yield length(size)
    parts = iter(parts)
    while piece := b"".join(islice(parts, _BATCH)):
        yield piece


def _list(value: List, form: Format, compress: int) -> tuple[int, Pieces]:
    if type(value) is Listpack:
        return LIST, (b"\x01", _PACKED, string(listpack.encode(value), compress))
    bounds = _nodes(value, form.list_size)
    nodes = (_node(value, *node, form.list_size, compress) for node in pairwise(bounds))
    return LIST, chain((length(len(bounds) - 1),), nodes)


def _node_limits(limit: int) -> tuple[int, int]:
    """The most bytes and elements of a node."""
    return (_NODE_BYTES[max(limit, -5)], 1 << 30) if limit < 0 else (_SAFE, limit or 1)


def _nodes(value: List, limit: int) -> list[int]:
    """Where the nodes of a list begin, and where the last one ends."""
    most, count = _node_limits(limit)
    bounds = [0]
    size = held = at = 0
    for at, taken in enumerate(map(len, value)):
        taken += 3  # or some more, or less if it is an integer: limits need not be met exactly
        if held and (size + taken > most or held == count):
            bounds.append(at)
            size = held = 0
        size += taken
        held += 1
    bounds.append(at + 1)
    return bounds


def _node(value: List, first: int, behind: int, limit: int, compress: int) -> bytes:
    elements = value.elements(first, behind)
    if len(elements) == 1 and len(elements[0]) > _node_limits(limit)[0]:
        return _PLAIN + string(elements[0], compress)
    return _PACKED + string(listpack.encode(elements), compress)


def _intset(value: IntSet, _form: Format, compress: int) -> tuple[int, Pieces]:
    """Element size and number (u32 LE), then the numbers in their order; the size is what the greatest needs."""
    numbers = sorted(map(int, value))
    bits = max(number.bit_length() if number >= 0 else (~number).bit_length() for number in numbers)
    size = 2 if bits < 16 else 4 if bits < 32 else 8
    packed = Struct(f"<{len(numbers)}{_INTSET_CODES[size]}").pack(*numbers)
    head = size.to_bytes(4, "little") + len(numbers).to_bytes(4, "little")
    return INTSET, (string(head + packed, compress),)


def _listpack_set(value: ListpackSet, form: Format, compress: int) -> tuple[int, Pieces]:
    if form.version < least_version(SET_LISTPACK):
        return _set(value, form, compress)
    return SET_LISTPACK, (string(listpack.encode(value), compress),)


def _set(value: SetValue, _form: Format, compress: int) -> tuple[int, Pieces]:
    return SET, _joined(len(value), map(partial(string, compress=compress), value))


def _hash(value: Hash, _form: Format, compress: int) -> tuple[int, Pieces]:
    deadlines = deadlines_of(value)
    if deadlines is not None:
        write = _mortal_table if isinstance(value, HashTable) else _mortal_listpack
        return write(value, dict(deadlines.items()), compress)
    words = chain.from_iterable(value.items())
    if isinstance(value, HashTable):
        return HASH, _joined(len(value), map(partial(string, compress=compress), words))
    return HASH_LISTPACK, (string(listpack.encode(words), compress),)


def _mortal_table(value: Hash, deadlines: dict[bytes, int], compress: int) -> tuple[int, Pieces]:
    """The earliest deadline (8 bytes LE), then each field behind its deadline: that minus the earliest, plus 1."""
    before = min(deadlines.values()) - 1
    fields = (
        length(deadlines.get(field, before) - before) + string(field, compress) + string(text, compress)
        for field, text in value.items()
    )
    return HASH_DEADLINES, chain((_INT64(before + 1),), _joined(len(value), fields))


def _mortal_listpack(value: Hash, deadlines: dict[bytes, int], compress: int) -> tuple[int, Pieces]:
    """The earliest deadline (8 bytes LE), then a listpack of fields, values and deadlines: first those that die
    first, those that never do last with a 0."""
    order = sorted(deadlines, key=deadlines.__getitem__)
    order += [field for field in value if field not in deadlines]
    element = listpack.encode_element
    parts: list[bytes] = []
    for field in order:
        parts += (element(field), element(value[field]), listpack.encode_integer(deadlines.get(field, 0)))
    return HASH_LISTPACK_DEADLINES, (_INT64(deadlines[order[0]]), string(listpack.join(parts), compress))


def _zset(value: ZSet, _form: Format, compress: int) -> tuple[int, Pieces]:
    if not value.packed:
        return ZSET, _joined(len(value), _highest_first(value, compress))
    element = listpack.encode_element
    parts: list[bytes] = []
    for member, score in value.items():
        parts += (element(member), _packed_score(score))
    return ZSET_LISTPACK, (string(listpack.join(parts), compress),)


def _packed_score(score: float) -> bytes:
    if -_EXACT < score < _EXACT and score == int(score):
        return listpack.encode_integer(int(score))
    return listpack.encode_element(format_double(score))


def _highest_first(value: ZSet, compress: int) -> Iterator[bytes]:
    """Members and doubles, from the end: so the reader inserts each at the beginning."""
    for behind in range(len(value), 0, -_BATCH):
        members, scores = value.slice(max(behind - _BATCH, 0), behind)
        for member, score in zip(reversed(members), reversed(scores), strict=True):
            yield string(member, compress) + _DOUBLE(score)


def _stream(value: Stream, form: Format, compress: int) -> tuple[int, Pieces]:
    with_active = form.version >= least_version(STREAM_3)
    return STREAM_3 if with_active else STREAM_2, stream(value, with_active, compress)


_NAMED: dict[bytes, Callable[[Any, Format, int], tuple[int, Pieces]]] = {
    b"string": _string,
    b"list": _list,
    b"set": _set,
    b"hash": _hash,
    b"zset": _zset,
    b"stream": _stream,
}
_WRITERS = {kind: _NAMED[info.name] for kind, info in types.TYPES.items()}
_WRITERS |= {IntSet: _intset, ListpackSet: _listpack_set}


# Files


def header(version: int = BASE) -> bytes:
    """The first bytes of a file."""
    return b"REDIS%04d" % version


def aux(name: bytes, value: bytes) -> bytes:
    """A fact about the file; who does not know its name skips it."""
    return b"\xfa" + string(name) + string(value)


def function(source: bytes, compress: int = True) -> bytes:
    """A library of functions; they come before all databases."""
    return b"\xf5" + string(source, compress)


def select_db(index: int, keys: int, mortal: int) -> bytes:
    """What follows belongs to this database, which has so many keys, so many of them with deadlines."""
    return b"\xfe%b\xfb%b%b" % (length(index), length(keys), length(mortal))


def idle(seconds: int) -> bytes:
    """The time since the key of the next entry was used."""
    return b"\xf8" + length(seconds)


def freq(count: int) -> bytes:
    """How often the key of the next entry was used, on a logarithmic scale from 0 to 255."""
    return b"\xf9%c" % count


def shard_entries(
    shard: Mapping[bytes, Value],
    deadlines: Mapping[bytes, int] | None = None,
    form: Format = DEFAULT,
    compress: int = True,
) -> tuple[list[bytes], list[bytes]]:
    """The entries of many keys in pieces, and the keys of those left out as their values are big: `is_heavy`.

    Deadlines, of those that have any, are in milliseconds since the epoch. An entry with a short string takes 0.15 us.
    """
    short = plain_below(compress)
    pieces: list[bytes] = []
    big: list[bytes] = []
    for key, value in shard.items():
        kind = type(value)
        if kind is int:
            kind, value = bytes, b"%d" % value
        if kind is bytes and len(key) < len(
            LENGTHS
        ):  # keys stay as they are: that is legal, and they are short
            if deadlines and (deadline := deadlines.get(key)) is not None:
                pieces.append(_DEADLINE(0xFC, deadline))
            size = len(value)
            if 11 < size < short or (size < 12 and value >= b":"):  # neither compressed nor an integer
                pieces += (_STRINGS[len(key)], key, LENGTHS[size], value)
            else:
                pieces += (_STRINGS[len(key)], key, string(value, compress))
        elif is_heavy(value):
            big.append(key)
        else:
            pieces += entry_pieces(key, value, deadlines.get(key) if deadlines else None, form, compress)
    return [b"".join(pieces)], big


def short_entries(shards: Sequence[Mapping[bytes, Value]], compress: int = True) -> bytes:
    """The entries of many keys without deadlines and with short strings; nothing if there are others.

    It is the fast way to the same bytes: each object costs a cache miss, and where C goes through all of them several
    are under way at once. Types are not looked at: what is neither bytes nor bytearray has no length, or cannot be
    compared, or joined.
    """
    keys = list(chain.from_iterable(shards))
    values = list(chain.from_iterable(shard.values() for shard in shards))
    try:
        key_sizes, sizes = list(map(len, keys)), list(map(len, values))
        kinds = set(sizes)
        if max(kinds) >= plain_below(compress) or max(key_sizes) >= len(LENGTHS):
            return b""
        if min(kinds) < 12 and min(values) < b":":  # it may be a number, which is written as such
            return b""
        pieces = [b""] * (4 * len(sizes))
        pieces[::4] = map(_STRINGS.__getitem__, key_sizes)
        pieces[1::4] = keys
        pieces[2::4] = map(LENGTHS.__getitem__, sizes)
        pieces[3::4] = values
        return b"".join(pieces)
    except TypeError:
        return b""


def entry_pieces(
    key: bytes, value: Value, deadline: int | None = None, form: Format = DEFAULT, compress: int = True
) -> Iterator[bytes]:
    """A key and its value, which may be big: see `value_pieces`. The deadline is in milliseconds since the epoch."""
    kind, pieces = value_pieces(value, form, compress)
    before = b"" if deadline is None else _DEADLINE(0xFC, deadline)
    yield b"%b%c%b%b" % (before, kind, length(len(key)), key)
    yield from pieces


def end(crc: int | None) -> bytes:
    """The last bytes; `crc` is the checksum of everything before them, None if there is to be none."""
    return b"\xff" + (0 if crc is None else crc64.update(crc, b"\xff")).to_bytes(8, "little")

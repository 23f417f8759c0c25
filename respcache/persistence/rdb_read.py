"""RDB files and DUMP payloads, read.

    file    magic and version | opcodes and entries | ff | checksum (8 bytes LE, from version 5 on; 0: none)
    entry   [deadline] [idle time or frequency] type (1 byte) | key | value

The reader does no input itself: a `Source` asks for pieces of the file, what is in them goes to a `Handler`,
and after each piece the caller has a turn. Versions 1 to 12 are read, and 80 (Valkey) as far as it has no types
of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any

from respcache.persistence import listpack, packed, rdb_legacy
from respcache.persistence.rdb_build import (
    EmptyValueError,
    Limits,
    hash_of,
    list_of,
    mortal_hash_of,
    packed_hash_of,
    packed_set_of,
    packed_zset_of,
    set_of,
    set_of_integers,
    zset_of,
)
from respcache.persistence.rdb_read_stream import read_stream
from respcache.persistence.source import ForeignError, RdbError, Source
from respcache.store.hash import Hash
from respcache.store.list import List
from respcache.store.set import SetValue
from respcache.store.stream import Stream
from respcache.store.zset import ZSet

NEWEST = 12
"""The newest version of Redis's own."""
VALKEY = 80

SLOT_INFO, FUNCTION2, FUNCTION, MODULE_AUX, IDLE, FREQ = 0xF4, 0xF5, 0xF6, 0xF7, 0xF8, 0xF9
AUX, RESIZEDB, EXPIRETIME_MS, EXPIRETIME, SELECTDB, EOF = 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF

Value = bytes | List | SetValue | Hash | ZSet | Stream
_Reader = Callable[[Source, Limits], Any]

_DOUBLE = Struct("<d")
_PLAIN, _PACKED = 1, 2
_MODULE_TYPES = (6, 7)
_MODULE_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SHORT = 75
"""Bytes that a short key takes at most, with its deadline, its type and the first byte of its value."""


class EmptyRdbError(RdbError):
    """A value without elements, which was read to its end: a file is read on, a payload is refused."""


class Handler:
    """Takes what is in a file. What is not overridden ignores it; what they raise ends the reading."""

    version = 0
    """Of the file."""

    def aux(self, name: bytes, value: bytes) -> None:
        """A note about the file or its writer."""

    def resize(self, db: int, keys: int, expires: int) -> None:
        """A hint: how many keys of a database will come, and how many of them have a deadline."""

    def function(self, code: bytes) -> None:
        """The source of a library of functions."""

    def select(self, db: int) -> None:
        """Entries of this database come next."""

    def strings(self, db: int, keys: list[bytes], values: list[bytes], deadlines: dict[bytes, int]) -> None:
        """Strings without idle time and frequency, and the deadlines of those that have any.

        Most short strings come so, many at a time; all three collections are the handler's.
        """
        for key, value in zip(keys, values, strict=True):
            self.entry(db, key, value, deadlines.get(key), None, None)

    def entry(
        self, db: int, key: bytes, value: Value, deadline: int | None, idle: int | None, freq: int | None
    ) -> None:
        """A key and its value; deadline in milliseconds since the epoch, idle time in seconds."""

    def empty(self, db: int, key: bytes) -> None:
        """A key whose value has no elements was left out."""


# Values


def _read_string(source: Source, _limits: Limits) -> bytes:
    return source.string()


def _read_set(source: Source, limits: Limits) -> SetValue:
    return set_of(source.strings(source.length()), limits)


def _read_hash(source: Source, limits: Limits) -> Hash:
    return hash_of(source.strings(source.length() * 2), limits)


def _read_zset(source: Source, limits: Limits) -> ZSet:
    members, packed_scores = source.strings_and(source.length(), _DOUBLE.size)
    return zset_of(members, [score for (score,) in _DOUBLE.iter_unpack(packed_scores)], limits)


def _read_intset(source: Source, limits: Limits) -> SetValue:
    return set_of_integers(packed.decode_intset(source.string()), limits)


def _read_set_listpack(source: Source, limits: Limits) -> SetValue:
    return packed_set_of(listpack.decode(source.string()), limits)


def _read_hash_listpack(source: Source, limits: Limits) -> Hash:
    return packed_hash_of(listpack.decode(source.string()), limits)


def _read_zset_listpack(source: Source, limits: Limits) -> ZSet:
    return packed_zset_of(listpack.decode(source.string()), limits)


def _read_quicklist(source: Source, limits: Limits) -> List:
    elements: list[bytes] = []
    nodes = 0
    for _ in range(source.length()):
        container = source.length()
        data = source.string()
        if container == _PLAIN:
            elements.append(data)
            nodes += 2  # one of these alone is no listpack either
        elif container == _PACKED:
            found = listpack.decode(data)
            elements += found
            nodes += bool(found)
        else:
            raise ValueError(f"no container of a list has the number {container}")
    return list_of(elements, limits, nodes)


def _read_stream(version: int) -> _Reader:
    return lambda source, _limits: read_stream(source, version)


def _read_hash_metadata(source: Source, limits: Limits) -> Hash:
    return _mortal_fields(source, source.integer(8, False), limits)


def _read_hash_metadata_early(source: Source, limits: Limits) -> Hash:
    return _mortal_fields(source, 1, limits)


def _mortal_fields(source: Source, earliest: int, limits: Limits) -> Hash:
    """Fields behind their deadlines, each 0 or the milliseconds behind the earliest one, plus 1."""
    words: list[bytes] = []
    for _ in range(source.length()):
        ahead = source.length()
        words += source.string(), source.string(), b"%d" % (earliest + ahead - 1 if ahead else 0)
    return mortal_hash_of(words, limits, packed=False)


def _read_hash_listpack_ex(source: Source, limits: Limits) -> Hash:
    source.take(8)  # the earliest deadline, or one that is gone
    return _read_hash_listpack_ex_early(source, limits)


def _read_hash_listpack_ex_early(source: Source, limits: Limits) -> Hash:
    return mortal_hash_of(listpack.decode(source.string()), limits, packed=True)


_READERS: dict[int, _Reader] = {
    0: _read_string,
    1: rdb_legacy.read_list,
    2: _read_set,
    3: rdb_legacy.read_zset,
    4: _read_hash,
    5: _read_zset,
    9: rdb_legacy.read_zipmap,
    10: rdb_legacy.read_list_ziplist,
    11: _read_intset,
    12: rdb_legacy.read_zset_ziplist,
    13: rdb_legacy.read_hash_ziplist,
    14: rdb_legacy.read_quicklist,
    15: _read_stream(1),
    16: _read_hash_listpack,
    17: _read_zset_listpack,
    18: _read_quicklist,
    19: _read_stream(2),
    20: _read_set_listpack,
    21: _read_stream(3),
    22: _read_hash_metadata_early,
    23: _read_hash_listpack_ex_early,
    24: _read_hash_metadata,
    25: _read_hash_listpack_ex,
}


def read_value(source: Source, rdb_type: int, limits: Limits) -> Value:
    """The value that follows its type, as the store holds it.

    Raises RdbError with the offset, EmptyRdbError if it has no elements. A string is never an int.
    """
    start = source.offset
    reader = _READERS.get(rdb_type)
    if reader is None:
        if rdb_type in _MODULE_TYPES:
            name = f" {module_name(source.length())!r}" if rdb_type == _MODULE_TYPES[1] else ""
            raise ForeignError(f"a value of the module{name}, which is not here", start)
        raise RdbError(f"there is no type {rdb_type}", start)
    try:
        value: Value = reader(source, limits)
    except RdbError:
        raise
    except EmptyValueError as error:
        raise EmptyRdbError(str(error), start) from None
    except ValueError as error:
        raise RdbError(str(error), start) from None
    return value


# Files


def read_file(source: Source, limits: Limits, handler: Handler) -> Iterator[int]:
    """Gives a whole file to the handler; what follows it remains in `source.rest` and in the stream.

    Yields after each piece that was read how many bytes are done. Raises RdbError with the offset. The checksum is
    verified if the source was made to keep one.
    """
    version = handler.version = _read_header(source)
    db = 0
    deadline: int | None = None
    idle: int | None = None
    freq: int | None = None
    keys: list[bytes] = []
    values: list[bytes] = []
    deadlines: dict[bytes, int] = {}
    done = -1
    try:
        while True:
            if len(source.data) - source.at < _SHORT:
                source.fill(_SHORT)
            if source.base != done:
                done = source.base
                if keys:
                    handler.strings(db, keys, values, deadlines)
                    keys, values, deadlines = [], [], {}
                yield source.offset
            if deadline is None and idle is None and freq is None:
                _read_short_strings(source, keys, values, deadlines)
            kind = source.byte()
            if kind == EXPIRETIME_MS:
                deadline = source.integer(8)
            elif kind == EXPIRETIME:
                deadline = source.integer(4) * 1000
            elif kind == IDLE:
                idle = source.length()
            elif kind == FREQ:
                freq = source.byte()
            elif kind == SELECTDB:
                number = source.length()
                if keys:
                    handler.strings(db, keys, values, deadlines)
                    keys, values, deadlines = [], [], {}
                db = number
                handler.select(db)
            elif kind == RESIZEDB:
                handler.resize(db, source.length(), source.length())
            elif kind == SLOT_INFO:
                for _ in range(3):
                    source.length()
            elif kind == AUX:
                handler.aux(source.string(), source.string())
            elif kind == FUNCTION2:
                handler.function(source.string())
            elif kind == FUNCTION:
                raise ForeignError("a function as a release candidate of Redis 7.0 wrote it", source.offset)
            elif kind == MODULE_AUX:
                _skip_module_aux(source)
            elif kind == EOF:
                break
            else:
                key = source.string()
                try:
                    value = read_value(source, kind, limits)
                except EmptyRdbError:
                    handler.empty(db, key)
                else:
                    handler.entry(db, key, value, deadline, idle, freq)
                deadline = idle = freq = None
    except RdbError:
        if keys:
            handler.strings(db, keys, values, deadlines)
        raise
    if keys:
        handler.strings(db, keys, values, deadlines)
    if version >= 5:
        _verify(source)


def _read_header(source: Source) -> int:
    head = source.take(9)
    number = head[5:] if head[:5] == b"REDIS" else head[6:] if head[:6] == b"VALKEY" else b""
    if not number.isdigit():
        raise ForeignError("this is no RDB file: it does not begin with REDIS and a version", 0)
    version = int(number)
    if not 1 <= version <= NEWEST and version != VALKEY:
        raise ForeignError(f"Can't handle RDB format version {version}", 0)
    return version


def _read_short_strings(
    source: Source, keys: list[bytes], values: list[bytes], deadlines: dict[bytes, int]
) -> None:
    """Reads on as long as there are keys shorter than 64 bytes with short strings: nearly all of many a file."""
    data, at = source.data, source.at
    safe = len(data) - _SHORT
    add_key, add_value = keys.append, values.append
    while at <= safe:
        first = at
        if kind := data[at]:
            if kind != EXPIRETIME_MS or data[at + 9]:
                break
            first += 9
        size = data[first + 1]
        if size > 63:
            break
        middle = first + 2 + size
        size = data[middle]
        start = middle + 1
        if size < 64:
            behind = start + size
            value = data[start:behind]
        elif size == 0xC0:
            behind = start + 1
            value = b"%d" % int.from_bytes(data[start:behind], "little", signed=True)
        elif size == 0xC1:
            behind = start + 2
            value = b"%d" % int.from_bytes(data[start:behind], "little", signed=True)
        elif size == 0xC2:
            behind = start + 4
            value = b"%d" % int.from_bytes(data[start:behind], "little", signed=True)
        elif size < 0x80 and start < len(data):
            behind = start + 1 + ((size & 63) << 8 | data[start])
            value = data[start + 1 : behind]
        else:
            break
        if behind > len(data):
            break
        key = data[first + 2 : middle]
        if kind:
            deadlines[key] = int.from_bytes(data[at + 1 : first], "little", signed=True)
        add_key(key)
        add_value(value)
        at = behind
    source.at = at


def _verify(source: Source) -> None:
    expected = source.crc() if source.checksum else 0
    start = source.offset
    told = source.integer(8, False)
    if told and source.checksum and told != expected:
        raise RdbError(f"the checksum is {told:016x}, but that of the file is {expected:016x}", start)


# Modules


def module_name(number: int) -> str:
    """The name of a module's type, 9 characters of 6 bits each, from its id."""
    return "".join(_MODULE_CHARACTERS[number >> shift & 63] for shift in range(58, 4, -6))


def _skip_module_aux(source: Source) -> None:
    """Skips what a module keeps besides its values: numbers and strings behind their kinds, up to a 0."""
    source.length()
    while kind := source.length():
        if kind in (1, 2):
            source.length()
        elif kind in (3, 4):
            source.take(4 if kind == 3 else 8)
        elif kind == 5:
            source.string()
        else:
            raise source.error(f"there is no kind {kind} of data of a module")

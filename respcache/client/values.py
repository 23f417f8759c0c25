"""Python values as bytes of a cache, with their exact types; and what others stored, as well as it can be told.

    int of 64 bits      12            decimal digits, so that INCRBY counts on them
    str                 football      its UTF-8, which any other client reads
    str, if unclear     C1 's' ...    one that would be read as an int, or holds lone surrogates
    bytes               C1 'b' ...    as they are
    all else            C1 'm' ...    MessagePack, see below

The byte C1 stands in no UTF-8 text and begins no MessagePack document, so nothing that others store is taken for one
of ours. What has no mark is an int if it is one (no plus, no leading zeros, 64 bits), else a str if it is UTF-8, else
bytes. What has the mark and is damaged is bytes too; only an extension that is not known, or that the codec cannot
read, makes `decode` fail.

MessagePack has nil, booleans, ints of 64 bits, floats, text, bytes, lists and maps (keys of any type). Extensions
carry the rest:

    1 tuple, 2 set, 3 frozenset   empty: the first element of a list says what the list is
    4 int beyond 64 bits          signed, big-endian
    5 datetime, 6 date, 7 time    ISO 8601; a time zone comes back as its offset, without `fold`
    16 object                     the bytes of the codec

Tuples and sets are not packed into extensions: every level would then be unpacked by a call within a call of C, 80 KB
of stack each, and a hundred levels that somebody stored would end the process. As lists they nest to about 1,000.

bytearray and memoryview come back as bytes. A subclass (an OrderedDict, an IntEnum, a named tuple) is not what its
base is: it is an object, and needs a codec. msgspec would write tuples as lists and enums as their values without
asking; JSON knows neither bytes nor keys.
"""

from __future__ import annotations

import datetime
import pickle
from collections.abc import Callable
from typing import Any, Protocol

import msgpack

from respcache.client.errors import StoredValueError, ValueTypeError

MARK = 0xC1
TEXT, BYTES, PACKED = b"\xc1s", b"\xc1b", b"\xc1m"
TUPLE, SET, FROZENSET, BIG_INT, DATETIME, DATE, TIME, OBJECT = 1, 2, 3, 4, 5, 6, 7, 16

SMALLEST, LARGEST = -(1 << 63), (1 << 63) - 1
LONGEST = 20  # characters of an int of 64 bits

CONTAINERS = {
    kind: msgpack.ExtType(code, b"") for kind, code in ((tuple, TUPLE), (set, SET), (frozenset, FROZENSET))
}
MOMENTS: dict[type, int] = {datetime.datetime: DATETIME, datetime.date: DATE, datetime.time: TIME}
READERS: dict[int, Callable[[str], Any]] = {
    DATETIME: datetime.datetime.fromisoformat,
    DATE: datetime.date.fromisoformat,
    TIME: datetime.time.fromisoformat,
}


class Codec(Protocol):
    """Objects of other types as bytes. Whatever it raises reaches the caller as the cause of an error of ours."""

    def encode(self, value: Any) -> bytes:
        """The bytes of an object."""

    def decode(self, data: bytes) -> Any:
        """The object of these bytes."""


class PickleCodec:
    """Any object, by pickle. Whoever can write to the cache can then run code in its readers."""

    def encode(self, value: Any) -> bytes:
        """The pickle of an object."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, data: bytes) -> Any:
        """The object of a pickle."""
        return pickle.loads(data)


def named_codec(codec: Codec | str | None) -> Codec | None:
    """The codec itself, or the one of that name: there is `pickle`."""
    if codec == "pickle":
        return PickleCodec()
    if isinstance(codec, str):
        raise ValueError(f"no codec {codec!r}: there is pickle, or any object with encode and decode")
    return codec


class Values:
    """The format at the head of this file, with the codec for objects, if any."""

    def __init__(self, codec: Codec | str | None = None) -> None:
        self._codec = named_codec(codec)

    def encode(self, value: Any) -> bytes:
        """The bytes to store. Raises ValueTypeError for a type that needs a codec, or is nested too deeply."""
        kind = type(value)
        if kind is str:
            try:
                data: bytes = value.encode()
            except UnicodeEncodeError:
                return TEXT + bytes(value.encode("utf-8", "surrogatepass"))
            return data if _as_int(data) is None else TEXT + data
        if kind is int and SMALLEST <= value <= LARGEST:
            return b"%d" % value
        if kind is bytes or kind is bytearray or kind is memoryview:
            return BYTES + bytes(value)
        try:
            packed: bytes = msgpack.packb(
                value, default=self._extend, strict_types=True, unicode_errors="surrogatepass"
            )
        except (ValueError, RecursionError, OverflowError) as error:
            raise ValueTypeError(f"{kind.__name__} cannot be stored: {error}") from error
        return PACKED + packed

    def decode(self, data: bytes) -> Any:
        """The value of stored bytes. Raises StoredValueError for an extension that is not known, or not readable."""
        if data and data[0] == MARK:
            return self._decode_marked(data)
        number = _as_int(data)
        if number is not None:
            return number
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data

    def _decode_marked(self, data: bytes) -> Any:
        mark, body = data[:2], data[2:]
        try:
            if mark == BYTES:
                return body
            if mark == TEXT:
                return body.decode("utf-8", "surrogatepass")
            if mark == PACKED:
                return _Unpacking(self._codec).unpack(body)
        except StoredValueError:
            raise
        # What msgpack raises for damage is no family: ValueErrors, a TypeError for a list as key, ...
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
            pass
        return data

    def _extend(self, value: Any) -> Any:
        """What MessagePack has no type for, in what it has."""
        kind = type(value)
        if kind in CONTAINERS:
            return [CONTAINERS[kind], *value]
        if kind is int:
            return msgpack.ExtType(BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))
        if kind in MOMENTS:
            return msgpack.ExtType(MOMENTS[kind], value.isoformat().encode())
        if self._codec is None:
            raise ValueTypeError(f"{kind.__name__} is stored only with a codec")
        try:
            return msgpack.ExtType(OBJECT, self._codec.encode(value))
        except Exception as error:
            raise ValueTypeError(f"the codec cannot store {kind.__name__}: {error}") from error


class _Container:
    """The head of a list that is none; no value of a caller's is one."""

    __slots__ = ("build",)

    def __init__(self, build: Callable[[list[Any]], Any]) -> None:
        self.build = build


_HEADS = {TUPLE: _Container(tuple), SET: _Container(set), FROZENSET: _Container(frozenset)}


class _Unpacking:
    """One document being read."""

    __slots__ = ("_codec", "_heads")

    def __init__(self, codec: Codec | None) -> None:
        self._codec = codec
        self._heads = 0  # met, less those whose lists are built

    def unpack(self, data: bytes) -> Any:
        """The value of a document; raises one of many errors if it is damaged."""
        value = msgpack.unpackb(
            data,
            ext_hook=self._restore,
            list_hook=self._build,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
        if self._heads:
            raise ValueError("a head without a list")
        return value

    def _build(self, items: list[Any]) -> Any:
        if items and type(items[0]) is _Container:
            self._heads -= 1
            return items[0].build(items[1:])
        return items

    def _restore(self, code: int, data: bytes) -> Any:
        """The value of an extension. Raises StoredValueError, or a ValueError for damage."""
        if code in _HEADS:
            self._heads += 1
            return _HEADS[code]
        if code == BIG_INT:
            return int.from_bytes(data, "big", signed=True)
        if code in READERS:
            return READERS[code](data.decode())
        if code != OBJECT:
            raise StoredValueError(f"extension {code} of MessagePack is not known here")
        if self._codec is None:
            raise StoredValueError("an object was stored: it is read only with the codec that wrote it")
        try:
            return self._codec.decode(data)
        except Exception as error:
            raise StoredValueError(f"the codec cannot read what is stored: {error}") from error


def _as_int(data: bytes) -> int | None:
    """The int that these bytes are the digits of, as Redis would write it; None if they are not."""
    digits = data[1:] if data[:1] == b"-" else data
    if not digits.isdigit() or len(data) > LONGEST or (digits[0] == 0x30 and data != b"0"):
        return None
    number = int(data)
    return number if SMALLEST <= number <= LARGEST else None

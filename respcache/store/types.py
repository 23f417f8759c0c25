"""What the commands that take any value need to know of its type: its name, its encoding, how to copy it.

The table goes by the Python type of the value. A type that is added to the store registers itself here, and
TYPE, OBJECT ENCODING, COPY, MEMORY USAGE and lazy freeing know it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import Any

from respcache.store.sizes import string_size

EMBEDDED = 44
"""Bytes up to which Redis keeps a string in one piece with its header, and calls it `embstr`."""


def _no_parts(_value: Any) -> Sequence[Sized]:
    return ()


@dataclass(frozen=True, slots=True, eq=False)
class TypeInfo:
    """One type of values. Several Python types may share it."""

    name: bytes
    """As TYPE replies it and SCAN's TYPE asks for it."""
    encoding: Callable[[Any, Any], bytes]
    """What OBJECT ENCODING says of a value; its second argument is the configuration, for the limits of
    encodings."""
    copy: Callable[[Any], Any]
    """A value that shares nothing mutable with the given one."""
    size: Callable[[Any, int], int]
    """Bytes a value takes, estimated from that many of its elements; 0 looks at all of them."""
    parts: Callable[[Any], Sequence[Sized]] = _no_parts
    """The builtin containers an instance of our own class consists of, so that it can be freed in slices."""


TYPES: dict[type, TypeInfo] = {}
"""By Python type. Filled when the modules of the types are imported."""


def register(info: TypeInfo, *python_types: type) -> None:
    """Adds a type. Raises ValueError if one of the Python types is taken."""
    for python_type in python_types:
        if python_type in TYPES:
            raise ValueError(f"{python_type.__name__} is already {TYPES[python_type].name!r}")
        TYPES[python_type] = info


def is_integer_text(value: bytes) -> bool:
    """Whether a string is the canonical text of a 64-bit integer, which Redis stores as a number."""
    if not 0 < len(value) <= 20:
        return False
    try:
        number = int(value)
    except ValueError:
        return False
    return b"%d" % number == value and -(1 << 63) <= number < 1 << 63


def _string_encoding(value: bytes | int | bytearray, _config: object) -> bytes:
    if type(value) is bytearray:
        return b"raw"
    if type(value) is int or is_integer_text(value):  # type: ignore[arg-type]
        return b"int"
    return b"embstr" if len(value) <= EMBEDDED else b"raw"  # type: ignore[arg-type]


def _copy_string(value: bytes | int | bytearray) -> bytes | int | bytearray:
    return value[:] if type(value) is bytearray else value


def type_name(value: object) -> bytes:
    """What TYPE says of a value; `none` for None, the value of a missing key."""
    return b"none" if value is None else TYPES[type(value)].name


STRING = TypeInfo(b"string", _string_encoding, _copy_string, string_size)
register(STRING, bytes, int, bytearray)

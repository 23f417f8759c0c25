"""Values come back as they were, with their exact types; what others stored comes back as documented."""

from __future__ import annotations

import datetime
import enum
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.client import StoredValueError, ValueTypeError
from respcache.client.values import Values

ZONE = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
values = Values()


def unfolded(moment: Any) -> Any:
    """Which of two equal hours in autumn it is, ISO 8601 does not say."""
    return moment.replace(fold=0)


hashables = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(1 << 300), max_value=1 << 300)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.datetimes().map(unfolded)
    | st.datetimes(timezones=st.just(ZONE)).map(unfolded)
    | st.dates()
    | st.times().map(unfolded),
    lambda inner: st.tuples(inner, inner) | st.lists(inner).map(tuple) | st.frozensets(inner),
    max_leaves=8,
)
anything = st.recursive(
    hashables,
    lambda inner: st.lists(inner) | st.dictionaries(hashables, inner) | st.sets(hashables) | st.tuples(inner),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, set | frozenset):
        return len(one) == len(other) and all(any(same(each, that) for that in other) for each in one)
    if isinstance(one, float):
        return repr(one) == repr(other)
    return bool(one == other)


@given(anything)
def test_a_value_comes_back_exactly(value: Any) -> None:
    assert same(values.decode(values.encode(value)), value)


@given(st.binary())
def test_whatever_is_stored_can_be_read(data: bytes) -> None:
    read = values.decode(data)
    # A second reading of the same value gives the same: nothing creeps.
    assert same(values.decode(values.encode(read)), read) or read != read


@given(st.binary(max_size=60))
def test_damage_is_bytes_or_a_value(data: bytes) -> None:
    for mark in (b"\xc1m", b"\xc1s", b"\xc1"):
        try:
            values.decode(mark + data)
        except StoredValueError:  # an extension that is not known, by chance
            pass


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (12, b"12"),
        (-(1 << 63), b"-9223372036854775808"),
        (0, b"0"),
        ("football", b"football"),
        ("", b""),
        ("12", b"\xc1s12"),
        ("-3", b"\xc1s-3"),
        ("007", b"007"),
        ("\ud800", b"\xc1s\xed\xa0\x80"),
        (b"12", b"\xc1b12"),
        (b"", b"\xc1b"),
        (None, b"\xc1m\xc0"),
        (True, b"\xc1m\xc3"),
        (1.5, b"\xc1m\xcb?\xf8" + bytes(6)),
        ([1, "a"], b"\xc1m\x92\x01\xa1a"),
        ((1,), b"\xc1m\x92\xc7\x00\x01\x01"),
        (1 << 63, b"\xc1m\xcf\x80" + bytes(7)),
        (1 << 64, b"\xc1m\xc7\x09\x04\x01" + bytes(8)),
        (datetime.date(2026, 1, 2), b"\xc1m\xc7\x0a\x062026-01-02"),
    ],
)
def test_the_format(value: Any, stored: bytes) -> None:
    assert values.encode(value) == stored
    assert same(values.decode(stored), value)


@pytest.mark.parametrize(
    ("stored", "value"),
    [
        (b"42", 42),
        (b"-0", "-0"),
        (b"+1", "+1"),
        (b"007", "007"),
        (b"9223372036854775808", "9223372036854775808"),
        (b"1.5", "1.5"),
        ("größer".encode(), "größer"),
        (b"\xff\xfe", b"\xff\xfe"),
        (b'{"a": 1}', '{"a": 1}'),
        (b"\x80\x04N.", b"\x80\x04N."),  # a pickle of others is bytes
        (b"\xc1", b"\xc1"),
        (b"\xc1x", b"\xc1x"),
        (b"\xc1m", b"\xc1m"),
        (b"\xc1m\xc1", b"\xc1m\xc1"),
        (b"\xc1m\x92\x01", b"\xc1m\x92\x01"),  # cut
        (b"\xc1m\xc0\xc0", b"\xc1m\xc0\xc0"),  # with more behind it
        (b"\xc1m\xdd\xff\xff\xff\xff", b"\xc1m\xdd\xff\xff\xff\xff"),  # four thousand million promised
        (b"\xc1m\x81\x90\x01", b"\xc1m\x81\x90\x01"),  # a list for a key
        (b"\xc1m\x92\xc7\x00\x02\x90", b"\xc1m\x92\xc7\x00\x02\x90"),  # a list in a set
        (b"\xc1m\xc7\x00\x01", b"\xc1m\xc7\x00\x01"),  # the head of a tuple, alone
        (b"\xc1m\x92\x01\xc7\x00\x01", b"\xc1m\x92\x01\xc7\x00\x01"),  # and at the wrong place
        (b"\xc1m\xd4\x05x", b"\xc1m\xd4\x05x"),  # no datetime
        (b"\xc1s\xff", b"\xc1s\xff"),
    ],
)
def test_what_others_stored(stored: bytes, value: Any) -> None:
    assert same(values.decode(stored), value)


def test_an_extension_that_is_not_known() -> None:
    with pytest.raises(StoredValueError, match="extension 99"):
        values.decode(b"\xc1m\xd4\x63x")


def test_nan_and_infinities() -> None:
    assert math.isnan(values.decode(values.encode(math.nan)))
    assert same(values.decode(values.encode([math.inf, -math.inf, -0.0])), [math.inf, -math.inf, -0.0])


def test_bytes_like() -> None:
    assert same(values.decode(values.encode(bytearray(b"x"))), b"x")
    assert same(values.decode(values.encode(memoryview(b"abc")[::2])), b"ac")
    assert same(values.decode(values.encode([bytearray(b"x")])), [b"x"])


def test_depth_has_an_end_and_no_crash() -> None:
    def nested(levels: int) -> Any:
        value: Any = 1
        for _ in range(levels):
            value = (value,)
        return value

    def check() -> None:
        assert values.decode(values.encode(nested(500))) is not None
        with pytest.raises(ValueTypeError, match="cannot be stored"):
            values.encode(nested(100_000))
        hostile = b"\xc1m" + b"\x92\xc7\x00\x01" * 100_000 + b"\x01"
        assert values.decode(hostile) == hostile
        done.append(True)

    done: list[bool] = []
    before = threading.stack_size(512 * 1024)
    try:
        thread = threading.Thread(target=check)
        thread.start()
        thread.join(60)
    finally:
        threading.stack_size(before)
    assert done


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.IntEnum):
    RED = 1


@dataclass
class Player:
    name: str
    number: int


class PlayerCodec:
    def encode(self, value: Any) -> bytes:
        if not isinstance(value, Player):
            raise TypeError("no player")
        return b"%d %b" % (value.number, value.name.encode())

    def decode(self, data: bytes) -> Any:
        number, name = data.split(b" ", 1)
        return Player(name.decode(), int(number))


@pytest.mark.parametrize(
    "value",
    [object(), Colour.RED, OrderedDict(a=1), Point(1, 2), 1j, [object()], {1: len}],
)
def test_objects_need_a_codec(value: Any) -> None:
    with pytest.raises(ValueTypeError, match="only with a codec"):
        values.encode(value)


def test_a_codec() -> None:
    coded = Values(PlayerCodec())
    pele = Player("Pelé", 10)
    assert coded.decode(coded.encode(pele)) == pele
    assert coded.decode(coded.encode({"team": [pele, (pele,)]})) == {"team": [pele, (pele,)]}
    assert coded.encode("plain") == b"plain"  # the codec is asked only for what it must be
    with pytest.raises(ValueTypeError, match="no player"):
        coded.encode(object())
    with pytest.raises(StoredValueError, match="only with the codec"):
        values.decode(coded.encode(pele))
    with pytest.raises(StoredValueError, match="cannot read"):
        coded.decode(b"\xc1m" + msgpack.packb(msgpack.ExtType(16, b"damage")))


def test_pickle_only_by_name() -> None:
    pickled = Values("pickle")
    stored = pickled.encode({"colour": Colour.RED})
    assert same(pickled.decode(stored), {"colour": Colour.RED})
    with pytest.raises(StoredValueError):
        values.decode(stored)
    with pytest.raises(ValueTypeError):
        pickled.encode(lambda: None)
    with pytest.raises(ValueError, match="no codec 'json'"):
        Values("json")

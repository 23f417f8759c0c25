"""Sets. The class of a set is its encoding.

    IntSet         up to `set-max-intset-entries` integers, listed in their order
    ListpackSet    up to `set-max-listpack-entries` members of up to `set-max-listpack-value` bytes, oldest first
    SetTable       any others

A set never turns back into a smaller class, but a set that is made anew from some of its members may be one.
The rules of each change are those of Redis 7.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from respcache.config import Config
from respcache.store.hashtable import Table
from respcache.store.sizes import allocated, sampled
from respcache.store.types import TypeInfo, is_integer_text, register


class IntSet(dict[bytes, None]):
    """Few integers."""

    __slots__ = ()


class ListpackSet(dict[bytes, None]):
    """Few short members."""

    __slots__ = ()


class SetTable(Table[None]):
    """Many members, or long ones."""

    __slots__ = ()


SetValue: TypeAlias = IntSet | ListpackSet | SetTable
SETS = frozenset({IntSet, ListpackSet, SetTable})


def is_integer(member: bytes) -> bool:
    """Whether an intset may hold a member."""
    return b"-" <= member[:1] <= b"9" and is_integer_text(member)


def new_set(member: bytes, count: int, config: Config) -> SetValue:
    """An empty set that is going to get so many members, this one first."""
    if count <= config.set_max_intset_entries and is_integer(member):
        return IntSet()
    return ListpackSet() if count <= config.set_max_listpack_entries else SetTable()


def expect(value: SetValue, count: int, config: Config) -> SetValue:
    """The set, or a table of its members if more are announced at once than its class may hold."""
    kind = type(value)
    if (kind is ListpackSet and count > config.set_max_listpack_entries) or (
        kind is IntSet and count > config.set_max_intset_entries
    ):
        return SetTable(value)
    return value


def fits(value: IntSet | ListpackSet, member: bytes, config: Config) -> bool:
    """Whether a small set may take one more member as it is."""
    if type(value) is IntSet:
        return is_integer(member) if len(value) < config.set_max_intset_entries else False
    return bool(len(value) < config.set_max_listpack_entries and len(member) <= config.set_max_listpack_value)


def _are_short(value: IntSet, config: Config) -> bool:
    return bool(max(map(len, value), default=0) <= config.set_max_listpack_value)


def insert(value: SetValue, member: bytes, config: Config) -> SetValue:
    """The set with a member in it: the same object, or the one that it had to become."""
    if isinstance(value, SetTable):
        value.add(member, None)
        return value
    if member in value:
        return value
    if type(value) is IntSet and not is_integer(member) and _are_short(value, config):
        value = ListpackSet(dict.fromkeys(members(value)))
    if fits(value, member, config):
        value[member] = None
        return value
    made = SetTable(value)
    made.add(member, None)
    return made


def gather(value: SetValue, new: Sequence[bytes], config: Config) -> SetValue:
    """A set that is empty, filled with different members one by one."""
    if len(new) > max(config.set_max_intset_entries, config.set_max_listpack_entries):
        return SetTable(dict.fromkeys(new))  # sooner or later, and nobody saw it before
    for member in new:
        value = insert(value, member, config)
    return value


def members(value: SetValue) -> list[bytes]:
    """All members in their order."""
    return sorted(value, key=int) if type(value) is IntSet else list(value)


def present(value: SetValue, wanted: Iterable[bytes]) -> list[bytes]:
    """Those of the wanted that are members, in their order."""
    if isinstance(value, SetTable):
        return value.present(wanted)
    return [member for member in wanted if member in value]


def missing(value: SetValue, wanted: Iterable[bytes]) -> list[bytes]:
    """Those of the wanted that are no members, in their order."""
    if isinstance(value, SetTable):
        return value.missing(wanted)
    return [member for member in wanted if member not in value]


_ENCODINGS = {IntSet: b"intset", ListpackSet: b"listpack", SetTable: b"hashtable"}


def _encoding(value: SetValue, _config: object) -> bytes:
    return _ENCODINGS[type(value)]


def _copy(value: SetValue) -> SetValue:
    return value.copy() if isinstance(value, SetTable) else type(value)(value)


def _size(value: SetValue, samples: int) -> int:
    if not isinstance(value, SetTable):
        return allocated(value) + sampled(value, samples)
    if not samples or samples >= len(value):
        return value.footprint(0) + sum(map(allocated, value))
    some = value.scan(0, samples)[1]
    return value.footprint(samples) + sum(map(allocated, some)) * len(value) // len(some)


register(TypeInfo(b"set", _encoding, _copy, _size), IntSet, ListpackSet, SetTable)

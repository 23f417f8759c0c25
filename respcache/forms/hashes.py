"""Hashes: sums become their results, times to live of fields become deadlines."""

from __future__ import annotations

from collections.abc import Iterator

from respcache.forms.call import Call, Words, form
from respcache.store.hash import deadlines_of


@form("hincrbyfloat")
def hincrbyfloat(call: Call) -> Iterator[Words]:
    """`HSET key field result`; the deadline of the field, which HSET takes away, is set again."""
    key, field, _ = call.arguments
    yield b"HSET", key, field, call.parsed()
    deadlines = deadlines_of(call.value(key) or {})
    when = None if deadlines is None else deadlines.get(field)
    if when is not None:
        yield b"HPEXPIREAT", key, b"%d" % when, b"FIELDS", b"1", field


@form("hexpire", "hpexpire", "hexpireat", "hpexpireat")
def hexpire(call: Call) -> Iterator[Words]:
    """`HPEXPIREAT key ms FIELDS n field...` with those that it holds for; `HDEL key field` of each if it was past."""
    key, _, *rest = call.arguments
    outcome = call.parsed()
    fields = rest[-len(outcome) :]
    for field, result in zip(fields, outcome, strict=True):
        if result == 2:
            yield b"HDEL", key, field
    given = [field for field, result in zip(fields, outcome, strict=True) if result == 1]
    if given:
        deadlines = deadlines_of(call.value(key) or {})
        when = None if deadlines is None else deadlines.get(given[0])
        assert when is not None
        yield b"HPEXPIREAT", key, b"%d" % when, b"FIELDS", b"%d" % len(given), *given

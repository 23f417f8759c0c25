"""LCS: the longest common subsequence of two strings, and where it stands in each of them.

The table of prefix lengths L(i, j) is kept as one bit for each cell: how it differs from its neighbour along
the longer string, for a row of which one integer serves (Crochemore, Iliopoulos, Pinzon and Reid, 2001). A
row is a handful of operations on integers, so it takes a fraction of the time of a loop over cells, and 1/32
of the memory that Redis takes, and refuses to take beyond `proto-max-bulk-len`.

Which of several longest subsequences is found is a part of the reply. The way back through the table starts
at both ends, takes every match, and otherwise steps back in the first string if L(i-1, j) > L(i, j-1), else
in the second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from respcache.commands.arguments import integer as parse_integer
from respcache.commands.strings import read
from respcache.keyspec import key
from respcache.protocol.errors import SYNTAX, WRONGTYPE, ReplyError
from respcache.protocol.reply import array, bulk, integer
from respcache.registry import READONLY, command
from respcache.state import Client

NOT_STRINGS = ReplyError(b"ERR The specified keys must contain string values")
LEN_AND_IDX = ReplyError(b"ERR If you want both the length and indexes, please just use IDX.")
TOO_LARGE = ReplyError(b"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")

_CELL = 4
"""Bytes that Redis takes for a cell of its table; its limit is ours."""

Match = tuple[int, int, int]
"""Equal parts: where they start in the first and in the second string, and their length."""


@command(
    READONLY,
    group="string",
    keys=key("RO ACCESS", last=1),
    syntax="key1:key key2:key [LEN] [IDX] [MINMATCHLEN len:integer] [WITHMATCHLEN]",
)
def lcs(c: Client, key1: bytes, key2: bytes, *options: bytes) -> bytes:
    """The longest common subsequence of two strings. O(N*M) with strings of N and M bytes. Since 7.0.0."""
    try:
        a, b = read(c, key1) or b"", read(c, key2) or b""
    except ReplyError as error:
        if error is WRONGTYPE:
            raise NOT_STRINGS from None
        raise
    wants_length = wants_matches = with_length = False
    shortest = 0
    words = iter(options)
    for word in words:
        option = word.upper()
        if option == b"LEN":
            wants_length = True
        elif option == b"IDX":
            wants_matches = True
        elif option == b"WITHMATCHLEN":
            with_length = True
        elif option == b"MINMATCHLEN" and (least := next(words, None)) is not None:
            shortest = parse_integer(least)
        else:
            raise SYNTAX
    if wants_length and wants_matches:
        raise LEN_AND_IDX
    if (len(a) + 1) * (len(b) + 1) * _CELL > c.server.config.proto_max_bulk_len:
        raise TOO_LARGE
    if wants_length:
        return integer(common_length(a, b))
    found = matches(a, b)
    if not wants_matches:
        return bulk(b"".join(a[start : start + size] for start, _, size in reversed(found)))
    shown = array([_match(match, with_length) for match in found if match[2] >= shortest])
    total = integer(sum(size for _, _, size in found))
    return c.resp.map([bulk(b"matches"), shown, bulk(b"len"), total])


def _match(match: Match, with_length: bool) -> bytes:
    in_a, in_b, size = match
    parts = [array([integer(start), integer(start + size - 1)]) for start in (in_a, in_b)]
    return array([*parts, integer(size)] if with_length else parts)


def common_length(a: bytes, b: bytes) -> int:
    """The length of a longest common subsequence."""
    if len(a) > len(b):
        a, b = b, a
    last: deque[int] = deque(_rows(a, b, _places(a, b)), maxlen=1)
    return last[0].bit_count() if last else 0


def matches(a: bytes, b: bytes) -> list[Match]:
    """The parts of a longest common subsequence that stand together in both strings, the last one first."""
    steps = _back_by_first(a, b) if len(a) <= len(b) else _back_by_second(a, b)
    found: list[Match] = []
    in_a = in_b = size = 0
    for i, j in steps:
        if size and (i, j) == (in_a - 1, in_b - 1):
            in_a, in_b, size = i, j, size + 1
            continue
        if size:
            found.append((in_a, in_b, size))
        in_a, in_b, size = i, j, 1
    if size:
        found.append((in_a, in_b, size))
    return found


def _places(short: bytes, long: bytes) -> dict[int, int]:
    """Where each byte of `short` stands in `long`: bit j for long[j]."""
    reverse = long[::-1]
    zeros = b"0" * 256
    return {
        value: int(reverse.translate(zeros[:value] + b"1" + zeros[value + 1 :]), 2) for value in set(short)
    }


def _rows(short: bytes, long: bytes, places: dict[int, int]) -> Iterator[int]:
    """For each byte of `short` the row of the table below it: bit j says that L grows at long[j]."""
    everything = (1 << len(long)) - 1
    flat = everything  # where L does not grow
    for value in short:
        hits = flat & places[value]
        flat = ((flat + hits) | (flat - hits)) & everything
        yield flat ^ everything


def _back_by_first(a: bytes, b: bytes) -> Iterator[tuple[int, int]]:
    """The matched indexes on the way back, for an `a` that is not longer than `b`: rows are bytes of `a`.

    Between matches, L(i-1, j) > L(i, j-1) just where L grows from j-1 to j in row i.
    """
    places = _places(a, b)
    rows = list(_rows(a, b, places))
    j = len(b)
    for i in range(len(a) - 1, -1, -1):
        hits = places[a[i]]
        j = ((rows[i] | hits) & ((1 << j) - 1)).bit_length()  # the last place to stop at
        if not j:
            return
        if hits >> (j - 1) & 1:
            j -= 1
            yield i, j


def _back_by_second(a: bytes, b: bytes) -> Iterator[tuple[int, int]]:
    """The matched indexes on the way back, for a `b` that is shorter than `a`: rows are bytes of `b`.

    Between matches, L(i-1, j) > L(i, j-1) just where L(i, j) > L(i, j-1). That is, where an odd number of the
    bits that differ between rows j and j-1 stand before i, since L(i, j) - L(i, j-1) is 0 or 1 everywhere.
    """
    places = _places(b, a)
    rows = [0, *_rows(b, a, places)]
    i = len(a)
    for j in range(len(b) - 1, -1, -1):
        before = (1 << i) - 1
        hits = places[b[j]] & before
        turns = (rows[j] ^ rows[j + 1]) & before
        if turns.bit_count() & 1:
            match, turn = hits.bit_length(), turns.bit_length()
            i = match if match >= turn else turn - 1
        if i and hits >> (i - 1) & 1:
            i -= 1
            yield i, j
        if not i:
            return

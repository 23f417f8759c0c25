"""The longest common subsequence, against the table that it is defined by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.lcs import Match, common_length, matches

TEXTS = st.one_of(st.text("ab", max_size=40), st.text("abcdef", max_size=40)).map(str.encode)


def _by_table(a: bytes, b: bytes) -> tuple[int, list[Match]]:
    """Length and matches, from the table of all prefix lengths."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, one in enumerate(a, 1):
        for j, other in enumerate(b, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if one == other else max(table[i - 1][j], table[i][j - 1])
    i, j, found = len(a), len(b), list[Match]()
    while i and j:
        if a[i - 1] == b[j - 1]:
            i, j = i - 1, j - 1
            if found and found[-1][:2] == (i + 1, j + 1):
                found[-1] = (i, j, found[-1][2] + 1)
            else:
                found.append((i, j, 1))
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return table[-1][-1], found


@given(TEXTS, TEXTS)
def test_it_is_what_the_table_says(a: bytes, b: bytes) -> None:
    length, found = _by_table(a, b)
    assert common_length(a, b) == length
    assert matches(a, b) == found
    assert sum(size for _, _, size in found) == length


def test_nothing_in_common() -> None:
    for a, b in ((b"", b""), (b"", b"a"), (b"a", b""), (b"aaa", b"b")):
        assert common_length(a, b) == 0
        assert matches(a, b) == []


def test_long_strings() -> None:
    a = bytes(range(256)) * 40
    assert matches(a, a) == [(0, 0, len(a))]
    assert common_length(a, a[::-1]) == common_length(a[::-1], a)
    assert matches(a * 100, b"\xff") == [(len(a) * 100 - 1, 0, 1)]
    assert matches(b"\xff", a * 100) == [(0, len(a) * 100 - 1, 1)]

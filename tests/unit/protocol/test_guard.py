from __future__ import annotations

import pytest

from respcache.protocol.guard import has_arrays, has_huge_count, has_strings

WELL_FORMED = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\n+=(>~|*12\r\n*1\r\n$4\r\nPING\r\n"


def test_a_well_formed_piece_is_above_suspicion() -> None:
    assert not has_huge_count(WELL_FORMED)
    assert not has_strings(WELL_FORMED.replace(b"$9\r\n+", b"$9\r\n-"))
    assert not has_arrays(WELL_FORMED)


@pytest.mark.parametrize("kind", [b"+", b"=", b"("])
def test_strings(kind: bytes) -> None:
    assert has_strings(b"*2\r\n$4\r\nECHO\r\n%b3\r\n" % kind)


@pytest.mark.parametrize("kind", [b">", b"~", b"|"])
def test_arrays(kind: bytes) -> None:
    assert has_arrays(b"*1\r\n$4\r\nPING\r\n%b1\r\n$4\r\nPING\r\n" % kind)


@pytest.mark.parametrize(
    "data",
    [b"*1000000000\r\n", b"*1\r\n*99999\r\n", WELL_FORMED + b"*2147483647\r\n$1\r\n*\r\n"],
)
def test_huge_counts(data: bytes) -> None:
    assert has_huge_count(data)

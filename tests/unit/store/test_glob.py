"""Globs against a plain recursive matcher, and in time that no pattern can blow up."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store.glob import LONGEST, _Long, compile_glob


def in_class(pattern: bytes, byte: int) -> tuple[bool, bytes]:
    """Whether a byte is of the class that begins behind its `[`, and what follows the class."""
    negated = pattern[:1] == b"^"
    pattern = pattern[negated:]
    found = False
    while pattern and pattern[:1] != b"]":
        if pattern[:1] == b"\\" and len(pattern) > 1:
            found |= pattern[1] == byte
            pattern = pattern[2:]
        elif pattern[1:2] == b"-" and len(pattern) > 2:
            low, high = sorted((pattern[0], pattern[2]))
            found |= low <= byte <= high
            pattern = pattern[3:]
        else:
            found |= pattern[0] == byte
            pattern = pattern[1:]
    return found is not negated, pattern[1:]


def matches(pattern: bytes, subject: bytes) -> bool:
    """What `compile_glob` does, one byte at a time."""
    if not pattern:
        return not subject
    if pattern[:1] == b"*":
        return any(matches(pattern[1:], subject[at:]) for at in range(len(subject) + 1))
    if not subject:
        return False
    if pattern[:1] == b"[":
        found, rest = in_class(pattern[1:], subject[0])
        return found and matches(rest, subject[1:])
    if pattern[:1] != b"?":
        if pattern[:1] == b"\\" and len(pattern) > 1:
            pattern = pattern[1:]
        if pattern[0] != subject[0]:
            return False
    return matches(pattern[1:], subject[1:])


@settings(max_examples=2000, deadline=None)
@given(st.text("ab*?[]^-\\", max_size=9), st.text("ab]-\\^\n", max_size=6))
def test_it_matches_as_the_model_does(pattern: str, subject: str) -> None:
    expected = matches(pattern.encode(), subject.encode())
    assert bool(compile_glob(pattern.encode())(subject.encode())) is expected


@settings(max_examples=2000, deadline=None)
@given(st.text("ab*?[]^-\\", max_size=9), st.lists(st.text("ab]-\\^\n", max_size=6), min_size=1, max_size=3))
def test_the_matcher_of_long_patterns_does_the_same(pattern: str, subjects: list[str]) -> None:
    long = _Long(pattern.encode(), False)
    for subject in subjects:
        assert long(subject.encode()) is matches(pattern.encode(), subject.encode())


@given(st.text("aB*?[]^\\", max_size=9), st.text("AbB]\\^", max_size=6))
def test_long_patterns_fold_letters(pattern: str, subject: str) -> None:
    long = _Long(pattern.lower().encode(), True)
    assert long(subject.encode()) is bool(compile_glob(pattern.encode(), nocase=True)(subject.encode()))


@pytest.mark.parametrize(
    ("pattern", "subject"),
    [
        (b"a?" * 500_000, b"ab" * 500_000),
        (b"a" * 2000 + b"*", b"a" * 2001),
        (b"?" * (LONGEST + 1), b"x" * (LONGEST + 1)),
        (b"[" + b"a-b" * 300_000 + b"]*", b"b"),
        (b"[" + bytes(range(94, 256)) * 6000, b"x"),
        (b"*" * 1_000_000 + b"[a-c]", b"xyzc"),
        (b"*[ab]" * 300_000, b"ab" * 300_000),
    ],
)
@pytest.mark.parametrize("nocase", [False, True])
def test_giant_patterns_take_no_time(pattern: bytes, subject: bytes, nocase: bool) -> None:
    since = time.thread_time()
    match = compile_glob(pattern, nocase)
    others = [match(b"a%d" % number) for number in range(1000)]
    assert time.thread_time() - since < 1
    assert bool(match(subject)) is (pattern[1:2] != b"^")
    assert not all(others) or pattern[-1:] == b"*"


@given(st.binary(max_size=12))
def test_an_escaped_subject_matches_itself_only(subject: bytes) -> None:
    match = compile_glob(b"".join(b"\\%c" % byte for byte in subject))
    assert match(subject)
    assert not match(subject + b"x")


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        (b"", b"", True),
        (b"", b"a", False),
        (b"*", b"", True),
        (b"***", b"any\nthing\xff", True),
        (b"h?llo", b"h\nllo", True),
        (b"h[^e]llo", b"hello", False),
        (b"h[b-a]llo", b"hallo", True),
        (b"[]", b"]", False),
        (b"[^]", b"x", True),
        (b"[a-]", b"_", True),
        (b"[a", b"a", True),
        (b"a\\", b"a\\", True),
        (b"a\\*", b"ab", False),
        (b"key.*", b"keyx1", False),
    ],
)
def test_corners(pattern: bytes, subject: bytes, expected: bool) -> None:
    assert bool(compile_glob(pattern)(subject)) is expected


@pytest.mark.parametrize(
    ("pattern", "subject"), [(b"MaxMemory", b"maxmemory"), (b"m[A-X]*", b"MAX"), (b"SAVE*", b"save")]
)
def test_letters_without_case(pattern: bytes, subject: bytes) -> None:
    assert compile_glob(pattern, nocase=True)(subject)
    assert not compile_glob(pattern)(subject)


def test_many_stars_take_no_time() -> None:
    match = compile_glob(b"*a" * 200 + b"b")
    since = time.perf_counter()
    assert not match(b"a" * 5000)
    assert time.perf_counter() - since < 1

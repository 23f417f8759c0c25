"""A block of a stream: packing, finding, the size of its listpack."""

from __future__ import annotations

import pytest

from respcache.store.stream_block import (
    EMPTY_LISTPACK,
    MAX_ID,
    PACK_LIMIT,
    Block,
    decode,
    encode,
    integer_size,
    word_size,
)


def make(count: int, value: bytes = b"v") -> Block:
    block = Block((b"f",))
    for number in range(count):
        block.append(((number // 3) << 64) + number, (b"f", b"%b%d" % (value, number)))
    return block


def test_words_come_back() -> None:
    words = [b"", b"a", b"\r\n$1\r\n", b"x" * 2000]
    assert encode(words) == b"*4\r\n$0\r\n\r\n$1\r\na\r\n$6\r\n\r\n$1\r\n\r\n$2000\r\n" + words[3] + b"\r\n"
    assert decode(encode(words)) == words


@pytest.mark.parametrize(
    ("value", "size"),
    [
        *((0, 2), (127, 2), (128, 3), (-1, 3), (4095, 3), (-4096, 3), (4096, 4), (32767, 4), (-32769, 5)),
        *((1 << 23, 6), ((1 << 31) - 1, 6), (-(1 << 31), 6), (1 << 31, 10), (-(1 << 63), 10)),
    ],
)
def test_integers_in_a_listpack(value: int, size: int) -> None:
    assert integer_size(value) == size
    assert word_size(b"%d" % value) == size


@pytest.mark.parametrize(
    ("word", "size"),
    [
        *((b"", 2), (b"a", 3), (b"-", 3), (b"01", 4), (b"x" * 63, 65), (b"x" * 64, 67), (b"x" * 126, 130)),
        *((b"x" * 4095, 4099), (b"x" * 4096, 4103), (b"9" * 20, 22)),
    ],
)
def test_strings_in_a_listpack(word: bytes, size: int) -> None:
    assert word_size(word) == size


def test_the_size_of_a_block() -> None:
    block = Block((b"f", b"g"))
    master = EMPTY_LISTPACK + 2 + 3 + 3 + 2
    assert block.size == master
    block.append(5 << 64, (b"f", b"1", b"g", b"a"))
    assert block.size == master + 6 + 2 + 3 + 2  # flags, two distances, values, number of elements
    block.append(205 << 64 | 1, (b"f", b"1"))
    assert block.size == master + 13 + (2 + 3 + 2) + 2 + (3 + 2) + 2


@pytest.mark.parametrize("packed", [False, True])
def test_finding(packed: bool) -> None:
    block = make(50)
    ids = block.ids(range(50))
    bodies = [block.body(at) for at in range(50)]
    if packed:
        block.pack()
        assert isinstance(block.bodies, bytes)
    assert [block.id(at) for at in range(50)] == ids
    assert [block.body(at) for at in range(50)] == bodies
    for at, id in enumerate(ids):
        assert block.find(id) == block.holds(id) == at
        assert block.find(id + 1) == at + 1
        assert block.holds(id + (1 << 60)) == -1
    assert block.find(0) == 0
    assert block.find(MAX_ID + 1) == 50
    assert block.replies([4]) == [b"*2\r\n$3\r\n1-4\r\n" + bodies[4]]


def test_deleting() -> None:
    block = make(10)
    assert block.first_living() == 0
    block.kill(0)
    block.kill(3)
    assert block.live == 8
    assert block.first_living() == 1
    assert list(block.living(0, 5)) == [1, 2, 4]
    assert block.holds(block.id(3)) == -1
    block.append(99 << 64, (b"f", b"new"))
    assert list(block.living(8, 11)) == [8, 9, 10]


def test_a_packed_block_takes_more() -> None:
    block, plain = make(10), make(10)
    block.pack()
    for one in (block, plain):
        one.append(99 << 64 | 1 << 40, (b"f", b"new"))
    assert block.size == plain.size
    assert block.names == plain.names
    assert block.replies(range(11)) == plain.replies(range(11))


def test_big_values_are_not_copied() -> None:
    block = make(3, b"x" * PACK_LIMIT)
    block.pack()
    assert block.ends is None
    assert decode(block.body(2)) == [b"f", b"x" * PACK_LIMIT + b"2"]


def test_a_copy() -> None:
    block = make(5)
    twin = block.copy()
    block.kill(1)
    block.append(99 << 64, (b"f", b"new"))
    assert (len(twin), twin.live, twin.dead) == (5, 5, None)

"""Commands come out of a file as they went in, however it is cut, and whatever is wrong is said with its place."""

from __future__ import annotations

import random

import pytest

from respcache.persistence.aof_read import AofError, Command, read_commands, size_of
from respcache.persistence.source import Source
from respcache.protocol.reply import bulks

SET = [b"SET", b"key", b"value"]


def aof(*commands: Command) -> bytes:
    return b"".join(map(bulks, commands))


def source_of(data: bytes, piece: int = 1 << 18) -> Source:
    """A stream that gives so many bytes at a time."""
    at = 0

    def read(count: int) -> bytes:
        nonlocal at
        part = data[at : at + min(count, piece)]
        at += len(part)
        return part

    return Source(read)


def read(
    data: bytes, strict: bool = False, piece: int = 1 << 18, end: int | None = None
) -> tuple[list[Command], list[tuple[int, bytes]], AofError | None]:
    """The commands, the notes, and the error; each batch stands where it should."""
    found: list[Command] = []
    notes: list[tuple[int, bytes]] = []
    try:
        for start, commands in read_commands(
            source_of(data, piece), strict, lambda at, text: notes.append((at, text)), end
        ):
            assert commands
            encoded = data[start : start + size_of(commands)]
            assert len(encoded) == len(aof(*commands)) and encoded[:1] == b"*"
            found += commands
    except AofError as error:
        return found, notes, error
    return found, notes, None


def random_commands(dice: random.Random, count: int) -> list[Command]:
    """Some have words that look like something else."""
    odd = [
        b"",
        b"\r\n*1\r\n$1\r\na\r\n",
        b"+1",
        b"=",
        b"\n#x",
        b"*100000",
        b"\n>",
        b"x" * 20000,
        b"y" * 300_000,
        b"\0",
    ]
    made = []
    for _ in range(count):
        words = [b"w" * dice.randrange(30) for _ in range(dice.choice((1, 2, 3, 3, 3, 40)))]
        if not dice.randrange(40):
            words[dice.randrange(len(words))] = dice.choice(odd)
        made.append(words)
    return made


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("piece", [100, 5000, 1 << 18])
@pytest.mark.parametrize("seed", range(6))
def test_commands_come_out_as_they_went_in(seed: int, piece: int, strict: bool) -> None:
    dice = random.Random(seed)
    commands = random_commands(dice, dice.choice((1, 50, 3000)))
    assert read(aof(*commands), strict, piece) == (commands, [], None)


def test_an_empty_file() -> None:
    assert read(b"") == ([], [], None)


def test_notes() -> None:
    some = [SET] * 700
    data = b"#TS:1\r\n" + aof(*some) + b"#TS:2\r\n#\n" + aof(SET) + b"# end\r\n"
    second = 7 + size_of(some)
    expected = [(0, b"#TS:1"), (second, b"#TS:2"), (second + 7, b"#"), (len(data) - 7, b"# end")]
    assert read(data) == ([*some, SET], expected, None)


def test_the_bytes_behind_a_word_are_looked_at_only_if_strict() -> None:
    data = aof(SET, SET).replace(b"value\r\n", b"value+b", 1) + aof(SET)
    assert read(data) == ([SET, SET, SET], [], None)
    found, _, error = read(data, strict=True)
    assert found == [] and error and (error.offset, error.good, error.torn) == (data.index(b"+b"), 0, False)


@pytest.mark.parametrize("piece", [7, 1 << 18])
def test_every_end_that_comes_too_early(piece: int) -> None:
    commands = [SET, [b"DEL", b"key"], SET]
    data = b"#TS:1\r\n" + aof(*commands)
    goods = [0, 7, *(7 + size_of(commands[:count]) for count in (1, 2, 3))]
    for cut in range(len(data)):
        found, _, error = read(data[:cut], piece=piece)
        good = max(each for each in goods if each <= cut)
        assert found == commands[: max(goods.index(good) - 1, 0)]
        if cut == good:
            assert error is None
        else:
            assert error and error.torn and error.good == good and good <= error.offset <= cut, cut


@pytest.mark.parametrize(
    ("bad", "at", "text"),
    [
        (b"*0\r\n", 0, "a command without words"),
        (b"\0\0\0\0", 0, "'*' should follow, not b'\\x00'"),
        (b"PING\r\n", 0, "'*' should follow, not b'P'"),
        (b"*x\r\n", 0, "no number follows '*'"),
        (b"*-1\r\n", 0, "no number follows '*'"),
        (b"*01\r\n$1\r\na\r\n", 0, "no number follows '*'"),
        (b"*1\n$1\r\na\r\n", 0, "no number follows '*'"),
        (b"*1\r\n:1\r\n", 4, "'$' should follow, not b':'"),
        (b"*1\r\n+OK\r\n", 4, "'$' should follow, not b'+'"),
        (b"*1\r\n*1\r\n$1\r\na\r\n", 4, "'$' should follow, not b'*'"),
        (b"*1\r\n$-1\r\n", 4, "no number follows '$'"),
        (b"*2\r\n$1\r\na\r\n*1\r\n", 11, "'$' should follow, not b'*'"),
        (b"%1\r\n$1\r\na\r\n$1\r\nb\r\n", 0, "'*' should follow, not b'%'"),
        (b"#" * 1024 + b"\n", 0, "a note of more than 1024 bytes"),
    ],
)
@pytest.mark.parametrize("before", [0, 3000])
def test_what_is_no_command(bad: bytes, at: int, text: str, before: int) -> None:
    some = [SET] * before
    good = size_of(some)
    found, _, error = read(aof(*some) + bad + aof(SET))
    assert found == some
    assert error and (error.text, error.offset, error.good, error.torn) == (text, good + at, good, False)


def test_a_promise_costs_no_memory() -> None:
    for data in (b"*3000000000\r\n$1\r\na\r\n", b"*1\r\n$3000000000\r\na\r\n"):
        found, _, error = read(data)
        assert not found and error and error.torn
    found, _, error = read(b"*1\r\n$90000\r\n" + b"a" * 80000, end=80012)
    assert error and (error.offset, error.torn) == (12, True)


def test_a_file_that_begins_behind_something() -> None:
    source = Source.of(b"12345" + aof(SET))
    source.take(5)
    assert list(read_commands(source)) == [(5, [SET])]

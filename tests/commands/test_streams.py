"""Streams: XADD, XLEN, XRANGE, XREVRANGE, XDEL, XTRIM, XSETID."""

from __future__ import annotations

import time

import pytest

from tests.wire import NOT_AN_INTEGER, OK, SYNTAX_ERROR, WRONGTYPE, Error, Reply, Wire, arity_error

INVALID_ID = Error("ERR Invalid stream ID specified as stream command argument")
TOO_SMALL = Error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
LAST = "18446744073709551615-18446744073709551615"


def entry(id: str, *words: str) -> Reply:
    return [id.encode(), [word.encode() for word in words]]


def fill(c: Wire, count: int = 5, key: str = "s") -> None:
    """Entries 1-0, 2-0... whose field `n` is their number."""
    c.pipeline([("XADD", key, f"{number}-0", "n", number) for number in range(1, count + 1)])


def info(c: Wire, key: str = "s") -> dict[bytes, Reply]:
    reply = c("XINFO", "STREAM", key)
    return dict(reply.pairs if c.protocol == 3 else zip(reply[::2], reply[1::2], strict=True))


def test_adding_and_reading(c: Wire) -> None:
    assert c("XADD", "s", "1-1", "a", "1", "b", "") == b"1-1"
    assert c("XADD", "s", "1-2", "a", "2") == b"1-2"
    assert c("XADD", "s", "5", "\r\n", "x" * 5000) == b"5-0"
    assert c("XLEN", "s") == 3
    assert c("TYPE", "s").text == "stream"
    assert c("OBJECT", "ENCODING", "s") == b"stream"
    entries = [entry("1-1", "a", "1", "b", ""), entry("1-2", "a", "2"), entry("5-0", "\r\n", "x" * 5000)]
    assert c("XRANGE", "s", "-", "+") == entries
    assert c("XREVRANGE", "s", "+", "-") == entries[::-1]


def test_ids_made_by_the_server(c: Wire) -> None:
    before = int(time.time() * 1000)
    first = c("XADD", "s", "*", "a", "1")
    millis, sequence = map(int, first.split(b"-"))
    assert before - 1 <= millis <= before + 5000
    assert sequence == 0
    assert c("XADD", "t", "99999999999999-5", "a", "1") == b"99999999999999-5"
    assert c("XADD", "t", "*", "a", "1") == b"99999999999999-6"
    assert c("XADD", "t", "99999999999999-*", "a", "1") == b"99999999999999-7"
    assert c("XADD", "t", "100000000000000-*", "a", "1") == b"100000000000000-0"
    assert c("XADD", "u", "0-*", "a", "1") == b"0-1"


@pytest.mark.since("7.4")  # 7.0 had another error
def test_the_last_sequence_goes_over_to_the_next_millisecond(c: Wire) -> None:
    c("XADD", "s", "99999999999999-18446744073709551615", "a", "1")
    assert c("XADD", "s", "99999999999999-*", "a", "1") == TOO_SMALL
    assert c("XADD", "s", "*", "a", "1") == b"100000000000000-0"


def test_bad_ids(c: Wire) -> None:
    fill(c)
    assert c("XADD", "s", "5-0", "a", "1") == TOO_SMALL
    assert c("XADD", "s", "4-*", "a", "1") == TOO_SMALL
    assert c("XADD", "s", "0-0", "a", "1") == Error("ERR The ID specified in XADD must be greater than 0-0")
    for word in (
        "",
        "-",
        "+",
        "x",
        "1-",
        "-1",
        "1-x",
        "1-2-3",
        "18446744073709551616",
        "1-18446744073709551616",
    ):
        assert c("XADD", "s", word, "a", "1") == INVALID_ID, word
        if word not in ("-", "+"):
            assert c("XRANGE", "s", word, "+") == INVALID_ID, word
    assert c("XRANGE", "s", "1" * 128, "+") == INVALID_ID
    assert c("XADD", "s", LAST, "a", "1") == LAST.encode()
    assert c("XADD", "s", "*", "a", "1") == Error(
        "ERR The stream has exhausted the last possible ID, unable to add more items"
    )


@pytest.mark.parametrize(
    ("word", "id"), [("01-1", "1-1"), ("+1-02", "1-2"), (" 1-3", "1-3"), ("1-\t4", "1-4")]
)
def test_ids_as_c_reads_numbers(c: Wire, word: str, id: str) -> None:
    assert c("XADD", "s", word, "a", "1") == id.encode()


def test_nomkstream(c: Wire) -> None:
    assert c("XADD", "s", "NOMKSTREAM", "1-1", "a", "1") == c.null
    assert c("EXISTS", "s") == 0
    fill(c, 1)
    assert c("XADD", "s", "nomkstream", "2", "a", "1") == b"2-0"


def test_trimming_by_length(c: Wire) -> None:
    fill(c)
    assert c("XADD", "s", "MAXLEN", 3, "6", "n", 6) == b"6-0"
    assert c("XLEN", "s") == 3
    assert c("XTRIM", "s", "MAXLEN", "=", 2) == 1
    assert c("XTRIM", "s", "MAXLEN", 2) == 0
    assert c("XTRIM", "s", "MAXLEN", "~", 1) == 0
    assert c("XRANGE", "s", "-", "+") == [entry("5-0", "n", "5"), entry("6-0", "n", "6")]
    assert c("XTRIM", "s", "MAXLEN", 0) == 2
    assert c("EXISTS", "s") == 1
    assert c("XTRIM", "nothing", "MAXLEN", 0) == 0


def test_trimming_by_id(c: Wire) -> None:
    fill(c)
    assert c("XTRIM", "s", "MINID", "3") == 2
    assert c("XADD", "s", "MINID", "=", "5-0", "6", "n", 6) == b"6-0"
    assert c("XLEN", "s") == 2
    assert c("XTRIM", "s", "MINID", "9") == 2
    assert c("XTRIM", "s", "MINID", "x") == INVALID_ID
    assert info(c)[b"recorded-first-entry-id"] == b"0-0"


def test_approximate_trimming_removes_whole_blocks(c: Wire) -> None:
    fill(c, 450)
    assert info(c)[b"radix-tree-keys"] == 5
    assert c("XTRIM", "s", "MAXLEN", "~", 260) == 100
    assert c("XTRIM", "s", "MAXLEN", "~", 10, "LIMIT", 150) == 100
    assert c("XTRIM", "s", "MINID", "~", 380) == 100
    assert c("XTRIM", "s", "MINID", "~", 460, "LIMIT", 0) == 150
    assert c("XLEN", "s") == 0
    fill(c, 450, "big")
    c("CONFIG", "SET", "stream-node-max-entries", 1)
    try:
        assert c("XTRIM", "big", "MAXLEN", "~", 10) == 100  # its own limit is 100 blocks
    finally:
        c("CONFIG", "SET", "stream-node-max-entries", 100)


def test_blocks_end_where_those_of_redis_do(c: Wire) -> None:
    """By their bytes as a listpack, with numbers, repeated names and long values."""
    values = ["7", "-300", "70000", "x" * 70, "y" * 300, "12345678901", "", "0x1"]
    for number in range(1, 200):
        words = ["n", values[number % 8], "other" if number % 7 else "else", values[number % 5]]
        c("XADD", "s", f"{number * number}-{number % 3}", *words)
    assert (info(c)[b"radix-tree-keys"], info(c)[b"radix-tree-nodes"]) == (8, 18)
    for number in range(100, 190):
        c("XDEL", "s", f"{number * number}-{number % 3}")
    assert (info(c)[b"radix-tree-keys"], info(c)[b"radix-tree-nodes"]) == (5, 12)
    assert c("XADD", "s", "MAXLEN", "~", 30, "999999", "n", "1") == b"999999-0"
    assert c("XLEN", "s") == 52


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("MAXLEN", "-1"), "ERR The MAXLEN argument must be >= 0."),
        (("MAXLEN", "~", "1", "LIMIT", "-1"), "ERR The LIMIT argument must be >= 0."),
        (("LIMIT", "1"), "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"),
        (
            ("MAXLEN", "1", "LIMIT", "1"),
            "ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        (
            ("MAXLEN", "1", "MINID", "1"),
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        (("MAXLEN", "x"), "ERR value is not an integer or out of range"),
        (("MAXLEN", "~", "1", "LIMIT", "x"), "ERR value is not an integer or out of range"),
        (("MINID", "x"), INVALID_ID.text),
    ],
)
def test_bad_trimming(c: Wire, options: tuple[str, ...], error: str) -> None:
    assert c("XADD", "s", *options, "*", "a", "b") == Error(error)
    assert c("XTRIM", "s", *options) == Error(error)
    assert c("EXISTS", "s") == 0


def test_syntax(c: Wire) -> None:
    assert c("XTRIM", "s", "FOO", "1") == SYNTAX_ERROR
    assert c("XTRIM", "s", "MAXLEN", "1", "NOMKSTREAM") == SYNTAX_ERROR
    assert c("XADD", "s", "FOO", "*", "a", "b") == INVALID_ID
    assert c("XADD", "s", "MAXLEN", "1", "*") == arity_error("xadd")
    assert c("XADD", "s", "*", "a", "b", "c") == arity_error("xadd")
    assert c("XADD", "s", "*", "a") == arity_error("xadd")
    assert c("XLEN") == arity_error("xlen")
    assert c("XRANGE", "s", "-") == arity_error("xrange")
    assert c("XDEL", "s") == arity_error("xdel")
    assert c("XRANGE", "s", "-", "+", "COUNT") == SYNTAX_ERROR
    assert c("XRANGE", "s", "-", "+", "FOO", "1") == SYNTAX_ERROR
    assert c("XRANGE", "s", "-", "+", "COUNT", "x") == NOT_AN_INTEGER


def test_ranges(c: Wire) -> None:
    fill(c)
    assert c("XRANGE", "s", "2", "3") == [entry("2-0", "n", "2"), entry("3-0", "n", "3")]
    assert c("XRANGE", "s", "(2", "(4-0") == [entry("3-0", "n", "3")]
    assert c("XREVRANGE", "s", "(4", "(2-0") == [entry("4-0", "n", "4"), entry("3-0", "n", "3")]
    assert c("XRANGE", "s", "-", "+", "COUNT", 2) == [entry("1-0", "n", "1"), entry("2-0", "n", "2")]
    assert c("XREVRANGE", "s", "+", "-", "count", 1) == [entry("5-0", "n", "5")]
    assert c("XRANGE", "s", "+", "-") == []
    assert c("XRANGE", "s", "6", "+") == []
    assert c("XRANGE", "s", "-", "+", "COUNT", 0) == c.null_array
    assert c("XRANGE", "s", "-", "+", "COUNT", -5) == c.null_array
    assert c("XRANGE", "nothing", "-", "+", "COUNT", 0) == []
    assert c("XRANGE", "s", "(-", "+") == INVALID_ID
    assert c("XRANGE", "s", "(", "+") == INVALID_ID
    assert c("XRANGE", "s", f"({LAST}", "+") == Error("ERR invalid start ID for the interval")
    assert c("XRANGE", "s", "-", "(0-0") == Error("ERR invalid end ID for the interval")


def test_ranges_over_many_blocks(c: Wire) -> None:
    fill(c, 1000)
    numbers = [int(item[0].split(b"-")[0]) for item in c("XRANGE", "s", 150, 850)]
    assert numbers == list(range(150, 851))
    backwards = [int(item[0].split(b"-")[0]) for item in c("XREVRANGE", "s", 850, 150, "COUNT", 500)]
    assert backwards == list(range(850, 350, -1))


def test_deleting(c: Wire) -> None:
    fill(c)
    assert c("XDEL", "s", "2", "2-0", "9", "4-0") == 2
    assert c("XLEN", "s") == 3
    assert [item[0] for item in c("XRANGE", "s", "-", "+")] == [b"1-0", b"3-0", b"5-0"]
    assert [item[0] for item in c("XREVRANGE", "s", "4", "2")] == [b"3-0"]
    assert c("XDEL", "s", "5", "x") == INVALID_ID
    assert c("XDEL", "s", "1", "3", "5") == 3
    assert c("XLEN", "s") == 0
    assert c("XADD", "s", "5", "a", "b") == TOO_SMALL
    assert c("XDEL", "nothing", "x") == 0


def test_setid(c: Wire) -> None:
    fill(c)
    assert c("XSETID", "s", "9-9") == OK
    assert c("XADD", "s", "9-9", "a", "b") == TOO_SMALL
    assert c("XSETID", "s", "20", "ENTRIESADDED", 100, "MAXDELETEDID", "15-1") == OK
    shown = info(c)
    assert shown[b"last-generated-id"] == b"20-0"
    assert shown[b"entries-added"] == 100
    assert shown[b"max-deleted-entry-id"] == b"15-1"


def test_setid_errors(c: Wire) -> None:
    fill(c)
    begin = "ERR The ID specified in XSETID is smaller than"
    assert c("XSETID", "s", "4") == Error(f"{begin} the target stream top item")
    assert c("XSETID", "s", "9", "MAXDELETEDID", "10") == Error(f"{begin} the provided max_deleted_entry_id")
    assert c("XSETID", "s", "9", "ENTRIESADDED", "-1") == Error("ERR entries_added must be positive")
    assert c("XSETID", "s", "9", "ENTRIESADDED", "2") == Error(
        "ERR The entries_added specified in XSETID is smaller than the target stream length"
    )
    assert c("XSETID", "s", "9", "ENTRIESADDED") == SYNTAX_ERROR
    assert c("XSETID", "s", "9", "FOO", "1") == SYNTAX_ERROR
    assert c("XSETID", "s", "x") == INVALID_ID
    assert c("XSETID", "nothing", "1") == Error("ERR no such key")


@pytest.mark.since("7.4")
def test_setid_does_not_go_behind_a_deleted_id(c: Wire) -> None:
    fill(c)
    c("XDEL", "s", "5", "4")
    error = Error("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id")
    assert c("XSETID", "s", "4") == error
    assert c("XSETID", "s", "5") == OK


def test_wrong_types(c: Wire, wrong: str) -> None:
    for command in (
        ("XADD", wrong, "*", "a", "b"),
        ("XLEN", wrong),
        ("XRANGE", wrong, "-", "+"),
        ("XREVRANGE", wrong, "+", "-"),
        ("XDEL", wrong, "1"),
        ("XTRIM", wrong, "MAXLEN", "1"),
        ("XSETID", wrong, "1"),
    ):
        assert c(*command) == WRONGTYPE, command


def test_a_time_to_live_stays(c: Wire) -> None:
    fill(c)
    c("PEXPIREAT", "s", 4_102_444_800_000)
    c("XADD", "s", "MAXLEN", 2, "*", "a", "b")
    c("XDEL", "s", "5")
    assert c("PEXPIRETIME", "s") == 4_102_444_800_000
    c("PEXPIRE", "s", 1)
    time.sleep(0.02)
    assert c("XLEN", "s") == 0
    assert c("XADD", "s", "1-1", "a", "b") == b"1-1"


def test_a_copy_is_its_own(c: Wire) -> None:
    fill(c, 150)
    c("XGROUP", "CREATE", "s", "g", "0")
    c("XREADGROUP", "GROUP", "g", "x", "COUNT", 3, "STREAMS", "s", ">")
    assert c("COPY", "s", "t") == 1
    c("XDEL", "s", "1", "120")
    c("XADD", "s", "*", "a", "b")
    c("XACK", "s", "g", "1", "2")
    assert c("XLEN", "t") == 150
    assert c("XPENDING", "t", "g") == [3, b"1-0", b"3-0", [[b"x", b"3"]]]

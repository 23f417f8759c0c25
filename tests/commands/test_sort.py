"""SORT and SORT_RO."""

from __future__ import annotations

import pytest

from tests.commands.test_lists import dirty
from tests.wire import NOT_AN_INTEGER, SYNTAX_ERROR, WRONGTYPE, Error, Status, Wire, arity_error

NOT_NUMBERS = Error("ERR One or more scores can't be converted into double")


@pytest.fixture
def numbers(c: Wire) -> str:
    """A list of 3 1 2 10."""
    c("RPUSH", "numbers", 3, 1, 2, 10)
    return "numbers"


@pytest.fixture
def words(c: Wire) -> str:
    """A list of words with weights, as strings and as fields; that of `c` is missing."""
    c("RPUSH", "words", "a", "b", "c", "d")
    c("MSET", "w_a", 3, "w_b", -1.5, "w_d", "1e1", "name_a", "Anna", "name_d", "Dora")
    for word, weight in (("a", 1), ("b", 3), ("d", 2)):
        c("HSET", f"h_{word}", "weight", weight, "name", word * 3)
    return "words"


def test_numbers(c: Wire, numbers: str) -> None:
    assert c("SORT", numbers) == [b"1", b"2", b"3", b"10"]
    assert c("SORT", numbers, "ASC") == [b"1", b"2", b"3", b"10"]
    assert c("SORT", numbers, "desc") == [b"10", b"3", b"2", b"1"]
    assert c("SORT", numbers, "DESC", "ASC") == [b"1", b"2", b"3", b"10"]


def test_alpha(c: Wire, numbers: str) -> None:
    assert c("SORT", numbers, "ALPHA") == [b"1", b"10", b"2", b"3"]
    assert c("SORT", numbers, "alpha", "DESC") == [b"3", b"2", b"10", b"1"]


def test_all_kinds_of_numbers(c: Wire) -> None:
    written = ["1.5", "-inf", "0x10", " 7", "1e1", "+3", "INF", "-0", ".5", "\t-2", "", "4\0x", "0x1p-1074"]
    c("RPUSH", "k", *written)
    expected = ["-inf", "\t-2", "", "-0", "0x1p-1074", ".5", "1.5", "+3", "4\0x", " 7", "1e1", "0x10", "INF"]
    assert c("SORT", "k") == [word.encode() for word in expected]


@pytest.mark.parametrize("word", ["x", "1 ", "nan", "1_0", "1e400", "--1", " ", "1,5", "1e-310", "9" * 400])
def test_what_is_no_number(c: Wire, word: str) -> None:
    c("RPUSH", "k", 1, word)
    assert c("SORT", "k") == NOT_NUMBERS
    assert c("SORT", "k", "LIMIT", 0, 0) == NOT_NUMBERS
    assert c("SORT", "k", "STORE", "made") == NOT_NUMBERS
    assert c("EXISTS", "made") == 0
    assert c("SORT", "k", "BY", "nosort") == [b"1", word.encode()]


def test_limit(c: Wire, numbers: str) -> None:
    everything = [b"1", b"2", b"3", b"10"]
    assert c("SORT", numbers, "LIMIT", 1, 2) == everything[1:3]
    assert c("SORT", numbers, "LIMIT", 0, 0) == []
    assert c("SORT", numbers, "LIMIT", 1, -1) == everything[1:]
    assert c("SORT", numbers, "LIMIT", 2, -7) == everything[2:]
    assert c("SORT", numbers, "LIMIT", -3, 2) == everything[:2]
    assert c("SORT", numbers, "LIMIT", 3, 100) == everything[3:]
    assert c("SORT", numbers, "LIMIT", 4, 1) == []
    assert c("SORT", numbers, "LIMIT", 9, 9) == []
    assert c("SORT", numbers, "LIMIT", 2**63 - 1, 2**63 - 1) == []
    assert c("SORT", numbers, "LIMIT", 0, 1, "LIMIT", 1, 1) == everything[1:2]
    assert c("SORT", numbers, "DESC", "LIMIT", 0, 2) == [b"10", b"3"]


def test_a_set_and_a_sorted_set(c: Wire) -> None:
    c("SADD", "set", 30, 4, 100)
    c("SADD", "texts", "b", "c", "a")
    c("ZADD", "zset", 1, "30", 2, "4", 3, "100")
    for name in ("set", "zset"):
        assert c("SORT", name) == [b"4", b"30", b"100"]
        assert c("SORT", name, "ALPHA", "DESC") == [b"4", b"30", b"100"]
    assert c("SORT", "texts", "ALPHA") == [b"a", b"b", b"c"]
    assert c("SORT", "texts") == NOT_NUMBERS


def test_a_pattern_without_a_star_sorts_nothing(c: Wire, numbers: str) -> None:
    assert c("SORT", numbers, "BY", "nosort") == [b"3", b"1", b"2", b"10"]
    assert c("SORT", numbers, "BY", "") == [b"3", b"1", b"2", b"10"]
    assert c("SORT", numbers, "BY", "#", "ALPHA") == [b"3", b"1", b"2", b"10"]
    assert c("SORT", numbers, "BY", "nosort", "DESC") == [b"10", b"2", b"1", b"3"]
    assert c("SORT", numbers, "BY", "nosort", "LIMIT", 1, 2) == [b"1", b"2"]
    assert c("SORT", numbers, "BY", "nosort", "DESC", "LIMIT", 1, 2) == [b"2", b"1"]
    assert c("SORT", numbers, "BY", "nosort", "LIMIT", 4, 2) == []
    assert c("SORT", numbers, "BY", "nosort", "BY", "w_*") == [b"3", b"1", b"2", b"10"]
    assert c("SORT", numbers, "BY", "w_*", "BY", "nosort") == [b"3", b"1", b"2", b"10"]


def test_a_sorted_set_unsorted_is_in_its_own_order(c: Wire) -> None:
    c("ZADD", "zset", 3, "a", 2, "b", 1, "c")
    assert c("SORT", "zset", "BY", "nosort") == [b"c", b"b", b"a"]
    assert c("SORT", "zset", "BY", "nosort", "DESC") == [b"a", b"b", b"c"]
    assert c("SORT", "zset", "BY", "nosort", "DESC", "LIMIT", 0, 1) == [b"a"]
    assert c("SORT", "zset", "BY", "nosort", "DESC", "LIMIT", 1, 2**62) == [b"b", b"c"]
    assert c("SORT", "zset", "BY", "nosort", "LIMIT", 1, 1) == [b"b"]
    assert c("SORT", "zset", "BY", "nosort", "LIMIT", 2**62, 1) == []


def test_a_sorted_set_is_packed_no_longer(c: Wire) -> None:
    c("ZADD", "zset", 3, "1", 2, "2")
    assert c("OBJECT", "ENCODING", "zset") == b"listpack"
    assert c("SORT", "zset") == [b"1", b"2"]
    assert c("OBJECT", "ENCODING", "zset") == b"skiplist"


def test_a_set_of_integers_unsorted_is_in_order_anyway(c: Wire) -> None:
    c("SADD", "set", 3, 20, 1)
    assert c("SORT", "set", "BY", "nosort") == [b"1", b"3", b"20"]
    assert c("SORT", "set", "BY", "nosort", "DESC", "LIMIT", 0, 2) == [b"1", b"3"]


def test_a_set_that_is_stored_unsorted_is_sorted(c: Wire) -> None:
    c("SADD", "set", "b", "c", "a", "10", "9")
    assert c("SORT", "set", "BY", "nosort", "STORE", "made") == 5
    assert c("LRANGE", "made", 0, -1) == [b"10", b"9", b"a", b"b", b"c"]
    assert c("SORT", "set", "BY", "nosort", "DESC", "STORE", "made", "LIMIT", 0, 2) == 2
    assert c("LRANGE", "made", 0, -1) == [b"c", b"b"]


def test_by(c: Wire, words: str) -> None:
    assert c("SORT", words, "BY", "w_*") == [b"b", b"c", b"a", b"d"]
    assert c("SORT", words, "BY", "w_*", "DESC") == [b"d", b"a", b"c", b"b"]
    assert c("SORT", words, "BY", "h_*->weight") == [b"c", b"a", b"d", b"b"]
    assert c("SORT", words, "BY", "h_*->weight", "LIMIT", 1, 2) == [b"a", b"d"]
    assert c("SORT", words, "BY", "w_*", "ALPHA") == [b"c", b"b", b"d", b"a"]
    assert c("SORT", words, "BY", "w_*", "ALPHA", "DESC") == [b"a", b"d", b"b", b"c"]
    assert c("SORT", words, "BY", "name_*") == NOT_NUMBERS


def test_equal_weights(c: Wire) -> None:
    c("RPUSH", "k", "b", "a", "d", "c", "a")
    assert c("SORT", "k", "BY", "w_*") == [b"a", b"a", b"b", b"c", b"d"]
    assert c("SORT", "k", "BY", "w_*", "DESC") == [b"d", b"c", b"b", b"a", b"a"]
    assert c("SORT", "k", "BY", "w_*", "ALPHA") == [b"b", b"a", b"d", b"c", b"a"]
    assert c("SORT", "k", "BY", "w_*", "ALPHA", "DESC") == [b"b", b"a", b"d", b"c", b"a"]
    c("RPUSH", "n", "1", "01", "1.0")
    assert c("SORT", "n") == [b"01", b"1", b"1.0"]


def test_get(c: Wire, words: str) -> None:
    assert c("SORT", words, "ALPHA", "GET", "#") == [b"a", b"b", b"c", b"d"]
    assert c("SORT", words, "ALPHA", "GET", "name_*") == [b"Anna", c.null, c.null, b"Dora"]
    found = c("SORT", words, "ALPHA", "LIMIT", 0, 2, "GET", "#", "GET", "h_*->name", "GET", "name_*")
    assert found == [b"a", b"aaa", b"Anna", b"b", b"bbb", c.null]
    assert c("SORT", words, "ALPHA", "GET", "constant", "LIMIT", 0, 1) == [c.null]
    assert c("SORT", words, "ALPHA", "GET", "w_*", "LIMIT", 0, 1) == [b"3"]


def test_patterns_that_find_nothing(c: Wire, words: str) -> None:
    only = ("ALPHA", "LIMIT", 0, 1, "GET")
    assert c("SORT", words, *only, "h_*") == [c.null]  # a hash without a field
    assert c("SORT", words, *only, "w_*->weight") == [c.null]  # a field of a string
    assert c("SORT", words, *only, "h_*->nothing") == [c.null]
    assert c("SORT", words, *only, "nothing_*->weight") == [c.null]
    assert c("SORT", words, *only, "##") == [c.null]
    assert c("SORT", words, *only, "h_->weight*") == [c.null]


def test_arrows(c: Wire) -> None:
    c("RPUSH", "k", "a")
    c("MSET", "a->", "arrow", "x->a", "before")
    c("HSET", "ha", "->", "1", "f->g", "2")
    c("HSET", "a*", "f", "3")
    assert c("SORT", "k", "ALPHA", "GET", "*->", "GET", "x->*") == [b"arrow", b"before"]
    assert c("SORT", "k", "ALPHA", "GET", "h*->->", "GET", "h*->f->g") == [b"1", b"2"]
    assert c("SORT", "k", "ALPHA", "GET", "**->f") == [b"3"]  # only the first star stands for the element


def test_numbers_made_by_arithmetic(c: Wire) -> None:
    c("RPUSH", "k", "a", "b")
    c("INCRBY", "w_a", 5)
    c("APPEND", "w_b", "1")
    c("APPEND", "w_b", "0")
    assert c("SORT", "k", "BY", "w_*", "DESC", "GET", "w_*") == [b"10", b"5"]


@pytest.mark.since("7.4")
def test_a_field_that_is_dead(c: Wire) -> None:
    c("RPUSH", "k", "a")
    c("HSET", "ha", "f", "1", "g", "2")
    assert c("HPEXPIRE", "ha", 100000, "FIELDS", 1, "f") == [1]
    assert c("SORT", "k", "ALPHA", "GET", "h*->f", "GET", "h*->g") == [b"1", b"2"]


def test_store(c: Wire, numbers: str) -> None:
    c("SET", "made", "x", "EX", 100)
    assert c("SORT", numbers, "STORE", "made") == 4
    assert c("LRANGE", "made", 0, -1) == [b"1", b"2", b"3", b"10"]
    assert c("TTL", "made") == -1
    assert c("SORT", numbers, "STORE", "made", "DESC", "LIMIT", 0, 1, "store", "other") == 1
    assert c("LRANGE", "other", 0, -1) == [b"10"]
    assert c("LLEN", "made") == 4
    assert c("SORT", numbers, "STORE", numbers) == 4
    assert c("LRANGE", numbers, 0, -1) == [b"1", b"2", b"3", b"10"]


def test_each_stored_element_is_a_change(c: Wire, numbers: str) -> None:
    before = dirty(c)
    assert c("SORT", numbers, "STORE", "made") == 4
    assert dirty(c) == before + 4


def test_store_of_values_that_are_missing(c: Wire, words: str) -> None:
    assert c("SORT", words, "ALPHA", "GET", "name_*", "STORE", "made") == 4
    assert c("LRANGE", "made", 0, -1) == [b"Anna", b"", b"", b"Dora"]


def test_store_of_nothing_deletes(c: Wire, numbers: str) -> None:
    c("SET", "made", "x")
    assert c("SORT", "nothing", "STORE", "made") == 0
    assert c("EXISTS", "made") == 0
    c("SET", "made", "x")
    assert c("SORT", numbers, "LIMIT", 9, 9, "STORE", "made") == 0
    assert c("EXISTS", "made") == 0


def test_store_of_much(c: Wire) -> None:
    c("RPUSH", "k", *range(5000))
    assert c("SORT", "k", "STORE", "made") == 5000
    assert c("OBJECT", "ENCODING", "made") == b"quicklist"
    assert c("LINDEX", "made", -1) == b"4999"


def test_nothing(c: Wire) -> None:
    assert c("SORT", "nothing") == []
    assert c("SORT", "nothing", "BY", "w_*", "GET", "#") == []
    assert c("SORT_RO", "nothing") == []


def test_read_only(c: Wire, words: str) -> None:
    assert c("SORT_RO", words, "BY", "h_*->weight", "DESC", "LIMIT", 0, 2, "GET", "#", "GET", "name_*") == [
        *(b"b", c.null),
        *(b"d", b"Dora"),
    ]
    assert c("SORT_RO", words, "STORE", "made") == SYNTAX_ERROR
    assert c("SORT_RO", words, "ALPHA", "LIMIT", 0, 1) == [b"a"]


@pytest.mark.parametrize("name", ["SORT", "SORT_RO"])
def test_errors(c: Wire, name: str) -> None:
    c("RPUSH", "k", 1)
    c("SET", "string", "x")
    c("HSET", "hash", "f", "v")
    assert c(name) == arity_error(name.lower())
    for options in (["FOO"], ["LIMIT"], ["LIMIT", 1], ["BY"], ["GET"], ["ALPHA", "STORE"], [""]):
        assert c(name, "k", *options) == SYNTAX_ERROR
    for limit in (("x", 1), (1, "x"), (1, "9223372036854775808"), ("1.5", 1)):
        assert c(name, "k", "LIMIT", *limit) == NOT_AN_INTEGER
    assert c(name, "k", "LIMIT", "x", 1, "FOO") == NOT_AN_INTEGER
    for wrong in ("string", "hash"):
        assert c(name, wrong) == WRONGTYPE
        assert c(name, wrong, "FOO") == SYNTAX_ERROR


def test_a_list_that_is_over(c: Wire, numbers: str) -> None:
    c("PEXPIREAT", numbers, 1)
    assert c("SORT", numbers) == []


def test_getkeys(c: Wire) -> None:
    asked = ("SORT", "k", "BY", "w_*", "GET", "STORE", "STORE", "made")
    assert c("COMMAND", "GETKEYS", *asked) == [b"k", b"made"]
    assert c("TYPE", "made") == Status("none")

"""Commands of every type."""

from __future__ import annotations

from pathlib import Path

from respcache.protocol.request import Limits, RequestReader
from respcache.store.list import make_list
from tests.unit.persistence.test_rdb_write import LATE
from tests.unit.tools.files import dumped, rdb


def commands(data: bytes) -> list[list[bytes]]:
    reader = RequestReader(Limits())
    reader.feed(data)
    found = []
    while (words := reader.next()) is not None:
        found.append(words)
    return found


def test_resp(file: Path) -> None:
    code, out, errors = dumped(file, rdb(), resp=True)
    assert (code, errors) == (0, "")
    late = b"%d" % LATE
    assert commands(out) == [
        [b"SELECT", b"3"],
        [b"RPUSH", b"list", b"a", b"\xfe", b"a"],
        [b"SADD", b"set", b"1", b"2"],
        [b"HSET", b"hash", b"f", b"v", b"g", b"\xff"],
        [b"HSET", b"odd", b"\xff", b"v"],
        [b"HSET", b"mortal", b"g", b"w", b"f", b"v"],
        [b"HPEXPIREAT", b"mortal", late, b"FIELDS", b"1", b"g"],
        [b"ZADD", b"zset", b"0.1", b"a", b"3.0", b"c", b"inf", b"b"],
        [b"PEXPIREAT", b"zset", late],
        [b"XADD", b"stream", b"1000-0", b"f", b"v", b"g", b"1"],
        [b"XADD", b"stream", b"1002-0", b"k", b"z"],
        [b"XSETID", b"stream", b"1002-0", b"ENTRIESADDED", b"3", b"MAXDELETEDID", b"1001-5"],
        [b"SET", b"text", "größe\n".encode()],
        [b"PEXPIREAT", b"text", late],
        [b"SET", b"\xff", b"\x00\xff"],
        [b"PEXPIREAT", b"\xff", b"1"],
    ]


def test_many_elements_are_many_commands(file: Path) -> None:
    words = [b"%d" % number for number in range(1300)]
    found = commands(dumped(file, rdb([(b"k", make_list(words, -2), None)]), resp=True)[1])
    assert [len(each) - 2 for each in found[1:]] == [512, 512, 276]
    assert [word for each in found[1:] for word in each[2:]] == words

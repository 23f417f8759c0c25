"""DEBUG: what it may be asked, and by whom."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.commands.conftest import Connect
from tests.servers import HAVE_ORACLE, Server, start_redis, start_respcache
from tests.wire import (
    NOT_AN_INTEGER,
    NULL,
    NULL_BULK,
    OK,
    Argument,
    Attributed,
    BigNumber,
    Bool,
    Double,
    Error,
    Map,
    Pair,
    Push,
    Reply,
    Set,
    Status,
    Verbatim,
    Wire,
    arity_error,
)

STRING_TOO_LONG = Error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
NO_SUCH_KEY = Error("ERR no such key")
NOT_POSITIVE = Error("ERR value is out of range, must be positive")
BAD_THRESHOLD = Error("ERR argument must be a memory value bigger than 1 and smaller than 4gb")
NOT_ALLOWED = Error(
    'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it '
    "from a local connection, otherwise you need to set this option in the configuration file, and then "
    "restart the server."
)


def unknown(name: str) -> Error:
    return Error(f"ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP.")


@pytest.mark.parametrize("start", [start_respcache, *([start_redis] if HAVE_ORACLE else [])])
@pytest.mark.parametrize(("allowed", "reply"), [("no", NOT_ALLOWED), ("yes", OK), ("local", OK)])
def test_who_may(start: Callable[..., Server], allowed: str, reply: Reply) -> None:
    with start("--enable-debug-command", allowed) as server, Wire(server.port) as c:
        assert c("DEBUG", "SLEEP", 0) == reply
        assert c("DEBUG") == arity_error("debug")
        if allowed == "no":
            assert c("DEBUG", "FOO") == NOT_ALLOWED
            stats = c("INFO", "commandstats")
            assert b"cmdstat_debug:calls=0,usec=0,usec_per_call=0.00,rejected_calls=3" in stats


BIG = "1234567999999999999999999999999999999"
PROTOCOL = {
    "string": (b"Hello World", b"Hello World"),
    "integer": (12345, 12345),
    "double": (b"3.141", Double("3.141")),
    "bignum": (BIG.encode(), BigNumber(BIG)),
    "null": (NULL_BULK, NULL),
    "array": ([0, 1, 2], [0, 1, 2]),
    "set": ([0, 1, 2], Set((0, 1, 2))),
    "map": ([0, 0, 1, 1, 2, 0], Map(((0, Bool(False)), (1, Bool(True)), (2, Bool(False))))),
    "attrib": (
        b"Some real reply following the attribute",
        Attributed(Map(((b"key-popularity", [b"key:123", 90]),)), b"Some real reply following the attribute"),
    ),
    "verbatim": (b"This is a verbatim\nstring", Verbatim("txt", b"This is a verbatim\nstring")),
    "true": (1, Bool(True)),
    "FALSE": (0, Bool(False)),
}


@pytest.mark.parametrize("kind", PROTOCOL)
def test_protocol(c: Wire, kind: str) -> None:
    assert c("DEBUG", "PROTOCOL", kind) == PROTOCOL[kind][c.protocol == 3]


def test_protocol_push(c: Wire) -> None:
    reply = c("DEBUG", "PROTOCOL", "push")
    if c.protocol == 2:
        assert reply == Error("ERR RESP2 is not supported by this command")
    else:
        assert reply == Push((b"server-cpu-usage", 42))
        assert c.read() == b"Some real reply following the push reply"


def test_protocol_of_no_type(c: Wire) -> None:
    assert c("DEBUG", "PROTOCOL", "foo") == Error(
        "ERR Wrong protocol type name. Please use one of the following: "
        "string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
    )


@pytest.mark.parametrize("message", ["ERR made up", "CODE with words", "oneword", "", "a\r\nb"])
def test_error(c: Wire, message: str) -> None:
    assert c("DEBUG", "ERROR", message) == Error(message.replace("\r", " ").replace("\n", " "))


def test_log(c: Wire, server: Server) -> None:
    assert c("DEBUG", "LOG", "a remark ü") == OK
    server.wait_log("DEBUG LOG: a remark ü")


def test_sleep_holds_everybody(c: Wire, connect: Connect) -> None:
    other = connect()
    other("ECHO", "accepted")
    since = time.monotonic()
    c.send("DEBUG", "SLEEP", "0.2")
    time.sleep(0.05)
    assert other("ECHO", "x") == b"x"
    assert time.monotonic() - since > 0.18
    assert c.read() == OK


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "", "1e-3", "0.001x", ".001", "+0.001", "1e400", "1e19"])
def test_sleep_of_any_word(c: Wire, seconds: str) -> None:
    since = time.monotonic()
    assert c("DEBUG", "SLEEP", seconds) == OK
    assert time.monotonic() - since < 0.5


def test_set_active_expire(c: Wire) -> None:
    def size_later() -> Reply:
        c("SET", "k", "v", "PX", 1)
        time.sleep(0.3)
        return c("DBSIZE")

    assert c("DEBUG", "SET-ACTIVE-EXPIRE", 0) == OK
    assert size_later() == 1
    assert c("GET", "k") == c.null
    assert c("DBSIZE") == 0
    assert c("DEBUG", "SET-ACTIVE-EXPIRE", 1) == OK
    assert size_later() == 0
    assert c("DEBUG", "SET-ACTIVE-EXPIRE", "x") == OK
    assert size_later() == 1


def test_object(c: Wire) -> None:
    form = (
        r"Value at:0x[0-9a-f]+ refcount:\d+ encoding:(\w+) serializedlength:\d+ lru:\d+ lru_seconds_idle:\d+"
    )
    for value, encoding in (("12", "int"), ("word", "embstr"), ("x" * 100, "raw")):
        c("SET", "k", value)
        reply = c("DEBUG", "OBJECT", "k")
        assert isinstance(reply, Status)
        found = re.fullmatch(form, reply.text)
        assert found and found[1] == encoding
    assert c("DEBUG", "OBJECT", "nothing") == NO_SUCH_KEY


@pytest.mark.since("7.4")
def test_object_fast(c: Wire) -> None:
    c("SET", "k", "v")
    assert isinstance(c("DEBUG", "OBJECT", "k", "FAST"), Status)


@pytest.mark.parametrize(
    ("value", "length"),
    [
        ("", 1),
        ("abc", 4),
        ("01", 3),
        ("1.5", 4),
        ("127", 2),
        ("-128", 2),
        ("128", 3),
        ("-32768", 3),
        ("32768", 5),
        ("2147483647", 5),
        ("2147483648", 11),
        ("9223372036854775807", 20),
        ("abcdefghijklmnopqrstu", 22),
        (bytes(range(63)), 64),
        (bytes(range(64)), 66),
        (bytes(range(256)), 258),
    ],
)
def test_serialized_length(c: Wire, value: str | bytes, length: int) -> None:
    c("SET", "k", value)
    assert f"serializedlength:{length} " in c("DEBUG", "OBJECT", "k").text


@pytest.mark.parametrize(
    ("words", "length"),
    [
        (("SET", "k", "x" * 100), 13),
        (("RPUSH", "k", "a", 1, "b"), 18),
        (("SADD", "k", 1, 2, 3), 15),
        (("SADD", "k", "a"), 3),
        (("HSET", "k", "f", "v"), 14),
        (("ZADD", "k", 1, "a"), 13),
        (("ZADD", "k", 1, "a" * 100), 22),
        (("XADD", "k", "1-1", "f", "v"), 57),
    ],
)
def test_serialized_length_of_any_type(c: Wire, words: tuple[Argument, ...], length: int) -> None:
    c(*words)
    assert f"serializedlength:{length} " in c("DEBUG", "OBJECT", "k").text


def test_idle_seconds(c: Wire) -> None:
    c("OBJECT", "IDLETIME", "k")
    c("SET", "k", "v")
    time.sleep(2.1)
    assert re.search(r"lru_seconds_idle:[23]$", c("DEBUG", "OBJECT", "k").text)


def test_digests(c: Wire) -> None:
    nothing = "0" * 40
    assert c("DEBUG", "DIGEST") == Status(nothing)
    assert c("DEBUG", "DIGEST-VALUE") == []
    c("SET", "k", "v")
    assert c("DEBUG", "DIGEST") == Status("264ccf65edec66bccfa7cc659414ccca432057d2")
    assert c("DEBUG", "DIGEST-VALUE", "k", "none") == [
        Status("d79ee9fe5d5ad902d7f6620efc3b07b75ddd742f"),
        Status(nothing),
    ]
    c("SET", "k", 12)
    assert c("DEBUG", "DIGEST-VALUE", "k") == [Status("655ac46b180ad2f61a3cee25f0b1780fa2ec879a")]
    c("SET", "k", "abc", "EX", 100)
    assert c("DEBUG", "DIGEST-VALUE", "k") == [Status("c77a33d2ea9755a8613f7e54f17873233d7a8058")]


def test_the_digest_of_all_data_is_that_of_the_oracle(pair: Pair) -> None:
    for wire in pair:
        for number in range(20):
            wire("SELECT", number % 3)
            wire("SET", f"k{number}", "v" * number)
            wire("INCRBY", "n", number)
        wire("EXPIRE", "n", 100)
    ours, theirs = (wire("DEBUG", "DIGEST") for wire in pair)
    assert ours == theirs != Status("0" * 40)


VALUES: dict[str, tuple[tuple[Argument, ...], ...]] = {
    "number": (("SET", "k", 12), ("INCR", "k")),
    "changed in place": (("SET", "k", "a"), ("APPEND", "k", "b"), ("SETBIT", "k", 3, 1)),
    "hyperloglog": (("PFADD", "k", "a", "b", "c"),),
    "list": (("RPUSH", "k", "a", 1, "", "x" * 9000, -5),),
    "intset": (("SADD", "k", 3, -1, 70000),),
    "small set": (("SADD", "k", "a", "b", 7),),
    "big set": (("SADD", "k", *range(600)), ("SADD", "k", "word")),
    "small zset": (("ZADD", "k", 1, "a", 2.5, "b", "-inf", "c", "1e30", "d", 0.1, "e", "-0", "f"),),
    "big zset": (("ZADD", "k", 1.5, "x" * 100, "-0", "z", "inf", "i", "0.1", "t"),),
    "small hash": (("HSET", "k", "f", "v", "n", 12, "", ""),),
    "big hash": (("HSET", "k", "f", "v" * 100, "g", "w"), ("HDEL", "k", "g")),
    "stream": (
        ("XADD", "k", "1000-0", "f", "v", "g", 1),
        ("XADD", "k", "1001-5", "f", "w", "g", 2),
        ("XADD", "k", "1002-18446744073709551615", "k", "z"),
        ("XDEL", "k", "1001-5"),
        ("XGROUP", "CREATE", "k", "grp", 0),
        ("XREADGROUP", "GROUP", "grp", "alice", "STREAMS", "k", ">"),
    ),
    "long stream": tuple(("XADD", "k", f"{number}-1", "f", number) for number in range(250)),
    "empty stream": (("XADD", "k", "MAXLEN", 0, "1-1", "a", "b"),),
}
"""By what they are, the commands that make them."""


@pytest.mark.parametrize("kind", VALUES)
def test_the_digest_of_each_type_is_that_of_the_oracle(pair: Pair, kind: str) -> None:
    found = []
    for wire in pair:
        for words in VALUES[kind]:
            assert not isinstance(wire(*words), Error)
        found.append([wire("DEBUG", "DIGEST-VALUE", "k"), wire("DEBUG", "DIGEST")])
        wire("EXPIRE", "k", 1000)
        found[-1] += [wire("DEBUG", "DIGEST-VALUE", "k", "none"), wire("DEBUG", "DIGEST")]
    assert found[0] == found[1]
    assert found[0][0] != found[0][2] and found[0][1] != found[0][3]


def test_the_digest_of_everything_is_that_of_the_oracle(pair: Pair) -> None:
    for wire in pair:
        for number, commands in enumerate(VALUES.values()):
            wire("SELECT", number % 5)
            for words in commands:
                wire(words[0], *(f"k{number}" if word == "k" else word for word in words[1:]))
    ours, theirs = (wire("DEBUG", "DIGEST") for wire in pair)
    assert ours == theirs != Status("0" * 40)


@pytest.mark.since("7.4")
def test_the_digest_tells_fields_with_deadlines(c: Wire) -> None:
    def digest() -> Reply:
        return c("DEBUG", "DIGEST-VALUE", "k")

    c("HSET", "k", "f", "v", "g", "w")
    seen = [digest()]
    for words in (("HEXPIRE", "k", 100, "FIELDS", 1, "f"), ("HEXPIRE", "k", 100, "FIELDS", 1, "g")):
        c(*words)
        seen.append(digest())
    assert len({reply[0].text for reply in seen}) == 3
    c("HEXPIRE", "k", 200, "FIELDS", 1, "g")
    assert digest() == seen[-1]  # when it is does not matter
    c("HPERSIST", "k", "FIELDS", 2, "f", "g")
    assert digest() == seen[0]


def test_populate(c: Wire) -> None:
    c("SET", "key:1", "kept")
    assert c("DEBUG", "POPULATE", 3) == OK
    assert c("MGET", "key:0", "key:1", "key:2", "key:3") == [b"value:0", b"kept", b"value:2", c.null]
    assert c("DEBUG", "POPULATE", 2, "p") == OK
    assert c("GET", "p:1") == b"value:1"
    assert c("DEBUG", "POPULATE", 1, "long", 10) == OK
    assert c("GET", "long:0") == b"value:0\0\0\0"
    assert c("DEBUG", "POPULATE", 1, "short", 3) == OK
    assert c("GET", "short:0") == b"val"
    assert c("DEBUG", "POPULATE", 0) == OK
    assert c("DBSIZE") == 7


@pytest.mark.parametrize("words", [("x",), (-1,), (1, "p", "x"), (1, "p", -1)])
def test_populate_refused(c: Wire, words: tuple[str | int, ...]) -> None:
    assert c("DEBUG", "POPULATE", *words) == NOT_POSITIVE
    assert c("DBSIZE") == 0


def test_populate_with_values_that_are_too_long() -> None:
    with start_respcache() as server, Wire(server.port) as c:
        assert c("DEBUG", "POPULATE", 3, "k", 100_000_000_000) == STRING_TOO_LONG
        assert c("DBSIZE") == 0


@pytest.mark.parametrize("size", ["0", "1b", "10", "1k", "3gb", "1MB", ""])
def test_threshold(c: Wire, size: str) -> None:
    assert c("DEBUG", "QUICKLIST-PACKED-THRESHOLD", size) == OK


@pytest.mark.parametrize("size", ["x", "-1", "4gb", "4294967295", "1x", "1.5k"])
def test_threshold_refused(c: Wire, size: str) -> None:
    assert c("DEBUG", "QUICKLIST-PACKED-THRESHOLD", size) == BAD_THRESHOLD


@pytest.mark.parametrize(
    "words",
    [
        ("REPLYBUFFER", "PEAK-RESET-TIME", "never"),
        ("REPLYBUFFER", "PEAK-RESET-TIME", "reset"),
        ("replybuffer", "resizing", 1),
        ("PAUSE-CRON", 0),
        ("SET-DISABLE-DENY-SCRIPTS", 0),
        ("SET-SKIP-CHECKSUM-VALIDATION", 0),
        ("AOF-FLUSH-SLEEP", 0),
    ],
)
def test_tuning_is_accepted(c: Wire, words: tuple[str | int, ...]) -> None:
    assert c("DEBUG", *words) == OK


def test_tuning_wants_a_number(c: Wire) -> None:
    assert c("DEBUG", "REPLYBUFFER", "PEAK-RESET-TIME", "x") == NOT_AN_INTEGER


@pytest.mark.since("7.4")
@pytest.mark.parametrize("name", ["DICT-RESIZING", "CLIENT-ENFORCE-REPLY-LIST"])
def test_newer_tuning_is_accepted(c: Wire, name: str) -> None:
    assert c("DEBUG", name, 1) == OK


@pytest.mark.parametrize(
    "words",
    [
        ("Foo",),
        ("SLEEP",),
        ("SLEEP", 0, 0),
        ("OBJECT",),
        ("ERROR",),
        ("ERROR", "a", "b"),
        ("LOG",),
        ("PROTOCOL",),
        ("POPULATE",),
        ("POPULATE", 1, "p", 1, 1),
        ("SET-ACTIVE-EXPIRE",),
        ("CHANGE-REPL-ID", "x"),
        ("QUICKLIST-PACKED-THRESHOLD",),
        ("REPLYBUFFER", "foo", 1),
        ("OBJECT", "k", "slow"),
        ("jmap",),
        ("x" * 200,),
    ],
)
def test_unknown_or_wrong_number(c: Wire, words: tuple[str | int, ...]) -> None:
    assert c("DEBUG", *words) == unknown(str(words[0])[:128])


def test_help(c: Wire) -> None:
    lines = [line.text for line in c("DEBUG", "HELP")]
    assert lines[0] == "DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    for name in ("OBJECT", "SLEEP", "PROTOCOL", "POPULATE", "HELP"):
        assert any(line.split()[0] == name for line in lines[1:])

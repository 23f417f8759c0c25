"""MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

from __future__ import annotations

import pytest

from tests.commands.conftest import Connect
from tests.servers import Server
from tests.wire import OK, Error, Reply, Status, Verbatim, Wire, encode

QUEUED = Status("QUEUED")
ABORTED = Error("EXECABORT Transaction discarded because of previous errors.")


def text_of(reply: Reply) -> str:
    """The text of a bulk string or a verbatim string."""
    assert isinstance(reply, bytes | Verbatim)
    return (reply if isinstance(reply, bytes) else reply.data).decode()


def test_queued_commands_run_at_exec(c: Wire, connect: Connect) -> None:
    other = connect()
    assert c("MULTI") == OK
    assert c("SET", "k", "1") == QUEUED
    assert c("incr", "k") == QUEUED
    assert c("CLIENT", "GETNAME") == QUEUED
    assert other("GET", "k") == other.null
    assert c("EXEC") == [OK, 2, c.null]
    assert other("GET", "k") == b"2"
    assert c("GET", "k") == b"2"


def test_nothing_queued(c: Wire) -> None:
    assert [c("MULTI"), c("EXEC")] == [OK, []]
    assert [c("MULTI"), c("DISCARD")] == [OK, OK]


def test_discard(c: Wire) -> None:
    c("MULTI")
    c("SET", "k", "1")
    assert c("DISCARD") == OK
    assert c("EXISTS", "k") == 0
    assert c("EXEC") == Error("ERR EXEC without MULTI")
    assert c("DISCARD") == Error("ERR DISCARD without MULTI")


def test_an_error_of_a_command_is_its_reply(c: Wire) -> None:
    c("MULTI")
    c("SET", "k", "x")
    c("INCR", "k")
    c("GETEX", "k", "EX", "0")
    c("APPEND", "k", "y")
    assert c("EXEC") == [
        OK,
        Error("ERR value is not an integer or out of range"),
        Error("ERR invalid expire time in 'getex' command"),
        2,
    ]


@pytest.mark.parametrize(
    ("refused", "error"),
    [
        (("NOPE", "x"), "ERR unknown command 'NOPE', with args beginning with: 'x' "),
        (("GET",), "ERR wrong number of arguments for 'get' command"),
        (("CONFIG", "NOPE"), "ERR unknown subcommand 'NOPE'. Try CONFIG HELP."),
        (("CONFIG", "GET"), "ERR wrong number of arguments for 'config|get' command"),
        (("OBJECT",), "ERR wrong number of arguments for 'object' command"),
        (("SHUTDOWN", "NOSAVE"), "ERR Command not allowed inside a transaction"),
        (("MULTI", "x"), "ERR wrong number of arguments for 'multi' command"),
        (("WATCH",), "ERR wrong number of arguments for 'watch' command"),
    ],
)
def test_a_refused_command_aborts(c: Wire, refused: tuple[str, ...], error: str) -> None:
    c("MULTI")
    c("SET", "k", "1")
    assert c(*refused) == Error(error)
    assert c("SET", "k", "2") == QUEUED
    assert c("EXEC") == ABORTED
    assert c("EXISTS", "k") == 0
    assert c("EXEC") == Error("ERR EXEC without MULTI")


@pytest.mark.parametrize("request_bytes", [encode("EXEC", "x"), encode("Exec", "x"), b"EXEC x\r\n"])
def test_a_refused_exec_ends_the_transaction(c: Wire, request_bytes: bytes) -> None:
    c("MULTI")
    reason = "wrong number of arguments for 'exec' command"
    c.raw(request_bytes)
    assert c.read() == Error(f"EXECABORT Transaction discarded because of: {reason}")
    assert c("EXEC") == Error("ERR EXEC without MULTI")


def test_discard_forgets_an_error(c: Wire) -> None:
    c("MULTI")
    c("NOPE")
    assert c("DISCARD") == OK
    assert [c("MULTI"), c("PING"), c("EXEC")] == [OK, QUEUED, [Status("PONG")]]


def test_multi_and_watch_inside_are_errors_and_no_more(c: Wire) -> None:
    c("MULTI")
    assert c("MULTI") == Error("ERR MULTI calls can not be nested")
    assert c("WATCH", "k") == Error("ERR WATCH inside MULTI is not allowed")
    assert c("UNWATCH") == QUEUED
    assert c("EXEC") == [OK]


def test_in_one_pipeline(c: Wire) -> None:
    replies = c.pipeline([("MULTI",), ("SET", "k", "1"), ("INCR", "k"), ("EXEC",), ("GET", "k")])
    assert replies == [OK, QUEUED, QUEUED, [OK, 2], b"2"]


def test_reset_and_quit_are_not_queued(c: Wire, connect: Connect) -> None:
    c("MULTI")
    c("SET", "k", "1")
    assert c("RESET") == Status("RESET")
    assert c("EXEC") == Error("ERR EXEC without MULTI")
    other = connect(protocol=2)
    other("MULTI")
    other("SET", "k", "1")
    assert other("QUIT") == OK
    assert other.closed()
    assert c("EXISTS", "k") == 0


def test_the_database_and_the_protocol_may_change_inside(c: Wire) -> None:
    c("MULTI")
    c("SELECT", "1")
    c("SET", "k", "1")
    c("DBSIZE")
    c("SELECT", "0")
    c("DBSIZE")
    assert c("EXEC") == [OK, OK, 1, OK, 0]


def test_client_list_shows_it(c: Wire, connect: Connect) -> None:
    def shown() -> dict[str, str]:
        line = connect()("CLIENT", "LIST", "ID", number)
        return dict(field.split("=", 1) for field in text_of(line).split())

    number = c("CLIENT", "ID")
    assert (shown()["flags"], shown()["multi"]) == ("N", "-1")
    c("WATCH", "k")
    c("MULTI")
    c("PING")
    c("PING")
    assert (shown()["flags"], shown()["multi"]) == ("x", "2")
    connect()("SET", "k", "1")
    assert shown()["flags"] == "xd"
    assert c("PING") == QUEUED
    assert shown()["multi"] == "2", "what will not run is not kept"
    c("EXEC")
    assert shown()["flags"] == "N"
    c("MULTI")
    c("PING")
    c("NOPE")
    assert c("PING") == QUEUED
    assert shown()["multi"] == "1"


def test_only_what_runs_is_counted(c: Wire) -> None:
    c("CONFIG", "RESETSTAT")
    c("MULTI")
    c("GET", "k")
    c("GET")
    c("EXEC")
    c("MULTI")
    c("GET", "k")
    c("EXEC")
    stats = text_of(c("INFO", "commandstats"))
    calls = dict(line.split(",")[0].split(":calls=") for line in stats.splitlines() if ":calls=" in line)
    assert calls["cmdstat_get"] == "1"
    assert calls["cmdstat_multi"] == "2"


# WATCH


def transaction(c: Wire) -> object:
    """A transaction that replies whether it ran."""
    c("MULTI")
    c("PING")
    return c("EXEC")


RAN = [Status("PONG")]

CHANGES: list[tuple[list[tuple[str, ...]], bool]] = [
    ([("SET", "k", "2")], True),
    ([("SET", "k", "1")], True),
    ([("APPEND", "k", "x")], True),
    ([("APPEND", "k", "")], True),
    ([("INCR", "k")], True),
    ([("SETRANGE", "k", "0", "")], False),
    ([("SETNX", "k", "1")], False),
    ([("SET", "k", "1", "NX")], False),
    ([("SET", "k", "1", "XX")], True),
    ([("GET", "k")], False),
    ([("GETDEL", "k")], True),
    ([("GETEX", "k")], False),
    ([("GETEX", "k", "EX", "100")], True),
    ([("GETEX", "k", "PERSIST")], False),
    ([("DEL", "k")], True),
    ([("DEL", "other")], False),
    ([("UNLINK", "k")], True),
    ([("EXPIRE", "k", "100")], True),
    ([("EXPIRE", "k", "100", "XX")], False),
    ([("EXPIRE", "k", "-1")], True),
    ([("PERSIST", "k")], False),
    ([("RENAME", "k", "other")], True),
    ([("SET", "other", "1"), ("RENAME", "other", "k")], True),
    ([("RENAMENX", "k", "k")], False),
    ([("COPY", "k", "other")], False),
    ([("SET", "other", "1"), ("COPY", "other", "k")], False),
    ([("SET", "other", "1"), ("COPY", "other", "k", "REPLACE")], True),
    ([("MOVE", "k", "1")], True),
    ([("FLUSHDB",)], True),
    ([("FLUSHALL",)], True),
    ([("SELECT", "1"), ("FLUSHDB",)], False),
    ([("SELECT", "1"), ("SET", "k", "2")], False),
    ([("SWAPDB", "0", "1")], True),
    ([("SWAPDB", "1", "2")], False),
    ([("TOUCH", "k")], False),
    ([("MSETNX", "k", "1", "other", "1")], False),
    ([("MSET", "other", "1")], False),
    ([("SELECT", "1"), ("SET", "k", "1"), ("MOVE", "k", "0")], False),
]


@pytest.mark.parametrize(("commands", "fails"), CHANGES, ids=[" ".join(map(" ".join, c)) for c, _ in CHANGES])
def test_a_change_of_a_watched_key(
    c: Wire, connect: Connect, commands: list[tuple[str, ...]], fails: bool
) -> None:
    c("SET", "k", "1")
    assert c("WATCH", "nothing", "k") == OK
    other = connect()
    for command in commands:
        other(*command)
    assert transaction(c) == (c.null_array if fails else RAN)
    assert transaction(c) == RAN, "EXEC forgets what was watched"


STREAM = [("XADD", "s", "1-1", "f", "v"), ("XGROUP", "CREATE", "s", "g", "0")]


@pytest.mark.parametrize(
    ("command", "fails"),
    [
        ("XADD s 2-1 f v", True),
        ("XDEL s 1-1", True),
        ("XDEL s 5-1", False),
        ("XTRIM s MAXLEN 0", True),
        ("XSETID s 9-0", False),
        ("XGROUP CREATE s h 0", False),
        ("XGROUP SETID s g 1", False),
        ("XGROUP CREATECONSUMER s g c", False),
        ("XGROUP DELCONSUMER s g c", False),
        ("XREADGROUP GROUP g c STREAMS s >", False),
        ("XACK s g 1-1", False),
        ("XCLAIM s g c 0 1-1 FORCE", False),
        ("XREAD STREAMS s 0", False),
        ("XGROUP CREATE missing g 0 MKSTREAM", True),
        ("RPUSH missing x", True),
        ("LPUSHX missing x", False),
        ("SADD set x", True),
        ("SADD set a", False),
        ("SREM set a", True),
        ("SREM set x", False),
        ("SUNIONSTORE missing nothing", False),
        ("HSET hash a 1", True),
        ("HDEL hash x", False),
        ("ZADD zset 1 a", False),
        ("ZADD zset 2 a", True),
        ("ZADD zset NX 2 a", False),
        ("ZREMRANGEBYSCORE zset 5 6", False),
        ("PFADD pf x", True),
        ("PFADD pf a", False),
        ("SORT set ALPHA STORE missing", True),
        ("LTRIM list 0 -1", True),
        ("LREM list 0 x", False),
        ("LMOVE list missing LEFT LEFT", True),
    ],
)
@pytest.mark.needs("xreadgroup", "rpush", "sadd", "hset", "zadd", "pfadd", "sort")
def test_changes_of_collections(c: Wire, connect: Connect, command: str, fails: bool) -> None:
    c.pipeline([*STREAM, ("SADD", "set", "a", "b"), ("HSET", "hash", "a", "0"), ("ZADD", "zset", "1", "a")])
    c.pipeline([("PFADD", "pf", "a"), ("RPUSH", "list", "a", "b")])
    c("WATCH", "s", "missing", "set", "hash", "zset", "pf", "list")
    connect()(*command.split())
    assert transaction(c) == (c.null_array if fails else RAN)


@pytest.mark.parametrize(
    ("commands", "fails"),
    [
        ([("FLUSHALL",)], False),
        ([("DEL", "k")], False),
        ([("EXPIRE", "k", "100")], False),
        ([("SET", "k", "1")], True),
        ([("SET", "k", "1"), ("DEL", "k")], True),
        ([("SWAPDB", "0", "1")], False),
        ([("SELECT", "1"), ("SET", "k", "1"), ("SWAPDB", "0", "1")], True),
        ([("SELECT", "1"), ("SET", "k", "1"), ("MOVE", "k", "0")], True),
    ],
)
def test_a_missing_key_may_be_watched(
    c: Wire, connect: Connect, commands: list[tuple[str, ...]], fails: bool
) -> None:
    c("WATCH", "k")
    other = connect()
    for command in commands:
        other(*command)
    assert transaction(c) == (c.null_array if fails else RAN)


def test_ones_own_changes_count(c: Wire) -> None:
    c("WATCH", "k")
    c("SET", "k", "1")
    assert transaction(c) == c.null_array


@pytest.mark.parametrize("forget", [("UNWATCH",), ("DISCARD",), ("RESET",)])
def test_forgetting(c: Wire, connect: Connect, forget: tuple[str]) -> None:
    c("WATCH", "k")
    if forget == ("DISCARD",):
        c("MULTI")
    connect()("SET", "k", "1")
    c(*forget)
    c.protocol = 2 if forget == ("RESET",) else c.protocol
    assert transaction(c) == RAN


def test_an_error_in_the_queue_comes_before_a_change(c: Wire) -> None:
    c("WATCH", "k")
    c("SET", "k", "1")
    c("MULTI")
    c("NOPE")
    assert c("EXEC") == ABORTED


def test_a_watched_key_that_expires_is_a_change(c: Wire) -> None:
    c("SET", "k", "1", "PX", "1")
    c("SET", "gone", "1", "PXAT", "1")
    c("WATCH", "gone")
    assert transaction(c) == RAN
    c("SET", "k", "1", "PX", "10")
    c("WATCH", "k")
    while c("PTTL", "k") != -2:
        pass
    assert transaction(c) == c.null_array


def test_each_client_watches_for_itself(c: Wire, connect: Connect) -> None:
    others = [connect() for _ in range(3)]
    for wire in (c, *others):
        wire("WATCH", "k")
    others[0]("UNWATCH")
    others[1].close()
    c("SET", "k", "1")
    assert transaction(others[0]) == RAN
    assert transaction(others[2]) == others[2].null_array


def test_a_paused_transaction(c: Wire, connect: Connect, server: Server) -> None:
    """During CLIENT PAUSE WRITE a transaction waits if it writes."""
    reads, writes = connect(), connect()
    for wire, command in ((reads, ("GET", "k")), (writes, ("SET", "k", "1"))):
        wire("MULTI")
        wire(*command)
    c("CLIENT", "PAUSE", "100000", "WRITE")
    assert reads("EXEC") == [reads.null]
    writes.send("EXEC")
    assert c("EXISTS", "k") == 0
    c("CLIENT", "UNPAUSE")
    assert writes.read() == [OK]


def test_replies_off(c: Wire, connect: Connect) -> None:
    c.send("CLIENT", "REPLY", "OFF")
    for command in (("MULTI",), ("SET", "k", "1"), ("GET", "k"), ("EXEC",)):
        c.send(*command)
    assert c("CLIENT", "REPLY", "ON") == OK
    assert c("GET", "k") == b"1"

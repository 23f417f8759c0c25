"""Pub/sub: subscriptions, messages, what a subscribed client may do."""

from __future__ import annotations

import time

import pytest

from tests.commands.conftest import Connect
from tests.commands.test_client_list import line_of, lines
from tests.commands.test_info import fields as info
from tests.wire import NULL, OK, PONG, QUEUED, Error, Reply, Status, Wire, arity_error, members

KINDS = ["subscribe", "psubscribe", "ssubscribe"]


def refusal(name: str) -> Error:
    return Error(
        f"ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
        "this context"
    )


def told(c: Wire, *commands: str) -> list[list[Reply]]:
    """The confirmations of commands, each with one channel."""
    found = []
    for command in commands:
        c.send(*command.split())
        found.append(c.read_push())
    return found


# Subscriptions


@pytest.mark.parametrize("verb", KINDS)
def test_subscribe(c: Wire, verb: str) -> None:
    c.send(verb, "a", "b", "a")
    for name, count in ((b"a", 1), (b"b", 2), (b"a", 2)):
        assert c.read_push() == [verb.encode(), name, count]
    c.send(
        "UN" + verb if verb == "subscribe" else verb.replace("subscribe", "UNSUBSCRIBE"), "b", "x", "a", "b"
    )
    for name, count in ((b"b", 1), (b"x", 1), (b"a", 0), (b"b", 0)):
        assert c.read_push() == [verb.replace("subscribe", "unsubscribe").encode(), name, count]
    assert c("GET", "k") == c.null


@pytest.mark.parametrize("verb", KINDS)
def test_unsubscribe_from_all(c: Wire, verb: str) -> None:
    end = verb.replace("subscribe", "unsubscribe")
    assert told(c, end) == [[end.encode(), c.null, 0]]
    c.send(verb, "a", "b")
    c.read_push(), c.read_push()
    c.send(end)
    first, second = c.read_push(), c.read_push()
    assert members([first[1], second[1]]) == [b"a", b"b"]
    assert (first[2], second[2]) == (1, 0)
    assert told(c, end) == [[end.encode(), c.null, 0]]


def test_counts(c: Wire) -> None:
    commands = (
        "SUBSCRIBE a",
        "PSUBSCRIBE a",
        "SSUBSCRIBE a",
        "SSUBSCRIBE b",
        "PUNSUBSCRIBE",
        "SUNSUBSCRIBE x",
    )
    assert [each[2] for each in told(c, *commands)] == [1, 2, 1, 2, 1, 2]
    assert told(c, "PUNSUBSCRIBE") == [[b"punsubscribe", c.null, 1]]
    assert told(c, "UNSUBSCRIBE a", "UNSUBSCRIBE") == [[b"unsubscribe", b"a", 0], [b"unsubscribe", c.null, 0]]


def test_arity(c: Wire) -> None:
    for verb in KINDS:
        assert c(verb) == arity_error(verb)
    assert c("PUBLISH", "a") == arity_error("publish")
    assert c("SPUBLISH", "a", "b", "c") == arity_error("spublish")


# Messages


def test_publish(c: Wire, connect: Connect) -> None:
    one, other = connect(), connect()
    told(one, "SUBSCRIBE news", "PSUBSCRIBE n?ws*", "PSUBSCRIBE old*", "SSUBSCRIBE news")
    told(other, "PSUBSCRIBE *")
    assert c("PUBLISH", "news", "m\r\n\x00") == 3
    assert one.read_push() == [b"message", b"news", b"m\r\n\x00"]
    assert one.read_push() == [b"pmessage", b"n?ws*", b"news", b"m\r\n\x00"]
    assert other.read_push() == [b"pmessage", b"*", b"news", b"m\r\n\x00"]
    assert c("PUBLISH", "other", "") == 1
    assert other.read_push() == [b"pmessage", b"*", b"other", b""]
    assert c("SPUBLISH", "news", "x") == 1
    assert one.read_push() == [b"smessage", b"news", b"x"]
    assert c("SPUBLISH", "other", "x") == 0
    assert one.quiet() and other.quiet()


def test_both_protocols(c: Wire, connect: Connect) -> None:
    listeners = [connect(protocol=protocol) for protocol in (2, 3, 2, 3)]
    for listener in listeners:
        told(listener, "SUBSCRIBE a")
    big = b"x" * 100_000
    assert c.pipeline([("PUBLISH", "a", b"1"), ("PUBLISH", "a", big)]) == [4, 4]
    for listener in listeners:
        assert [listener.read_push()[2], listener.read_push()[2]] == [b"1", big]


def test_many_messages_in_order(c: Wire, connect: Connect) -> None:
    listener = connect()
    told(listener, "SUBSCRIBE a")
    assert c.pipeline([("PUBLISH", "a", number) for number in range(500)]) == [1] * 500
    assert [int(listener.read_push()[2]) for _ in range(500)] == list(range(500))


def test_all_databases_share_channels(c: Wire, connect: Connect) -> None:
    listener = connect()
    c("SELECT", 5)
    told(listener, "SUBSCRIBE a")
    assert c("PUBLISH", "a", "m") == 1


def test_gone_subscriber(c: Wire, connect: Connect) -> None:
    listener = connect()
    told(listener, "SUBSCRIBE a", "PSUBSCRIBE b", "SSUBSCRIBE c")
    listener.close()
    deadline = time.monotonic() + 2
    while c("PUBLISH", "a", "m") and time.monotonic() < deadline:
        pass
    assert (c("PUBSUB", "CHANNELS"), c("PUBSUB", "NUMPAT"), c("PUBSUB", "SHARDCHANNELS")) == ([], 0, [])


# What a subscribed client may do


@pytest.mark.protocol(2)
@pytest.mark.parametrize("verb", KINDS)
def test_mode(c: Wire, verb: str) -> None:
    told(c, f"{verb} a")
    for words, name in (
        ("GET k", "get"),
        ("set k v", "set"),
        ("MULTI", "multi"),
        ("HELLO 3", "hello"),
        ("CLIENT ID", "client|id"),
        ("CONFIG GET port", "config|get"),
        ("PUBLISH a b", "publish"),
    ):
        assert c(*words.split()) == refusal(name)
    assert c("GET") == arity_error("get")
    assert c("CONFIG") == arity_error("config")
    assert c("nope") == Error("ERR unknown command 'nope', with args beginning with: ")
    assert c("CONFIG", "FOO") == Error("ERR unknown subcommand 'FOO'. Try CONFIG HELP.")
    assert c("EXEC") == Error(
        refusal("exec").text.replace("ERR", "EXECABORT Transaction discarded because of:")
    )
    assert c("PING") == [b"pong", b""]
    assert c("PING", "hi") == [b"pong", b"hi"]
    assert c("ping", "a", "b") == arity_error("ping")
    told(c, verb.replace("subscribe", "unsubscribe"))
    assert c("PING") == PONG
    assert c("GET", "k") == c.null


@pytest.mark.protocol(2)
def test_mode_begins_and_ends_within_a_pipeline(c: Wire) -> None:
    replies = c.pipeline(
        [
            ("GET", "k"),
            ("SUBSCRIBE", "a"),
            ("GET", "k"),
            ("PING",),
            ("UNSUBSCRIBE", "a"),
            ("GET", "k"),
            ("PING",),
        ]
    )
    assert replies == [
        c.null,
        [b"subscribe", b"a", 1],
        refusal("get"),
        [b"pong", b""],
        [b"unsubscribe", b"a", 0],
        c.null,
        PONG,
    ]


@pytest.mark.protocol(3)
def test_commands_beside_messages(c: Wire, connect: Connect) -> None:
    told(c, "SUBSCRIBE a")
    assert c("SET", "k", "v") == OK
    assert c("PING") == PONG
    assert c("PING", "hi") == b"hi"
    assert connect()("PUBLISH", "a", "m") == 1
    assert c.read_push() == [b"message", b"a", b"m"]
    assert c("GET", "k") == b"v"


@pytest.mark.protocol(3)
def test_own_message(c: Wire) -> None:
    # Before 7.2 it stands before the reply.
    told(c, "SUBSCRIBE a")
    c.send("PUBLISH", "a", "m")
    assert sorted(map(str, (c.read(), c.read()))) == sorted(
        map(str, (1, c.as_push([b"message", b"a", b"m"])))
    )


@pytest.mark.since("7.2")
@pytest.mark.protocol(3)
def test_own_message_stands_behind_the_reply(c: Wire) -> None:
    told(c, "SUBSCRIBE a")
    c.send("PUBLISH", "a", "m")
    assert (c.read(), c.read_push()) == (1, [b"message", b"a", b"m"])
    replies = c.pipeline([("PUBLISH", "a", "m"), ("UNSUBSCRIBE", "a")])
    assert replies == [1, c.as_push([b"message", b"a", b"m"])]
    assert c.read_push() == [b"unsubscribe", b"a", 0]
    told(c, "SUBSCRIBE a")
    replies = c.pipeline([("MULTI",), ("PUBLISH", "a", "m"), ("UNSUBSCRIBE", "a"), ("EXEC",)])
    assert replies == [OK, QUEUED, QUEUED, [1, c.as_push([b"unsubscribe", b"a", 0])]]
    assert c.read_push() == [b"message", b"a", b"m"]


@pytest.mark.protocol(3)
def test_change_of_protocol(c: Wire, connect: Connect) -> None:
    told(c, "SUBSCRIBE a", "SSUBSCRIBE b")
    c("HELLO", 2)
    assert c("GET", "k") == refusal("get")
    assert connect()("PUBLISH", "a", "m") == 1
    assert c.read() == [b"message", b"a", b"m"]
    assert c("UNSUBSCRIBE") == [b"unsubscribe", b"a", 0]
    assert c("PING") == [b"pong", b""]
    assert c("SUNSUBSCRIBE") == [b"sunsubscribe", b"b", 0]
    assert c("PING") == PONG


def test_reset(c: Wire, connect: Connect) -> None:
    told(c, "SUBSCRIBE a", "PSUBSCRIBE b", "SSUBSCRIBE c")
    assert c("RESET") == Status("RESET")
    c.protocol = 2
    assert c("GET", "k") == c.null
    assert c("PUBLISH", "a", "m") == 0
    assert (c("PUBSUB", "NUMPAT"), c("PUBSUB", "SHARDCHANNELS")) == (0, [])


def test_quit(c: Wire) -> None:
    told(c, "SUBSCRIBE a")
    assert c("QUIT") == OK
    assert c.closed()


def test_transaction(c: Wire) -> None:
    commands = [
        "MULTI",
        "SUBSCRIBE a b",
        "SSUBSCRIBE c",
        "PSUBSCRIBE p",
        "UNSUBSCRIBE a",
        "GET k",
        "PING",
        "EXEC",
    ]
    replies = c.pipeline([command.split() for command in commands])
    assert replies[:-1] == [OK] + [QUEUED] * 6
    assert replies[-1] == [
        c.as_push([b"subscribe", b"a", 1]),
        c.as_push([b"subscribe", b"b", 2]),
        Error("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client"),
        c.as_push([b"psubscribe", b"p", 3]),
        c.as_push([b"unsubscribe", b"a", 2]),
        c.null,
    ]
    assert c.read() == (PONG if c.protocol == 3 else [b"pong", b""])
    assert c("GET", "k") == (c.null if c.protocol == 3 else refusal("get"))


@pytest.mark.protocol(2)
def test_change_of_protocol_in_a_transaction(c: Wire) -> None:
    def within(*commands: str) -> None:
        c.pipeline([command.split() for command in ("MULTI", *commands, "EXEC")])

    within("SUBSCRIBE a", "HELLO 3")
    assert c("GET", "k") == NULL
    within("HELLO 2")
    assert c("GET", "k") == refusal("get")


def test_no_replies_but_messages(c: Wire, connect: Connect) -> None:
    publisher = connect()
    c.send("CLIENT", "REPLY", "OFF")
    assert told(c, "SUBSCRIBE a") == [[b"subscribe", b"a", 1]]
    c.send("PING")
    assert publisher("PUBLISH", "a", "m") == 1
    assert c.read_push() == [b"message", b"a", b"m"]
    assert told(c, "UNSUBSCRIBE") == [[b"unsubscribe", b"a", 0]]
    assert c("CLIENT", "REPLY", "ON") == OK


def test_skipped_confirmation_is_sent(c: Wire) -> None:
    c.send("CLIENT", "REPLY", "SKIP")
    assert told(c, "SUBSCRIBE a") == [[b"subscribe", b"a", 1]]
    assert c("PING") == (PONG if c.protocol == 3 else [b"pong", b""])


# PUBSUB


def test_channels(c: Wire, connect: Connect) -> None:
    listener = connect()
    told(listener, "SUBSCRIBE one", "SUBSCRIBE two", "SSUBSCRIBE three", "PSUBSCRIBE four*")
    assert members(c("PUBSUB", "CHANNELS")) == [b"one", b"two"]
    assert c("PUBSUB", "CHANNELS", "t*") == [b"two"]
    assert c("PUBSUB", "SHARDCHANNELS") == [b"three"]
    assert c("PUBSUB", "SHARDCHANNELS", "[a-s]*") == []
    for name in ("CHANNELS", "SHARDCHANNELS"):
        assert c("PUBSUB", name, "a", "b") == Error(
            f"ERR unknown subcommand or wrong number of arguments for '{name}'. Try PUBSUB HELP."
        )


def test_numbers(c: Wire, connect: Connect) -> None:
    for _ in range(2):
        told(connect(), "SUBSCRIBE a", "SSUBSCRIBE b", "PSUBSCRIBE p*")
    told(connect(), "PSUBSCRIBE q*")
    assert c("PUBSUB", "NUMSUB") == c("PUBSUB", "SHARDNUMSUB") == []
    assert c("PUBSUB", "NUMSUB", "a", "b", "a") == [b"a", 2, b"b", 0, b"a", 2]
    assert c("PUBSUB", "SHARDNUMSUB", "a", "b") == [b"a", 0, b"b", 2]
    assert c("PUBSUB", "NUMPAT") == 2
    assert c("PUBSUB", "NUMPAT", "x") == arity_error("pubsub|numpat")


def test_help(c: Wire) -> None:
    reply = c("PUBSUB", "HELP")
    assert reply[0] == Status("PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
    for name in ("CHANNELS [<pattern>]", "NUMPAT", "SHARDCHANNELS [<pattern>]"):
        assert Status(name) in reply
    assert c("PUBSUB") == arity_error("pubsub")
    assert c("PUBSUB", "FOO") == Error("ERR unknown subcommand 'FOO'. Try PUBSUB HELP.")


# What others see


def test_client_list_and_info(c: Wire, connect: Connect) -> None:
    listener = connect()
    number = listener("CLIENT", "ID")
    told(
        listener, "SUBSCRIBE a", "SUBSCRIBE b", "PSUBSCRIBE c", "SSUBSCRIBE d", "SSUBSCRIBE e", "SSUBSCRIBE f"
    )
    line = line_of(c, number)
    assert (line["flags"], line["sub"], line["psub"], line["ssub"]) == ("P", "2", "1", "3")
    assert [each["id"] for each in lines(c, "TYPE", "pubsub")] == [str(number)]
    assert len(lines(c, "TYPE", "normal")) == 1
    stats = info(c, "stats")
    assert (stats["pubsub_channels"], stats["pubsub_patterns"]) == ("2", "1")
    told(listener, "UNSUBSCRIBE a", "UNSUBSCRIBE b", "PUNSUBSCRIBE c")
    assert line_of(c, number)["flags"] == "P"
    told(listener, "SUNSUBSCRIBE d", "SUNSUBSCRIBE e", "SUNSUBSCRIBE f")
    assert line_of(c, number)["flags"] == "N"


@pytest.mark.since("7.4")
def test_info_of_7_4(c: Wire, connect: Connect) -> None:
    told(connect(), "SSUBSCRIBE a")
    assert info(c, "stats")["pubsubshard_channels"] == "1"
    assert info(c, "clients")["pubsub_clients"] == "1"


def test_kill(c: Wire, connect: Connect) -> None:
    listener, bystander = connect(), connect()
    told(listener, "SUBSCRIBE a")
    assert c.pipeline([("CLIENT", "KILL", "TYPE", "pubsub"), ("PUBLISH", "a", "m")]) == [1, 0]
    assert listener.closed()
    assert bystander("PING") == PONG


def test_output_limit(c: Wire, connect: Connect) -> None:
    listener, free = connect(), connect()
    assert c("CONFIG", "SET", "client-output-buffer-limit", "pubsub 100000 0 0") == OK
    told(listener, "SUBSCRIBE a")
    told(free, "SUBSCRIBE b")
    told(free, "UNSUBSCRIBE b")
    for _ in range(500):
        if not c("PUBLISH", "a", b"x" * 100_000):
            break
    assert c("PUBSUB", "CHANNELS") == []
    c("SET", "k", b"x" * 3_000_000)
    assert len(free("GET", "k")) == 3_000_000


def test_pause(c: Wire, connect: Connect) -> None:
    other = connect()
    assert c("CLIENT", "PAUSE", 10_000, "WRITE") == OK
    other.send("PUBLISH", "a", "m")
    assert other.quiet()
    assert c("CLIENT", "UNPAUSE") == OK
    assert other.read() == 0


def test_no_timeout(c: Wire, connect: Connect) -> None:
    listener, monitor = connect(), connect()
    told(listener, "SUBSCRIBE a")
    assert monitor("MONITOR") == OK
    assert c("CONFIG", "SET", "timeout", 1) == OK
    time.sleep(2.5)
    assert connect()("PUBLISH", "a", "m") == 1
    assert listener.read_push() == [b"message", b"a", b"m"]
    assert c.closed() and not monitor.closed()

"""What is asked, and what is made of the answers: without a connection."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any

import hiredis
import msgpack
import pytest

from respcache.client import NodeError, ReplyError, StoredValueError, ValueTypeError
from respcache.client.operations import BATCH, Key, Operation, Operations, key_bytes, milliseconds

UNREADABLE = b"\xc1m\xd4\x63x"
OOM = hiredis.ReplyError("OOM command not allowed when used memory > 'maxmemory'.")
WRONG = hiredis.ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")


def make(*nodes: str, **options: Any) -> Operations:
    return Operations(nodes or ("a:1",), options)  # type: ignore[arg-type]


def asked(operation: Operation[Any]) -> list[list[bytes]]:
    """The commands of all requests."""
    reader = hiredis.Reader()
    for request in operation.requests:
        reader.feed(request.payload)
    commands = []
    while command := reader.gets():
        commands.append(command)
    return commands


def told(operation: Operation[Any], *replies: Any) -> Any:
    (request,) = operation.requests
    request.replies.extend(replies)
    return operation.result()


def failed(operation: Operation[Any]) -> Any:
    """The result when no node is there."""
    for request in operation.requests:
        request.fail(OSError("gone"))
    return operation.result()


@pytest.mark.parametrize(
    ("name", "arguments", "command", "results", "absent"),
    [
        ("get", ("k", "no"), b"GET k", {b"12": 12, b"x": "x", None: "no"}, "no"),
        ("set", ("k", "v"), b"SET k v", {b"OK": True, OOM: False}, False),
        ("set", (1, 2, 1.5), b"SET 1 2 PX 1500", {b"OK": True}, False),
        ("add", ("k", "v"), b"SET k v NX", {b"OK": True, None: False, OOM: False}, False),
        ("add", (b"k", 3, 60), b"SET k 3 NX PX 60000", {b"OK": True}, False),
        ("delete", ("k",), b"UNLINK k", {1: True, 0: False}, False),
        ("increment", ("k",), b"INCRBY k 1", {5: 5, OOM: None}, None),
        ("decrement", ("k", 4), b"INCRBY k -4", {-3: -3}, None),
        ("contains", ("k",), b"EXISTS k", {1: True, 0: False}, False),
        ("touch", ("k",), b"TOUCH k", {1: True, 0: False}, False),
        ("expire", ("k", 0.25), b"PEXPIRE k 250", {1: True, 0: False}, False),
    ],
)
def test_one_key(name: str, arguments: Any, command: bytes, results: dict[Any, Any], absent: Any) -> None:
    def plan() -> Operation[Any]:
        operation: Operation[Any] = getattr(make(), name)(*arguments)
        return operation

    assert asked(plan()) == [command.split()]
    for reply, result in results.items():
        assert told(plan(), reply) == result
    assert failed(plan()) == absent
    if name == "get":  # as MGET has it
        assert told(plan(), WRONG) == absent
    else:
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            told(plan(), WRONG)


def test_expire_never() -> None:
    assert asked(make().expire("k", None)) == [[b"PERSIST", b"k"], [b"EXISTS", b"k"]]
    assert told(make().expire("k", None), 0, 1) is True
    assert told(make().expire("k", None), 0, 0) is False


def test_what_counts_is_asked_once() -> None:
    cache = make()
    once: list[Operation[Any]] = [cache.increment("k"), cache.decrement("k"), cache.add("k", 1)]
    assert not any(operation.repeatable for operation in once)
    again: list[Operation[Any]] = [
        cache.get("k"),
        cache.set("k", 1),
        cache.delete("k"),
        cache.get_many(["k"]),
    ]
    assert all(operation.repeatable for operation in again)


def test_get_many() -> None:
    cache = make()
    keys: list[Key] = ["a", 1, "1", b"b", "a"]
    operation = cache.get_many(keys)
    assert asked(operation) == [[b"MGET", b"a", b"1", b"b"]]
    assert told(operation, [b"x", b"7", None]) == {"a": "x", 1: 7, "1": 7}
    assert failed(cache.get_many(["a"])) == {}
    assert cache.get_many([]).requests == []
    assert cache.get_many([]).result() == {}


def test_many_keys_in_batches() -> None:
    cache = make()
    keys = list(range(2 * BATCH + 1))
    operation = cache.get_many(keys)
    assert [len(command) - 1 for command in asked(operation)] == [BATCH, BATCH, 1]
    replies = [[b"%d" % key for key in keys[start : start + BATCH]] for start in (0, BATCH, 2 * BATCH)]
    # A refused batch takes nothing from the others.
    assert told(operation, OOM, *replies[1:]) == {key: key for key in keys[BATCH:]}
    assert [len(command) - 1 for command in asked(cache.delete_many(keys))] == [BATCH, BATCH, 1]
    assert told(cache.delete_many(keys), 7, OOM, 1) == 8


def test_set_many() -> None:
    cache = make()
    values: dict[Key, Any] = {"a": 1, b"b": "x"}
    operation = cache.set_many(values, expire=2)
    assert asked(operation) == [b"SET a 1 PX 2000".split(), b"SET b x PX 2000".split()]
    assert told(operation, b"OK", OOM) == [b"b"]
    assert failed(cache.set_many(values)) == ["a", b"b"]


def test_each_node_is_asked_for_its_own() -> None:
    cache = make("a:1", "b:1", "c:1")
    keys = [f"key:{number}" for number in range(300)]
    operation = cache.get_many(keys)
    assert len(operation.requests) == 3
    lost = operation.requests[1]
    for request, command in zip(operation.requests, asked(operation), strict=True):
        if request is lost:
            request.fail(OSError("gone"))
        else:
            request.replies.append([b"v"] * (len(command) - 1))
    assert operation.result() == {key: "v" for key in keys if cache.fleet.ring.node(key) != lost.node.name}


def test_clear() -> None:
    cache = make("a:1", "b:1")
    operation = cache.clear()
    assert asked(operation) == [[b"FLUSHDB", b"ASYNC"]] * 2
    for request in operation.requests:
        request.replies.append(b"OK")
    assert cache.finish(operation) is True
    operation = cache.clear()
    operation.requests[0].replies.append(b"OK")
    operation.requests[1].fail(OSError("gone"))
    assert cache.finish(operation) is False


def test_an_ejected_node_is_not_asked() -> None:
    cache = make(failures=1)
    assert cache.finish(_failing(cache.get("k", 5))) == 5
    assert cache.get("k", 6).requests == []
    assert cache.get("k", 6).result() == 6
    assert cache.set_many({"k": 1}).result() == ["k"]
    assert cache.clear().result() is False
    check = cache.check()
    assert asked(check) == [[b"PING"]]
    for request in check.requests:
        request.asked = monotonic()
        request.replies.append(b"PONG")
    assert cache.finish(check)["a:1"].up
    assert len(cache.get("k").requests) == 1


def _failing(operation: Operation[Any], after: float = 1.0) -> Operation[Any]:
    for request in operation.requests:
        request.asked = monotonic() - after
        request.fail(TimeoutError())
    return operation


def test_a_deadline_of_the_callers_own_ejects_nobody() -> None:
    cache = make(failures=1, timeout=0.5)
    cache.finish(_failing(cache.get("k", timeout=0.001), after=0.001))
    assert cache.fleet.health()["a:1"].up
    cache.finish(_failing(cache.get("k", timeout=0.5)))
    assert not cache.fleet.health()["a:1"].up


def test_strict() -> None:
    cache = make(errors="raise", failures=1)
    for plan in (cache.get("k"), cache.get_many(["k"]), cache.set_many({"k": 1}), cache.delete_many(["k"])):
        with pytest.raises(NodeError, match="gone"):
            failed(plan)
    with pytest.raises(ReplyError, match="OOM"):
        told(cache.set("k", 1), OOM)
    with pytest.raises(NodeError):
        cache.finish(_failing(cache.get("k")))
    with pytest.raises(NodeError, match="ejected"):
        cache.get("k")
    assert not cache.finish(_failing(cache.check()))["a:1"].up


def test_strict_about_values() -> None:
    cache = make(errors="raise")
    with pytest.raises(ReplyError, match="WRONGTYPE"):
        told(cache.get("k"), WRONG)
    for plan, reply in ((cache.get("k"), UNREADABLE), (cache.get_many(["k"]), [UNREADABLE])):
        with pytest.raises(StoredValueError, match="extension 99"):
            told(plan, reply)


def test_a_value_that_cannot_be_read_is_a_miss_and_a_line(caplog: pytest.LogCaptureFixture) -> None:
    cache = make(codec="pickle")
    assert told(cache.get("k", "no"), UNREADABLE) == "no"
    gone = b"\xc1m" + msgpack.packb(msgpack.ExtType(16, b"cnowhere\nNobody\n."))
    assert told(cache.get_many(["a", "b", "c"]), [gone, b"1", b"x"]) == {"b": 1, "c": "x"}
    first, second = caplog.messages
    assert first.startswith("the value of 'k' is a miss: extension 99")
    assert second.startswith("the value of 'a' is a miss: the codec cannot read")


def test_values_that_no_node_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("respcache.client.operations.LARGEST", 10)
    cache = make()
    plans: list[Callable[[Any], Operation[Any]]] = [
        lambda value: cache.set("k", value),
        lambda value: cache.add("k", value),
        lambda value: cache.set_many({"k": value}),
    ]
    for plan in plans:
        assert asked(plan("x" * 10))
        with pytest.raises(ValueError, match="11 bytes: a node takes 10 at most"):
            plan("x" * 11)


def test_a_refusal_is_always_raised() -> None:
    cache = make(failures=1)
    operation = cache.get("k")
    operation.requests[0].fail(ReplyError("a:1", "NOAUTH Authentication required."))
    with pytest.raises(ReplyError, match="NOAUTH"):
        cache.finish(operation)
    assert cache.fleet.health()["a:1"].up


def test_keys() -> None:
    assert [key_bytes(key) for key in ("é", b"\xff", 5, -5)] == [b"\xc3\xa9", b"\xff", b"5", b"-5"]
    for key in (None, 1.5, True, ("a",)):
        with pytest.raises(ValueTypeError, match="a key is"):
            key_bytes(key)  # type: ignore[arg-type]


def test_times_to_live() -> None:
    assert [milliseconds(seconds) for seconds in (1, 0.25, 0.0001)] == [1000, 250, 1]
    assert milliseconds(timedelta(minutes=1)) == 60_000
    for wrong in ("60", None, True):
        with pytest.raises(TypeError, match="expire is a number of seconds or a timedelta, not"):
            milliseconds(wrong)  # type: ignore[arg-type]
    for seconds in (0, -1, float("nan"), float("inf"), timedelta(0)):
        with pytest.raises(ValueError, match="time to live"):
            milliseconds(seconds)


def test_values_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueTypeError, match="codec"):
        make().set("k", object())


@pytest.mark.parametrize(
    "options",
    [
        {"errors": "ignore"},
        {"timeout": 0},
        {"check_interval": -1},
        {"failures": 0},
        {"connections": 0},
        {"codec": "x"},
    ],
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        make(**options)


@pytest.mark.parametrize(
    "options", [{"timeout": "1"}, {"check_interval": None}, {"failures": 1.5}, {"connections": True}]
)
def test_options_of_a_wrong_type(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"{next(iter(options))} is"):
        make(**options)


def test_the_time_of_an_operation() -> None:
    cache = make(timeout=timedelta(seconds=2))
    assert cache.seconds(cache.get("k")) == 2
    assert cache.seconds(cache.get("k", timeout=timedelta(milliseconds=250))) == 0.25
    with pytest.raises(TypeError, match="timeout is a number of seconds"):
        cache.seconds(cache.get("k", timeout="1"))  # type: ignore[arg-type]


def test_unknown_options() -> None:
    with pytest.raises(TypeError, match="no option tiemout"):
        make(tiemout=1)
    with pytest.raises(TypeError, match="pasword"):
        make(connection={"pasword": "x"})


def test_no_nodes() -> None:
    with pytest.raises(ValueError, match="needs a node"):
        Operations([], {})

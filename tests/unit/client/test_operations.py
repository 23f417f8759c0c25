"""What is asked, and what is made of the answers: without a connection."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest

from respcache.client import NodeError, ReplyError, ValueTypeError
from respcache.client.operations import BATCH, Key, Operation, Operations, key_bytes, milliseconds

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
        request.replies.append(b"PONG")
    cache.finish(check)
    assert len(cache.get("k").requests) == 1


def _failing(operation: Operation[Any]) -> Operation[Any]:
    for request in operation.requests:
        request.fail(TimeoutError())
    return operation


def test_a_deadline_of_the_callers_own_ejects_nobody() -> None:
    cache = make(failures=1, timeout=0.5)
    cache.finish(_failing(cache.get("k", timeout=0.001)))
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
    assert cache.finish(_failing(cache.check())) is None


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
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="time to live"):
            milliseconds(seconds)


def test_values_are_refused_before_anything_is_asked() -> None:
    with pytest.raises(ValueTypeError, match="codec"):
        make().set("k", object())


@pytest.mark.parametrize(
    "options", [{"errors": "ignore"}, {"timeout": 0}, {"check_interval": -1}, {"failures": 0}, {"codec": "x"}]
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        make(**options)


def test_unknown_options() -> None:
    with pytest.raises(TypeError, match="no option tiemout"):
        make(tiemout=1)
    with pytest.raises(TypeError, match="pasword"):
        make(connection={"pasword": "x"})


def test_no_nodes() -> None:
    with pytest.raises(ValueError, match="needs a node"):
        Operations([], {})

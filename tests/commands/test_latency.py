"""LATENCY: the spikes of the monitor, the histograms of the commands."""

from __future__ import annotations

import time

import pytest

from tests.servers import Server
from tests.wire import OK, Error, Reply, Verbatim, Wire, arity_error, pairs


def spike(c: Wire, seconds: float = 0.02) -> None:
    assert c("DEBUG", "SLEEP", seconds) == OK


def watch(c: Wire, milliseconds: int = 10) -> None:
    assert c("CONFIG", "SET", "latency-monitor-threshold", milliseconds) == OK
    c("LATENCY", "RESET")


def read(reply: Reply) -> str:
    data: bytes = reply.data if isinstance(reply, Verbatim) else reply
    return data.decode()


def test_nothing_without_a_threshold(c: Wire) -> None:
    spike(c)
    assert c("LATENCY", "LATEST") == []
    assert c("LATENCY", "HISTORY", "command") == []
    assert c("LATENCY", "RESET") == 0


def test_latest_and_history(c: Wire) -> None:
    watch(c)
    spike(c, 0.05)
    ((name, second, last, worst),) = c("LATENCY", "LATEST")
    assert (name, worst) == (b"command", last)
    assert abs(second - time.time()) < 5
    assert 50 <= last < 500
    assert c("LATENCY", "HISTORY", "command") == [[second, last]]
    assert c("LATENCY", "HISTORY", "COMMAND") == []
    time.sleep(1.01)
    spike(c, 0.02)
    ((_, later, last, still),) = c("LATENCY", "LATEST")
    assert later > second and last < worst and still == worst
    assert [item[0] for item in c("LATENCY", "HISTORY", "command")] == [second, later]


def test_one_spike_a_second(c: Wire) -> None:
    watch(c)
    for seconds in (0.015, 0.03, 0.015):
        spike(c, seconds)
    history = c("LATENCY", "HISTORY", "command")
    assert len(history) <= 2
    assert max(item[1] for item in history) >= 30


def test_below_the_threshold(c: Wire) -> None:
    watch(c, 200)
    spike(c, 0.02)
    assert c("LATENCY", "LATEST") == []


def test_reset(c: Wire) -> None:
    watch(c)
    spike(c)
    assert c("LATENCY", "RESET", "nosuch") == 0
    assert c("LATENCY", "RESET", "nosuch", "command", "command") == 1
    spike(c)
    assert c("LATENCY", "RESET") == 1
    assert c("LATENCY", "LATEST") == []


def test_graph(c: Wire) -> None:
    watch(c)
    spike(c, 0.05)
    reply = c("LATENCY", "GRAPH", "command")
    assert isinstance(reply, Verbatim if c.protocol == 3 else bytes)
    ((_, _, last, worst),) = c("LATENCY", "LATEST")
    head, line, *rows = read(reply).split("\n")
    assert head == f"command - high {last} ms, low {last} ms (all time high {worst} ms)"
    assert line == "-" * 80
    assert rows[:5] == [" ", " ", " ", "_", " "]
    assert rows[5] in "012" and rows[6:] == ["s", ""]


def test_graph_of_several_spikes(c: Wire) -> None:
    watch(c)
    spike(c, 0.03)
    time.sleep(1.01)
    spike(c, 0.06)
    _, _, *rows = read(c("LATENCY", "GRAPH", "command")).split("\n")
    assert rows[:5] == [" #", " |", " |", "_|", "  "]


def test_graph_of_nothing(c: Wire) -> None:
    assert c("LATENCY", "GRAPH", "NoSuch") == Error("ERR No samples available for event 'NoSuch'")


def test_doctor(c: Wire) -> None:
    off = c("LATENCY", "DOCTOR")
    assert isinstance(off, Verbatim if c.protocol == 3 else bytes)
    assert "latency-monitor-threshold" in read(off)
    watch(c)
    assert "no latency spike" in read(c("LATENCY", "DOCTOR")).lower()
    spike(c, 0.05)
    assert "1. command: 1 latency spikes (average " in read(c("LATENCY", "DOCTOR"))


def histogram(c: Wire, *names: str) -> dict[bytes, tuple[int, dict[int, int]]]:
    found = {}
    for name, value in pairs(c("LATENCY", "HISTOGRAM", *names)).items():
        told = pairs(value)
        assert list(told) == [b"calls", b"histogram_usec"]
        found[name] = (told[b"calls"], pairs(told[b"histogram_usec"]))
    return found


BOUNDS = [1, 2, 4, 8, 16, 33, 66, 132, 264, 528, 1056, 2113, 4227, 8454, 16908, 33816, 67633, 135266, 270532]


def test_histogram(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    for _ in range(10):
        c("SET", "k", "v")
    found = histogram(c, "set", "GET", "nosuch")
    assert list(found) == [b"set"]
    calls, buckets = found[b"set"]
    assert calls == 10
    assert list(buckets) == sorted(buckets) and set(buckets) <= set(BOUNDS)
    counts = list(buckets.values())
    assert counts == sorted(set(counts)) and counts[-1] == 10


@pytest.mark.parametrize(("seconds", "bound"), [("0.0142", 16908), ("0.0205", 33816), ("0.1", 135266)])
def test_bounds(c: Wire, seconds: str, bound: int) -> None:
    for _ in range(50):  # a busy machine may sleep longer than it was told to, never less
        assert c("CONFIG", "RESETSTAT") == OK
        assert c("DEBUG", "SLEEP", seconds) == OK
        calls, buckets = histogram(c, "debug")[b"debug"]
        assert calls == 1 and list(buckets.values()) == [1]
        assert min(buckets) >= bound
        if buckets == {bound: 1}:
            return
    pytest.fail(f"{seconds} s were never counted below {bound} us")


def test_histogram_of_containers(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    c("CONFIG", "GET", "hz")
    assert histogram(c, "config").keys() == {b"config|get", b"config|resetstat"}
    assert histogram(c, "CONFIG|Get").keys() == {b"config|get"}
    assert histogram(c).keys() == {b"config|get", b"config|resetstat", b"latency|histogram"}
    assert histogram(c, "nosuch", "config|nosuch") == {}


def test_rejected_calls_are_in_no_histogram(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    c("GET")
    c("INCR", "k", "x")
    assert histogram(c, "get", "incr") == {}


def test_a_pipeline_is_counted_call_by_call(c: Wire) -> None:
    assert c("CONFIG", "RESETSTAT") == OK
    c.pipeline([("GET", "k")] * 100)
    calls, buckets = histogram(c, "get")[b"get"]
    assert calls == 100 and max(buckets.values()) == 100


def test_arity_and_unknown(c: Wire) -> None:
    assert c("LATENCY") == arity_error("latency")
    for name, *more in (("LATEST", "x"), ("HISTORY",), ("HISTORY", "a", "b"), ("GRAPH",), ("DOCTOR", "x")):
        assert c("LATENCY", name, *more) == arity_error(f"latency|{name.lower()}")
    assert c("LATENCY", "Foo") == Error("ERR unknown subcommand 'Foo'. Try LATENCY HELP.")


def test_help(c: Wire, server: Server) -> None:
    lines = [line.text for line in c("LATENCY", "HELP")]
    assert lines[0] == "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    for name in ("LATEST", "HISTORY", "RESET", "GRAPH", "DOCTOR", "HISTOGRAM", "HELP"):
        assert any(line.split()[0] == name for line in lines[1:])

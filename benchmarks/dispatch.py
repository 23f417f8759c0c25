"""Nanoseconds per command without sockets: parsing, dispatch, handler and reply, as a connection does them.

    python -m benchmarks.dispatch [--json]

A connection is built on a transport that throws its output away and is fed the same requests again and again.
What the loop and the kernel add is not in these figures; what the project can change is."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from typing import Any, cast

from respcache.clock import Clock
from respcache.connection import Connection
from respcache.protocol.request import Limits
from respcache.server import Server


class _Sink(asyncio.Transport):
    """A transport to nowhere."""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name.endswith("name") else default


def encode(*words: bytes) -> bytes:
    """A request."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


COMMANDS: dict[str, Callable[[int], bytes]] = {
    "PING": lambda _: encode(b"PING"),
    "GET (hit)": lambda i: encode(b"GET", b"key:%012d" % (i % 1000)),
    "GET (miss)": lambda i: encode(b"GET", b"nokey:%010d" % (i % 1000)),
    "SET": lambda i: encode(b"SET", b"key:%012d" % (i % 1000), b"0123456789"),
    "SET EX": lambda i: encode(b"SET", b"ttl:%012d" % (i % 1000), b"0123456789", b"EX", b"1000"),
    "INCR": lambda i: encode(b"INCR", b"counter:%08d" % (i % 1000)),
    "MGET (10 keys)": lambda i: encode(b"MGET", *(b"key:%012d" % ((i + k) % 1000) for k in range(10))),
    "EXISTS": lambda i: encode(b"EXISTS", b"key:%012d" % (i % 1000)),
}


def measure(connection: Connection, make: Callable[[int], bytes], pipeline: int, seconds: float) -> float:
    """Nanoseconds per command, the best of several tries that take so many seconds together."""
    batches = [
        b"".join(make(n * pipeline + i) for i in range(pipeline)) for n in range(max(1, 1024 // pipeline))
    ]
    receive = connection.data_received
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        since = time.perf_counter_ns()
        for batch in batches:
            receive(batch)
        best = min(best, (time.perf_counter_ns() - since) / len(batches) / pipeline)
    return best


async def run(pipelines: list[int], seconds: float) -> dict[str, dict[int, float]]:
    """All figures, by command and pipeline."""
    server = Server(port=0, clock=Clock())
    server.state.loop = asyncio.get_running_loop()
    connection = Connection(server.state, Limits(), False, lambda _: None)
    connection.connection_made(cast(asyncio.BaseTransport, _Sink()))
    return {
        name: {pipeline: measure(connection, make, pipeline, seconds) for pipeline in pipelines}
        for name, make in COMMANDS.items()
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", default="1,16,64")
    parser.add_argument("--seconds", type=float, default=0.5, help="per figure")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pipelines = [int(each) for each in arguments.pipeline.split(",")]
    figures = asyncio.run(run(pipelines, arguments.seconds))
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print("ns per command | " + " | ".join(f"pipeline {each:>3}" for each in pipelines))
    for name, by_pipeline in figures.items():
        print(f"{name:<14} | " + " | ".join(f"{by_pipeline[each]:12.0f}" for each in pipelines))


if __name__ == "__main__":
    main()

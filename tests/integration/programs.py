"""What the programs of `test_programs.py` run: RQ's jobs, a Celery application, a consumer of a stream.

`python -m tests.integration.programs consume PORT NAME` is a consumer of its own process.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import redis

STREAM, GROUP = "events", "workers"
TAKEN = "taken"
"""A hash: how often each entry was worked on to its end."""


def square(number: int) -> int:
    """A job of RQ."""
    return number * number


def celery_app(port: int):  # type: ignore[no-untyped-def] # Celery is not typed
    """An application whose broker and result backend is the server at this port."""
    from celery import Celery

    url = f"redis://127.0.0.1:{port}"
    app = Celery("programs", broker=f"{url}/0", backend=f"{url}/1")
    app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)
    app.task(square, name="square")
    return app


def consume(port: int, name: str, stuck: bool) -> None:
    """Works on entries of the stream until it is empty; who is stuck takes some and never acknowledges them."""
    client = redis.Redis(port=port, decode_responses=True)
    while True:
        found: Any = client.xreadgroup(GROUP, name, {STREAM: ">"}, count=5, block=300)
        if not found:
            return
        if stuck:
            client.set("stuck", name)
            client.blpop(["never"], timeout=60)
        for _, entries in found:
            for entry, _fields in entries:
                client.hincrby(TAKEN, entry, 1)
                client.xack(STREAM, GROUP, entry)


if __name__ == "__main__":
    what, port = sys.argv[1], int(sys.argv[2])
    if what == "consume":
        consume(port, sys.argv[3], stuck=sys.argv[3] == "stuck")
    elif what == "celery":
        celery_app(port).worker_main(["worker", "--pool=solo", "--loglevel=warning", "--without-mingle"])
    os._exit(0)

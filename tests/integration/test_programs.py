"""Real programs, unchanged, on both servers: RQ, Celery, consumers of a stream, Django's cache."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from tests.integration.programs import GROUP, STREAM, TAKEN, celery_app, square
from tests.servers import HAVE_ORACLE, ROOT, Server, start_redis, start_respcache

KINDS = ["respcache", *(["oracle"] if HAVE_ORACLE else [])]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Which server."""
    return str(request.param)


@pytest.fixture
def server(kind: str) -> Iterator[Server]:
    """A server of its own for each program."""
    with start_respcache() if kind == "respcache" else start_redis() as started:
        yield started


@contextmanager
def process(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of this package's programs, which is gone in the end."""
    command = [sys.executable, "-m", "tests.integration.programs", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.programs("rq")
def test_rq_runs_a_hundred_jobs(server: Server) -> None:
    from rq import Queue, SimpleWorker

    with redis.Redis(port=server.port) as client:
        queue = Queue(connection=client)
        jobs = [queue.enqueue(square, number) for number in range(100)]
        worker = SimpleWorker([queue], connection=client)
        assert worker.work(burst=True, logging_level="WARNING")
        assert [job.return_value() for job in jobs] == [number * number for number in range(100)]
        assert len(queue) == 0
        assert len(queue.finished_job_registry) == 100


@pytest.mark.programs("celery")
@pytest.mark.needs("evalsha")  # for the lock with which its transport restores what was not acknowledged
def test_celery_runs_a_hundred_tasks_and_a_group(server: Server) -> None:
    from celery import group

    app = celery_app(server.port)
    task = app.tasks["square"]
    with process("celery", server.port):
        single = [task.delay(number) for number in range(80)]
        many = group(task.s(number) for number in range(80, 100)).apply_async()
        found = [result.get(timeout=60) for result in single] + many.get(timeout=60)
    app.close()
    assert found == [number * number for number in range(100)]


def test_four_consumers_one_of_them_killed(server: Server) -> None:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        entries = [client.xadd(STREAM, {"number": number}) for number in range(200)]
        with process("consume", server.port, "stuck") as stuck:
            while client.get("stuck") is None:
                assert stuck.poll() is None
            with (
                process("consume", server.port, "one") as one,
                process("consume", server.port, "two") as two,
                process("consume", server.port, "three") as three,
            ):
                stuck.send_signal(signal.SIGKILL)
                stuck.wait()
                for consumer in (one, two, three):
                    assert consumer.wait(timeout=30) == 0
        pending = client.xpending_range(STREAM, GROUP, "-", "+", 100)
        assert [each["consumer"] for each in pending] == ["stuck"] * 5
        _, claimed, _ = client.xautoclaim(STREAM, GROUP, "one", min_idle_time=0)
        for entry, _fields in claimed:
            client.hincrby(TAKEN, entry, 1)
            client.xack(STREAM, GROUP, entry)
        assert client.hgetall(TAKEN) == dict.fromkeys(entries, "1")
        assert client.xpending(STREAM, GROUP)["pending"] == 0


@pytest.mark.programs("django")
def test_the_page_cache_of_django(server: Server) -> None:
    from django.conf import settings

    backend = "django.core.cache.backends.redis.RedisCache"
    location = f"redis://127.0.0.1:{server.port}"
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], CACHES={}, USE_TZ=True)
    from django.core.cache import caches
    from django.http import HttpRequest, HttpResponse
    from django.test import RequestFactory, override_settings
    from django.views.decorators.cache import cache_page

    made = []

    @cache_page(100)  # type: ignore[untyped-decorator] # Django is not typed
    def page(request: HttpRequest) -> HttpResponse:
        made.append(request.path)
        return HttpResponse(f"page {len(made)}")

    with override_settings(CACHES={"default": {"BACKEND": backend, "LOCATION": location}}):
        factory = RequestFactory()
        pages = [page(factory.get(path)).content for path in ("/a", "/a", "/b", "/a", "/b")]
        assert pages == [b"page 1", b"page 1", b"page 2", b"page 1", b"page 2"]
        cache = caches["default"]
        cache.set_many({"one": 1, "two": [2]}, timeout=60)
        assert cache.get_many(["one", "two", "three"]) == {"one": 1, "two": [2]}
        assert cache.incr("one", 2) == 3
        assert cache.add("one", 5) is False and cache.touch("one", 10) and cache.delete("one")
        assert cache.get_or_set("made", lambda: "once") == "once"
        cache.clear()
        assert cache.get("two") is None
        cache.close()

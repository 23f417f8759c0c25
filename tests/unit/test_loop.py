"""The event loop of choice, with and without uvloop."""

from __future__ import annotations

import asyncio
import sys

import pytest

from respcache.loop import loop_factory, run


async def _kind() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_uvloop_where_there_is_one() -> None:
    pytest.importorskip("uvloop")
    assert loop_factory() is not None
    assert run(_kind()) == "uvloop"


def test_asyncio_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # its import fails
    assert loop_factory() is None
    assert run(_kind()) == "asyncio"


def test_the_result_and_the_error_come_through() -> None:
    async def fail() -> None:
        raise OSError("no such thing")

    assert run(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(OSError, match="no such thing"):
        run(fail())


def test_no_loop_is_left_behind() -> None:
    async def here() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert run(here()).is_closed()

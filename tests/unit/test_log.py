from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from respcache import log


@pytest.fixture(autouse=True)
def _untouched() -> Iterator[None]:
    before = (log.logger.level, log.logger.propagate, list(log.logger.handlers))
    asyncio_log = logging.getLogger("asyncio")
    asyncio_before = (asyncio_log.propagate, list(asyncio_log.handlers))
    yield
    asyncio_log.propagate, asyncio_log.handlers = asyncio_before
    for handler in set(log.logger.handlers) - set(before[2]):
        handler.close()
    log.logger.level, log.logger.propagate, log.logger.handlers = before
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]


LINE = re.compile(r"(\d+):([MSC]) (\d\d [A-Z][a-z]{2} \d{4}) (\d\d:\d\d:\d\d\.\d{3}) ([.\-*#]) (.*)")


def test_a_line_is_that_of_redis(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.configure("debug", str(path), role=lambda: "S")
    for level in (logging.DEBUG, log.VERBOSE, logging.INFO, logging.WARNING, logging.ERROR):
        log.logger.log(level, "hello %d", level)
    found = [LINE.fullmatch(line) for line in path.read_text().splitlines()]
    assert [m[5] for m in found if m] == [".", "-", "*", "#", "#"]
    assert all(m and m[1] == str(os.getpid()) and m[2] == "S" for m in found)
    assert found[0] is not None and found[0][6] == "hello 10"


def test_month_and_milliseconds() -> None:
    record = logging.LogRecord("respcache", logging.INFO, "", 0, "x", None, None)
    record.created, record.msecs, record.process = 1_795_199_411.0, 7.9, 12
    assert re.fullmatch(r"12:M 2\d Nov 2026 \d\d:\d\d:11\.007 \* x", log.RedisFormatter().format(record))


@pytest.mark.parametrize(("loglevel", "lines"), [("debug", 4), ("verbose", 3), ("notice", 2), ("warning", 1)])
def test_loglevel(tmp_path: Path, loglevel: str, lines: int) -> None:
    log.configure(loglevel, str(tmp_path / "log"))
    for level in log.LEVELS.values():
        log.logger.log(level, "x")
    assert len((tmp_path / "log").read_text().splitlines()) == lines
    log.set_level("warning")
    log.logger.info("no")
    assert len((tmp_path / "log").read_text().splitlines()) == lines


def test_stdout_and_a_second_call(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log.configure("notice", str(tmp_path / "log"))
    log.configure("notice", "")
    log.logger.info("once")
    assert capsys.readouterr().out.count("once") == 1
    assert (tmp_path / "log").read_text() == ""


def test_a_rotated_file_is_opened_anew(tmp_path: Path) -> None:
    log.configure("notice", str(tmp_path / "log"))
    log.logger.info("one")
    (tmp_path / "log").rename(tmp_path / "old")
    log.logger.info("two")
    assert "two" in (tmp_path / "log").read_text()
    assert "two" not in (tmp_path / "old").read_text()


def test_a_traceback_follows(tmp_path: Path) -> None:
    log.configure("notice", str(tmp_path / "log"))
    try:
        raise OSError("disk")
    except OSError:
        log.logger.exception("failed")
    text = (tmp_path / "log").read_text()
    assert "# failed\nTraceback" in text
    assert text.endswith("OSError: disk\n")


def test_a_failed_configure_keeps_the_old_one(tmp_path: Path) -> None:
    log.configure("notice", str(tmp_path / "log"))
    with pytest.raises(OSError, match="No such"):
        log.configure("notice", str(tmp_path / "none" / "log"))
    with pytest.raises(KeyError):
        log.configure("loud")
    log.logger.info("still")
    assert "still" in (tmp_path / "log").read_text()


def test_without_configure_python_logging_sees_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="respcache"):
        log.logger.info("seen")
    assert "seen" in caplog.text


def test_what_asyncio_says_is_there_too(tmp_path: Path) -> None:
    for name in ("one", "two"):
        log.configure("notice", str(tmp_path / name))
    loop = asyncio.new_event_loop()
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.close()
    lines = (tmp_path / "two").read_text().splitlines()
    assert (found := LINE.fullmatch(lines[0])) and found[5] == "#"
    assert "Exception in callback" in lines[0]
    assert lines[-1].startswith("ZeroDivisionError")
    assert (tmp_path / "one").read_text() == ""

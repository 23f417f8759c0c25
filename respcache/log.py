"""Log lines as Redis prints them, on top of the standard `logging` package.

All of the package logs through the logger `respcache`. An embedder sees normal Python logging: nothing is
configured on import, and `configure` is for the command line alone. A line is

    1234:M 20 Nov 2026 18:30:11.123 * Ready to accept connections tcp

that is: process id, role (M master, S replica, C child), local time, a mark for the level, message.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import time
from collections.abc import Callable

VERBOSE = 15
"""Between DEBUG and INFO: what Redis calls verbose."""

LEVELS = {"debug": logging.DEBUG, "verbose": VERBOSE, "notice": logging.INFO, "warning": logging.WARNING}
"""Values of the directive `loglevel`, and the level of `logging` each one stands for."""

logger = logging.getLogger("respcache")
logger.addHandler(logging.NullHandler())

# Not strftime: its month names follow the locale of the embedding program.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _master() -> str:
    return "M"


class RedisFormatter(logging.Formatter):
    """Formats a record as one Redis log line; `role` returns the letter to show at that moment."""

    def __init__(self, role: Callable[[], str] = _master) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """The line without its newline; a traceback, if any, follows on lines of its own."""
        when = time.localtime(record.created)
        stamp = (
            f"{when.tm_mday:02d} {_MONTHS[when.tm_mon - 1]} {when.tm_year} "
            f"{when.tm_hour:02d}:{when.tm_min:02d}:{when.tm_sec:02d}.{int(record.msecs):03d}"
        )
        text = f"{record.process}:{self._role()} {stamp} {mark(record.levelno)} {record.getMessage()}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


def mark(level: int) -> str:
    """The character that stands for a level: `.` debug, `-` verbose, `*` notice, `#` warning and worse."""
    if level >= logging.WARNING:
        return "#"
    if level >= logging.INFO:
        return "*"
    return "-" if level >= VERBOSE else "."


def set_level(loglevel: str) -> None:
    """Apply a value of `loglevel`; KeyError if it is not one of `LEVELS`."""
    logger.setLevel(LEVELS[loglevel])


def configure(loglevel: str = "notice", logfile: str = "", role: Callable[[], str] = _master) -> None:
    """Send our log to `logfile` (stdout if empty), and nowhere else. OSError if it cannot be opened.

    That of asyncio goes there too: it tells of exceptions in callbacks and of tasks that failed. A file that was
    moved away by log rotation is opened anew. A second call replaces the first one's handler.
    """
    level = LEVELS[loglevel]
    handler: logging.Handler
    if logfile:
        handler = logging.handlers.WatchedFileHandler(logfile, encoding="utf-8", errors="backslashreplace")
    else:
        handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(RedisFormatter(role))
    for each in (logger, logging.getLogger("asyncio")):
        for old in [one for one in each.handlers if isinstance(one.formatter, RedisFormatter)]:
            each.removeHandler(old)
            old.close()
        each.addHandler(handler)
        each.propagate = False
    logger.setLevel(level)

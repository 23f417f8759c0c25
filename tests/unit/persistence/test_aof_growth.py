"""persistence/aof_growth.py: what is counted, and when it is too much."""

from __future__ import annotations

from pathlib import Path

import pytest

from respcache.config import Config
from respcache.directives import DIRECTIVES
from respcache.persistence.aof import AofDirectory, Log
from respcache.persistence.aof_growth import NEVER, Growth


def grown(path: Path, percentage: int, least: int) -> tuple[Growth, Log]:
    """An old file of 100 bytes, and an open one without any."""
    config = Config(DIRECTIVES)
    config.load({"auto_aof_rewrite_percentage": percentage, "auto_aof_rewrite_min_size": least})
    directory = AofDirectory(str(path), "a")
    directory.take()
    old = directory.open_last()
    old.append(b"x" * 100)
    old.close()
    file = directory.add_increment()
    growth = Growth(config)
    growth.count(directory, file, as_base=True)
    directory.leave()
    return growth, file


@pytest.mark.parametrize(
    ("percentage", "least", "limit"),
    [(100, 0, 100), (50, 0, 50), (100, 1000, 901), (100, 50, 100), (0, 0, NEVER)],
)
def test_the_limit(tmp_path: Path, percentage: int, least: int, limit: int) -> None:
    growth, file = grown(tmp_path, percentage, least)
    assert (growth.base, growth.limit) == (100, limit)
    file.close()


def test_the_open_file_grows(tmp_path: Path) -> None:
    growth, file = grown(tmp_path, 100, 0)
    file.append(b"y" * 30)
    assert (growth.size(file), growth.percent(file), growth.size(None), growth.base) == (130, 30, 100, 100)
    file.close()


def test_the_limit_may_be_passed_already(tmp_path: Path) -> None:
    growth, file = grown(tmp_path, 100, 0)
    growth.base = 10
    assert growth.limit == 0
    file.close()


def test_nothing_was_counted() -> None:
    growth = Growth(Config(DIRECTIVES))
    assert (growth.size(None), growth.percent(None)) == (0, -100)

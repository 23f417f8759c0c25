"""When a node writes its nodes.conf: not more often than it must."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from respcache.cluster.services import Todo
from respcache.nodes_file import NodesFile
from tests.unit.test_clustering import cluster_of, node, run, until


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All that is written."""
    texts: list[str] = []
    save = NodesFile.save

    def note(self: NodesFile, text: str) -> None:
        texts.append(text)
        save(self, text)

    monkeypatch.setattr(NodesFile, "save", note)
    return texts


def test_many_changes_are_written_a_few_times(tmp_path: Path, saved: list[str]) -> None:
    async def go() -> None:
        async with node(tmp_path) as server:
            cluster = cluster_of(server)
            await until(lambda: "connected" in (tmp_path / "nodes.conf").read_text())
            saved.clear()
            for slot in range(200):
                cluster.take_all([slot], cluster.view.myself)
                cluster.soon(Todo.SAVE)
                await asyncio.sleep(0)
            await until(lambda: saved and saved[-1].splitlines()[0].endswith(" 0-199"))
            assert len(saved) < 50

    run(go)


def test_what_was_to_be_written_is_at_the_end(tmp_path: Path) -> None:
    async def go() -> None:
        async with node(tmp_path) as server:
            cluster = cluster_of(server)
            for slot in range(10):
                cluster.take_all([slot], cluster.view.myself)
                cluster.soon(Todo.SAVE)
                await asyncio.sleep(0)
        assert (tmp_path / "nodes.conf").read_text().splitlines()[0].endswith(" 0-9")

    run(go)


def test_a_promise_is_written_at_once(tmp_path: Path, saved: list[str]) -> None:
    async def go() -> None:
        async with node(tmp_path) as server:
            cluster = cluster_of(server)
            for _ in range(5):
                saved.clear()
                assert cluster.view.bump_epoch() or cluster.view.current_epoch
                cluster.view.current_epoch += 1
                cluster.save()
                assert f"currentEpoch {cluster.view.current_epoch} " in saved[-1]

    run(go)

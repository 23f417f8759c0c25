"""What the system tells of this process: plausible figures, whatever the system."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from respcache.features import process

MIB = 1 << 20


def test_memory() -> None:
    before = process.resident_memory()
    assert MIB < before < process.system_memory()
    assert MIB < process.STARTUP_MEMORY
    block = bytearray(b"x") * (64 * MIB)
    grown = process.resident_memory()
    assert grown > before + 32 * MIB
    assert process.peak_memory(grown) >= grown
    assert process.peak_memory(1 << 50) == 1 << 50
    del block


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "_STATM", str(tmp_path / "statm"))
    assert process.resident_memory() == process.peak_memory(0) > MIB


def test_without_getrusage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "_STATM", str(tmp_path / "statm"))
    monkeypatch.setattr(process, "resource", None)
    assert process.resident_memory() == 0
    assert process.peak_memory(5) == 5
    own, children, thread = process.cpu_times()
    assert own.user > 0 and children.user >= 0 and thread is None


def test_release_memory_does_no_harm() -> None:
    process.release_memory()
    assert process.resident_memory() > MIB


def test_cpu_times_grow() -> None:
    before, children, _ = process.cpu_times()
    stop = time.process_time() + 0.02
    while time.process_time() < stop:
        pass
    after, _, _ = process.cpu_times()
    assert sum(after) > sum(before) > 0
    assert min(children) >= 0

"""Access times by themselves; `test_tracked.py` tells who notes them."""

from __future__ import annotations

import pytest

from respcache.store import access
from respcache.store.access import AccessTimes
from respcache.store.slot import hash_slot


def test_idle_times(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.9
    monkeypatch.setattr(access, "monotonic", lambda: now)
    times = AccessTimes()
    now = 105.1
    times.note(b"a")
    now = 112.0
    assert times.idle(b"a") == 7
    assert times.idle(b"never") == 12
    times.drop(hash_slot(b"a"), b"a")
    times.drop(hash_slot(b"never"), b"never")
    assert times.idle(b"a") == 12

"""The exceptions by which a handler says that there is no reply yet, or never will be."""

from __future__ import annotations

import pytest

from respcache.features.blocking import Disconnect, Pause


@pytest.mark.parametrize("retry", [True, False])
def test_pause(retry: bool) -> None:
    assert Pause(retry).retry is retry
    assert Pause(retry=retry).args == ()


def test_disconnect() -> None:
    assert Disconnect().reply == b""
    assert Disconnect(b"+OK\r\n").reply == b"+OK\r\n"


def test_neither_is_caught_as_a_reply_error() -> None:
    assert issubclass(Pause, Exception) and issubclass(Disconnect, Exception)
    assert not issubclass(Pause, Disconnect) and not issubclass(Disconnect, Pause)

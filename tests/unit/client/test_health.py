"""Failures in a row eject, one answer brings back."""

from __future__ import annotations

from respcache.client.health import WELL


def test_failures_in_a_row_eject() -> None:
    first = WELL.failed("refused", 3)
    assert (first.up, first.failures, first.error) == (True, 1, "refused")
    third = first.failed("refused", 3).failed("late", 3)
    assert (third.up, third.failures, third.error) == (False, 3, "late")
    assert not third.failed("late", 3).up


def test_one_answer_is_enough() -> None:
    assert WELL.failed("late", 2).failed("late", 2).answered() is WELL
    assert WELL.failed("late", 2).answered().failed("late", 2).up

"""Which keys are held, and who waits for them."""

from __future__ import annotations

from respcache.features.held import Held


def test_words_of_a_request() -> None:
    held = Held()
    assert not held.concerns([b"a"])
    held.hold([b"a", b"b"])
    held.hold([b"c"])
    assert held.concerns((b"x", b"b"))
    assert not held.concerns((b"x", b"d"))
    assert not held.concerns(())
    held.let_go([b"a", b"b"])
    assert held.keys == {b"c"}


def test_all_are_released_in_their_order() -> None:
    held = Held()
    held.hold([b"a"])
    went: list[str] = []
    held.wait(2, lambda: went.append("two"))
    held.wait(1, lambda: went.append("one"))
    waiting, postponed = held.let_go([b"a"])
    for release in waiting:
        release()
    assert (went, postponed) == (["two", "one"], {})
    assert held.let_go([]) == ([], {})


def test_what_is_postponed() -> None:
    held = Held()
    held.postpone((0, b"a"), False)
    held.postpone((0, b"b"), True)
    held.postpone((0, b"b"), False)
    held.postpone((0, b"a"), True)
    assert held.let_go([]) == ([], {(0, b"a"): True, (0, b"b"): True})
    assert held.let_go([]) == ([], {})

"""CLIENT PAUSE: what a second pause does to the first, and who goes on when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from respcache.features.pause import ClientPause


def test_a_pause() -> None:
    pause = ClientPause()
    assert not pause.active
    pause.start(1000, False)
    assert (pause.active, pause.until, pause.all_commands) == (True, 1000, False)


def test_never_shorter_but_stronger_or_weaker() -> None:
    pause = ClientPause()
    pause.start(1000, True)
    pause.start(500, False)
    assert (pause.until, pause.all_commands) == (1000, False)
    pause.start(2000, True)
    assert (pause.until, pause.all_commands) == (2000, True)


def test_two_that_do_not_end_each_other() -> None:
    pause = ClientPause()
    pause.start(1000, True)
    pause.start(3000, False, "failover")
    assert (pause.until, pause.all_commands) == (1000, True)
    assert (pause.expired(999), pause.expired(1000), pause.expired(3000)) == (
        [],
        ["client"],
        ["client", "failover"],
    )
    pause.wait(1, lambda: None)
    assert len(pause.end("client")) == 1
    assert (pause.active, pause.until, pause.all_commands) == (True, 3000, False)
    pause.end("client")
    assert pause.active
    pause.end("failover")
    assert not pause.active


def test_end_hands_out_who_waits_in_order_and_once() -> None:
    pause = ClientPause()
    released: list[int] = []

    def waiter(number: int) -> Callable[[], None]:
        return lambda: released.append(number)

    pause.start(1000, True)
    for number in (3, 1, 2, 4):
        pause.wait(number, waiter(number))
    pause.forget(2)
    pause.forget(99)
    for release in pause.end():
        release()
    assert released == [3, 1, 4]
    assert (pause.active, pause.all_commands, pause.end()) == (False, False, [])
    pause.start(10, False)
    assert (pause.until, pause.all_commands) == (10, False)


def test_only_the_last_timer_counts() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        pause = ClientPause()
        fired: list[str] = []
        first = loop.call_later(0, fired.append, "first")
        pause.look_again(first)
        second = loop.call_later(0, fired.append, "second")
        pause.look_again(second)
        assert first.cancelled() and not second.cancelled()
        pause.end()
        assert second.cancelled()
        await asyncio.sleep(0.001)
        assert not fired

    asyncio.run(main())

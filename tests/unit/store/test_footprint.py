"""What keys and values take, beside what CPython says."""

from __future__ import annotations

import pytest

from respcache.store.footprint import INTEGER, Account, Footprint, string_bytes
from respcache.store.sizes import allocated


@pytest.mark.parametrize("length", [0, 1, 14, 15, 16, 31, 470, 479])
def test_small_strings_are_what_they_say(length: int) -> None:
    assert string_bytes(b"x" * length) == allocated(b"x" * length)


@pytest.mark.parametrize("length", [480, 5000, 1 << 20])
def test_big_ones_take_what_the_library_adds(length: int) -> None:
    assert 0 <= string_bytes(b"x" * length) - allocated(b"x" * length) <= 16


def test_containers_are_remembered() -> None:
    account = Account()
    footprint = Footprint(account)
    value = {b"field": b"value"}
    size = footprint.weigh(b"k", value)
    footprint.add(size)
    value.update({b"%d" % number: b"x" * 100 for number in range(50)})
    footprint.changed[b"k"] = 50
    footprint.measure(b"k", value)
    assert footprint.bytes == account.bytes > size + 50 * 100
    assert not footprint.changed
    footprint.add(-footprint.unweigh(b"k", value))
    assert footprint.bytes == account.bytes == 0
    assert not footprint.sizes
    assert footprint.weigh(b"i", 1 << 40) == INTEGER


def test_drop_takes_all_out_of_the_account() -> None:
    account = Account()
    one, other = Footprint(account), Footprint(account)
    one.add(100)
    other.add(7)
    one.drop()
    assert (one.bytes, account.bytes) == (0, 7)

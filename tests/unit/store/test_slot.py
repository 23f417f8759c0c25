"""The hash slot of keys and hashtags; the figures are those CLUSTER KEYSLOT replies."""

from __future__ import annotations

from binascii import crc_hqx

import pytest

from respcache.store.slot import SLOTS, hash_slot


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"", 0),
        (b"foo", 12182),
        (b"123456789", 12739),
        (b"{foo}bar", 12182),
        (b"a{foo}{bar}", 12182),
        (b"a{foo}}b", 12182),
        (b"{user1000}.following", 3443),
        (b"{user1000}.followers", 3443),
    ],
)
def test_known_slots(key: bytes, slot: int) -> None:
    assert hash_slot(key) == slot


def test_a_tag_may_hold_an_opening_brace() -> None:
    assert hash_slot(b"foo{{bar}}zap") == hash_slot(b"{bar")


@pytest.mark.parametrize("key", [b"foo{}{bar}", b"foo{bar", b"foo}bar{", b"{}", b"{", b"}{"])
def test_an_empty_or_unclosed_tag_is_none(key: bytes) -> None:
    assert hash_slot(key) == crc_hqx(key, 0) % SLOTS

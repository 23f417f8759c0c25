"""The table of types."""

from __future__ import annotations

import pytest

from respcache.store.types import STRING, TYPES, is_integer_text, register, type_name


@pytest.mark.parametrize("text", [b"0", b"-1", b"9223372036854775807", b"-9223372036854775808"])
def test_integers(text: bytes) -> None:
    assert is_integer_text(text)


@pytest.mark.parametrize(
    "text", [b"", b"-0", b"01", b"+1", b" 1", b"1_0", b"1.0", b"9223372036854775808", b"1" * 30, b"\xb2"]
)
def test_texts_that_are_no_integers(text: bytes) -> None:
    assert not is_integer_text(text)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [(5, b"int"), (b"5", b"int"), (b"x" * 44, b"embstr"), (b"x" * 45, b"raw"), (bytearray(b"5"), b"raw")],
)
def test_encodings_of_strings(value: object, encoding: bytes) -> None:
    assert TYPES[type(value)].encoding(value, None) == encoding


def test_a_copy_shares_nothing_that_changes() -> None:
    value = bytearray(b"abc")
    copied = STRING.copy(value)
    copied += b"d"
    assert value == b"abc"
    assert type(copied) is bytearray


def test_names() -> None:
    assert type_name(None) == b"none"
    assert type_name(b"") == type_name(1) == b"string"


def test_a_python_type_has_one_type() -> None:
    with pytest.raises(ValueError, match="already"):
        register(STRING, bytes)

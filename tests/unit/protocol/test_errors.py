"""Error replies: exact texts, one line each, and the codes by which they are counted."""

from __future__ import annotations

import pytest

from respcache.protocol import errors
from respcache.protocol.errors import (
    ProtocolError,
    Rejection,
    ReplyError,
    invalid_expire,
    unknown_command,
    unknown_subcommand,
    wrong_arity,
)

CONSTANTS = {name: value for name, value in vars(errors).items() if isinstance(value, ReplyError)}


@pytest.mark.parametrize("name", CONSTANTS)
def test_each_constant_is_one_line_with_a_code(name: str) -> None:
    error = CONSTANTS[name]
    assert error.code.isupper()
    assert error.code.isalpha()
    assert error.reply == b"-" + error.text + b"\r\n"
    assert error.text.isascii()


def test_a_line_break_becomes_blanks() -> None:
    assert ReplyError(b"ERR a\r\nb\nc").reply == b"-ERR a  b c\r\n"


def test_code() -> None:
    assert ReplyError(b"WRONGTYPE Operation").code == "WRONGTYPE"
    assert ReplyError(b"ERR").code == "ERR"
    assert ReplyError(b"\xff x").code == "ÿ"


def test_rejections() -> None:
    for error in (
        errors.NOAUTH,
        wrong_arity("get"),
        unknown_command([b"x"]),
        unknown_subcommand("config", b"x"),
    ):
        assert isinstance(error, Rejection)
    assert not isinstance(errors.SYNTAX, Rejection)


def test_protocol_error() -> None:
    assert ProtocolError(b"invalid bulk length").reply == b"-ERR Protocol error: invalid bulk length\r\n"


def test_wrong_arity() -> None:
    assert wrong_arity("config|get").text == b"ERR wrong number of arguments for 'config|get' command"


def test_invalid_expire() -> None:
    assert invalid_expire("setex").text == b"ERR invalid expire time in 'setex' command"


def test_unknown_command() -> None:
    assert unknown_command([b"FOO"]).text == b"ERR unknown command 'FOO', with args beginning with: "
    assert unknown_command([b"FOO", b"", b"\r\n"]).reply == (
        b"-ERR unknown command 'FOO', with args beginning with: '' '  ' \r\n"
    )


def test_unknown_command_is_cut_short() -> None:
    assert unknown_command([b"F" * 150]).text == (
        b"ERR unknown command '" + b"F" * 128 + b"', with args beginning with: "
    )
    assert unknown_command([b"F", b"x" * 150, b"y"]).text.endswith(b": '" + b"x" * 128 + b"' ")
    many = unknown_command([b"F", *[b"12345"] * 50]).text.partition(b": ")[2]
    assert many == b"'12345' " * 16  # 128 bytes, and no more


def test_unknown_subcommand() -> None:
    assert unknown_subcommand("config", b"foo").text == b"ERR unknown subcommand 'foo'. Try CONFIG HELP."
    assert unknown_subcommand("config", b"f" * 150).text == (
        b"ERR unknown subcommand '" + b"f" * 128 + b"'. Try CONFIG HELP."
    )

"""The small blocking client."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from respcache.tools.asking import Asker, Trouble, address_of, name_of, password_given
from tests.unit.tools.answering import answering


def test_replies() -> None:
    answers = {"A": b"+OK\r\n", "B 1": b"*2\r\n:1\r\n$-1\r\n", "I": b"$19\r\n# T\r\na:1\r\nb:x:y\r\n\r\n\r\n"}
    with answering(answers) as server, Asker(server.address) as asker:
        assert asker.ask("A") == b"OK"
        assert asker.ask("B", 1) == [1, None]
        assert asker.fields("I") == {"a": "1", "b": "x:y"}
        assert asker.text("A") == "OK"
        assert asker.ip() == "127.0.0.1"
        with pytest.raises(Trouble, match="an unexpected reply to B"):
            asker.text("B", 1)


def test_an_error_has_its_code() -> None:
    with answering({"PING": b"-LOADING wait\r\n"}) as server, Asker(server.address) as asker:
        with pytest.raises(Trouble, match=r"^127\.0\.0\.1:\d+: LOADING wait$") as caught:
            asker.ask("PING")
        assert caught.value.code == "LOADING"


def test_it_connects_again() -> None:
    with answering({"A": b"+OK\r\n", "BYE": b""}) as server, Asker(server.address) as asker:
        with pytest.raises(Trouble, match="closed the connection") as caught:
            asker.ask("BYE")
        assert caught.value.code == ""
        assert asker.ask("A") == b"OK"


def test_the_password() -> None:
    with answering({"AUTH s": b"+OK\r\n", "A": b"+OK\r\n"}) as server, Asker(server.address, password="s") as asker:
        assert asker.ask("A") == b"OK"
        assert server.asked == ["AUTH s", "A"]


def test_a_wrong_password() -> None:
    answers = {"AUTH s": b"-WRONGPASS no\r\n", "A": b"+OK\r\n"}
    with answering(answers) as server, Asker(server.address, password="s") as asker:
        for _ in range(2):
            with pytest.raises(Trouble, match="WRONGPASS"):
                asker.ask("A")
        assert server.asked == ["AUTH s"] * 2


def test_a_password_that_nobody_wants() -> None:
    unwanted = b"-ERR AUTH <password> called without any password configured for the default user.\r\n"
    with answering({"AUTH s": unwanted, "A": b"+OK\r\n"}) as server, Asker(server.address, password="s") as asker:
        assert asker.ask("A") == b"OK"


def fails(asker: Asker, why: str) -> None:
    with asker, pytest.raises(Trouble, match=why):
        asker.ask("A")


def test_what_is_no_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        fails(Asker(silent.getsockname()[:2], timeout=0.05), "no answer in time")
    fails(Asker(("127.0.0.1", 1)), r"^127\.0\.0\.1:1: connection refused$")
    fails(Asker(("a..b", 1)), r"^a\.\.b:1: no name of a host$")
    fails(Asker(str(tmp_path / "none")), "no such file")
    with answering({"A": b"HTTP/1.1 400\r\n"}) as server:
        fails(Asker(server.address), "does not speak RESP")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        asker = Asker(path, timeout=0.05)
        assert str(asker) == path
        with asker, pytest.raises(Trouble, match="no answer in time"):
            asker.ask("A")


@pytest.mark.parametrize(
    ("text", "address"), [("a:1", ("a", 1)), ("[::1]:6379", ("::1", 6379)), ("::1:6379", ("::1", 6379))]
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert address_of(text) == address
    assert address_of(name_of(*address)) == address


@pytest.mark.parametrize("text", ["", "a", "a:", ":1", "a:0", "a:65536", "a:-1", "a:x", "[]:1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        address_of(text)


def test_the_password_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESPCACHE_PASSWORD", "REDISCLI_AUTH"):
        monkeypatch.delenv(name, raising=False)
    assert password_given() == ""
    monkeypatch.setenv("REDISCLI_AUTH", "b")
    assert password_given() == "b"
    monkeypatch.setenv("RESPCACHE_PASSWORD", "a")
    assert password_given() == "a"
    monkeypatch.setenv("RESPCACHE_PASSWORD", "")
    assert password_given() == "b"

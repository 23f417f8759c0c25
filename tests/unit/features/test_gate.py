"""features/gate.py: replies wait in their order."""

from __future__ import annotations

from respcache.features.gate import Gate


def test_an_open_gate_lets_through() -> None:
    sent: list[bytes] = []
    gate = Gate()
    gate.write(sent.append, b"a")
    gate.after(lambda: sent.append(b"closed"))
    assert sent == [b"a", b"closed"]
    assert gate.size == 0


def test_a_shut_gate_holds_in_order() -> None:
    sent: list[bytes] = []
    gate = Gate()
    gate.shut = True
    gate.write(sent.append, b"first")
    gate.write(sent.append, b"second")
    gate.after(lambda: sent.append(b"closed"))
    assert (sent, gate.size) == ([], 11)
    gate.open()
    assert sent == [b"first", b"second", b"closed"]
    assert (gate.size, gate.shut) == (0, False)


def test_what_is_cut_off_is_released_by_itself() -> None:
    sent: list[bytes] = []
    gate = Gate()
    gate.shut = True
    gate.write(sent.append, b"first")
    held = gate.cut()
    gate.write(sent.append, b"second")
    assert gate.size == 11
    gate.release(held)
    assert sent == [b"first"]
    assert gate.shut
    assert gate.size == 6


def test_what_a_release_brings_about_is_sent_too() -> None:
    sent: list[bytes] = []
    gate = Gate()
    gate.shut = True

    def send(data: bytes) -> None:
        sent.append(data)
        if data == b"again":
            gate.shut = True
            gate.write(sent.append, b"held")

    gate.write(send, b"again")
    gate.open()
    assert sent == [b"again", b"held"]


def test_what_is_dropped_is_never_sent() -> None:
    sent: list[bytes] = []
    gate = Gate()
    gate.shut = True
    gate.write(sent.append, b"first")
    gate.after(lambda: sent.append(b"closed"))
    gate.drop(gate.cut())
    gate.open()
    assert sent == [b"closed"]
    assert gate.size == 0

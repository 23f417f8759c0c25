"""The names of the messages."""

from __future__ import annotations

from respcache.cluster import frames, messages


def test_types_have_their_numbers_and_the_names_of_cluster_info() -> None:
    assert (messages.PING, messages.PUBLISHSHARD) == (0, 10)
    assert dict(zip(messages.MessageType, messages.NAMES, strict=True)) == {
        messages.PING: "ping",
        messages.PONG: "pong",
        messages.MEET: "meet",
        messages.FAIL: "fail",
        messages.PUBLISH: "publish",
        messages.AUTH_REQUEST: "auth-req",
        messages.AUTH_ACK: "auth-ack",
        messages.UPDATE: "update",
        messages.MFSTART: "mfstart",
        messages.MODULE: "module",
        messages.PUBLISHSHARD: "publishshard",
    }


def test_a_header_says_little_by_itself() -> None:
    header = messages.Header(type=messages.PONG, sender=b"0" * 40)
    assert header.slots == bytes(2048)
    assert (header.master, header.ip, header.flags, header.state, header.mflags) == (b"", "", 0, 0, 0)


def test_frames_has_all_the_names() -> None:
    public = {name for name in vars(messages) if not name.startswith("_")}
    assert public - set(frames.__all__) == {"Final", "IntEnum", "BITMAP", "annotations", "dataclass", "field"}

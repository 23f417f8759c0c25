"""The bytes of the bus: every field where it belongs, and nothing that can be done to them does any harm."""

from __future__ import annotations

import dataclasses
import struct
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from respcache.cluster import frames
from respcache.cluster.frames import Extensions, FrameError, Framer, Gossip, Header, MessageError

ID, OTHER, THIRD = b"48f019cfe2cbc75effa3468626f3c7b5b35b135d", b"1" * 40, b"2" * 40
SLOTS = b"\xff" * 682 + b"\x1f" + bytes(1364) + b"\x80"

HEADER = Header(
    type=frames.PING,
    sender=ID,
    port=21300,
    current_epoch=3,
    config_epoch=1,
    offset=0x0102030405,
    slots=SLOTS,
    master=OTHER,
    ip="10.0.0.1",
    pport=7,
    cport=21400,
    flags=0x111,
    state=1,
    mflags=frames.MFLAG_PAUSED,
)
GOSSIP = [
    Gossip(OTHER, 0, 1795191905, "127.0.0.1", 21303, 21403, 2),
    Gossip(THIRD, 1795191900, 5, "", 0, 65535, 0x48, 9),
]
EXTENSIONS = Extensions("host-a.example", "one", [(OTHER, 60), (THIRD, 1)], ID)


def header_of(type: int, count: int = 0, extensions: int = 0, mflags: int = 1) -> Header:
    """What `decode` makes of HEADER."""
    return dataclasses.replace(HEADER, type=type, count=count, extensions=extensions, mflags=mflags)


def every_message() -> list[bytes]:
    """A frame of each type."""
    typed = {type: dataclasses.replace(HEADER, type=type) for type in frames.MessageType}
    module = frames.encode_plain(typed[frames.MODULE]) + struct.pack(">QIB", 77, 4, 3) + b"load"
    return [
        *(frames.encode_ping(typed[type], GOSSIP, EXTENSIONS) for type in sorted(frames.PINGS)),
        *(frames.encode_publish(typed[type], b"ch", b"hello") for type in sorted(frames.PUBLISHES)),
        *(
            frames.encode_plain(typed[type])
            for type in (frames.AUTH_REQUEST, frames.AUTH_ACK, frames.MFSTART)
        ),
        frames.encode_fail(HEADER, OTHER),
        frames.encode_update(HEADER, 5, OTHER, SLOTS),
        patched(module, 4, struct.pack(">I", len(module))),
    ]


def patched(frame: bytes, at: int, data: bytes) -> bytes:
    return frame[:at] + data + frame[at + len(data) :]


def with_length(frame: bytes) -> bytes:
    """A frame that was cut or lengthened, with its length told right."""
    return patched(frame, 4, struct.pack(">I", len(frame)))


def test_every_field_of_the_header_has_its_place() -> None:
    frame = frames.encode_plain(
        dataclasses.replace(HEADER, type=frames.MFSTART, count=9, extensions=9, mflags=7)
    )
    assert len(frame) == 2256
    places = {
        0: b"RCmb" + struct.pack(">I", 2256) + b"\0\x01" + struct.pack(">H", 21300) + b"\0\x08" + b"\0\0",
        16: struct.pack(">QQQ", 3, 1, 0x0102030405) + ID + SLOTS,
        2128: OTHER + b"10.0.0.1".ljust(46, b"\0") + b"\0\0" + bytes(30),
        2246: struct.pack(">HHH", 7, 21400, 0x111) + b"\x01" + b"\x03\0\0",
    }
    for place, data in places.items():
        assert frame[place : place + len(data)] == data
    assert sum(map(len, places.values())) == 2256
    assert frames.decode(frame) == frames.Plain(header_of(frames.MFSTART, mflags=3))


def test_a_ping_with_gossip_and_extensions() -> None:
    frame = frames.encode_ping(HEADER, GOSSIP, EXTENSIONS)
    assert frame[14:16] == b"\0\x02"
    assert frame[2214:2216] == b"\0\x05"
    assert frame[2253:2256] == b"\x05\0\0"
    assert frame[2256 : 2256 + 104] == (
        OTHER
        + bytes(4)
        + bytes.fromhex("6b007461")
        + b"127.0.0.1".ljust(46, b"\0")
        + bytes.fromhex("5337539b00020000")
        + bytes(2)
    )
    assert frame[2256 + 208 :] == (
        bytes.fromhex("0000001800000000") + b"host-a.example\0\0"
        + bytes.fromhex("0000001000010000") + b"one\0\0\0\0\0"
        + bytes.fromhex("0000003800020000") + OTHER + struct.pack(">Q", 60)
        + bytes.fromhex("0000003800020000") + THIRD + struct.pack(">Q", 1)
        + bytes.fromhex("0000003000030000") + ID
    )  # fmt: skip
    assert frames.decode(frame) == frames.Ping(header_of(frames.PING, 2, 5, mflags=5), GOSSIP, EXTENSIONS)


def test_the_ping_of_the_reference() -> None:
    # The example of 7.4.1: 2512 bytes with two entries and a shard id.
    frame = frames.encode_ping(HEADER, GOSSIP, Extensions(shard_id=OTHER))
    assert len(frame) == 2512
    assert frame[0x9A0:] == bytes.fromhex("0000003000030000") + OTHER


@pytest.mark.parametrize("length", range(1, 18))
def test_names_are_padded_to_eight(length: int) -> None:
    frame = frames.encode_ping(HEADER, [], Extensions(hostname="h" * length))
    told = struct.unpack_from(">I", frame, 2256)[0]
    assert told == len(frame) - 2256 == 8 + (length // 8 + 1) * 8
    message = frames.decode(frame)
    assert isinstance(message, frames.Ping)
    assert message.extensions == Extensions(hostname="h" * length)


@pytest.mark.parametrize("extensions", [None, Extensions(), Extensions(hostname="", nodename="")])
def test_without_extensions_the_flag_is_not_set(extensions: Extensions | None) -> None:
    frame = frames.encode_ping(dataclasses.replace(HEADER, mflags=frames.MFLAG_EXTENSIONS), [], extensions)
    assert len(frame) == 2256
    assert frame[2214:2216] == b"\0\0"
    assert frame[2253] == 0
    # And without the flag there are none, whatever their number is.
    message = frames.decode(patched(frame, 2214, b"\0\x05"))
    assert isinstance(message, frames.Ping)
    assert message.extensions == Extensions()


def test_messages_with_data() -> None:
    frame = frames.encode_fail(HEADER, THIRD)
    assert (len(frame), frame[12:14], frame[2256:]) == (2296, b"\0\x03", THIRD)
    assert frames.decode(frame) == frames.Fail(header_of(frames.FAIL), THIRD)

    frame = frames.encode_publish(HEADER, b"ch", b"hello")
    assert (len(frame), frame[12:14], frame[2256:]) == (2271, b"\0\x04", b"\0\0\0\x02\0\0\0\x05chhello")
    assert frames.decode(frame) == frames.Publish(header_of(frames.PUBLISH), b"ch", b"hello")

    frame = frames.encode_publish(dataclasses.replace(HEADER, type=frames.PUBLISHSHARD), b"", b"\0")
    assert frame[12:14] == b"\0\x0a"
    assert frames.decode(frame) == frames.Publish(header_of(frames.PUBLISHSHARD), b"", b"\0")

    frame = frames.encode_update(HEADER, 258, THIRD, bytearray(SLOTS))
    assert (len(frame), frame[12:14]) == (4352, b"\0\x07")
    assert frame[2256:] == bytes(6) + b"\x01\x02" + THIRD + SLOTS
    assert frames.decode(frame) == frames.Update(header_of(frames.UPDATE), 258, THIRD, SLOTS)

    frame = every_message()[-1]
    assert len(frame) == 2269 + 4
    assert frames.decode(frame) == frames.Module(header_of(frames.MODULE), 77, 3, b"load")


def test_a_master_has_no_master_and_an_address_is_cut() -> None:
    frame = frames.encode_plain(Header(type=frames.AUTH_ACK, sender=ID, ip="é" + "9" * 99))
    assert frame[2128:2168] == bytes(40)
    message = frames.decode(frame)
    assert message.header.master == b""
    assert message.header.ip == "9" * 45


def test_unknown_flags_extensions_and_unused_bytes_are_skipped() -> None:
    frame = patched(frames.encode_ping(HEADER, []), 2216, b"x" * 30)
    frame = patched(patched(frame, 2214, b"\0\x02"), 2253, b"\x84\xff\xff")
    frame = patched(frame, 2250, b"\xff\xff")
    frame = with_length(frame + b"\0\0\0\x10\0\x63\0\0whatever" + b"\0\0\0\x10\0\0\xff\xffhost\0abc")
    message = frames.decode(frame)
    assert isinstance(message, frames.Ping)
    assert message.extensions == Extensions(hostname="host")
    assert message.header.flags == 0xFFFF


@pytest.mark.parametrize("name", [b"a b", b"a,b", b"a\nb", b"\xe9", b'"', b"a=b"])
def test_a_name_that_cannot_be_written_down_is_none(name: bytes) -> None:
    frame = frames.encode_ping(HEADER, [], Extensions("name5678", "name5678"))
    message = frames.decode(frame.replace(b"name5678", name.ljust(8, b"\0")))
    assert isinstance(message, frames.Ping)
    assert message.extensions == Extensions()


PING = frames.encode_ping(HEADER, GOSSIP, EXTENSIONS)
FIRST_EXTENSION = 2256 + 208


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(PING[:100], id="short"),
        pytest.param(patched(PING, 0, b"RCmc"), id="signature"),
        pytest.param(patched(PING, 8, b"\0\0"), id="version"),
        pytest.param(patched(PING, 12, b"\0\x0b"), id="type"),
        pytest.param(patched(PING, 12, b"\x80\x04"), id="light publish"),
        pytest.param(patched(PING, 14, b"\xff\xff"), id="count too great"),
        pytest.param(patched(PING, 14, b"\0\x01"), id="count too small"),
        pytest.param(patched(PING, 16, b"\xff" * 8), id="epoch"),
        pytest.param(patched(PING, 40, b"\n"), id="sender"),
        pytest.param(patched(PING, 40, b"A"), id="sender in capitals"),
        pytest.param(patched(PING, 2128, b"\0"), id="master"),
        pytest.param(patched(PING, 2168, b"1 2"), id="ip with a space"),
        pytest.param(patched(PING, 2168, b"1" * 46), id="ip without an end"),
        pytest.param(patched(PING, 2214, b"\xff\xff"), id="extensions too many"),
        pytest.param(patched(PING, 2214, b"\0\x04"), id="extensions too few"),
        pytest.param(patched(PING, 2256, b"x"), id="gossip id"),
        pytest.param(patched(PING, 2256 + 48, b"\n"), id="gossip ip"),
        pytest.param(patched(PING, FIRST_EXTENSION, bytes(4)), id="extension of 0 bytes"),
        pytest.param(patched(PING, FIRST_EXTENSION, b"\0\0\0\x17"), id="extension not padded"),
        pytest.param(patched(PING, FIRST_EXTENSION, b"\xff\xff\xff\xf8"), id="extension too long"),
        pytest.param(patched(PING, FIRST_EXTENSION + 8, b"h" * 16), id="hostname without an end"),
        pytest.param(patched(PING, FIRST_EXTENSION + 40 + 4, b"\0\x03"), id="shard id too long"),
        pytest.param(patched(PING, FIRST_EXTENSION + 4, b"\0\x02"), id="forgotten too short"),
        pytest.param(with_length(PING + b"\0"), id="ping too long"),
        pytest.param(with_length(frames.encode_fail(HEADER, OTHER) + b"0"), id="fail too long"),
        pytest.param(with_length(frames.encode_fail(HEADER, OTHER)[:-1]), id="fail too short"),
        pytest.param(frames.encode_fail(HEADER, b" " * 40), id="fail of nobody"),
        pytest.param(frames.encode_update(HEADER, 1 << 63, OTHER, SLOTS), id="update's epoch"),
        pytest.param(patched(every_message()[3], 2256, b"\xff\xff\xff\xff"), id="channel"),
        pytest.param(patched(every_message()[3], 2260, b"\xff\xff\xff\xff"), id="message"),
        pytest.param(patched(every_message()[-1], 2264, b"\xff\xff\xff\xff"), id="payload"),
    ],
)
def test_messages_to_be_ignored(frame: bytes) -> None:
    with pytest.raises(MessageError):
        frames.decode(frame)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(every_message()),
    st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 5000),
    st.binary(max_size=20),
    st.booleans(),
)
def test_broken_messages_raise_nothing_else(
    frame: bytes, patches: list[tuple[int, bytes]], cut: int, more: bytes, honest: bool
) -> None:
    for at, data in patches:
        frame = patched(frame, at % len(frame), data)
    frame = frame[: max(len(frame) - cut, 0)] + more if cut < 4000 else frame
    try:
        message = frames.decode(with_length(frame) if honest and len(frame) > 8 else frame)
    except MessageError:
        return
    assert len(message.header.sender) == 40


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(every_message()), max_size=6),
    st.lists(st.integers(1, 6000), min_size=1, max_size=9),
)
def test_frames_come_out_whole_however_they_come(sent: list[bytes], sizes: list[int]) -> None:
    framer, stream, found = Framer(), b"".join(sent), []
    while stream:
        for size in sizes:
            found += framer.feed(stream[:size])
            stream = stream[size:]
    assert found == sent
    assert framer.size == 0


def test_byte_by_byte() -> None:
    framer, found = Framer(), []
    for byte in b"".join(every_message()):
        found += framer.feed(bytes([byte]))
    assert found == every_message()
    assert framer.feed(b"") == []


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
@example(b"RCmb" + b"\xff" * 20)
def test_any_bytes_are_refused_or_waited_for(data: bytes) -> None:
    framer = Framer()
    try:
        assert framer.feed(data) == []
    except FrameError:
        return
    assert framer.size == len(data) < 14 or data[:4] == b"RCmb"


@pytest.mark.parametrize("type", range(12))
def test_lengths_that_close_the_connection(type: int) -> None:
    payload = type in (frames.PUBLISH, frames.PUBLISHSHARD, frames.MODULE)
    limit = (528 if payload else 16) << 20

    def start(length: int) -> bytes:
        return b"RCmb" + struct.pack(">IHHH", length, 1, 7000, type)

    for length in (0, 2255, limit + 1, 0xFFFFFFFF):
        with pytest.raises(FrameError) as error:
            Framer().feed(start(length))
        assert not isinstance(error.value, MessageError)
    for length in (2256, limit):
        assert Framer().feed(start(length)) == []


def test_frames_before_a_bad_one_do_not_hide_it() -> None:
    with pytest.raises(FrameError):
        Framer().feed(PING + b"GET / HTTP/1.1\r\n")


def test_a_promise_takes_no_memory() -> None:
    framers = [Framer() for _ in range(20)]
    tracemalloc.start()
    try:
        for framer in framers:
            framer.feed(b"RCmb" + struct.pack(">IHHH", 500 << 20, 1, 7000, frames.PUBLISH))
            framer.feed(bytes(1000))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()

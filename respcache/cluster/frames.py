"""The messages of the cluster bus as bytes (bus protocol version 1), big-endian throughout.

    framer = Framer()
    for frame in framer.feed(data):      # FrameError: close the connection
        try:
            message = decode(frame)
        except MessageError as error:    # log the reason, ignore the message, keep the connection
            ...

A frame is a header of 2256 bytes and data by type:

    PING PONG MEET           `count` gossip entries of 104 bytes, then extensions
    FAIL                     id (40)
    PUBLISH PUBLISHSHARD     u32 channel length, u32 message length, channel, message
    UPDATE                   u64 config epoch, id (40), slots (2048)
    MODULE                   u64 module id, u32 length, u8 type, payload
    AUTH_REQUEST AUTH_ACK MFSTART   nothing

The bus is not authenticated, and what arrives ends up in nodes.conf and in replies. So everything that is text
is checked here: ids are 40 lower-case hex digits, addresses and names hold nothing that could end a field.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from respcache.cluster.messages import (
    AUTH_ACK,
    AUTH_REQUEST,
    FAIL,
    ID_BYTES,
    MEET,
    MFLAG_EXTENSIONS,
    MFLAG_FORCE_ACK,
    MFLAG_PAUSED,
    MFSTART,
    MODULE,
    NAMES,
    NO_SLOTS,
    PING,
    PINGS,
    PONG,
    PUBLISH,
    PUBLISHES,
    PUBLISHSHARD,
    UPDATE,
    Extensions,
    Fail,
    Gossip,
    Header,
    Message,
    MessageType,
    Module,
    Ping,
    Plain,
    Publish,
    Update,
)

__all__ = [
    "AUTH_ACK",
    "AUTH_REQUEST",
    "FAIL",
    "HEADER_BYTES",
    "ID_BYTES",
    "MEET",
    "MFLAG_EXTENSIONS",
    "MFLAG_FORCE_ACK",
    "MFLAG_PAUSED",
    "MFSTART",
    "MODULE",
    "NAMES",
    "NO_SLOTS",
    "PING",
    "PINGS",
    "PONG",
    "PUBLISH",
    "PUBLISHES",
    "PUBLISHSHARD",
    "UPDATE",
    "Extensions",
    "Fail",
    "FrameError",
    "Framer",
    "Gossip",
    "Header",
    "Message",
    "MessageError",
    "MessageType",
    "Module",
    "Ping",
    "Plain",
    "Publish",
    "Update",
    "decode",
    "encode_fail",
    "encode_ping",
    "encode_plain",
    "encode_publish",
    "encode_update",
]


class FrameError(Exception):
    """The bytes of a connection are not the bus protocol: close it."""


class MessageError(FrameError):
    """A frame that is to be ignored; the text is the reason. The connection is fine."""


_SIGNATURE = b"RCmb"
_VERSION = 1
# signature, length, version, port, type, count, current epoch, config epoch, offset, sender, slots, master, ip,
# extensions, 30 unused, pport, cport, flags, state, mflags, 2 unused
_HEADER = struct.Struct(">4sIHHHHQQQ40s2048s40s46sH30xHHHBB2x")
# id, ping sent, pong received, ip, port, cport, flags, pport, 2 unused
_GOSSIP = struct.Struct(">40sII46sHHHH2x")
_EXTENSION = struct.Struct(">IHxx")
_FORGOTTEN = struct.Struct(">40sQ")
_PUBLISH = struct.Struct(">II")
_UPDATE = struct.Struct(">Q40s2048s")
_MODULE = struct.Struct(">QIB")
# What the framer looks at: signature, length; type.
_START = struct.Struct(">4sI4xH")

HEADER_BYTES: Final = _HEADER.size
_IP_BYTES = 45
_MAX_EPOCH = (1 << 63) - 1
_NO_MASTER = bytes(ID_BYTES)

_HOSTNAME, _NODENAME, _FORGOTTEN_NODE, _SHARD_ID = range(4)

_is_id = re.compile(rb"[0-9a-f]{40}").fullmatch
_is_ip = re.compile(rb"[0-9A-Za-z.:%_-]*").fullmatch
_is_hostname = re.compile(rb"[0-9A-Za-z._-]*").fullmatch
# Printable, and no space, quote, comma, equals sign or backslash: these end or quote fields of nodes.conf.
_is_nodename = re.compile(rb"[!#-&(-+\--<>-\[\]-~]*").fullmatch


def encode_ping(header: Header, gossip: Sequence[Gossip], extensions: Extensions | None = None) -> bytes:
    """A PING, PONG or MEET (`header.type`), with `gossip` and `extensions`."""
    entries = b"".join(
        _GOSSIP.pack(g.id, g.ping_sent, g.pong_received, _address(g.ip), g.port, g.cport, g.flags, g.pport)
        for g in gossip
    )
    parts = [] if extensions is None else list(_encode_extensions(extensions))
    return _frame(header, header.type, entries + b"".join(parts), len(gossip), len(parts))


def encode_plain(header: Header) -> bytes:
    """A message without data: `header.type` is AUTH_REQUEST, AUTH_ACK or MFSTART."""
    return _frame(header, header.type, b"")


def encode_fail(header: Header, id: bytes) -> bytes:
    """A FAIL about the node `id`, whatever `header.type` is."""
    return _frame(header, FAIL, id)


def encode_publish(header: Header, channel: bytes, message: bytes) -> bytes:
    """A PUBLISHSHARD if that is `header.type`, else a PUBLISH."""
    shard = header.type == PUBLISHSHARD
    kind = PUBLISHSHARD if shard else PUBLISH
    return _frame(header, kind, _PUBLISH.pack(len(channel), len(message)) + channel + message)


def encode_update(header: Header, config_epoch: int, id: bytes, slots: bytes | bytearray) -> bytes:
    """An UPDATE about the node `id` and its bitmap of `slots`, whatever `header.type` is."""
    return _frame(header, UPDATE, _UPDATE.pack(config_epoch, id, slots))


def _frame(header: Header, kind: int, data: bytes, count: int = 0, extensions: int = 0) -> bytes:
    mflags = header.mflags & ~MFLAG_EXTENSIONS
    if extensions:
        mflags |= MFLAG_EXTENSIONS
    return (
        _HEADER.pack(
            _SIGNATURE,
            HEADER_BYTES + len(data),
            _VERSION,
            header.port,
            kind,
            count,
            header.current_epoch,
            header.config_epoch,
            header.offset,
            header.sender,
            header.slots,
            header.master,
            _address(header.ip),
            extensions,
            header.pport,
            header.cport,
            header.flags,
            header.state,
            mflags,
        )
        + data
    )


def _encode_extensions(extensions: Extensions) -> Iterable[bytes]:
    """Each extension in the order of their types: u32 length with this header, u16 type, u16 unused, data."""
    for kind, name in ((_HOSTNAME, extensions.hostname), (_NODENAME, extensions.nodename)):
        if name:
            text = name.encode("ascii", "ignore")
            # A NUL at least, then zeros to a multiple of 8.
            yield _extension(kind, text.ljust((len(text) + 8) & ~7, b"\0"))
    for id, seconds in extensions.forgotten:
        yield _extension(_FORGOTTEN_NODE, _FORGOTTEN.pack(id, seconds))
    if extensions.shard_id is not None:
        yield _extension(_SHARD_ID, extensions.shard_id)


def _extension(kind: int, data: bytes) -> bytes:
    return _EXTENSION.pack(_EXTENSION.size + len(data), kind) + data


def _address(ip: str) -> bytes:
    """An address for its field of 46 bytes with a NUL at the end; cut to it, as Redis does."""
    return ip.encode("ascii", "ignore")[:_IP_BYTES]


def decode(frame: bytes) -> Message:
    """The message in one whole frame, as `Framer.feed` gives it.

    Raises `MessageError` for one that is to be ignored: another version, an unknown type, a length that is not
    exactly that of its content, a broken extension, an id or address that is none.
    """
    if len(frame) < HEADER_BYTES:
        raise MessageError(f"message of {len(frame)} bytes is shorter than a header")
    fields = _HEADER.unpack_from(frame)
    if fields[0] != _SIGNATURE or fields[1] != len(frame):
        raise MessageError(f"message of {len(frame)} bytes has a wrong signature or length {fields[1]}")
    if fields[2] != _VERSION:
        raise MessageError(f"message of version {fields[2]}")
    header = Header(
        type=fields[4],
        port=fields[3],
        count=fields[5],
        current_epoch=_epoch(fields[6]),
        config_epoch=_epoch(fields[7]),
        offset=fields[8],
        sender=_id(fields[9]),
        slots=fields[10],
        master=b"" if fields[11] == _NO_MASTER else _id(fields[11]),
        ip=_ip(fields[12]),
        extensions=fields[13],
        pport=fields[14],
        cport=fields[15],
        flags=fields[16],
        state=fields[17],
        mflags=fields[18],
    )
    kind = header.type
    if kind in PINGS:
        return _decode_ping(header, frame)
    if kind in PUBLISHES:
        return _decode_publish(header, frame)
    if kind == FAIL:
        _exactly(frame, HEADER_BYTES + ID_BYTES)
        return Fail(header, _id(frame[HEADER_BYTES:]))
    if kind == UPDATE:
        _exactly(frame, HEADER_BYTES + _UPDATE.size)
        config_epoch, id, slots = _UPDATE.unpack_from(frame, HEADER_BYTES)
        return Update(header, _epoch(config_epoch), _id(id), slots)
    if kind == MODULE:
        start = HEADER_BYTES + _MODULE.size
        _at_least(frame, start)
        module, length, module_kind = _MODULE.unpack_from(frame, HEADER_BYTES)
        _exactly(frame, start + length)
        return Module(header, module, module_kind, frame[start:])
    if kind in (AUTH_REQUEST, AUTH_ACK, MFSTART):
        _exactly(frame, HEADER_BYTES)
        return Plain(header)
    raise MessageError(f"message of unknown type {kind}")


def _decode_ping(header: Header, frame: bytes) -> Ping:
    end = HEADER_BYTES + _GOSSIP.size * header.count
    _at_least(frame, end)
    gossip = [
        Gossip(_id(id), ping, pong, _ip(ip), port, cport, flags, pport)
        for id, ping, pong, ip, port, cport, flags, pport in _GOSSIP.iter_unpack(frame[HEADER_BYTES:end])
    ]
    extensions = Extensions()
    if header.mflags & MFLAG_EXTENSIONS:
        for _ in range(header.extensions):
            end = _decode_extension(frame, end, extensions)
    _exactly(frame, end)
    return Ping(header, gossip, extensions)


def _decode_extension(frame: bytes, start: int, extensions: Extensions) -> int:
    """Read the extension at `start` into `extensions`; return its end. Unknown ones are skipped."""
    _at_least(frame, start + _EXTENSION.size)
    length, kind = _EXTENSION.unpack_from(frame, start)
    if length % 8 or length < _EXTENSION.size:
        raise MessageError(f"extension of {length} bytes")
    end: int = start + length
    _at_least(frame, end)
    data = frame[start + _EXTENSION.size : end]
    if kind == _HOSTNAME:
        name = _text(data)
        extensions.hostname = name.decode() if _is_hostname(name) else None
    elif kind == _NODENAME:
        name = _text(data)
        extensions.nodename = name.decode() if _is_nodename(name) else None
    elif kind == _FORGOTTEN_NODE:
        _exactly(data, _FORGOTTEN.size)
        id, seconds = _FORGOTTEN.unpack(data)
        extensions.forgotten.append((_id(id), seconds))
    elif kind == _SHARD_ID:
        extensions.shard_id = _id(data)
    return end


def _decode_publish(header: Header, frame: bytes) -> Publish:
    start = HEADER_BYTES + _PUBLISH.size
    _at_least(frame, start)
    channel, message = _PUBLISH.unpack_from(frame, HEADER_BYTES)
    _exactly(frame, start + channel + message)
    return Publish(header, frame[start : start + channel], frame[start + channel :])


def _exactly(data: bytes, length: int) -> None:
    if len(data) != length:
        raise MessageError(f"{len(data)} bytes where the content takes {length}")


def _at_least(data: bytes, length: int) -> None:
    if len(data) < length:
        raise MessageError(f"{len(data)} bytes where the content takes {length} or more")


def _epoch(epoch: int) -> int:
    """Refuses what one message could use to bring all epochs to their end: no node could raise its own any more."""
    if epoch > _MAX_EPOCH:
        raise MessageError(f"epoch {epoch}")
    return epoch


def _id(data: bytes) -> bytes:
    if not _is_id(data):
        raise MessageError(f"not a node id: {data[:ID_BYTES]!r}")
    return data


def _ip(data: bytes) -> str:
    text = _text(data)
    if not _is_ip(text):
        raise MessageError(f"not an address: {text!r}")
    return text.decode()


def _text(data: bytes) -> bytes:
    """What stands before the NUL, which must be there."""
    text, nul, _ = data.partition(b"\0")
    if not nul:
        raise MessageError(f"text without an end: {data[:64]!r}")
    return text


class Framer:
    """Cuts the bytes of one connection into frames.

    Room is taken for what has come, never for what a length promises. A frame may promise 16 MB, and a PUBLISH,
    PUBLISHSHARD or MODULE 512 MB more; the gossip and extensions of a ping of any real cluster are far below.
    """

    MAX_BYTES: Final = 16 << 20
    MAX_PAYLOAD: Final = 512 << 20

    __slots__ = ("_buffer", "_need")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._need = _START.size  # bytes to have before there is anything to do

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, each whole. Raises `FrameError` when the connection is to be closed."""
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= self._need:
            if self._need == _START.size:
                self._need = _frame_length(*_START.unpack_from(buffer, start))
                continue
            end = start + self._need
            with memoryview(buffer) as view:
                frames.append(bytes(view[start:end]))
            start = end
            self._need = _START.size
        if start:
            del buffer[:start]
        return frames

    @property
    def size(self) -> int:
        """Bytes that wait for the rest of their frame."""
        return len(self._buffer)


def _frame_length(signature: bytes, length: int, kind: int) -> int:
    if signature != _SIGNATURE:
        raise FrameError(f"signature {signature!r}")
    limit = Framer.MAX_BYTES
    if kind in PUBLISHES or kind == MODULE:
        limit += Framer.MAX_PAYLOAD
    if not HEADER_BYTES <= length <= limit:
        raise FrameError(f"length {length} of a message of type {kind}")
    return length

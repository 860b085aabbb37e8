"""Frames between Python and the child: u32 big-endian length, one byte of kind, payload."""

from __future__ import annotations

import struct
from typing import BinaryIO, Literal, TypeAlias

Sent: TypeAlias = Literal[b"E", b"S", b"B", b"D", b"T"]
"""Evaluate, tell places of calls, choose a backfill, a batch, a batch traced by document."""

MAX_FRAME = 1 << 30
_HEAD = struct.Struct(">Ic")


def write_frame(stream: BinaryIO, kind: Sent, payload: bytes) -> None:
    """Write one frame and flush it."""
    stream.write(_HEAD.pack(len(payload), kind))
    stream.write(payload)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """The next frame's kind and payload; None at the end of the stream.

    Raises:
        ValueError: what arrived is no frame.
    """
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, kind = _HEAD.unpack(head)
    if length > MAX_FRAME or kind not in (b"E", b"S", b"B", b"A", b"H"):
        raise ValueError("not a frame")
    payload = stream.read(length)
    return (kind, payload) if len(payload) == length else None


def split_answer(payload: bytes) -> tuple[bytes, bytes]:
    """The two parts of a batch's answer: its head (JSON) and its values (see `cells`)."""
    (length,) = struct.unpack_from(">I", payload)
    return payload[4 : 4 + length], payload[4 + length :]

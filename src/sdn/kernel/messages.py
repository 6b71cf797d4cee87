"""Netlink's wire format: attributes into bytes and back, without a parser or a class per attribute.

A lab is tens of thousands of messages, so encoding one must cost microseconds: attributes are plain `bytes` that are
added up. Formats are those of linux/netlink.h and linux/rtnetlink.h, in the machine's byte order unless named `be`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct

from msgspec import Struct as Value

REQUEST = 0x1
ACK = 0x4
REPLACE = 0x100
EXCL = 0x200
CREATE = 0x400
DUMP = 0x300
NEW = REQUEST | CREATE | EXCL
PUT = REQUEST | CREATE | REPLACE

NFTABLES = 10
"""The number of nftables among netfilter's subsystems."""

ABSENT = (errno.ENOENT, errno.ENODEV, errno.ESRCH, errno.EADDRNOTAVAIL)
"""What a removal meets when the object is gone already."""

_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # by length % 4

_HEAD = Struct("=HH")
_SIZE = Struct("=H")
_U8 = Struct("=HHBxxx").pack
_BE16 = Struct(">Hxx").pack
_BE32 = Struct(">I").pack
_U32 = Struct("=HHI").pack
_U64 = Struct("=HHQ").pack


class Message(Value, frozen=True):
    """One request: `what` finishes "cannot ..." in an error, `tolerate` lists errnos that count as success."""

    type: int
    flags: int
    body: bytes
    what: str
    tolerate: tuple[int, ...] = ()


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return _U8(5, kind, value)


def be16(kind: int, value: int) -> bytes:
    """An attribute of 16 bits in network order."""
    return _HEAD.pack(6, kind) + _BE16(value)


def be32(kind: int, value: int) -> bytes:
    """An attribute of 32 bits in network order."""
    return _HEAD.pack(8, kind) + _BE32(value)


def u32(kind: int, value: int) -> bytes:
    """An attribute of 32 bits."""
    return _U32(8, kind, value)


def u64(kind: int, value: int) -> bytes:
    """An attribute of 64 bits."""
    return _U64(12, kind, value)


def raw(kind: int, data: bytes) -> bytes:
    """An attribute of bytes, padded."""
    size = len(data)
    return _HEAD.pack(size + 4, kind) + data + _PADDING[size & 3]


def text(kind: int, value: str) -> bytes:
    """An attribute of text with its final NUL."""
    return raw(kind, value.encode() + b"\0")


def nest(kind: int, attributes: bytes) -> bytes:
    """An attribute of attributes."""
    return _HEAD.pack(len(attributes) + 4, kind | _NESTED) + attributes


def mac(address: str) -> bytes:
    """`02:00:00:00:00:01` as six bytes."""
    return bytes.fromhex(address.replace(":", ""))


def family(address: str) -> int:
    """AF_INET or AF_INET6, of an address or a prefix."""
    return AF_INET6 if ":" in address else AF_INET


@lru_cache(maxsize=4096)
def packed(address: str) -> bytes:
    """An IP address in network order; ValueError names what is not one."""
    try:
        return inet_pton(AF_INET6 if ":" in address else AF_INET, address)
    except OSError:
        raise ValueError(f"{address!r} is not an IP address") from None


def unpacked(data: bytes) -> str:
    """The text of a packed IP address."""
    return inet_ntop(AF_INET6 if len(data) == 16 else AF_INET, data)


def split_prefix(prefix: str) -> tuple[bytes, int]:
    """`10.1.0.0/16` as packed address and length; without a length it is the whole address."""
    address, _, length = prefix.partition("/")
    data = packed(address)
    return data, int(length) if length else len(data) * 8


def attributes(data: memoryview) -> dict[int, memoryview]:
    """Attributes by number (the last of each), as views into `data`."""
    return dict(attribute_list(data))


def attribute_list(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Attributes in their order, for lists in which a number repeats."""
    at, end = 0, len(data)
    while at + 4 <= end:
        size, kind = _HEAD.unpack_from(data, at)
        if size < 4:
            return
        yield kind & _TYPE_MASK, data[at + 4 : at + size]
        at += size + 3 & ~3


def records(data: memoryview) -> Iterator[bytes]:
    """Attributes in their order, each whole with its head and padding, for lists that are compared and not read."""
    at, end = 0, len(data)
    while at + 4 <= end:
        (size,) = _SIZE.unpack_from(data, at)
        if size < 4:
            return
        size = size + 3 & ~3
        yield bytes(data[at : at + size])
        at += size

"""Many packets of one socket by one system call, sendmmsg(2), which Python's socket module lacks.

Python's sendto gives the interpreter to other threads for each packet, and has to get it back as often; this does so
once for all of them.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Sequence

MOST = 64
"""Packets in a batch: about 2 ms of the kernel's, and no buffer of the firewalls' log overflows."""

_ROOM = 64  # bytes for a packet; the longest question, an INIT, has 32
_NAME = 28  # bytes of a sockaddr_in6
_HEADS = {
    4: int(socket.AF_INET).to_bytes(2, "little") + bytes(2),
    6: int(socket.AF_INET6).to_bytes(2, "little") + bytes(6),
}
_NAME_LENGTHS = {4: 16, 6: 28}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class _Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


class Batch:
    """Room for `MOST` packets of one IP family, used again and again."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._head = _HEADS[version]
        self._names = bytearray(MOST * _NAME)
        self._data = bytearray(MOST * _ROOM)
        self._vectors = (_Vector * MOST)()
        self._messages = (_Message * MOST)()
        self._lengths = [0] * MOST
        names = ctypes.addressof(ctypes.c_char.from_buffer(self._names))
        data = ctypes.addressof(ctypes.c_char.from_buffer(self._data))
        for index in range(MOST):
            vector, message = self._vectors[index], self._messages[index]
            vector.base = data + index * _ROOM
            message.name, message.name_length = names + index * _NAME, _NAME_LENGTHS[version]
            message.vectors, message.vector_count = ctypes.addressof(vector), 1

    def fill(self, packets: Sequence[tuple[bytes, bytes]]) -> None:
        """Each as (packed destination, everything above the IP header)."""
        for index, (destination, packet) in enumerate(packets):
            name, at = self._head + destination, index * _NAME
            self._names[at : at + len(name)] = name
            if len(packet) != self._lengths[index]:
                if len(packet) > _ROOM:
                    raise ValueError(f"a packet of {len(packet)} bytes")
                self._lengths[index] = self._vectors[index].length = len(packet)
            at = index * _ROOM
            self._data[at : at + len(packet)] = packet

    def send(self, fd: int, count: int) -> int:
        """How many of the first `count` the kernel took; the one after them it refused."""
        return max(0, int(_libc.sendmmsg(fd, ctypes.byref(self._messages), count, 0)))

"""The frames that are fired at workloads when they are born, and the sockets that send and count them.

Frames are complete, so no workload needs to know a neighbour who does not exist yet. What each is, its payload says.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from functools import lru_cache
from struct import pack, unpack
from typing import Any

from sdn.kernel.syscalls import CLONE_NEWNET, setns
from sdn.plan.state import GATEWAY_MAC
from sdn.probe.sockets import attach_filter
from sdn.probe.wire import checksum, udp_datagram

INGRESS_PORT, EGRESS_PORT, OPEN_PORT = 4009, 4008, 4010
PERMITTED = b"a"
KINDS = {b"i": "ingress denied", b"e": "egress denied", b"s": "spoofed", b"n": "no path"}
"""What a payload says of a forbidden packet."""

_MAGIC = 0x53444E42
_PAYLOAD = (42, 62)  # where it begins, over IPv4 and IPv6
_ALL = 0x0003  # ETH_P_ALL
_FROM_PORT = 5009
_PACKET_STATISTICS, _SOL_PACKET, _IGNORE_OUTGOING = 6, 263, 23

_libc = ctypes.CDLL(None, use_errno=True)

Who = dict[str, Any]
"""A workload: `namespace`, `application`, `segment`, `mac`, `addresses`."""


def netns_of(namespace: str) -> int:
    """A descriptor of a namespace of the lab; OSError while it has no name, and setns refuses it until it is whole.

    A process that `sdn.kernel.enter` started sees the names, but not what is mounted on them later.
    """
    return os.open(f"/proc/1/root/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)


def go(namespace: str) -> None:
    """Move the calling thread, the only one, into a namespace for good."""
    fd = netns_of(namespace)
    try:
        setns(fd, CLONE_NEWNET)
    finally:
        os.close(fd)


def sender() -> socket.socket:
    """Sends frames by `eth0` of the namespace of the calling thread, and hears nothing."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sock.bind(("eth0", 0))
    sock.setblocking(False)
    return sock


def counter(kind: str) -> socket.socket:
    """Counts frames on every link that the namespace will have: `forbidden`, or what is permitted over IP 4 or 6."""
    here = _PAYLOAD if kind == "forbidden" else (_PAYLOAD[kind == "6"],)
    sock = socket.socket(
        socket.AF_PACKET, socket.SOCK_RAW, 0
    )  # hears nothing yet, or it would hear all until the filter
    sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
    attach_filter(sock, list(_filter(here, forbidden=kind == "forbidden")))
    _hear(sock)
    sock.setblocking(False)
    return sock


def _hear(sock: socket.socket) -> None:
    """From now on, by every link there will be: Python's bind knows no address without a link (struct sockaddr_ll)."""
    every = pack("=HHi12x", socket.AF_PACKET, socket.htons(_ALL), 0)
    if _libc.bind(sock.fileno(), every, len(every)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _filter(offsets: tuple[int, ...], *, forbidden: bool) -> Iterator[tuple[int, int, int, int]]:
    """Load a word, compare it with the magic; load the byte behind it, compare it with the permitted kind."""
    for offset, ethertype in ((o, 0x0800 if o == _PAYLOAD[0] else 0x86DD) for o in offsets):
        yield 0x28, 0, 0, 12
        yield 0x15, 0, 5, ethertype
        yield 0x20, 0, 0, offset
        yield 0x15, 0, 3, _MAGIC
        yield 0x30, 0, 0, offset + 4
        yield 0x15, int(forbidden), int(not forbidden), PERMITTED[0]
        yield 0x06, 0, 0, 0xFFFF
    yield 0x06, 0, 0, 0


def counted(sock: socket.socket) -> int:
    """How many frames there were since the last call; the kernel counts also those that it has no room for."""
    frames, _ = unpack("II", sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
    return int(frames)


def kind_of(frame: bytes) -> str:
    """What a forbidden frame that came is."""
    offset = _PAYLOAD[frame[12:14] == b"\x86\xdd"]
    return KINDS.get(frame[offset + 4 : offset + 5], "unknown")


def frames(source: Who, target: Who, masked: Who) -> Iterator[bytes]:
    """All that one fires at another, over both families; `masked` is whose addresses it takes when it lies."""
    if source["application"] != target["application"]:
        shots = [(b"n", OPEN_PORT, source)]
    else:
        shots = [(PERMITTED, OPEN_PORT, source), (b"i", INGRESS_PORT, source), (b"e", EGRESS_PORT, source)]
        shots += (
            [(b"s", OPEN_PORT, masked)]
            if masked["mac"] != source["mac"] and masked["segment"] == source["segment"]
            else []
        )
    near = source["segment"] == target["segment"] != "pods"
    for kind, port, claimed in shots:
        for mine, other in zip(claimed["addresses"], target["addresses"], strict=True):
            yield _frame(claimed["mac"], target["mac"] if near else GATEWAY_MAC, mine, other, port, kind)


def _frame(source_mac: str, target_mac: str, source: str, target: str, port: int, kind: bytes) -> bytes:
    mine, other = _packed(source), _packed(target)
    datagram = udp_datagram(mine, other, (_FROM_PORT, port), pack("!I", _MAGIC) + kind)
    ethernet = bytes.fromhex((target_mac + source_mac).replace(":", ""))
    if len(mine) == 16:
        return ethernet + b"\x86\xdd" + pack("!IHBB", 6 << 28, len(datagram), 17, 64) + mine + other + datagram
    head = pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0, mine, other)
    return ethernet + b"\x08\x00" + head[:10] + pack("!H", checksum(head)) + head[12:] + datagram


@lru_cache(maxsize=1 << 14)
def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)

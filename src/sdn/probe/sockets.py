"""Sockets the way the probe needs them: non-blocking, with ICMP errors told apart, and deaf to what is not for them.

A socket stays in the network namespace that its maker's thread was in, so one process holds those of thousands.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import socket
from functools import lru_cache
from struct import Struct, pack

from sdn.kernel.switches import put
from sdn.model import Outcome, Protocol
from sdn.probe.wire import NUMBERS, icmp_outcome

SCOUT_PORTS = range(46_000, 61_000)
"""Source ports of raw packets: each question takes a fresh one, so that no firewall remembers the connection."""

CONNECT_PORTS = range(32_768, 46_000)
"""Source ports of real connections; like the others, of those that any sender would take (`EPHEMERAL`)."""

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_SO_ATTACH_FILTER = 26
_SO_MARK = 36
_SOL_RAW, _ICMP_FILTER = 255, 1
_ECHO_REPLY = {4: 0, 6: 129}
_MSG_ERRQUEUE = 0x2000
_RECEIVE_BUFFER = 1 << 20  # bytes; the kernel takes what net.core.rmem_max allows

_extended_error = Struct("=IBBBxII")
_instruction = Struct("=HBBI")


def raise_descriptor_limit() -> int:
    """Use all of RLIMIT_NOFILE that this process may; gives the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def answer_everything() -> None:
    """Let the namespace of the calling thread send every ICMP error: the kernel's default is a few a second.

    A refusal that is not sent would look like a denial.
    """
    for name in ("ipv4.icmp_ratemask", "ipv4.icmp_ratelimit", "ipv6.icmp.ratelimit"):
        with contextlib.suppress(OSError):  # a kernel without IPv6
            put(f"net.{name}", "0")


def family_of(version: int) -> socket.AddressFamily:
    """4 or 6 → AF_INET or AF_INET6."""
    return socket.AF_INET6 if version == 6 else socket.AF_INET


@lru_cache(maxsize=1 << 17)
def packed(address: str) -> bytes:
    """An address as it stands in a packet."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def want_errors(sock: socket.socket, version: int) -> None:
    """Keep ICMP errors with their type and code on the socket's error queue."""
    if version == 4:
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)


def set_mark(sock: socket.socket, mark: int) -> None:
    """Have the kernel mark what is sent, which chooses the routing table; 0 is no mark."""
    if mark:
        sock.setsockopt(socket.SOL_SOCKET, _SO_MARK, mark)


def raw_socket(protocol: Protocol, version: int, source: str, mark: int = 0) -> socket.socket:
    """Sends any packet of a protocol from an address, and hears only what answers to `SCOUT_PORTS`."""
    sock = socket.socket(family_of(version), socket.SOCK_RAW | socket.SOCK_NONBLOCK, NUMBERS[protocol, version])
    try:
        # The filter comes before the address: what arrives between the two would be heard.
        if protocol is Protocol.ICMP:
            _hear_echo_replies(sock, version)
        else:
            _hear_ports(sock, protocol, version)
        want_errors(sock, version)
        set_mark(sock, mark)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sock.bind((source, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _hear_echo_replies(sock: socket.socket, version: int) -> None:
    if version == 4:
        sock.setsockopt(_SOL_RAW, _ICMP_FILTER, pack("=I", ~(1 << _ECHO_REPLY[4]) & 0xFFFFFFFF))
    else:
        blocked = [0xFFFFFFFF] * 8
        blocked[_ECHO_REPLY[6] >> 5] &= ~(1 << (_ECHO_REPLY[6] & 31))
        sock.setsockopt(socket.IPPROTO_ICMPV6, _ICMP_FILTER, pack("=8I", *blocked))


def _hear_ports(sock: socket.socket, protocol: Protocol, version: int) -> None:
    """A classic BPF filter: destination port among ours, and for TCP an answer (its ACK flag) and not a question.

    An IPv4 raw socket sees the IP header, an IPv6 one does not.
    """
    load = 0x48 if version == 4 else 0x28  # ldh [x + k], or ldh [k]
    load_byte = 0x50 if version == 4 else 0x30
    program = [(0xB1, 0, 0, 0)] if version == 4 else []  # ldx 4 * ([0] & 15)
    checks = [(load, 0, 0, 2), (0x35, 0, -1, SCOUT_PORTS.start), (0x35, -1, 0, SCOUT_PORTS.stop)]
    if protocol is Protocol.TCP:
        checks += [(load_byte, 0, 0, 13), (0x45, 0, -1, 0x10)]
    program += checks
    deaf = len(program) + 1
    program = [
        (code, _jump(yes, deaf, at), _jump(no, deaf, at), value) for at, (code, yes, no, value) in enumerate(program)
    ]
    attach_filter(sock, [*program, (0x06, 0, 0, 0xFFFF), (0x06, 0, 0, 0)])


def _jump(offset: int, deaf: int, at: int) -> int:
    return deaf - at - 1 if offset == -1 else offset


def attach_filter(sock: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    """Have the kernel drop what a classic BPF program (code, jump if true, jump if false, value) refuses."""
    code = ctypes.create_string_buffer(b"".join(_instruction.pack(*line) for line in program))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pack("@HP", len(program), ctypes.addressof(code)))


def read_errors(sock: socket.socket, version: int) -> list[tuple[bytes, Outcome]]:
    """All waiting ICMP errors that decide something: the packet, from its transport header on, and what befell it."""
    found: list[tuple[bytes, Outcome]] = []
    while True:
        try:
            quoted, control, _, _ = sock.recvmsg(256, 512, _MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            return found
        for _, _, data in control:
            if len(data) < _extended_error.size:
                continue
            _, origin, kind, code, _, _ = _extended_error.unpack_from(data)
            outcome = icmp_outcome(6 if origin == 3 else 4, kind, code) if origin in (2, 3) else None
            if outcome is not None:
                found.append((quoted, outcome))

"""Packets as bytes: what the probe sends and how it reads what comes back. Pure, and fast enough for 100,000 a run.

Raw sockets take everything after the IP header, so one socket asks thousands of destinations, each from a source port
of its own. Formats: RFC 9293 (TCP), 768 (UDP), 792 and 4443 (ICMP), 9260 (SCTP).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, pack

from sdn.model import Outcome, Protocol

NUMBERS = {
    (Protocol.TCP, 4): 6,
    (Protocol.TCP, 6): 6,
    (Protocol.UDP, 4): 17,
    (Protocol.UDP, 6): 17,
    (Protocol.SCTP, 4): 132,
    (Protocol.SCTP, 6): 132,
    (Protocol.ICMP, 4): 1,
    (Protocol.ICMP, 6): 58,
}
"""Protocol and IP family → number in the IP header."""

SYN, RST, ACK = 0x02, 0x04, 0x10
INIT, INIT_ACK, ABORT = 1, 2, 6
MAGIC = b"sdn "
"""How everything that a listener says begins."""

ECHO_REQUEST = {4: 8, 6: 128}
_TCP = NUMBERS[Protocol.TCP, 4]
_STATE_COOKIE = 7
_USER_ABORT = 12
_WINDOW = 65535

_tcp = Struct("!HHIIBBHHH")
_udp = Struct("!HHHH")
_echo = Struct("!BBHHH")
_sctp = Struct("!HHII")
_init = Struct("!BBHIIHHI")
_tlv = Struct("!HH")


def checksum(data: bytes) -> int:
    """The Internet checksum; one's complement addition of words is arithmetic modulo 65,535."""
    if len(data) & 1:
        data += b"\0"
    return ~(int.from_bytes(data, "big") % 0xFFFF) & 0xFFFF


def pseudo_header(source: bytes, destination: bytes, protocol: int, length: int) -> bytes:
    """What TCP and UDP add to their checksum; IPv4's and IPv6's forms sum to the same."""
    return source + destination + pack("!II", length, protocol)


@lru_cache(maxsize=1 << 17)
def _sum(data: bytes) -> int:
    return int.from_bytes(data, "big") % 0xFFFF


def tcp_syn(source: bytes, destination: bytes, ports: tuple[int, int], sequence: int) -> bytes:
    """A SYN without options, which asks whether a port is open and leaves no connection behind."""
    own, other = ports
    pseudo = _sum(source) + _sum(destination) + _TCP + _tcp.size
    total = pseudo + own + other + (sequence >> 16) + (sequence & 0xFFFF) + (0x5000 | SYN) + _WINDOW
    return _tcp.pack(own, other, sequence, 0, 0x50, SYN, _WINDOW, ~(total % 0xFFFF) & 0xFFFF, 0)


def udp_datagram(source: bytes, destination: bytes, ports: tuple[int, int], payload: bytes) -> bytes:
    """A datagram with its checksum, which IPv6 demands."""
    length = 8 + len(payload)
    head = _udp.pack(*ports, length, 0)
    value = checksum(pseudo_header(source, destination, 17, length) + head + payload)
    return head[:6] + pack("!H", value or 0xFFFF) + payload


def echo_request(family: int, number: int, payload: bytes) -> bytes:
    """An echo request whose id is `number`; the kernel fills in ICMPv6's checksum by itself."""
    head = _echo.pack(ECHO_REQUEST[family], 0, 0, number, 1)
    if family == 6:
        return head + payload
    return head[:2] + pack("!H", checksum(head + payload)) + head[4:] + payload


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)  # noqa: PLW2901 - the register itself
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """SCTP's checksum (Castagnoli), which connection tracking verifies."""
    value, table = 0xFFFFFFFF, _CRC
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF


def _sctp_packet(ports: tuple[int, int], tag: int, chunk: bytes) -> bytes:
    chunk += b"\0" * (-len(chunk) % 4)
    head = _sctp.pack(*ports, tag, 0)
    return head[:8] + pack("<I", crc32c(head + chunk)) + chunk


def sctp_init(ports: tuple[int, int], tag: int) -> bytes:
    """The first packet of an association; `tag` is what the other side must put into its answer."""
    return _sctp_packet(ports, 0, _init.pack(INIT, 0, 20, tag, _WINDOW, 1, 1, tag))


def sctp_init_ack(ports: tuple[int, int], tag: int, token: bytes) -> bytes:
    """The answer to an INIT with that tag; the state cookie, which every INIT ACK has, says who answers."""
    cookie = _tlv.pack(_STATE_COOKIE, 4 + len(token)) + token
    return _sctp_packet(ports, tag, _init.pack(INIT_ACK, 0, 20 + len(cookie), tag, _WINDOW, 1, 1, tag) + cookie)


def sctp_abort(ports: tuple[int, int], tag: int, token: bytes) -> bytes:
    """The refusal of an INIT with that tag; its reason says who refuses."""
    cause = _tlv.pack(_USER_ABORT, 4 + len(token)) + token
    return _sctp_packet(ports, tag, pack("!BBH", ABORT, 0, 4 + len(cause)) + cause)


@dataclass(frozen=True, slots=True)
class SctpPacket:
    """The first chunk of an SCTP packet; `init_tag` is an INIT's own tag, `token` who sent an INIT ACK or ABORT."""

    source_port: int
    port: int
    tag: int
    kind: int
    init_tag: int = 0
    token: bytes = b""


def read_sctp(packet: bytes) -> SctpPacket | None:
    """None for what is too short to be a packet with a chunk."""
    if len(packet) < 16:
        return None
    source_port, port, tag, _ = _sctp.unpack_from(packet)
    kind = packet[12]
    end = 12 + int.from_bytes(packet[14:16], "big")
    if kind == ABORT:
        return SctpPacket(source_port, port, tag, kind, token=packet[20:end])
    if kind not in (INIT, INIT_ACK) or len(packet) < 32:
        return SctpPacket(source_port, port, tag, kind)
    return SctpPacket(source_port, port, tag, kind, int.from_bytes(packet[16:20], "big"), packet[36:end])


def token(workload: str, port: int) -> bytes:
    """What a listener says to tell who it is."""
    return MAGIC + f"{workload} {port}".encode()


def read_token(data: bytes) -> tuple[str, int] | None:
    """The listener that a token names; None for words that are not one of ours."""
    if not data.startswith(MAGIC):
        return None
    name, _, port = data[len(MAGIC) :].decode(errors="replace").rpartition(" ")
    return (name, int(port)) if name and port.isdigit() else None


_ICMP4 = {
    **dict.fromkeys((0, 1, 5, 6, 7, 8, 11, 12), Outcome.UNREACHABLE),
    **dict.fromkeys((2, 3), Outcome.REFUSED),
    **dict.fromkeys((9, 10, 13), Outcome.REJECTED),
}
_ICMP6 = {
    **dict.fromkeys((0, 2, 3, 6), Outcome.UNREACHABLE),
    4: Outcome.REFUSED,
    **dict.fromkeys((1, 5), Outcome.REJECTED),
}


def icmp_outcome(family: int, kind: int, code: int) -> Outcome | None:
    """What an ICMP error says; None for those that decide nothing (too big, time exceeded).

    Protocol unreachable, and ICMPv6's "unknown next header", are a destination that was reached and does not speak it.
    """
    if family == 4:
        return _ICMP4.get(code) if kind == 3 else None
    if kind == 4:
        return Outcome.REFUSED if code == 1 else None
    return _ICMP6.get(code) if kind == 1 else None

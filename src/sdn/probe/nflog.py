"""What the firewalls say about our packets: each deciding rule logs its origin to NFLOG, and this reads it.

One netlink socket for each Host's namespace. Overlapping addresses make the 5-tuple ambiguous, and a Service changes
the destination on its way, so a packet is known by (protocol, source address, source port or ICMP id), which the probe
never gives out twice at a time.
"""

from __future__ import annotations

import socket
from struct import Struct, pack

from sdn.errors import ProbeError
from sdn.kernel.namespaces import enter
from sdn.plan.state import LOG_GROUP

_NETFILTER = 12
_PACKET, _CONFIG = 0x400, 0x401
_ERROR = 2
_REQUEST_ACK = 5
_BIND, _CMD, _MODE, _BUFFER, _TIMEOUT, _THRESHOLD = 1, 1, 2, 3, 4, 5
_PREFIX, _PAYLOAD = 10, 9
_COPY_PACKET = 2
_COPY_BYTES = 64  # an IPv6 header and the first 24 bytes above it
_ENOBUFS, _EBUSY = 105, 16
_SO_RCVBUFFORCE = 33
_ECHO_REPLIES = (0, 129)
_NO_NUMBER = -1
_NO_OPTIONS = 0x45  # IPv4 with a header of 20 bytes
_WITH_PORTS = frozenset({6, 17, 132})
_usual = Struct("!9xB2x4s4sHH").unpack_from

_header = Struct("=IHHII")
_attribute = Struct("=HH")

PacketKey = tuple[int, bytes, int]
"""(protocol number, packed source address, source port or ICMP id)."""


Logged = tuple[str, PacketKey, PacketKey]
"""A packet that met a deciding rule: the rule's origin, the packet's key, and that of what it may be an answer to."""


class LogReader:
    """Every rule decision on one Host from now on. `lost` counts the times when the kernel had to drop some."""

    def __init__(self, host: str, namespace: str) -> None:
        """Moves the calling thread into the Host's namespace. ProbeError where somebody else reads the group."""
        self.host = host
        self.lost = 0
        self._origins: dict[bytes, str] = {}
        self._shapes: dict[tuple[int, int], int] = {}  # (length, of the prefix) → where the payload is
        enter(namespace)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _NETFILTER)
        self._grow(8 << 20)
        try:
            self._configure(_CMD, pack("=B", _BIND))
            self._configure(_MODE, pack("!IBB", _COPY_BYTES, _COPY_PACKET, 0))
            # Small enough that a few dozen buffers fit an ordinary user's socket; delivered within 10 ms.
            self._configure(_BUFFER, pack("!I", 16384))
            self._configure(_TIMEOUT, pack("!I", 1))
            self._configure(_THRESHOLD, pack("!I", 40))
        except OSError as error:
            self._socket.close()
            why = "another reader has the group" if error.errno == _EBUSY else str(error.strerror)
            raise ProbeError(f"cannot read the firewall's log (NFLOG group {LOG_GROUP}) on {host}: {why}") from error

    def _grow(self, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except OSError:  # only the machine's root may exceed net.core.rmem_max
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def _configure(self, kind: int, value: bytes) -> None:
        body = pack("!BBH", 0, 0, LOG_GROUP) + _attribute.pack(4 + len(value), kind) + value
        body += b"\0" * (-len(body) % 4)
        self._socket.sendto(_header.pack(16 + len(body), _CONFIG, _REQUEST_ACK, 0, 0) + body, (0, 0))
        # Packets may be logged before the answer comes; nothing is asked yet, so they are of no interest.
        while True:
            data = self._socket.recv(65536)
            _, answer, _, _, _ = _header.unpack_from(data)
            if answer == _ERROR:
                code = -int.from_bytes(data[16:20], "little", signed=True)
                if code:
                    raise OSError(code, "the kernel refused")
                return

    def fileno(self) -> int:
        """For epoll."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop reading; logging costs nothing from here on."""
        self._socket.close()

    def read(self) -> list[Logged]:
        """Everything that waits, oldest first. Packets that are no IP, or too short to be told apart, are left out."""
        found: list[Logged] = []
        while True:
            try:
                data = self._socket.recv(1 << 17)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != _ENOBUFS:
                    raise
                self.lost += 1
                continue
            self._messages(data, found)

    def _messages(self, data: bytes, found: list[Logged]) -> None:
        unpack, message = _header.unpack_from, self._message
        at, end = 0, len(data)
        while at + 20 <= end:
            length, kind, _, _, _ = unpack(data, at)
            if kind == _PACKET and (logged := message(data, at + 20, at + length)) is not None:
                found.append(logged)
            at += length + 3 & ~3

    def _message(self, data: bytes, at: int, end: int) -> Logged | None:
        """The header comes first, the prefix second, the payload last; where, is the same in all that look alike."""
        shape = end - at, data[at + 8]
        payload = self._shapes.get(shape)
        if payload is not None and data[at + 10] == _PREFIX:
            length, kind = _attribute.unpack_from(data, at + payload)
            if kind == _PAYLOAD and at + payload + length == end:
                return self._logged(data[at + 12 : at + 8 + data[at + 8]], data[at + payload + 4 : end])
        found: dict[int, tuple[int, int]] = {}
        start = at
        while at + 4 <= end:
            length, kind = _attribute.unpack_from(data, at)
            found[kind] = at, at + length
            at += length + 3 & ~3
        if _PREFIX not in found or _PAYLOAD not in found:
            return None
        (prefix, prefix_end), (payload, payload_end) = found[_PREFIX], found[_PAYLOAD]
        if prefix == start + 8:
            self._shapes[shape] = payload - start
        return self._logged(data[prefix + 4 : prefix_end], data[payload + 4 : payload_end])

    def _logged(self, prefix: bytes, packet: bytes) -> Logged | None:
        keys = packet_keys(packet)
        origin = self._origins.get(prefix)
        if origin is None:
            origin = self._origins[prefix] = prefix.rstrip(b"\0").decode(errors="replace")
        return (origin, *keys) if keys is not None else None


def packet_keys(packet: bytes) -> tuple[PacketKey, PacketKey] | None:
    """How a packet, from its IP header on, is told from all others in flight, and the one that it would answer.

    None for what has neither port nor id.
    """
    if len(packet) < 28:
        return None
    if packet[0] == _NO_OPTIONS and packet[9] in _WITH_PORTS:  # nearly all there is
        protocol, source, target, own, other = _usual(packet)
        return (protocol, source, own), (protocol, target, other)
    if packet[0] >> 4 == 4:
        above, protocol, source, target = (packet[0] & 15) * 4, packet[9], packet[12:16], packet[16:20]
    else:
        above, protocol, source, target = 40, packet[6], packet[8:24], packet[24:40]
    is_echo = protocol in (1, 58)
    at = above + 4 if is_echo else above
    numbers = packet[at : at + 4]
    if len(numbers) < 4:
        return None
    own, other = numbers[0] << 8 | numbers[1], numbers[2] << 8 | numbers[3]
    if is_echo:  # both have the same id
        own, other = (_NO_NUMBER, own) if packet[above] in _ECHO_REPLIES else (own, _NO_NUMBER)
    return (protocol, source, own), (protocol, target, other)

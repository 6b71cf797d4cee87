"""One connection as a Host's connection tracking knows it, and how another Host must know it.

A connection that a Service leads is translated on its client's Host alone; every other Host on its way sees it as it
is after the translation (`plain`). The kernel's numbers are those of linux/netfilter/nfnetlink_conntrack.h and
nf_conntrack_tcp.h.
"""

from __future__ import annotations

import errno
from socket import AF_INET6
from struct import Struct as Format

from msgspec import Struct
from msgspec.structs import replace

from sdn.kernel.messages import (
    ABSENT,
    NEW,
    REQUEST,
    Message,
    attributes,
    be16,
    family,
    nest,
    packed,
    raw,
    unpacked,
)
from sdn.model import Protocol
from sdn.plan.established import Connection

NETFILTER = 12
"""The netlink protocol, for which the socket module has no name."""

SET, GET, DELETE = 0x100, 0x101, 0x102
ORIGINAL, REPLY, STATUS, PROTOINFO, NAT_SOURCE, TIMEOUT, MARK = 1, 2, 3, 4, 6, 7, 8
NAT_DESTINATION, ZONE = 13, 18
_TUPLE_IP, _TUPLE_PROTOCOL = 1, 2
_V4_SOURCE, _V4_DESTINATION, _V6_SOURCE, _V6_DESTINATION = 1, 2, 3, 4
_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_ICMP, _ICMPV6 = (4, 5, 6), (7, 8, 9)  # id, type, code
_NAT_ADDRESSES, _NAT_PORTS = {4: (1, 2), 6: (4, 5)}, 3  # lowest and highest, by family
_PORT_LOWEST, _PORT_HIGHEST = 1, 2
_TCP, _TCP_STATE, _TCP_FLAGS = 1, 1, (4, 5)
_FLAGS_KEPT = 0x87  # window scaling, selective acknowledgement, who closes, opened from both sides
_LIBERAL = 0x08
_ESTABLISHED = 3
_STATUS_CARRIED = 0x02 | 0x04 | 0x08  # seen a reply, assured, confirmed
_ECHOES = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 128: 129, 129: 128, 139: 140, 140: 139}
_TCP_NUMBER, _ICMP_NUMBERS = 6, {4: 1, 6: 58}
_ASKS = (8, 128)
_PROTOCOLS = {6: Protocol.TCP, 17: Protocol.UDP, 132: Protocol.SCTP}
_WORD = Format("!I").pack


class Tuple(Struct, frozen=True):
    """One direction. `ports` are source and destination, of ICMP the identifier and (type << 8 | code)."""

    protocol: int
    source: str
    destination: str
    ports: tuple[int, int] = (0, 0)

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.source else 4

    @property
    def inverse(self) -> Tuple:
        """What answers it, where nothing is translated."""
        ports = (self.ports[1], self.ports[0])
        if self.protocol == _ICMP_NUMBERS[self.version]:
            kind, code = divmod(self.ports[1], 256)
            ports = (self.ports[0], _ECHOES.get(kind, kind) << 8 | code)
        return Tuple(self.protocol, self.destination, self.source, ports)


class Tracked(Struct, frozen=True):
    """One connection. `timeout` in seconds; `state` is the protocol's, as the kernel writes it; some have none."""

    zone: int
    original: Tuple
    reply: Tuple
    status: int = 0
    timeout: int = 0
    mark: int = 0
    state: bytes = b""

    @property
    def client(self) -> str:
        """The address of who began it."""
        return self.original.source

    @property
    def server(self) -> str:
        """The address of who answers, which is behind a Service another than the one that was called."""
        return self.reply.source

    @property
    def translated(self) -> bool:
        """Whether the two directions differ by more than being turned round."""
        return self.reply != self.original.inverse

    @property
    def plain(self) -> Tracked:
        """As every Host but the client's sees it."""
        return replace(self, original=self.reply.inverse)

    @property
    def key(self) -> tuple[int, Tuple]:
        """What no other connection of the Host has."""
        return self.zone, self.original

    @property
    def judged(self) -> Connection:
        """As policy sees it; whom it was led to is who answers."""
        kind, port, source_port = _PROTOCOLS.get(self.original.protocol), self.reply.ports[0], self.original.ports[0]
        if self.original.protocol in _ICMP_NUMBERS.values():
            kind = Protocol.ICMP if self.original.ports[1] >> 8 in _ASKS else None
            port = source_port = 0
        return Connection(self.zone, self.client, source_port, self.server, kind, port)

    @property
    def settled(self) -> bool:
        """Whether it will look the same a moment later: an established TCP connection."""
        if self.original.protocol != _TCP_NUMBER or not self.state:
            return False
        return _tcp(self.state)[_TCP_STATE][0] == _ESTABLISHED


def read(data: memoryview) -> Tracked:
    """Decode what the kernel says of one connection, in a list, an answer or an event."""
    found = attributes(data[4:])
    return Tracked(
        zone=_number(found.get(ZONE)),
        original=_tuple(found[ORIGINAL]),
        reply=_tuple(found[REPLY]),
        status=_number(found.get(STATUS)),
        timeout=_number(found.get(TIMEOUT)),
        mark=_number(found.get(MARK)),
        state=bytes(found.get(PROTOINFO, b"")),
    )


def _number(data: memoryview | None) -> int:
    return int.from_bytes(data, "big") if data is not None else 0


def _tuple(data: memoryview) -> Tuple:
    found = attributes(data)
    ip, protocol = attributes(found[_TUPLE_IP]), attributes(found[_TUPLE_PROTOCOL])
    source, destination = (_V4_SOURCE, _V4_DESTINATION) if _V4_SOURCE in ip else (_V6_SOURCE, _V6_DESTINATION)
    ports = (_number(protocol.get(_SOURCE_PORT)), _number(protocol.get(_DESTINATION_PORT)))
    for identifier, kind, code in (_ICMP, _ICMPV6):
        if kind in protocol:
            ports = (_number(protocol[identifier]), protocol[kind][0] << 8 | protocol[code][0])
    return Tuple(protocol[_NUMBER][0], unpacked(bytes(ip[source])), unpacked(bytes(ip[destination])), ports)


def _written(one: Tuple) -> bytes:
    kinds = (_V6_SOURCE, _V6_DESTINATION) if one.version == 6 else (_V4_SOURCE, _V4_DESTINATION)
    ip = raw(kinds[0], packed(one.source)) + raw(kinds[1], packed(one.destination))
    protocol = raw(_NUMBER, bytes([one.protocol]))
    if one.protocol in _ICMP_NUMBERS.values():
        identifier, kind, code = _ICMP if one.protocol == _ICMP_NUMBERS[4] else _ICMPV6
        protocol += be16(identifier, one.ports[0])
        protocol += raw(kind, bytes([one.ports[1] >> 8])) + raw(code, bytes([one.ports[1] & 255]))
    else:
        protocol += be16(_SOURCE_PORT, one.ports[0]) + be16(_DESTINATION_PORT, one.ports[1])
    return nest(_TUPLE_IP, ip) + nest(_TUPLE_PROTOCOL, protocol)


def _head(one: Tracked) -> bytes:
    return bytes([family(one.original.source), 0, 0, 0])


def _named(one: Tracked) -> bytes:
    zone = be16(ZONE, one.zone) if one.zone else b""
    return _head(one) + nest(ORIGINAL, _written(one.original)) + zone


def asked(one: Tracked) -> bytes:
    """The body of a question for this connection as it is now; the kernel finds it without looking at the others."""
    return _named(one)


def asked_by_answer(one: Tracked) -> bytes:
    """The same question where only its answers are known: a Service may have led it there."""
    zone = be16(ZONE, one.zone) if one.zone else b""
    return _head(one) + nest(REPLY, _written(one.reply)) + zone


def marking(one: Tracked, mark: int) -> Message:
    """Give it another mark; already gone is success."""
    return Message(SET, REQUEST, _named(one) + raw(MARK, _WORD(mark)), f"mark a connection of {one.client}", ABSENT)


def deletion(one: Tracked) -> Message:
    """Forget it; already gone is success."""
    return Message(DELETE, REQUEST, _named(one), f"forget a connection of {one.client}", ABSENT)


def insertion(one: Tracked) -> Message:
    """Know it from now on, as another Host knew it; one that has a tuple of either direction already is left alone.

    The kernel works a translation out by itself from what was called and whom it was led to, so it is told the answer
    as if there were none. Sequence numbers are not carried: the first packet each way says them anew (liberal).
    """
    body = _named(one) + nest(REPLY, _written(one.original.inverse)) + _translation(one)
    body += raw(STATUS, _WORD(one.status & _STATUS_CARRIED | 0x08)) + raw(TIMEOUT, _WORD(max(one.timeout, 1)))
    body += raw(MARK, _WORD(one.mark)) if one.mark else b""
    if one.state:
        tcp = one.original.protocol == _TCP_NUMBER
        body += nest(PROTOINFO, _liberal(one.state) if tcp else one.state)
    return Message(SET, NEW, body, f"carry a connection of {one.client}", (errno.EEXIST,))


def _translation(one: Tracked) -> bytes:
    """Whom the call was led to, and in whose name, where that is another than who called."""
    if not one.translated:
        return b""
    answers = one.reply.inverse
    whom = _range(answers.destination, answers.ports[1])
    body = nest(NAT_DESTINATION, whom)
    if (answers.source, answers.ports[0]) != (one.original.source, one.original.ports[0]):
        body += nest(NAT_SOURCE, _range(answers.source, answers.ports[0]))
    return body


def _range(address: str, port: int) -> bytes:
    """Exactly one address and port."""
    lowest, highest = _NAT_ADDRESSES[6 if family(address) == AF_INET6 else 4]
    ports = nest(_NAT_PORTS, be16(_PORT_LOWEST, port) + be16(_PORT_HIGHEST, port))
    return raw(lowest, packed(address)) + raw(highest, packed(address)) + ports


def _tcp(state: bytes) -> dict[int, memoryview]:
    found = attributes(memoryview(state))
    return attributes(found[_TCP]) if _TCP in found else {_TCP_STATE: memoryview(b"\0")}


def _liberal(state: bytes) -> bytes:
    body = b""
    for kind, data in _tcp(state).items():
        value = bytes(data)
        if kind in _TCP_FLAGS:
            value = bytes([value[0] & _FLAGS_KEPT | _LIBERAL, 0xFF])
        body += raw(kind, value)
    return nest(_TCP, body)

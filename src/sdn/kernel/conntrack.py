"""The connections that a Host remembers, in the namespace of the calling thread: listed, and made to be forgotten.

A Host lets every packet of a known connection pass. Whoever gets an address after somebody else would inherit what the
other one's partners were allowed to do, and a policy that changes says nothing of what began before it. The kernel's
numbers are those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from sdn.kernel.messages import ABSENT, REQUEST, Message, attributes, nest, raw, unpacked
from sdn.kernel.rtnetlink import Netlink
from sdn.model import Protocol
from sdn.plan.established import Connection

_NETFILTER = 12  # the socket module has no name for it
_GET, _DELETE = 0x101, 0x102
_ORIGINAL, _REPLY, _ZONE = 1, 2, 18
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)  # IPv4 and IPv6
_NUMBER, _SOURCE_PORT, _ICMP_TYPES = 1, 2, (5, 8)
_FAMILY_ONLY = b"\0\0\0"  # version and resource, both unused
_ECHO = {1: 8, 58: 128}  # protocol → the type that asks
_WITH_PORTS = {6: Protocol.TCP, 17: Protocol.UDP, 132: Protocol.SCTP}

Owned = frozenset[tuple[int, str]]
"""(zone, address)."""


class Remembered(Struct, frozen=True):
    """A connection, all addresses that it has before and after translation, and the message that has it forgotten."""

    connection: Connection
    addresses: frozenset[str]
    deletion: Message


class Conntrack(Netlink):
    """The connections that a Host knows."""

    def __init__(self) -> None:
        super().__init__(_NETFILTER)

    def connections(self) -> list[Remembered]:
        """All of them, of both families."""
        return [_remembered(data) for data in self._dump(_GET, bytes(4), "list connections")]

    def forget(self, gone: Owned) -> int:
        """Every connection with one of these addresses at either end, before or after translation; how many it were."""

        def is_gone(one: Remembered) -> bool:
            return not gone.isdisjoint((one.connection.zone, address) for address in one.addresses)

        return len(self._forget(is_gone))

    def cut(self, allows: Callable[[Connection], bool]) -> list[Connection]:
        """Every connection that is not allowed; those that it were."""
        return self._forget(lambda one: not allows(one.connection))

    def _forget(self, ended: Callable[[Remembered], bool]) -> list[Connection]:
        found = [one for one in self.connections() if ended(one)]
        if found:
            self.send([one.deletion for one in found])
        return [one.connection for one in found]


class _End(Struct, frozen=True):
    """One direction of a connection: who sends to whom, and from which port."""

    source: str
    destination: str
    number: int
    source_port: int
    icmp_type: int


def _remembered(data: memoryview) -> Remembered:
    found = attributes(data[4:])
    zone = int.from_bytes(found[_ZONE], "big") if _ZONE in found else 0
    original, reply = _end(found[_ORIGINAL]), _end(found[_REPLY])
    # Who answers is who it was led to.
    connection = Connection(
        zone, original.source, original.source_port, reply.source, _protocol(original), reply.source_port
    )
    body = bytes(data[:1]) + _FAMILY_ONLY + nest(_ORIGINAL, bytes(found[_ORIGINAL]))
    if _ZONE in found:
        body += raw(_ZONE, bytes(found[_ZONE]))
    what = f"forget a connection of {original.source} to {original.destination}"
    return Remembered(
        connection,
        frozenset((original.source, original.destination, reply.source, reply.destination)),
        Message(_DELETE, REQUEST, body, what, ABSENT),
    )


def _end(of_tuple: memoryview) -> _End:
    parts = attributes(of_tuple)
    addresses, numbers = attributes(parts[_TUPLE_IP]), attributes(parts[_TUPLE_PROTO])
    source, destination = (
        unpacked(bytes(next(addresses[kind] for kind in kinds if kind in addresses)))
        for kinds in (_SOURCES, _DESTINATIONS)
    )
    return _End(
        source,
        destination,
        number=_value(numbers, _NUMBER),
        source_port=_value(numbers, _SOURCE_PORT),
        icmp_type=next((_value(numbers, kind) for kind in _ICMP_TYPES if kind in numbers), 0),
    )


def _value(numbers: dict[int, memoryview], kind: int) -> int:
    return int.from_bytes(numbers[kind], "big") if kind in numbers else 0


def _protocol(original: _End) -> Protocol | None:
    if original.number in _ECHO:
        return Protocol.ICMP if original.icmp_type == _ECHO[original.number] else None
    return _WITH_PORTS.get(original.number)

"""Forget the connections of addresses that have lost their owner, in the namespace of the calling thread.

A Host lets every packet of a known connection pass. Whoever gets an address after somebody else would inherit what the
other one's partners were allowed to do. The kernel's numbers are those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

from collections.abc import Iterator

from sdn.kernel.messages import ABSENT, REQUEST, Message, attributes, nest, raw, unpacked
from sdn.kernel.rtnetlink import Netlink

_NETFILTER = 12  # the socket module has no name for it
_GET, _DELETE = 0x101, 0x102
_ORIGINAL, _REPLY, _ZONE = 1, 2, 18
_TUPLE_IP = 1
_ADDRESSES = (1, 2, 3, 4)  # IPv4 source and destination, IPv6 source and destination
_FAMILY_ONLY = b"\0\0\0"  # version and resource, both unused

Owned = frozenset[tuple[int, str]]
"""(zone, address)."""


class Conntrack(Netlink):
    """The connections that a Host knows."""

    def __init__(self) -> None:
        super().__init__(_NETFILTER)

    def forget(self, gone: Owned) -> int:
        """Every connection with one of these addresses at either end, before or after translation; how many it were."""
        found = [
            message for data in self._dump(_GET, bytes(4), "list connections") for message in _deletion(data, gone)
        ]
        if found:
            self.send(found)
        return len(found)


def _deletion(data: memoryview, gone: Owned) -> Iterator[Message]:
    found = attributes(data[4:])
    zone = int.from_bytes(found[_ZONE], "big") if _ZONE in found else 0
    ends = {(zone, address) for kind in (_ORIGINAL, _REPLY) for address in _addresses(found[kind])}
    if ends.isdisjoint(gone):
        return
    body = bytes(data[:1]) + _FAMILY_ONLY + nest(_ORIGINAL, bytes(found[_ORIGINAL]))
    if _ZONE in found:
        body += raw(_ZONE, bytes(found[_ZONE]))
    yield Message(_DELETE, REQUEST, body, f"forget a connection of {min(ends)[1]}", ABSENT)


def _addresses(of_tuple: memoryview) -> Iterator[str]:
    found = attributes(attributes(of_tuple)[_TUPLE_IP])
    yield from (unpacked(bytes(found[kind])) for kind in _ADDRESSES if kind in found)

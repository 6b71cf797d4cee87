"""Where addresses lie among blocks: all that a set of blocks can tell apart, as one number per address.

The ends of the blocks cut each family into pieces; two addresses in one piece are in the same blocks. A workload's
class needs no more than its pieces, however many blocks there are. A piece is told by where it starts, so that those
which a further block does not cut keep their numbers.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from sdn.model import Endpoint, IPBlock

FAMILIES = (4, 6)
NOWHERE = -1
"""The place of an address that a workload does not have."""


class Places:
    """The pieces into which some blocks cut both families, each by its first address as a number."""

    def __init__(self, blocks: Iterable[IPBlock]) -> None:
        ends: dict[int, set[int]] = {family: set() for family in FAMILIES}
        for block in blocks:
            for text in (block.cidr, *block.excepts):
                family, first, beyond = _span(text)
                ends[family] |= {first, beyond}
        self._starts = {family: sorted({0, *found}) for family, found in ends.items()}

    def of_endpoint(self, endpoint: Endpoint) -> tuple[int, ...]:
        """The places of its IPv4 and its IPv6 address."""
        found = []
        for family in FAMILIES:
            address = endpoint.address(family)
            found.append(NOWHERE if address is None else self._of(family, int(ip_address(address))))
        return tuple(found)

    def inside(self, block: IPBlock) -> tuple[int, set[int]]:
        """(family, its places) of one of the blocks that made the pieces, without its excepts."""
        family, first, beyond = _span(block.cidr)
        places = self._between(family, first, beyond)
        for text in block.excepts:
            other, first, beyond = _span(text)
            if other == family:
                places -= self._between(family, first, beyond)
        return family, places

    def _of(self, family: int, address: int) -> int:
        starts = self._starts[family]
        return starts[bisect_right(starts, address) - 1]

    def _between(self, family: int, first: int, beyond: int) -> set[int]:
        starts = self._starts[family]
        return set(starts[bisect_left(starts, first) : bisect_left(starts, beyond)])


def _span(prefix: str) -> tuple[int, int, int]:
    network = ip_network(prefix, strict=False)
    return network.version, int(network.network_address), int(network.broadcast_address) + 1

"""What each Host owns of a `routed` Segment, so that other Hosts need one route for it and not one per endpoint.

A Host's first slice follows from its place among all Hosts, whether it has members or not: a workload that comes or
goes moves nobody's slice. A Host that outgrows its slice gets another from those that no Host has by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sdn.errors import SdnError
from sdn.plan.addresses import BITS, Subnet


def slice_length(subnet: Subnet, wanted: int, hosts: int, pods: int) -> int:
    """The prefix length of a slice: `wanted` if the user gave one (not 0), else one that leaves room.

    IPv4: /24 as Kubernetes gives its nodes; where that is too large for `hosts` of them, as small as `pods` addresses
    need. IPv6: /64 where the subnet allows it, else 16 bits for the Hosts. Raises SdnError if nothing useful fits.
    """
    bits = BITS[subnet.family]
    tightest = subnet.length + max(0, hosts - 1).bit_length()
    if wanted:
        length = wanted
    elif subnet.family == 4:
        length = max(24 if tightest <= 24 else bits - (pods + 2).bit_length(), tightest)
    else:
        length = max(64 if subnet.length <= 48 else min(subnet.length + 16, 120), tightest)
    if not subnet.length <= length <= bits - 2:
        raise SdnError(
            f"{subnet} cannot be cut into /{length} slices for {hosts} hosts; "
            f"give it a larger subnet, or a slice length from {subnet.length} to {bits - 2}"
        )
    return length


class Slices:
    """The slices of one prefix: which Host owns which, and what is still free."""

    def __init__(
        self, subnet: Subnet, length: int, hosts: Sequence[str], previous: Mapping[str, Iterable[Subnet]]
    ) -> None:
        self._subnet = subnet
        self._length = length
        self._count = 1 << (length - subnet.length)
        self._default = {host: index for index, host in enumerate(hosts)}
        self._spare = len(hosts)
        self._owned: dict[str, list[Subnet]] = {}
        for host, slices in previous.items():
            self._owned[host] = [part for part in slices if part.length == length and part.base in subnet]
        self._used = {part.base for parts in self._owned.values() for part in parts}

    def own(self, host: str) -> list[Subnet]:
        """The Host's slices, made on the first call; empty if none is free. Call it for every member's Host first."""
        parts = self._owned.setdefault(host, [])
        if not parts:
            index = self._default[host]
            part = self._subnet.part(index, self._length)
            if index < self._count and part.base not in self._used:
                self._give(host, part)
            else:
                self.grow(host)
        return parts

    def grow(self, host: str) -> Subnet | None:
        """One more slice for a Host, first from those that belong to no Host by default; None if all are taken."""
        while self._spare < self._count + len(self._default):
            part = self._subnet.part(self._spare % self._count, self._length)
            self._spare += 1
            if part.base not in self._used:
                self._give(host, part)
                return part
        return None

    def _give(self, host: str, part: Subnet) -> None:
        self._used.add(part.base)
        self._owned.setdefault(host, []).append(part)

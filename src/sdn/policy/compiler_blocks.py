"""Address blocks in one canonical form, without what they cannot match."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
    summarize_address_range,
)

from sdn.model import IPBlock
from sdn.policy.compiler_ranges import merge, without

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


class Blocks:
    """The blocks of a model. `addresses` are the workloads' own, which a block may have to leave out."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._written = addresses
        self._known: dict[tuple[IPBlock, bool], IPBlock | None] = {}
        self._united: dict[frozenset[IPBlock], tuple[str, ...]] = {}

    def normal(self, block: IPBlock, spare_workloads: bool) -> IPBlock | None:
        """The same block with its excepts merged and sorted; None if they leave nothing of it.

        `spare_workloads` excepts every workload's address: the systems whose ipBlock never matches pods.
        """
        key = (block, spare_workloads)
        if key not in self._known:
            self._known[key] = self._normal(block, spare_workloads)
        return self._known[key]

    def union(self, blocks: Iterable[IPBlock]) -> tuple[str, ...]:
        """All addresses of the blocks as the fewest prefixes, IPv4 before IPv6."""
        key = frozenset(blocks)
        if key not in self._united:
            self._united[key] = (*_prefixes(key, IPv4Address), *_prefixes(key, IPv6Address))
        return self._united[key]

    def forget(self, blocks: Iterable[IPBlock]) -> None:
        """Of blocks that a rule spoke of; who asks for them again waits again."""
        key = frozenset(blocks)
        self._united.pop(key, None)
        for block in key:
            for spare in (False, True):
                self._known.pop((block, spare), None)

    def _normal(self, block: IPBlock, spare_workloads: bool) -> IPBlock | None:
        cidr = ip_network(block.cidr, strict=False)
        excepts = [network for text in block.excepts if (network := _inside(text, cidr)) is not None]
        if spare_workloads:
            excepts += [ip_network(address) for address in self._within(cidr)]
        merged = _collapse(excepts)
        if cidr in merged:
            return None
        return IPBlock(str(cidr), tuple(map(str, merged)))

    @cached_property
    def _addresses(self) -> dict[int, list[Address]]:
        """By family and sorted; few labs ever ask, and 100,000 pods take a second to parse."""
        found: dict[int, list[Address]] = {4: [], 6: []}
        for address in sorted({ip_address(text) for text in self._written}, key=lambda a: (a.version, int(a))):
            found[address.version].append(address)
        return found

    def _within(self, cidr: Network) -> list[Address]:
        known = self._addresses[cidr.version]
        first = bisect_left(known, int(cidr.network_address), key=int)
        return known[first : bisect_right(known, int(cidr.broadcast_address), key=int)]


def _prefixes(blocks: Iterable[IPBlock], address: type[IPv4Address] | type[IPv6Address]) -> Iterator[str]:
    """The addresses of one family in the blocks."""
    version = 4 if address is IPv4Address else 6
    ranges: list[tuple[int, int]] = []
    for block in blocks:
        cidr = ip_network(block.cidr, strict=False)
        if cidr.version == version:
            holes = [_ends(hole) for text in block.excepts if (hole := _inside(text, cidr)) is not None]
            ranges += without([_ends(cidr)], merge(holes))
    for first, last in merge(ranges):
        yield from map(str, summarize_address_range(address(first), address(last)))


def _ends(network: Network) -> tuple[int, int]:
    return int(network.network_address), int(network.broadcast_address)


def _inside(text: str, cidr: Network) -> Network | None:
    """The part of an except that lies in the block, None if that is nothing."""
    network = ip_network(text, strict=False)
    if network.version != cidr.version or not network.overlaps(cidr):
        return None
    return max(network, cidr, key=lambda n: n.prefixlen)


def _collapse(networks: list[Network]) -> list[Network]:
    # Of one family, for all lie in one block; the library's types cannot say so.
    return list(collapse_addresses(networks))  # type: ignore[type-var]

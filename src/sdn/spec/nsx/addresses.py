"""Prefixes for networks of which the export names none, chosen so that known addresses stay what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network
from itertools import pairwise

from sdn.spec.nsx.fields import Network

SHARED = ip_network("100.64.0.0/10")
"""Shared address space (RFC 6598): where interfaces are that no address is known of."""
NARROWEST = {4: 24, 6: 64}
WIDEST = {4: 12, 6: 48}


def meet(one: Network, other: Network) -> bool:
    """Whether two prefixes share an address."""
    if one.version != other.version:
        return False
    low = max(int(one.network_address), int(other.network_address))
    return low <= min(int(one.broadcast_address), int(other.broadcast_address))


def overlaps(networks: Iterable[tuple[Network, str]]) -> str:
    """Two prefixes that share addresses, as a text; empty where none do."""
    ordered = sorted(
        networks, key=lambda pair: (pair[0].version, int(pair[0].network_address), pair[0].prefixlen, pair[1])
    )
    for (one, owner), (other, its_owner) in pairwise(ordered):
        if meet(one, other):
            return f"{one} of {owner} and {other} of {its_owner} overlap"
    return ""


def usable(network: Network, text: str) -> bool:
    """Whether a workload can have an address in a network: not its own, the gateway's, nor the broadcast address."""
    address = ip_address(text)
    if address.version != network.version or address not in network:
        return False
    first = network.network_address
    return address not in (first, first + 1) and not (address.version == 4 and address == network.broadcast_address)


def fitting(texts: Iterable[str], members: int, taken: Sequence[Network]) -> list[Network]:
    """For each family, the smallest sensible prefix around the addresses that meets no other; none if there is none.

    It has room for `members` interfaces, also for those of which no address is known.
    """
    listed = sorted(set(texts))
    result: list[Network] = []
    for version in (4, 6):
        own = [text for text in listed if ip_address(text).version == version]
        found = _around(own, members, taken) if own else None
        if found is not None:
            result.append(found)
    return result


def _around(texts: Sequence[str], members: int, taken: Sequence[Network]) -> Network | None:
    version = ip_address(texts[0]).version
    for length in range(NARROWEST[version], WIDEST[version] - 1, -1):
        network: Network = ip_network(f"{texts[0]}/{length}", strict=False)
        if any(meet(network, other) for other in taken):
            return None
        if network.num_addresses >= members + 3 and all(usable(network, text) for text in texts):
            return network
    return None


def generated(taken: Sequence[Network]) -> Callable[[int], Network]:
    """Gives out prefixes of the shared address space, each with room for so many interfaces, that meet no other."""
    used = list(taken)

    def take(members: int) -> Network:
        length = min(24, 32 - (members + 3).bit_length())
        for network in SHARED.subnets(new_prefix=length):
            if not any(meet(network, other) for other in used):
                used.append(network)
                return network
        raise ValueError(f"{SHARED} has no room for {members} interfaces whose addresses are not known")

    return take

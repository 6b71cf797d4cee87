"""Which ranges the Pods' and Services' addresses come from, so that addresses that a cluster gave out stay true."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

POD_RANGES = ("10.244.0.0/16", "fd00:10:244::/48")
MANY_POD_RANGES = ("10.128.0.0/9", "fd00:10:244::/48")
MANY_PODS = 40_000
SERVICE_RANGES = ("10.96.0.0/16", "fd00:10:96::/112")
_WIDEST = {4: 8, 6: 32}  # prefix lengths; wider ones would swallow everything else


def ranges(defaults: Sequence[str], given: Iterable[str], avoid: Sequence[str] = ()) -> tuple[tuple[str, ...], bool]:
    """One prefix per family that holds all addresses `given`; False where they fit no sensible one.

    The defaults are taken where they do. None may overlap those to `avoid`.
    """
    addresses = [ip_address(text) for text in given]
    chosen: list[Network] = []
    for default in map(ip_network, defaults):
        own = [address for address in addresses if address.version == default.version]
        network = covering(default, own)
        if network is None or any(_overlap(network, ip_network(other)) for other in avoid):
            return tuple(defaults), False
        chosen.append(network)
    return tuple(str(network) for network in chosen), True


def covering(default: Network, addresses: Sequence[Address]) -> Network | None:
    """`default`, or else the smallest network of at least its size around all addresses."""
    if all(address in default for address in addresses):
        return default
    bits = default.max_prefixlen
    low, high = int(min(addresses)), int(max(addresses))
    length = min(default.prefixlen, bits - (low ^ high).bit_length())
    if length < _WIDEST[default.version]:
        return None
    return ip_network(f"{addresses[0]}/{length}", strict=False)


def _overlap(one: Network, other: Network) -> bool:
    if isinstance(one, IPv4Network):
        return isinstance(other, IPv4Network) and one.overlaps(other)
    return isinstance(other, IPv6Network) and one.overlaps(other)


class Pool:
    """Gives out the addresses of one range in order, never its first one, and none that is taken."""

    def __init__(self, prefix: str, taken: Iterable[str]) -> None:
        self.network = ip_network(prefix)
        self.taken = {ip_address(text) for text in taken}
        self._next = int(self.network.network_address)

    def take(self) -> str | None:
        """The next free address, None when the range is used up."""
        last = int(self.network.broadcast_address)
        while self._next < last:
            self._next += 1
            address = self.network.network_address + (self._next - int(self.network.network_address))
            if address not in self.taken:
                self.taken.add(address)
                return str(address)
        return None

"""Prefixes as plain integers, for plans of 150,000 endpoints: an `ipaddress` object each would cost more than the rest.

The text is the one that `ipaddress` gives, so addresses compare as strings everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network

BITS = {4: 32, 6: 128}
"""Length of an address by family."""

_OCTETS = {str(value): value for value in range(256)}
_HEX = frozenset("0123456789abcdefABCDEF")


@lru_cache(maxsize=65536)
def _text6_head(high: int) -> str:
    """The text of the first 112 bits where the last group is not zero, up to and with the last colon."""
    return str(IPv6Address(high << 16 | 1))[:-1]


def text_of(value: int, family: int) -> str:
    """The canonical text of an address."""
    if family == 4:
        return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    low = value & 0xFFFF
    # The longest run of zeros cannot reach a last group that is not zero, so its digits never change the rest.
    return f"{_text6_head(value >> 16)}{low:x}" if low else str(IPv6Address(value))


@lru_cache(maxsize=65536)
def _value6_head(head: str) -> int:
    """The value of the text up to its last colon, with nothing in the last group; ValueError if it is no address."""
    return int(IPv6Address(f"{head}:1")) ^ 1


def value_of(text: str) -> tuple[int, int]:
    """An address as (value, family); ValueError if it is none."""
    head, colon, low = text.rpartition(":")
    if not colon:
        try:
            one, two, three, four = text.split(".")
            return _OCTETS[one] << 24 | _OCTETS[two] << 16 | _OCTETS[three] << 8 | _OCTETS[four], 4
        except (ValueError, KeyError):
            return int(IPv4Address(text)), 4  # whose error says what is wrong
    if 0 < len(low) <= 4 and _HEX.issuperset(low):
        return _value6_head(head) | int(low, 16), 6
    return int(IPv6Address(text)), 6


@dataclass(frozen=True, slots=True, order=True)
class Subnet:
    """A prefix whose first address is the gateway; the second and later ones are for workloads."""

    family: int
    base: int
    length: int

    @classmethod
    def parse(cls, text: str) -> Subnet:
        """From `10.1.1.0/24`; ValueError if it is no prefix or has host bits."""
        network = ip_network(text)
        return cls(network.version, int(network.network_address), network.prefixlen)

    def __str__(self) -> str:
        return f"{text_of(self.base, self.family)}/{self.length}"

    def __contains__(self, value: int) -> bool:
        return value >> self.host_bits == self.base >> self.host_bits

    @property
    def host_bits(self) -> int:
        """Bits that are free inside the prefix."""
        return BITS[self.family] - self.length

    @property
    def gateway(self) -> int:
        """The same address on every Host."""
        return self.base + 1

    @property
    def first(self) -> int:
        """The lowest address for a workload: the network's and the gateway's own come before it."""
        return self.base + 2

    @property
    def last(self) -> int:
        """The highest address for a workload; IPv4 keeps its broadcast address. Below `first` if there is none."""
        return self.base + (1 << self.host_bits) - (2 if self.family == 4 else 1)

    @property
    def room(self) -> int:
        """How many workloads fit."""
        return max(0, self.last - self.first + 1)

    def part(self, index: int, length: int) -> Subnet:
        """The `index`-th longer prefix inside it."""
        return Subnet(self.family, self.base + (index << (BITS[self.family] - length)), length)


def parse_all(subnets: Iterable[str]) -> tuple[Subnet, ...]:
    """Prefixes in order of family, IPv4 first, as an Endpoint lists its addresses."""
    return tuple(sorted(Subnet.parse(text) for text in subnets))


class Pool:
    """Hands out the lowest free addresses of one prefix; `taken` may be shared with other pools."""

    def __init__(self, subnet: Subnet, taken: set[int]) -> None:
        self._next = subnet.first
        self._last = subnet.last
        self._taken = taken

    def take(self) -> int | None:
        """A free address, now taken; None if there is no more."""
        value = self._next
        while value in self._taken:
            value += 1
        if value > self._last:
            return None
        self._taken.add(value)
        self._next = value + 1
        return value

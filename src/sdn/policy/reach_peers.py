"""The ends that policies can tell apart: classes of workloads, and stretches of addresses that no workload has.

Two workloads are of one class when no profile, group or block of addresses treats them differently; everything later
works on classes, so a hundred thousand equal pods cost as much as one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import count, pairwise

from msgspec import Struct

from sdn.model import Endpoint, IPBlock, Placed, family_of
from sdn.policy.compiled import CompiledPolicy, CompiledRule

BITS = {4: 32, 6: 128}

Range = tuple[int, int]
"""Addresses as numbers, both inclusive."""


class WorkloadClass(Struct, frozen=True, gc=False):
    """Workloads that no rule tells apart. `members` are their keys, sorted; `families` those that each of them has."""

    members: tuple[str, ...]
    application: str
    egress: str  # profile ids
    ingress: str
    families: tuple[int, ...]


class Addresses:
    """The addresses of one IP family that workloads have."""

    def __init__(self, placed: Placed, family: int) -> None:
        self.family = family
        self._placed = placed

    # Only asked for where some rule names a block: a hundred thousand addresses take a while to read.
    @cached_property
    def _owned(self) -> list[tuple[str, str]]:
        """All of them, each with whose it is."""
        six = self.family == 6
        return [
            (text, key) for key, e in self._placed.endpoints.items() for text in e.addresses if (":" in text) == six
        ]

    @cached_property
    def _sorted(self) -> tuple[list[int], list[str]]:
        found = sorted((number_of(text), key) for text, key in self._owned)
        return [number for number, _ in found], [key for _, key in found]

    def inside(self, block: IPBlock) -> list[str]:
        """The workloads whose address is in a block."""
        numbers, keys = self._sorted
        low, high = bounds(block.cidr)
        first, last = bisect_left(numbers, low), bisect_right(numbers, high)
        found = set(range(first, last))
        for text in block.excepts if found else ():
            low, high = bounds(text)
            found.difference_update(range(bisect_left(numbers, low, first), bisect_right(numbers, high, first)))
        return [keys[position] for position in found]

    def fill(self, stretch: Range) -> bool:
        """Whether workloads have every address of it."""
        low, high = stretch
        if high - low >= len(self._owned):
            return False
        numbers, _ = self._sorted
        return len(set(numbers[bisect_left(numbers, low) : bisect_right(numbers, high)])) == high - low + 1


_Kind = tuple[str, str, str, tuple[int, ...]]
"""What is known of a workload without looking at any rule: profiles of egress and ingress, Application, families."""


class Classes:
    """All workloads with an endpoint, by class; numbered in the order of their first members."""

    def __init__(self, placed: Placed, compiled: CompiledPolicy, inside: dict[IPBlock, list[str]]) -> None:
        self._groups = compiled.groups
        self._known: dict[int, frozenset[int]] = {}
        # What follows looks at a hundred thousand workloads, so loops run inside of the interpreter where they can.
        keys = sorted(placed.endpoints)
        endpoints = list(map(placed.endpoints.__getitem__, keys))
        egress, ingress = (map(side.__getitem__, keys) for side in (compiled.egress, compiled.ingress))
        colours: dict[_Kind, int] = defaultdict(count().__next__)
        kinds = zip(egress, ingress, [e.application for e in endpoints], map(_families, endpoints), strict=True)
        self._class = dict(zip(keys, map(colours.__getitem__, kinds), strict=True))
        self._kinds = list(colours)
        self._sizes = list(map(Counter(self._class.values()).__getitem__, range(len(colours))))
        # Equal groups share one tuple (the compiler sees to it), so each is gone through once.
        for number, members in {id(members): members for members in compiled.groups.values()}.items():
            found = self._known[number] = frozenset(map(self._class.__getitem__, members))
            if sum(map(self._sizes.__getitem__, found)) != len(members):
                self._split(members)
        for keys in inside.values():
            self._split(dict.fromkeys(keys))
        if len(self._kinds) > len(colours):
            self._renumber()
            self._known.clear()
        self.all = self._collect()
        del self._kinds, self._sizes  # fifty thousand objects that nobody asks for later, and the collector would
        self._inside = {block: frozenset(map(self.of, keys)) for block, keys in inside.items()}

    def of(self, key: str) -> int:
        """The number of the class of a workload."""
        return self._class[key]

    def in_group(self, name: str) -> frozenset[int]:
        """The classes in a group."""
        members = self._groups[name]
        found = self._known.get(id(members))
        if found is None:
            found = self._known[id(members)] = frozenset(map(self._class.__getitem__, members))
        return found

    def in_block(self, block: IPBlock) -> frozenset[int]:
        """The classes whose address is in a block."""
        return self._inside[block]

    def _split(self, members: Iterable[str]) -> None:
        """Give those who are in it another number, a new one for each that they had."""
        numbers, sizes = self._class, self._sizes
        fresh: dict[int, int] = {}
        for key in members:
            before = numbers[key]
            after = fresh.get(before)
            if after is None:
                after = fresh[before] = len(sizes)
                sizes.append(0)
                self._kinds.append(self._kinds[before])
            numbers[key] = after
            sizes[before] -= 1
            sizes[after] += 1

    def _renumber(self) -> None:
        """Splitting numbers in the order of groups, and leaves numbers behind that nobody has."""
        order: dict[int, int] = defaultdict(count().__next__)
        self._class = {key: order[number] for key, number in self._class.items()}
        self._kinds = [self._kinds[number] for number in order]

    def _collect(self) -> list[WorkloadClass]:
        members: list[list[str]] = [[] for _ in self._kinds]
        for key, number in self._class.items():
            members[number].append(key)
        return [
            WorkloadClass(tuple(keys), application, egress, ingress, families)
            for keys, (egress, ingress, application, families) in zip(members, self._kinds, strict=True)
        ]


def _families(endpoint: Endpoint) -> tuple[int, ...]:
    addresses = endpoint.addresses
    if len(addresses) == 1:
        return (6,) if ":" in addresses[0] else (4,)
    return tuple(sorted({family_of(text) for text in addresses}))


class Outside:
    """The addresses of one family in stretches that no block tells apart.

    A stretch may run across addresses of workloads and says nothing about them; one of workloads alone is left out.
    """

    def __init__(self, blocks: Iterable[IPBlock], addresses: Addresses) -> None:
        self.family = addresses.family
        self._written = {block: (bounds(block.cidr), list(map(bounds, block.excepts))) for block in blocks}
        cuts = {0, 1 << BITS[self.family]}
        for whole, holes in self._written.values():
            for low, high in (whole, *holes):
                cuts.update((low, high + 1))
        ordered = sorted(cuts)
        stretches = [(low, after - 1) for low, after in pairwise(ordered)]
        if len(stretches) > 1:
            stretches = [stretch for stretch in stretches if not addresses.fill(stretch)]
        self.stretches = stretches
        self._starts = [low for low, _ in stretches]

    def inside(self, block: IPBlock) -> set[int]:
        """The positions in `stretches` of a block."""
        whole, holes = self._written[block]
        found = set(self._range(*whole))
        for hole in holes:
            found.difference_update(self._range(*hole))
        return found

    def at(self, address: int) -> int:
        """The position of the stretch around an address, or of the one before it."""
        return max(0, bisect_right(self._starts, address) - 1)

    def _range(self, low: int, high: int) -> range:
        return range(bisect_left(self._starts, low), bisect_right(self._starts, high))


def blocks_of(rules: Iterable[CompiledRule]) -> dict[int, list[IPBlock]]:
    """Every block that rules name, each once, by family."""
    found: dict[int, dict[IPBlock, None]] = {4: {}, 6: {}}
    for rule in rules:
        if rule.block is not None:
            found[family_of(rule.block.cidr)][rule.block] = None
        for text in rule.not_blocks:
            found[family_of(text)][IPBlock(text)] = None
    return {family: list(blocks) for family, blocks in found.items()}


def number_of(text: str) -> int:
    """An address as a number; IPv4 without the library, which takes five times as long."""
    if ":" in text:
        return int(ip_address(text))
    a, b, c, d = text.split(".")
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)


def bounds(cidr: str) -> Range:
    """The first and the last address of a block."""
    network = ip_network(cidr, strict=False)
    return int(network.network_address), int(network.broadcast_address)


def spelt(family: int, number: int) -> str:
    """An address as people write it."""
    return str(IPv4Address(number) if family == 4 else IPv6Address(number))

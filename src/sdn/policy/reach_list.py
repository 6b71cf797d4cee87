"""Connections as people count them: between owners of Pods, VMs and ranges of outside addresses, sorted.

Pods of one owner stand together where nothing tells them apart, and each for itself where something does (rules about
addresses may). What a workload, or such a group of Pods, says to itself is left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sdn.model import Kind, Protocol, Workload
from sdn.policy.intervals import ORDER, Services, Spans
from sdn.policy.reach import Reach
from sdn.policy.reach_peers import Range, spelt

ANY = "any"
"""Stands for all protocols and all their ports."""


class Party(NamedTuple):
    """A workload or the Pods of one owner (`name` is `namespace/name`), or outside `ranges` with an empty name."""

    name: str
    kind: str = ""
    ranges: tuple[str, ...] = ()

    @property
    def is_outside(self) -> bool:
        """Whether it is addresses that no workload has."""
        return not self.name


class Allowed(NamedTuple):
    """Ports of one protocol, or `any` of all; `family` is 0 unless the IP families differ, then 4 or 6."""

    protocol: str
    ports: Spans = ()
    family: int = 0

    @property
    def text(self) -> str:
        """The ports as `80,443,8000-8999`; empty for `any` and for ICMP, which has none."""
        if self.protocol == "ICMP":
            return ""
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ports)


class Connection(NamedTuple):
    """Who may send what to whom."""

    source: Party
    destination: Party
    allowed: tuple[Allowed, ...]


class Unit(NamedTuple):
    """A party that is workloads: `number` is the class whose answers are those of all its `members`."""

    party: Party
    number: int
    members: tuple[str, ...]


ByFamily = tuple[tuple[int, int], ...]
"""(family, services) for each family that both ends have."""


class Words:
    """Sets of services as lists of what is allowed; equal sets give the same object."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: dict[ByFamily, tuple[Allowed, ...]] = {}

    def of(self, found: ByFamily) -> tuple[Allowed, ...]:
        """What both families allow first, then what only one of them does."""
        if found not in self._known:
            self._known[found] = tuple(self._differing(found))
        return self._known[found]

    def _differing(self, found: ByFamily) -> Iterator[Allowed]:
        masks = [mask for _, mask in found]
        common = masks[0] if masks else 0
        for mask in masks[1:]:
            common &= mask
        yield from self._listed(common, 0)
        for family, mask in found:
            yield from self._listed(mask & ~common, family)

    def _listed(self, mask: int, family: int) -> Iterator[Allowed]:
        if mask == self._services.all:
            yield Allowed(ANY, (), family)
            return
        spans = self._services.spans(mask)
        yield from (Allowed(p.upper(), () if p is Protocol.ICMP else spans[p], family) for p in ORDER if p in spans)


class Listing:
    """The connections of one lab."""

    def __init__(self, reach: Reach, apart: Iterable[Party] = ()) -> None:
        """Of owners in `apart` each Pod is listed by itself in any case."""
        self.reach = reach
        self.words = Words(reach.services)
        self._rows: dict[int, dict[int, ByFamily]] = defaultdict(dict)
        self._columns: dict[int, dict[int, ByFamily]] = defaultdict(dict)
        for pair in reach.pairs():
            self._rows[pair.source][pair.destination] = pair.services
            self._columns[pair.destination][pair.source] = pair.services
        self.units = sorted(self._units(frozenset(apart)))
        self.outside = [(Party("", "", spelt_ranges(part.family, part.ranges)), part) for part in reach.outside]

    def connections(self) -> Iterator[Connection]:
        """All of them, by source and then destination; workloads before the outside."""
        at = self._by_class()
        of = self.words.of
        for unit in self.units:
            row = self._rows.get(unit.number, {})
            found = [(other.party, allowed) for number, allowed in row.items() for other in at[number] if other != unit]
            for party, allowed in sorted(found):
                yield Connection(unit.party, party, of(allowed))
            for party, part in self.outside:
                if services := self.reach.outwards(unit.number, part):
                    yield Connection(unit.party, party, of(((part.family, services),)))
        for party, part in self.outside:
            for unit in self.units:
                if services := self.reach.inwards(part, unit.number):
                    yield Connection(party, unit.party, of(((part.family, services),)))

    def between(self, source: Unit, destination: Unit) -> ByFamily:
        """What one unit may send to another; empty if nothing."""
        return self._rows.get(source.number, {}).get(destination.number, ())

    def pairs(self) -> Iterator[tuple[Unit, Unit]]:
        """Every two units of which one may talk to the other."""
        at = self._by_class()
        for unit in self.units:
            for number in self._rows.get(unit.number, ()):
                yield from ((unit, other) for other in at[number] if other != unit)

    def _by_class(self) -> dict[int, list[Unit]]:
        at: dict[int, list[Unit]] = defaultdict(list)
        for unit in self.units:
            at[unit.number].append(unit)
        return at

    def _units(self, apart: frozenset[Party]) -> Iterator[Unit]:
        workloads = {workload.key: workload for workload in self.reach.placed.model.workloads}
        owned: dict[Party, list[str]] = defaultdict(list)
        for one in self.reach.classes.all:
            for key in one.members:
                owned[party_of(workloads[key])].append(key)
        for party, members in owned.items():
            number = self.reach.classes.of(members[0])
            if party not in apart and self._alike(members):
                yield Unit(party, number, tuple(sorted(members)))
            else:
                yield from (Unit(Party(key, "Pod"), self.reach.classes.of(key), (key,)) for key in members)

    def _alike(self, members: list[str]) -> bool:
        """Whether all others see all of these workloads in the same way, and the other way round."""
        numbers = sorted({self.reach.classes.of(key) for key in members})
        if len(numbers) == 1:
            return True
        mine = set(members)
        own = {number for number in numbers if mine.issuperset(self.reach.classes.all[number].members)}
        return len({self._view(number, own) for number in numbers}) == 1

    def _view(self, number: int, own: set[int]) -> tuple[object, ...]:
        """All that a class may do and have done to it, but for what its owner's other Pods do."""
        of = self.words.of
        sides = (self._rows.get(number, {}), self._columns.get(number, {}))
        inside = tuple(frozenset((other, of(f)) for other, f in side.items() if other not in own) for side in sides)
        parts = self.reach.outside
        outwards = tuple(self.reach.outwards(number, part) for part in parts)
        return (*inside, outwards, tuple(self.reach.inwards(part, number) for part in parts))


def party_of(workload: Workload) -> Party:
    """Its owner for a Pod that has one, else the workload itself."""
    if workload.kind is Kind.VM:
        return Party(workload.key, "VM")
    kind, name = workload.owner
    return Party(f"{workload.namespace}/{name}", kind) if kind else Party(workload.key, "Pod")


def spelt_ranges(family: int, ranges: Iterable[Range]) -> tuple[str, ...]:
    """`10.0.0.0-10.255.255.255`, also where both ends are one address."""
    return tuple(f"{spelt(family, low)}-{spelt(family, high)}" for low, high in ranges)

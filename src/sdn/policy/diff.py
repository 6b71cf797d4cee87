"""What a change would do: connections that appear, disappear, grow or shrink, with the rules that say so on both sides.

Two labs are solved over the same services and compared pair by pair; outside addresses range by range. Rules that
change without changing a connection are no difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from sdn.model import Placed, Verdict
from sdn.policy.compiled import CompiledPolicy
from sdn.policy.intervals import Services, rules_of
from sdn.policy.reach import Families, Reach
from sdn.policy.reach_list import Allowed, ByFamily, Listing, Party, Unit, spelt_ranges
from sdn.policy.reach_peers import Range
from sdn.policy.reach_reasons import verdict

Lab = tuple[Placed, CompiledPolicy]


class Kind(StrEnum):
    """`changes`: it gains something and loses something else."""

    APPEARS = "appears"
    DISAPPEARS = "disappears"
    GROWS = "grows"
    SHRINKS = "shrinks"
    CHANGES = "changes"


class Reason(NamedTuple):
    """The services that the same rules decide: None where a workload is not there."""

    services: tuple[Allowed, ...]
    before: Verdict | None
    after: Verdict | None


class Change(NamedTuple):
    """One pair that differs."""

    kind: Kind
    source: Party
    destination: Party
    before: tuple[Allowed, ...]
    after: tuple[Allowed, ...]
    gained: tuple[Allowed, ...]
    lost: tuple[Allowed, ...]
    reasons: tuple[Reason, ...]


class Ends(NamedTuple):
    """Two positions of one lab's `Judge`s, for one IP family."""

    source: int
    destination: int


class Place(NamedTuple):
    """One stretch of the outside, seen by one workload of one lab: what is allowed there."""

    range: Range
    services: int
    ends: Ends


def compare(old: Lab, new: Lab, families: Families = (4, 6)) -> list[Change]:
    """All differences, by source and destination; workloads before the outside."""
    services = Services([*rules_of(old[1].profiles.values()), *rules_of(new[1].profiles.values())])
    reaches = [Reach(*lab, families, services) for lab in (old, new)]
    listings = [Listing(reach) for reach in reaches]
    grouped = [{unit.party for unit in listing.units} for listing in listings]
    # An owner whose Pods are told apart in one lab is listed by Pod in both.
    apart = grouped[0] ^ grouped[1]
    if apart:
        listings = [Listing(reach, apart) for reach in reaches]
    return _Comparison(*listings).changes()


class _Comparison:
    """Two labs side by side."""

    def __init__(self, old: Listing, new: Listing) -> None:
        self._labs = (old, new)
        self._units = [{unit.party: unit for unit in listing.units} for listing in self._labs]

    def changes(self) -> list[Change]:
        pairs = {(a.party, b.party) for listing in self._labs for a, b in listing.pairs()}
        inner = [change for source, destination in sorted(pairs) if (change := self._between(source, destination))]
        parties = sorted({*self._units[0], *self._units[1]})
        outwards = [change for party in parties for change in self._outside(party, outwards=True)]
        inwards = [change for party in parties for change in self._outside(party, outwards=False)]
        return sorted([*inner, *outwards, *inwards], key=_order)

    def _between(self, source: Party, destination: Party) -> Change | None:
        ends: list[Ends | None] = []
        found: list[ByFamily] = []
        for listing, units in zip(self._labs, self._units, strict=True):
            sender, receiver = units.get(source), units.get(destination)
            here = Ends(sender.number, receiver.number) if sender and receiver else None
            ends.append(here)
            found.append(listing.reach.between(*here) if here else ())
        before, after = map(dict, found)
        masks = {family: (before.get(family, 0), after.get(family, 0)) for family in sorted({*before, *after})}
        return self._change(source, destination, masks, (found[0], found[1]), (ends[0], ends[1]))

    def _outside(self, party: Party, outwards: bool) -> Iterator[Change]:
        for family in self._labs[0].reach.families:
            seen = [
                self._places(listing, units.get(party), family, outwards)
                for listing, units in zip(self._labs, self._units, strict=True)
            ]
            joined: dict[tuple[int, int], list[tuple[Range, Ends | None, Ends | None]]] = defaultdict(list)
            for stretch, before, after in _overlay(*seen):
                masks = (before.services if before else 0, after.services if after else 0)
                if masks[0] != masks[1]:
                    joined[masks].append((stretch, before and before.ends, after and after.ends))
            for masks, places in joined.items():
                ranges = spelt_ranges(family, _joined(stretch for stretch, _, _ in places))
                ends = (party, Party("", "", ranges)) if outwards else (Party("", "", ranges), party)
                by_family = ((family, masks[0]),), ((family, masks[1]),)
                change = self._change(*ends, {family: masks}, by_family, places[0][1:])
                if change is not None:
                    yield change

    def _places(self, listing: Listing, unit: Unit | None, family: int, outwards: bool) -> list[Place] | None:
        """What one workload may with the outside, in order of addresses; None if it is not there."""
        if unit is None or family not in listing.reach.classes.all[unit.number].families:
            return None
        reach, number = listing.reach, unit.number
        found = []
        for part in (part for part in reach.outside if part.family == family):
            services = reach.outwards(number, part) if outwards else reach.inwards(part, number)
            ends = Ends(number, part.position) if outwards else Ends(part.position, number)
            found += [Place(stretch, services, ends) for stretch in part.ranges]
        return sorted(found)

    def _change(
        self,
        source: Party,
        destination: Party,
        masks: dict[int, tuple[int, int]],
        found: tuple[ByFamily, ByFamily],
        ends: tuple[Ends | None, Ends | None],
    ) -> Change | None:
        gained = tuple((family, after & ~before) for family, (before, after) in masks.items())
        lost = tuple((family, before & ~after) for family, (before, after) in masks.items())
        more, less = any(mask for _, mask in gained), any(mask for _, mask in lost)
        if not more and not less:
            return None
        old, new = (any(mask for _, mask in side) for side in found)
        kind = Kind.APPEARS if not old else Kind.DISAPPEARS if not new else Kind.CHANGES
        if kind is Kind.CHANGES and more != less:
            kind = Kind.GROWS if more else Kind.SHRINKS
        of = self._labs[0].words.of
        reasons = tuple(self._reasons(masks, ends))
        return Change(kind, source, destination, of(found[0]), of(found[1]), of(gained), of(lost), reasons)

    def _reasons(self, masks: dict[int, tuple[int, int]], ends: tuple[Ends | None, Ends | None]) -> Iterator[Reason]:
        grouped: dict[tuple[Verdict | None, Verdict | None], dict[int, int]] = {}
        for family, (before, after) in masks.items():
            rest = before ^ after
            while rest:
                service = rest & -rest
                rest ^= service
                said = [
                    verdict(listing.reach, *at, family, service) if at is not None else None
                    for listing, at in zip(self._labs, ends, strict=True)
                ]
                grouped.setdefault((said[0], said[1]), dict.fromkeys(masks, 0))[family] |= service
        for (before_said, after_said), services in grouped.items():
            yield Reason(self._labs[0].words.of(tuple(services.items())), before_said, after_said)


def _overlay(old: list[Place] | None, new: list[Place] | None) -> Iterator[tuple[Range, Place | None, Place | None]]:
    """Both sides cut at all edges of both, where both say something or one is not there at all."""
    cuts = sorted({cut for side in (old, new) for place in side or () for cut in (place.range[0], place.range[1] + 1)})
    positions = [0, 0]
    sides = (old, new)
    for low, after in pairwise(cuts):
        here: list[Place | None] = [None, None]
        for index, side in enumerate(sides):
            while side is not None and positions[index] < len(side) and side[positions[index]].range[1] < low:
                positions[index] += 1
            if side is not None and positions[index] < len(side) and side[positions[index]].range[0] <= low:
                here[index] = side[positions[index]]
        if all(place is not None or side is None for place, side in zip(here, sides, strict=True)):
            yield (low, after - 1), here[0], here[1]


def _joined(ranges: Iterable[Range]) -> list[Range]:
    """Neighbours as one."""
    found: list[Range] = []
    for low, high in ranges:
        if found and found[-1][1] == low - 1:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _order(change: Change) -> tuple[object, ...]:
    ends = change.source, change.destination
    return (change.source.is_outside, change.destination.is_outside, *ends)

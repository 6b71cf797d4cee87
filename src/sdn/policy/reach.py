"""Everything that may talk to anything, exactly: per pair of classes of workloads and per stretch of outside addresses.

Starts from the compiled policy and asks no flow: every profile is solved once for all peers (`reach_judge`), and a
connection is what the sender's egress and the receiver's ingress both allow, where a network leads. Outside addresses
count as reachable wherever policy permits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from sdn.model import Direction, Model, Placed, connected
from sdn.policy.collector import without_gc
from sdn.policy.compiled import CompiledPolicy, Profile
from sdn.policy.intervals import Services, rules_of
from sdn.policy.reach_judge import Allowed, Decision, Judge, is_stateless
from sdn.policy.reach_peers import Addresses, Classes, Outside, Range, blocks_of

Families = tuple[int, ...]
Sides = tuple[str, str]
"""A profile, and the one of the same workloads' other direction where answers to what it allows are judged by that."""


class Pair(NamedTuple):
    """What one class may send to another: (family, services) for each family that both have."""

    source: int
    destination: int
    services: tuple[tuple[int, int], ...]


class OutsidePart(NamedTuple):
    """Outside ranges of one family that every workload treats alike, as sender and as receiver.

    `position` is one peer of `Judge` that stands for all of them.
    """

    family: int
    position: int
    ranges: tuple[Range, ...]


class Reach:
    """The answer for one lab; sets of services are those of `services`, which several labs may share to be compared.

    `families` are the IP families that are looked at; see `families_of` for a sensible choice.
    """

    def __init__(
        self, placed: Placed, compiled: CompiledPolicy, families: Families = (4, 6), services: Services | None = None
    ) -> None:
        with without_gc():
            self._solve(placed, compiled, families, services)

    def _solve(self, placed: Placed, compiled: CompiledPolicy, families: Families, services: Services | None) -> None:
        self._any_stateless = any(policy.stateless for policy in placed.model.policies)
        self._forgets: dict[str, bool] = {}
        self.placed = placed
        self.compiled = compiled
        self.families = families
        rules = list(rules_of(compiled.profiles.values()))
        self.services = services or Services(rules)
        blocks = blocks_of(rules)
        owned = {family: Addresses(placed, family) for family in families}
        inside = {block: owned[family].inside(block) for family in families for block in blocks[family]}
        self.classes = Classes(placed, compiled, inside)
        self.judges = {
            family: Judge(family, self.classes, Outside(blocks[family], owned[family]), self.services)
            for family in families
        }
        self._near = connected(placed.model.applications)
        self._allowed: dict[int, dict[Sides, Allowed]] = {family: {} for family in families}
        out = [self._sides(one.egress, one.ingress) for one in self.classes.all]
        into = [self._sides(one.ingress, one.egress) for one in self.classes.all]
        self._out = {family: self._answers(family, out) for family in families}
        self._into = {family: self._answers(family, into) for family in families}

    def between(self, source: int, destination: int) -> tuple[tuple[int, int], ...]:
        """(family, services) that one class may send to another, for each family of both; empty without a path."""
        if self.classes.all[destination].application not in self._near[self.classes.all[source].application]:
            return ()
        found = []
        for family in self.families:
            sender, receiver = self._out[family][source], self._into[family][destination]
            if sender is not None and receiver is not None:
                found.append((family, sender.of(destination) & receiver.of(source)))
        return tuple(found)

    def outwards(self, source: int, part: OutsidePart) -> int:
        """The services that a class may send to outside addresses."""
        return _beyond(part, self._out[part.family][source])

    def inwards(self, part: OutsidePart, destination: int) -> int:
        """The services that outside addresses may send to a class."""
        return _beyond(part, self._into[part.family][destination])

    def pairs(self) -> Iterator[Pair]:
        """Every pair of classes that may talk, also a class within itself; work grows with the answer."""
        for source in range(len(self.classes.all)):
            for destination in sorted(self._candidates(source)):
                found = self.between(source, destination)
                for _, services in found:
                    if services:
                        yield Pair(source, destination, found)
                        break

    @cached_property
    def outside(self) -> list[OutsidePart]:
        """The coarsest disjoint parts of the outside, in the order of their first address."""
        return [part for family in self.families for part in self._parts(family)]

    def decide(
        self, direction: Direction, workload: int, family: int, peer: int, service: int, answers: bool = False
    ) -> Decision:
        """What one side says of a service (a set of one bit), and by which rule; `peer` is a position of `Judge`.

        With `answers`, of the answer to such a flow that came the other way.
        """
        found = self.classes.all[workload]
        profile = found.egress if direction is Direction.EGRESS else found.ingress
        return self.judges[family].decide(self.compiled.profiles[profile], peer, service, answers)

    def has_path(self, source: int, destination: int, family: int) -> bool:
        """Whether a network leads from one class to another in a family."""
        sender, receiver = self.classes.all[source], self.classes.all[destination]
        joined = receiver.application in self._near[sender.application]
        return joined and family in sender.families and family in receiver.families

    def profiles(self, family: int) -> Iterator[Profile]:
        """The profiles of workloads that have this family, by id."""
        return (
            self.compiled.profiles[profile] for profile in sorted({profile for profile, _ in self._allowed[family]})
        )

    def _sides(self, profile: str, opposite: str) -> Sides:
        """The same for all classes with equal answers."""
        if not self._any_stateless:
            return profile, ""
        if profile not in self._forgets:
            self._forgets[profile] = is_stateless(self.compiled.profiles[profile])
        return profile, opposite if self._forgets[profile] else ""

    def _answers(self, family: int, profiles: list[Sides]) -> list[Allowed | None]:
        """What each class may do under these profiles, one for each class; None for classes without this family.

        In the order of classes the compiler made the profiles, so they are near each other in memory.
        """
        known, judge, written = self._allowed[family], self.judges[family], self.compiled.profiles
        answers: list[Allowed | None] = []
        for one, profile in zip(self.classes.all, profiles, strict=True):
            answer = known.get(profile)
            if family not in one.families:
                answer = None
            elif answer is None:
                own, opposite = profile
                answer = known[profile] = (
                    judge.remembering(written[own], written[opposite]) if opposite else judge.allowed(written[own])
                )
            answers.append(answer)
        return answers

    def _candidates(self, source: int) -> Collection[int]:
        """Classes that may be reached, and perhaps some that may not: never all of them where few are named."""
        count = len(self.classes.all)
        if len(self.families) == 1 and (only := self._out[self.families[0]][source]) is not None and not only.others:
            return [position for position in only.to if position < count]
        found: set[int] = set()
        for family in self.families:
            mine = self._out[family][source]
            if mine is None:
                continue
            if mine.others:
                takers = self._takers[family]
                found.update(takers.anybody, takers.by_name.get(source, ()))
            else:
                found.update([position for position in mine.to if position < count])
        return found

    @cached_property
    def _takers(self) -> dict[int, _Takers]:
        """Per family who accepts something from whom."""
        with without_gc():
            return {family: self._takers_of(family) for family in self.families}

    def _takers_of(self, family: int) -> _Takers:
        by_profile: dict[Sides, list[int]] = defaultdict(list)
        for number, one in enumerate(self.classes.all):
            if family in one.families:
                by_profile[self._sides(one.ingress, one.egress)].append(number)
        takers = _Takers([], defaultdict(list))
        for profile, classes in by_profile.items():
            allowed = self._allowed[family][profile]
            if allowed.others:
                takers.anybody.extend(classes)
                continue
            for peer, services in allowed.to.items():
                if services and peer < len(self.classes.all):
                    takers.by_name[peer].extend(classes)
        return takers

    def _parts(self, family: int) -> Iterator[OutsidePart]:
        """Stretches with equal answers from all profiles; neighbours join, also across addresses of workloads."""
        judge = self.judges[family]
        stretches = judge.outside.stretches
        colours = _colours(self._allowed[family].values(), judge.first_outside, len(stretches))
        ranges: dict[int, list[Range]] = {}
        first: dict[int, int] = {}
        previous = -1
        for position, ((low, high), colour) in enumerate(zip(stretches, colours, strict=True)):
            first.setdefault(colour, judge.first_outside + position)
            mine = ranges.setdefault(colour, [])
            if colour == previous:
                mine[-1] = (mine[-1][0], high)
            else:
                mine.append((low, high))
            previous = colour
        for colour, found in ranges.items():
            yield OutsidePart(family, first[colour], tuple(found))


class _Takers(NamedTuple):
    """Classes whose ingress is open to whom it does not name; and for each class those that accept it by name."""

    anybody: list[int]
    by_name: dict[int, list[int]]


def _beyond(part: OutsidePart, allowed: Allowed | None) -> int:
    return 0 if allowed is None else allowed.of(part.position)


def _colours(answers: Iterable[Allowed], start: int, count: int) -> list[int]:
    """Numbers for positions from `start`, equal where all answers are."""
    colours = [0] * count
    fresh = 1
    for answer in answers if count > 1 else ():
        if max(answer.to, default=0) < start:
            continue
        renamed: dict[tuple[int, int], int] = {}
        for peer in sorted(peer for peer in answer.to if peer >= start):
            key = (colours[peer - start], answer.to[peer])
            if key not in renamed:
                renamed[key] = fresh
                fresh += 1
            colours[peer - start] = renamed[key]
    return colours


def families_of(model: Model, unspoken: Iterable[str] = ()) -> Families:
    """IPv4 where there is any, and IPv6 where the lab speaks of it.

    It does in subnets (but for `unspoken` ones, which nobody wrote), in addresses, also of Services, and in blocks of
    policies. A cluster whose manifests say nothing of IPv6 is looked at in IPv4 alone, though it has both.
    """
    subnets = {text for a in model.applications for s in a.segments for text in s.subnets}
    spoken = [*(subnets - set(unspoken)), *(text for workload in model.workloads for text in workload.ip)]
    spoken += [*_blocks(model), *(text for service in model.services for text in service.addresses)]
    has4 = any(":" not in text for text in subnets)
    has6 = not has4 or any(":" in text for text in spoken)
    return tuple(family for family, has in ((4, has4), (6, has6)) if has)


def _blocks(model: Model) -> Iterator[str]:
    for network_policy in model.network_policies:
        for written in (*network_policy.ingress, *network_policy.egress):
            yield from (peer.ip_block.cidr for peer in written.peers if peer.ip_block is not None)
    for policy in model.policies:
        for rule in policy.rules:
            yield from (peer.ip_block.cidr for peer in (*rule.peers, *rule.own) if peer.ip_block is not None)
    yield from (block.cidr for group in model.groups for block in group.blocks)

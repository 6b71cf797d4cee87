"""What one profile says to every peer at once: services for each peer that it tells apart, and for all others.

Peers of an IP family are numbered: classes of workloads first, then the stretches of addresses outside. A profile
usually speaks of few, so sets of them are finite or everything but finitely many; no profile is asked peer by peer.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from sdn.model import Action, IPBlock, default_origin, family_of
from sdn.policy.compiled import CompiledRule, Profile, TierRules
from sdn.policy.intervals import Services
from sdn.policy.reach_peers import Classes, Outside


class PeerSet(Struct, frozen=True, gc=False):
    """Exactly these positions, or `but` these: all others."""

    but: bool
    positions: frozenset[int]

    def __contains__(self, position: object) -> bool:
        return (position in self.positions) is not self.but


class Allowed(Struct, frozen=True, gc=False):
    """The services that one direction of a workload allows: to some peers by position, and to all `others`."""

    others: int
    to: dict[int, int]

    def of(self, position: int) -> int:
        """The services allowed with one peer."""
        return self.to.get(position, self.others)


class Decision(NamedTuple):
    """What one side says of a flow, and the rule or default that says it. `stateless`: it judges the answer, too."""

    action: Action
    origin: str
    stateless: bool = False


Matcher = tuple[str | None, IPBlock | None, str | None, tuple[str, ...], int]

# To ask an enumeration for its member takes longer than all else that is done with it here.
ALLOW, DENY, PASS = Action.ALLOW, Action.DENY, Action.PASS

EVERYBODY = PeerSet(True, frozenset())


class Judge:
    """All profiles in one IP family."""

    def __init__(self, family: int, classes: Classes, outside: Outside, services: Services) -> None:
        self.family = family
        self.first_outside = len(classes.all)
        self.outside = outside
        self._classes = classes
        self._services = services
        self._count = self.first_outside + len(outside.stretches)
        self._sets: dict[Matcher | str | None, PeerSet] = {}
        self._inside: dict[IPBlock, frozenset[int]] = {}
        self._plain: dict[tuple[str, int], Allowed] = {}

    def allowed(self, profile: Profile) -> Allowed:
        """What the profile allows to whom."""
        tiers = profile.tiers
        answer = self._sum(tiers[0]) if len(tiers) == 1 else None
        return answer or _Asked(profile, self).answer(self._services.all)

    def remembering(self, profile: Profile, opposite: Profile) -> Allowed:
        """What the profile allows to whom, without what the other direction of the same workloads would not answer.

        Only what stateless rules allow needs an answer of its own.
        """
        allowed = self.allowed(profile)
        if not is_stateless(profile):
            return allowed
        everything = self._services.all
        alone = _Asked(profile, self, only_stateless=True).answer(everything)
        answered = _Asked(opposite, self, answers=True).answer(everything)

        def left(position: int | None) -> int:
            one, unremembered, back = (
                each.others if position is None else each.of(position) for each in (allowed, alone, answered)
            )
            return one & ~unremembered | unremembered & back

        others = left(None)
        positions = sorted({*allowed.to, *alone.to, *answered.to})
        return Allowed(others, {at: found for at in positions if (found := left(at)) != others})

    def decide(self, profile: Profile, position: int, service: int, answers: bool = False) -> Decision:
        """What the profile says to one peer about one service (a set of one bit), and by which rule.

        With `answers` it is asked about the answer to a flow of that service's protocol in the other direction.
        """
        mask = self.answered if answers else self.mask
        for tier in profile.tiers:
            found = next((r for r in tier.rules if mask(r) & service and position in self.peers(r)), tier.default)
            if found is not None and found.action is not PASS:
                return Decision(found.action, found.origin, found.stateless)
        return Decision(ALLOW, default_origin(profile.direction))

    def answered(self, rule: CompiledRule) -> int:
        """The services of all protocols whose answers the rule is about."""
        return self._services.answered(self.mask(rule))

    def mask(self, rule: CompiledRule) -> int:
        """The services of a rule."""
        return self._services.mask(rule.protocol, rule.ports)

    def peers(self, rule: CompiledRule) -> PeerSet:
        """Whom of this family a rule means."""
        key: Matcher | str | None = rule.group
        if not _is_plain(rule):
            key = (rule.group, rule.block, rule.not_group, rule.not_blocks, rule.family)
        found = self._sets.get(key)
        if found is None:
            found = self._peers(rule)
            if 2 * len(found.positions) > self._count:
                found = PeerSet(not found.but, self._universe - found.positions)
            self._sets[key] = found
        return found

    def _sum(self, tier: TierRules) -> Allowed | None:
        """A tier that allows to some and denies the rest, as NetworkPolicy's: order does not matter; None for others.

        Most profiles of a large cluster are such a tier and nothing else.
        """
        if tier.default is None or tier.default.action is not DENY:
            return None
        rules = tier.rules
        if len(rules) == 1 and (answer := self._few(rules[0])) is not None:
            return answer
        masks: dict[PeerSet, int] = {}
        for rule in rules:
            if rule.action is not ALLOW:
                return None
            peers = self.peers(rule)
            if peers.but and peers.positions:
                return None
            masks[peers] = masks.get(peers, 0) | self.mask(rule)
        return _added(masks)

    def _few(self, rule: CompiledRule) -> Allowed | None:
        """One rule that allows to the members of a group, if they are few; None for others."""
        if rule.action is not ALLOW or rule.group is None or not _is_plain(rule):
            return None
        # Who may send to a group often may hear from it, too.
        key = (rule.group, self._services.mask(rule.protocol, rule.ports))
        answer = self._plain.get(key)
        if answer is None:
            positions = self._classes.in_group(rule.group)
            if 2 * len(positions) > self._count:
                return None
            answer = self._plain[key] = Allowed(0, dict.fromkeys(positions, key[1]))
        return answer

    def _peers(self, rule: CompiledRule) -> PeerSet:
        if rule.family not in {0, self.family}:
            return PeerSet(False, frozenset())
        without: frozenset[int] = frozenset()
        if rule.not_group is not None:
            without |= self._classes.in_group(rule.not_group)
        for text in rule.not_blocks:
            without |= self._in_block(IPBlock(text))
        within = None if rule.group is None else self._classes.in_group(rule.group)
        if rule.block is not None:
            inside = self._in_block(rule.block)
            within = inside if within is None else within & inside
        if within is None:
            return PeerSet(True, without)
        return PeerSet(False, within - without if without else within)

    def _in_block(self, block: IPBlock) -> frozenset[int]:
        """Workloads and outside alike; a block of the other family holds nobody."""
        if family_of(block.cidr) != self.family:
            return frozenset()
        if block not in self._inside:
            outside = {self.first_outside + position for position in self.outside.inside(block)}
            self._inside[block] = self._classes.in_block(block) | outside
        return self._inside[block]

    @cached_property
    def _universe(self) -> frozenset[int]:
        return frozenset(range(self._count))


def is_stateless(profile: Profile) -> bool:
    """Whether any of its rules does not remember what it allows."""
    return any(rule.stateless for tier in profile.tiers for rule in tier.rules)


def _is_plain(rule: CompiledRule) -> bool:
    """Whether it means a group or everybody, in both families and without exception."""
    return rule.block is None and rule.not_group is None and not rule.not_blocks and not rule.family


def _added(masks: dict[PeerSet, int]) -> Allowed:
    """All of what each set of peers may; a set is everybody, or those that it names."""
    others = masks.get(EVERYBODY, 0)
    to: dict[int, int] = {}
    for peers, mask in masks.items():
        if not peers.but:
            for position in peers.positions:
                to[position] = to.get(position, others) | mask
    return Allowed(others, {position: mask for position, mask in to.items() if mask != others} if others else to)


class _Tier(NamedTuple):
    """One tier, its rules by whom they mean: bit → [(order, action, services)]."""

    rules: dict[int, list[tuple[int, Action, int]]]
    bits: int
    default: Action | None


class _Asked:
    """One profile. A peer's signature has a bit for every set of peers that it is in; equal ones get one answer.

    `only_stateless`: of what is allowed, what stateless rules allow. `answers`: rules are about answers, and services
    stand for those that are answered.
    """

    def __init__(self, profile: Profile, judge: Judge, *, only_stateless: bool = False, answers: bool = False) -> None:
        self._mask = judge.answered if answers else judge.mask
        self._only_stateless = only_stateless
        self._sets: dict[PeerSet, int] = {}
        self._tiers = [self._tier(tier, judge) for tier in profile.tiers]

    def answer(self, everything: int) -> Allowed:
        """The services allowed to each peer."""
        base = 0
        differs: dict[int, int] = {}
        for peers, bit in self._sets.items():
            if peers.but:
                base |= bit
            for position in peers.positions:
                differs[position] = differs.get(position, 0) | bit
        others = self._decide(base, everything)
        known = {base: others}
        to = {}
        for position, bits in differs.items():
            signature = base ^ bits
            services = known.get(signature)
            if services is None:
                services = known[signature] = self._decide(signature, everything)
            if services != others:
                to[position] = services
        return Allowed(others, to)

    def _tier(self, tier: TierRules, judge: Judge) -> _Tier:
        rules: dict[int, list[tuple[int, Action, int]]] = {}
        sets, bits = self._sets, 0
        for order, rule in enumerate(tier.rules):
            peers = judge.peers(rule)
            bit = sets.get(peers)
            if bit is None:
                bit = sets[peers] = 1 << len(sets)
            rules.setdefault(bit, []).append((order, self._action(rule), self._mask(rule)))
            bits |= bit
        return _Tier(rules, bits, None if tier.default is None else self._action(tier.default))

    def _action(self, rule: CompiledRule) -> Action:
        return DENY if self._only_stateless and rule.action is ALLOW and not rule.stateless else rule.action

    def _decide(self, signature: int, everything: int) -> int:
        """The services that get through all tiers: first match in each, `pass` goes on."""
        left, allowed = everything, 0
        for tier in self._tiers:
            passed = 0
            for _, action, mask in _matching(tier, signature & tier.bits):
                hit = left & mask
                left ^= hit
                if action is ALLOW:
                    allowed |= hit
                elif action is PASS:
                    passed |= hit
                if not left:
                    break
            if tier.default is ALLOW:
                allowed |= left
            elif tier.default is PASS:
                passed |= left
            left = passed if tier.default is not None else left | passed
        return allowed if self._only_stateless else allowed | left


def _matching(tier: _Tier, bits: int) -> list[tuple[int, Action, int]]:
    """The rules for any of these bits, in their order."""
    found: list[tuple[int, Action, int]] = []
    while bits:
        bit = bits & -bits
        bits ^= bit
        found += tier.rules[bit]
    found.sort()
    return found

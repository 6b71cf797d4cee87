"""Rules that never decide, or whose absence nobody would notice: shadowed, contradicted and redundant ones.

Exact, from the compiled policy: each profile is walked for each kind of peer that it tells apart and for all services
at once. A rule counts as useless only if it is so for every workload that it is for and in every IP family.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from sdn.model import Action
from sdn.policy.compiled import CompiledRule, Profile, TierRules
from sdn.policy.reach import Reach
from sdn.policy.reach_judge import Judge, PeerSet

LIMIT = 400
"""Profiles with more lines are not searched for redundant rules: each would be solved once more without each rule."""


class Use(StrEnum):
    """What becomes of a rule. `effective` says nothing; the others are findings, worst first."""

    CONTRADICTED = "contradicted"  # whatever it matches, an earlier rule decided otherwise
    SHADOWED = "shadowed"  # whatever it matches, an earlier rule decided in the same way
    REDUNDANT = "redundant"  # it decides, but without it the same would be decided
    EFFECTIVE = "effective"


class Finding(NamedTuple):
    """One useless rule, and the earlier rules that make it so (empty for a redundant one)."""

    origin: str
    use: Use
    by: tuple[str, ...]


class _Seen:
    """What was seen of one rule in all profiles."""

    def __init__(self) -> None:
        self.matched = False
        self.decided = False
        self.matters = False
        self.before: dict[str, bool] = {}  # origin of an earlier rule → whether it decided in the same way


def useless_rules(reach: Reach) -> list[Finding]:
    """Ordered by origin. Rules that match nobody at all are another finding, and not here."""
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for family, judge in reach.judges.items():
        for profile in reach.profiles(family):
            for tiers in _signatures(profile, judge):
                _walk(tiers, seen, reach.services.all)
    found = (_finding(origin, one) for origin, one in sorted(seen.items()))
    return [finding for finding in found if finding.use is not Use.EFFECTIVE]


def _finding(origin: str, seen: _Seen) -> Finding:
    if seen.decided:
        return Finding(origin, Use.EFFECTIVE if seen.matters else Use.REDUNDANT, ())
    if not seen.matched:
        return Finding(origin, Use.EFFECTIVE, ())
    same = all(seen.before.values())
    return Finding(origin, Use.SHADOWED if same else Use.CONTRADICTED, tuple(sorted(seen.before)))


class _Line(NamedTuple):
    """A rule that means one kind of peer."""

    origin: str
    action: Action
    mask: int
    stateless: bool


class _Tier(NamedTuple):
    name: str
    lines: tuple[_Line, ...]
    default: Action | None


def _signatures(profile: Profile, judge: Judge) -> Iterator[tuple[_Tier, ...]]:
    """The tiers as each kind of peer meets them; kinds that meet the same are met once."""
    sets = {rule: judge.peers(rule) for tier in profile.tiers for rule in tier.rules}
    positions = {position for peers in sets.values() for position in peers.positions}
    everybody_else = -1  # no position of anybody: in a set exactly if the set is "all but these"
    known = set()
    for position in (everybody_else, *sorted(positions)):
        met = tuple(_tier(tier, position, sets, judge) for tier in profile.tiers)
        if met not in known:
            known.add(met)
            yield met


def _tier(tier: TierRules, position: int, sets: dict[CompiledRule, PeerSet], judge: Judge) -> _Tier:
    lines = tuple(
        _Line(rule.origin, rule.action, judge.mask(rule), rule.stateless)
        for rule in tier.rules
        if position in sets[rule]
    )
    return _Tier(tier.tier, lines, None if tier.default is None else tier.default.action)


def _walk(tiers: tuple[_Tier, ...], seen: dict[str, _Seen], everything: int) -> None:
    left = everything
    decided: dict[str, int] = defaultdict(int)
    earlier: list[tuple[_Line, int]] = []
    for tier in tiers:
        passed = 0
        for line in tier.lines:
            one = seen[line.origin]
            one.matched = True
            hit = left & line.mask
            if not hit:
                _note_before(one, line, earlier)
                continue
            one.decided = True
            decided[line.origin] |= hit
            earlier.append((line, hit))
            left ^= hit
            passed |= hit if line.action is Action.PASS else 0
        left = passed if tier.default is not None else left | passed
    _note_matters(tiers, decided, seen, everything)


def _note_before(one: _Seen, line: _Line, earlier: list[tuple[_Line, int]]) -> None:
    """Who was there first; where only the isolation of NetworkPolicy was, that is no fault of this rule."""
    for before, hit in earlier:
        if hit & line.mask:
            same = (
                one.before.get(before.origin, True)
                and before.action is line.action
                and before.stateless is line.stateless
            )
            one.before[before.origin] = same
    if not any(hit & line.mask for _, hit in earlier):
        one.decided = one.matters = True


def _note_matters(tiers: tuple[_Tier, ...], decided: dict[str, int], seen: dict[str, _Seen], everything: int) -> None:
    doubtful = [origin for origin in decided if not seen[origin].matters]
    if sum(len(tier.lines) for tier in tiers) > LIMIT:
        for origin in doubtful:
            seen[origin].matters = True
        return
    usual = _outcome(tiers, "", everything)
    for origin in doubtful:
        if _outcome(tiers, origin, everything) != usual:
            seen[origin].matters = True


def _outcome(tiers: tuple[_Tier, ...], without: str, everything: int) -> tuple[int, int, int]:
    """The services that are allowed, of these those that are not remembered, and those that are rejected, if one rule
    were not there."""
    left, allowed, forgotten, rejected = everything, 0, 0, 0
    for tier in tiers:
        passed = 0
        for line in tier.lines:
            if line.origin == without:
                continue
            hit = left & line.mask
            left ^= hit
            allowed |= hit if line.action is Action.ALLOW else 0
            forgotten |= hit if line.stateless else 0
            rejected |= hit if line.action is Action.REJECT else 0
            passed |= hit if line.action is Action.PASS else 0
        if tier.default is None:
            left |= passed
        else:
            left = passed
    return allowed | left, forgotten, rejected

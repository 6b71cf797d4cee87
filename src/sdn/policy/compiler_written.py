"""NetworkPolicies and policies of tiers in one form, in their order of evaluation; no peer is resolved yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from sdn.model import (
    ADMIN,
    LAST_TIERS,
    NETWORK_POLICY,
    TIERS,
    Action,
    Direction,
    IPBlock,
    Model,
    NetworkPolicy,
    NetworkPolicyRule,
    Policy,
    PortRange,
    Rule,
    rule_origin,
)
from sdn.policy.compiler_blocks import Blocks
from sdn.policy.compiler_classes import MembersOf, Part, Universe
from sdn.policy.groups import part_of

Scope = tuple[int, int]
"""Classes of workloads as (first class, mask from there); see `Universe.pods`."""

KUBERNETES = frozenset((ADMIN, *LAST_TIERS))
"""Tiers that workloads on the exclusion list are subject to, too."""


class Peers(Struct, frozen=True, gc=False):
    """Whom a rule talks about: `anybody` (also addresses that no workload has), or parts, or blocks.

    `but` are parts and `but_blocks` prefixes that are not meant; they only come with `anybody`.
    """

    anybody: bool
    parts: tuple[Part, ...] = ()
    blocks: tuple[IPBlock, ...] = ()
    but: tuple[Part, ...] = ()
    but_blocks: tuple[str, ...] = ()


ANYBODY = Peers(anybody=True)


class WrittenRule(Struct, frozen=True, gc=False):
    """What all kinds of rule have in common; `ports` empty is every port and protocol, `family` 0 both families."""

    origin: str
    action: Action
    direction: Direction
    peers: Peers
    ports: tuple[PortRange, ...]
    family: int = 0
    stateless: bool = False


class WrittenPolicy(Struct, frozen=True, gc=False):
    """One policy: `rules` lacks the directions that it says nothing of, `isolates` names it if it denies by default.

    A policy of a tier whose rules are for different workloads is several, in the order of its rules.
    """

    scope: Scope
    rules: dict[Direction, tuple[WrittenRule, ...]]
    isolates: str = ""


class Layer(Struct, frozen=True):
    """The policies of one tier, first to last."""

    tier: str
    policies: tuple[WrittenPolicy, ...]

    def speaks_of(self, direction: Direction) -> bool:
        """Whether any of its policies does."""
        return any(direction in policy.rules for policy in self.policies)


def layers(model: Model, universe: Universe, blocks: Blocks) -> list[Layer]:
    """All tiers in their order, NetworkPolicy among them."""
    ordered = sorted(model.policies, key=lambda policy: (policy.priority, policy.name))
    reader = _TierReader(universe, blocks)
    first, last = (
        [Layer(tier, tuple(one for p in ordered if p.tier == tier for one in reader.policies(p))) for tier in tiers]
        for tiers in (TIERS, LAST_TIERS)
    )
    spare = not model.options.ipblock_matches_pods
    by_name = sorted(model.network_policies, key=lambda policy: (policy.namespace, policy.name))
    written = tuple(_network_policy(policy, universe, blocks, spare) for policy in by_name)
    return [*first, Layer(NETWORK_POLICY, written), *last]


def selected(policy: NetworkPolicy | Policy, universe: Universe) -> int:
    """The classes that a policy says anything to."""
    if isinstance(policy, NetworkPolicy):
        start, mask = universe.pods(policy.namespace, policy.pods)
        return mask << start if mask else 0
    found = 0
    for rule in policy.rules:
        four, six = _subjects(policy, rule, universe)
        found |= four | six
    return found


class _TierReader:
    """Policies of tiers: whom each rule is for, and whom it talks about."""

    def __init__(self, universe: Universe, blocks: Blocks) -> None:
        self._universe = universe
        self._blocks = blocks

    def policies(self, policy: Policy) -> Iterator[WrittenPolicy]:
        """Rules that follow each other and are for the same workloads stay together."""
        mask, rules = 0, list[WrittenRule]()
        for found, rule in self._rules(policy):
            if found != mask:
                yield from _piece(mask, rules)
                mask, rules = found, []
            rules.append(rule)
        yield from _piece(mask, rules)

    def _rules(self, policy: Policy) -> Iterator[tuple[int, WrittenRule]]:
        """Each rule with the classes that it is for; twice or thrice if its own side depends on the family."""
        for index, rule in enumerate(policy.rules):
            four, six = _subjects(policy, rule, self._universe)
            if not four | six:
                continue
            origin = rule_origin(rule.direction, policy.tier, policy.name, rule.label or index)
            peers = self._peers(rule)
            stateless = policy.stateless and rule.action is Action.ALLOW
            for family, subjects in ((0, four & six), (4, four & ~six), (6, six & ~four)):
                if subjects:
                    written = WrittenRule(origin, rule.action, rule.direction, peers, rule.ports, family, stateless)
                    yield subjects, written

    def _peers(self, rule: Rule) -> Peers:
        if not rule.peers:
            return ANYBODY
        selectors = (peer.selector for peer in rule.peers if peer.selector is not None)
        groups = (MembersOf(peer.group) for peer in rule.peers if peer.group)
        parts: tuple[Part, ...] = (*selectors, *groups)
        blocks = tuple(self._universe.book.of_peers(rule.peers))
        if rule.peers_excluded:
            return Peers(anybody=True, but=parts, but_blocks=self._blocks.union(blocks))
        return Peers(anybody=False, parts=parts, blocks=_normal(blocks, self._blocks, spare=False))


def _subjects(policy: Policy, rule: Rule, universe: Universe) -> tuple[int, int]:
    """Whom a rule is for: the classes for packets of IPv4, and those for IPv6."""
    if rule.nothing:
        return 0, 0
    among = universe.all if policy.tier in KUBERNETES else universe.all & ~universe.excluded
    applied = policy.applies_to or rule.applies_to
    mask = among & universe.select_any(applied) if applied else among
    four, six = universe.subjects(rule.own, rule.own_excluded) if mask else (0, 0)
    return mask & four, mask & six


def _piece(mask: int, rules: list[WrittenRule]) -> Iterator[WrittenPolicy]:
    if not rules:
        return
    by_direction: dict[Direction, list[WrittenRule]] = {}
    for rule in rules:
        by_direction.setdefault(rule.direction, []).append(rule)
    yield WrittenPolicy((0, mask), {direction: tuple(found) for direction, found in by_direction.items()})


def _network_policy(policy: NetworkPolicy, universe: Universe, blocks: Blocks, spare: bool) -> WrittenPolicy:
    name = f"{policy.namespace}/{policy.name}"
    rules: dict[Direction, tuple[WrittenRule, ...]] = {}
    for direction in policy.directions:
        found = []
        for index, rule in enumerate(policy.ingress if direction is Direction.INGRESS else policy.egress):
            origin = rule_origin(direction, NETWORK_POLICY, name, index)
            peers = _network_peers(rule, policy.namespace, blocks, spare)
            found.append(WrittenRule(origin, Action.ALLOW, direction, peers, rule.ports))
        rules[direction] = tuple(found)
    return WrittenPolicy(universe.pods(policy.namespace, policy.pods), rules, name)


def _network_peers(rule: NetworkPolicyRule, namespace: str, blocks: Blocks, spare: bool) -> Peers:
    if not rule.peers:
        return ANYBODY
    parts = [part for peer in rule.peers if (part := part_of(peer, namespace)) is not None]
    found = [peer.ip_block for peer in rule.peers if peer.ip_block is not None]
    return Peers(anybody=False, parts=tuple(parts), blocks=_normal(found, blocks, spare) if found else ())


def _normal(written: Iterable[IPBlock], blocks: Blocks, spare: bool) -> tuple[IPBlock, ...]:
    return tuple(block for one in written if (block := blocks.normal(one, spare)) is not None)

"""NetworkPolicies and our own tiers in one form, in their order of evaluation; nothing is resolved yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from sdn.model import (
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
from sdn.policy.compiler_classes import Part, Universe
from sdn.policy.groups import part_of

Scope = tuple[int, int]
"""Classes of workloads as (first class, mask from there); see `Universe.pods`."""


class Peers(Struct, frozen=True):
    """Whom a rule talks about; `anybody` also means addresses that no workload has."""

    anybody: bool
    parts: tuple[Part, ...] = ()
    blocks: tuple[IPBlock, ...] = ()


class WrittenRule(Struct, frozen=True):
    """What both kinds of rule have in common; `ports` empty is every port and protocol."""

    origin: str
    action: Action
    direction: Direction
    peers: Peers
    ports: tuple[PortRange, ...]


class WrittenPolicy(Struct, frozen=True):
    """One policy: `rules` lacks the directions that it says nothing of, `isolates` names it if it denies by default."""

    scope: Scope
    rules: dict[Direction, tuple[WrittenRule, ...]]
    isolates: str = ""


class Layer(Struct, frozen=True):
    """The policies of one tier, first to last."""

    tier: str
    policies: tuple[WrittenPolicy, ...]


def layers(model: Model, universe: Universe, blocks: Blocks) -> list[Layer]:
    """All tiers in their order: ours, then NetworkPolicy."""
    ordered = sorted(model.policies, key=lambda policy: (policy.priority, policy.name))
    found = [
        Layer(tier, tuple(_policy(policy, universe, blocks) for policy in ordered if policy.tier == tier))
        for tier in TIERS
    ]
    spare = not model.options.ipblock_matches_pods
    by_name = sorted(model.network_policies, key=lambda policy: (policy.namespace, policy.name))
    written = tuple(_network_policy(policy, universe, blocks, spare) for policy in by_name)
    return [*found, Layer(NETWORK_POLICY, written)]


def _policy(policy: Policy, universe: Universe, blocks: Blocks) -> WrittenPolicy:
    mask = 0 if policy.applies_to else universe.all
    for selector in policy.applies_to:
        mask |= universe.select(selector)
    rules: dict[Direction, tuple[WrittenRule, ...]] = {}
    for index, rule in enumerate(policy.rules):
        origin = rule_origin(rule.direction, policy.tier, policy.name, index)
        written = WrittenRule(origin, rule.action, rule.direction, _peers(rule, blocks), rule.ports)
        rules[rule.direction] = (*rules.get(rule.direction, ()), written)
    return WrittenPolicy((0, mask), rules)


def _peers(rule: Rule, blocks: Blocks) -> Peers:
    return Peers(
        anybody=not rule.peers,
        parts=tuple(peer.selector for peer in rule.peers if peer.selector is not None),
        blocks=_normal((peer.ip_block for peer in rule.peers), blocks, spare=False),
    )


def _network_policy(policy: NetworkPolicy, universe: Universe, blocks: Blocks, spare: bool) -> WrittenPolicy:
    written = {Direction.INGRESS: policy.ingress, Direction.EGRESS: policy.egress}
    name = f"{policy.namespace}/{policy.name}"
    rules = {
        direction: tuple(
            WrittenRule(
                rule_origin(direction, NETWORK_POLICY, name, index),
                Action.ALLOW,
                direction,
                _network_peers(rule, policy.namespace, blocks, spare),
                rule.ports,
            )
            for index, rule in enumerate(written[direction])
        )
        for direction in policy.directions
    }
    return WrittenPolicy(universe.pods(policy.namespace, policy.pods), rules, name)


def _network_peers(rule: NetworkPolicyRule, namespace: str, blocks: Blocks, spare: bool) -> Peers:
    parts = (part_of(peer, namespace) for peer in rule.peers)
    return Peers(
        anybody=not rule.peers,
        parts=tuple(part for part in parts if part is not None),
        blocks=_normal((peer.ip_block for peer in rule.peers), blocks, spare),
    )


def _normal(written: Iterable[IPBlock | None], blocks: Blocks, spare: bool) -> tuple[IPBlock, ...]:
    found: Sequence[IPBlock | None] = [blocks.normal(block, spare) for block in written if block is not None]
    return tuple(block for block in found if block is not None)

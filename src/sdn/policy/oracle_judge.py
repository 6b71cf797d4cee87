"""What the policies as written say of a packet at one of its ends, and by which rule.

Tiers first, then NetworkPolicy, then the default; it reads the written objects in the order of the documentation, and
compiles nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from sdn.model import (
    NETWORK_POLICY,
    TIERS,
    Action,
    Direction,
    Model,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Peer,
    Policy,
    PortRange,
    Protocol,
    Selector,
    Workload,
    default_origin,
    isolation_origin,
    rule_origin,
)
from sdn.policy.oracle_match import (
    block_contains,
    namespace_labels,
    peer_selects,
    policy_selects,
    port_matches,
    selector_matches,
)


class Side(NamedTuple):
    """A packet as the policy at one of its ends sees it: after DNAT, with the real target port.

    `subject` is the workload whose policy judges, `peer` the other end (None: nobody that connections lead to has that
    address). `is_workloads`: some workload has it, perhaps one of an Application that no connection leads to.
    """

    direction: Direction
    subject: Workload
    peer: Workload | None
    peer_address: str
    protocol: Protocol
    port: int
    is_workloads: bool = True

    @property
    def destination(self) -> Workload | None:
        """Who gives a named port its number."""
        return self.peer if self.direction is Direction.EGRESS else self.subject


class Decision(NamedTuple):
    """Allow, deny or reject, and the origin that said so."""

    action: Action
    origin: str


class Judge:
    """All policies of one model; it remembers which of them are about whom, because that never depends on a packet."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._namespaces = namespace_labels(model)
        self._tiers: dict[tuple[str, str], tuple[Policy, ...]] = {}
        self._isolating: dict[tuple[str, Direction], tuple[NetworkPolicy, ...]] = {}

    def decide(self, side: Side) -> Decision:
        """The first of tiers, NetworkPolicy and default that has an opinion."""
        return (
            self._by_tiers(side)
            or self._by_network_policies(side)
            or Decision(Action.ALLOW, default_origin(side.direction))
        )

    def _by_tiers(self, side: Side) -> Decision | None:
        for tier in TIERS:
            decision = self._by_tier(tier, side)
            if decision is not None and decision.action is not Action.PASS:
                return decision
        return None

    def _by_tier(self, tier: str, side: Side) -> Decision | None:
        for policy in self._tier_policies(tier, side.subject):
            for index, rule in enumerate(policy.rules):
                if (
                    rule.direction is side.direction
                    and (not rule.peers or any(self._peer_matches(peer, side) for peer in rule.peers))
                    and _ports_match(rule.ports, side)
                ):
                    return Decision(rule.action, rule_origin(side.direction, tier, policy.name, index))
        return None

    def _by_network_policies(self, side: Side) -> Decision | None:
        isolating = self._isolating_policies(side.subject, side.direction)
        if not isolating:
            return None
        for policy in isolating:
            rules = policy.ingress if side.direction is Direction.INGRESS else policy.egress
            for index, rule in enumerate(rules):
                if self._network_rule_matches(rule, policy, side):
                    return Decision(Action.ALLOW, rule_origin(side.direction, NETWORK_POLICY, _key(policy), index))
        return Decision(Action.DENY, isolation_origin(side.direction, tuple(_key(policy) for policy in isolating)))

    def _network_rule_matches(self, rule: NetworkPolicyRule, policy: NetworkPolicy, side: Side) -> bool:
        return (
            not rule.peers or any(self._network_peer_matches(peer, policy, side) for peer in rule.peers)
        ) and _ports_match(rule.ports, side)

    def _network_peer_matches(self, peer: NetworkPolicyPeer, policy: NetworkPolicy, side: Side) -> bool:
        if peer.ip_block is not None:
            meant = not side.is_workloads or self._model.options.ipblock_matches_pods
            return meant and block_contains(peer.ip_block, side.peer_address)
        return side.peer is not None and peer_selects(
            peer, policy.namespace, side.peer, self._namespaces[side.peer.namespace]
        )

    def _peer_matches(self, peer: Peer, side: Side) -> bool:
        if peer.ip_block is not None:
            return block_contains(peer.ip_block, side.peer_address)
        return peer.selector is not None and side.peer is not None and self._is_in(peer.selector, side.peer)

    def _is_in(self, selector: Selector, workload: Workload) -> bool:
        return selector_matches(selector, workload, self._namespaces[workload.namespace])

    def _tier_policies(self, tier: str, subject: Workload) -> tuple[Policy, ...]:
        """The policies of a tier that apply to a workload, in their order of evaluation."""
        if (tier, subject.key) not in self._tiers:
            applying = (
                policy
                for policy in self._model.policies
                if policy.tier == tier
                and (not policy.applies_to or any(self._is_in(selector, subject) for selector in policy.applies_to))
            )
            self._tiers[tier, subject.key] = tuple(sorted(applying, key=lambda p: (p.priority, p.name)))
        return self._tiers[tier, subject.key]

    def _isolating_policies(self, subject: Workload, direction: Direction) -> tuple[NetworkPolicy, ...]:
        """The NetworkPolicies that select a workload in one direction, in the order in which they are named."""
        if (subject.key, direction) not in self._isolating:
            selecting = (
                policy
                for policy in self._model.network_policies
                if direction in policy.directions and policy_selects(policy, subject)
            )
            self._isolating[subject.key, direction] = tuple(sorted(selecting, key=lambda p: (p.namespace, p.name)))
        return self._isolating[subject.key, direction]


def _ports_match(ports: tuple[PortRange, ...], side: Side) -> bool:
    return not ports or any(port_matches(port, side.protocol, side.port, side.destination) for port in ports)


def _key(policy: NetworkPolicy) -> str:
    return f"{policy.namespace}/{policy.name}"

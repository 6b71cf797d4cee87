"""What the policies as written say of a packet at one of its ends, and by which rule.

The tiers, NetworkPolicy, the baseline tier, the default: it reads the objects as they are written, in the order of the
documentation, and compiles nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from sdn.model import (
    ADMIN,
    LAST_TIERS,
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
    Rule,
    Selector,
    Workload,
    default_origin,
    isolation_origin,
    rule_origin,
)
from sdn.policy.oracle_match import (
    block_contains,
    is_about_replies,
    namespace_labels,
    peer_selects,
    policy_selects,
    port_matches,
)
from sdn.policy.oracle_members import Members

ORDER = (*TIERS, NETWORK_POLICY, *LAST_TIERS)
"""Everything that is asked, in the order in which it is asked."""

KUBERNETES = (ADMIN, *LAST_TIERS)
"""The tiers that are for everybody; the others leave out the workloads of the exclusion list."""


class Side(NamedTuple):
    """A packet as the policy at one of its ends sees it: after DNAT, with the real target port.

    `subject` is the workload whose policy judges and `own_address` its address of the packet's family; `peer` is the
    other end (None: nobody that connections lead to has that address). `is_workloads`: some workload has it, perhaps
    one of an Application that no connection leads to. `is_reply`: an answer, to whatever port its asker sent from.
    """

    direction: Direction
    subject: Workload
    own_address: str | None
    peer: Workload | None
    peer_address: str
    protocol: Protocol
    port: int
    is_workloads: bool = True
    is_reply: bool = False

    @property
    def destination(self) -> Workload | None:
        """Who gives a named port its number."""
        return self.peer if self.direction is Direction.EGRESS else self.subject

    @property
    def reply(self) -> Side:
        """The answer to this packet at the same end: its other direction, with the same peer."""
        other = Direction.INGRESS if self.direction is Direction.EGRESS else Direction.EGRESS
        return self._replace(direction=other, port=0, is_reply=True)


class Decision(NamedTuple):
    """Allow, deny or reject, and the origin that said so. `stateless`: the answer to what it allows is judged, too."""

    action: Action
    origin: str
    stateless: bool = False


class Opinion(NamedTuple):
    """A rule that matches a packet, or the isolation of NetworkPolicy where none of its rules does."""

    tier: str
    action: Action
    origin: str


class Judge:
    """All policies of one model; it remembers which of them are about whom, because that never depends on a packet."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._namespaces = namespace_labels(model)
        self._members = Members(model)
        self._by_namespace: dict[str, list[NetworkPolicy]] = defaultdict(list)
        for policy in model.network_policies:
            self._by_namespace[policy.namespace].append(policy)
        self._rules: dict[tuple[str, str, Direction], tuple[tuple[Rule, str], ...]] = {}
        self._stateless = frozenset(
            rule_origin(rule.direction, policy.tier, policy.name, rule.label or index)
            for policy in model.policies
            if policy.stateless
            for index, rule in enumerate(policy.rules)
        )
        self._isolating: dict[tuple[str, Direction], tuple[NetworkPolicy, ...]] = {}

    def decide(self, side: Side) -> Decision:
        """The first of tiers, NetworkPolicy, last tiers and default that has an opinion."""
        return (
            self._by_tiers(TIERS, side)
            or self._by_network_policies(side)
            or self._by_tiers(LAST_TIERS, side)
            or Decision(Action.ALLOW, default_origin(side.direction))
        )

    def opinions(self, side: Side) -> list[Opinion]:
        """Every rule that matches, in the order of evaluation, and not only the one that decides."""
        found = [
            Opinion(tier, rule.action, origin)
            for tier in ORDER
            for rule, origin in self._tier_rules(tier, side.subject, side.direction)
            if self._rule_matches(rule, side)
        ]
        allowing = [Opinion(NETWORK_POLICY, Action.ALLOW, origin) for origin in self._network_rules(side)]
        if not allowing and (decision := self._by_network_policies(side)) is not None:
            allowing = [Opinion(NETWORK_POLICY, decision.action, decision.origin)]
        return sorted(found + allowing, key=lambda opinion: ORDER.index(opinion.tier))

    def applying(self, side: Side) -> dict[str, int]:
        """How many rules of each tier are for this end of a packet, whether they match it or not."""
        counts = {tier: len(self._tier_rules(tier, side.subject, side.direction)) for tier in ORDER}
        isolating = self._isolating_policies(side.subject, side.direction)
        counts[NETWORK_POLICY] = sum(len(rules_of(policy, side.direction)) for policy in isolating)
        return counts

    def _by_tiers(self, tiers: tuple[str, ...], side: Side) -> Decision | None:
        for tier in tiers:
            decision = self._by_tier(tier, side)
            if decision is not None and decision.action is not Action.PASS:
                return decision
        return None

    def _by_tier(self, tier: str, side: Side) -> Decision | None:
        for rule, origin in self._tier_rules(tier, side.subject, side.direction):
            if self._rule_matches(rule, side):
                return self._decision(rule, origin)
        return None

    def _decision(self, rule: Rule, origin: str) -> Decision:
        return Decision(rule.action, origin, rule.action is Action.ALLOW and origin in self._stateless)

    def _rule_matches(self, rule: Rule, side: Side) -> bool:
        return (
            not rule.nothing
            and self._is_among(rule.own, rule.own_excluded, side.subject, side.own_address)
            and self._is_among(rule.peers, rule.peers_excluded, side.peer, side.peer_address)
            and ports_match(rule.ports, side)
        )

    def _is_among(self, peers: tuple[Peer, ...], excluded: bool, who: Workload | None, address: str | None) -> bool:
        """Whether one end of a packet is as a rule wants it; no peers are no wish, also where they are excluded."""
        return not peers or any(self._members.is_peer(peer, who, address) for peer in peers) != excluded

    def _by_network_policies(self, side: Side) -> Decision | None:
        isolating = self._isolating_policies(side.subject, side.direction)
        if not isolating:
            return None
        for origin in self._network_rules(side):
            return Decision(Action.ALLOW, origin)
        return Decision(Action.DENY, isolation_origin(side.direction, tuple(key_of(policy) for policy in isolating)))

    def _network_rules(self, side: Side) -> Iterator[str]:
        """The NetworkPolicy rules that allow a packet, in the order in which they are named."""
        for policy in self._isolating_policies(side.subject, side.direction):
            for index, rule in enumerate(rules_of(policy, side.direction)):
                if self._network_rule_matches(rule, policy, side):
                    yield rule_origin(side.direction, NETWORK_POLICY, key_of(policy), index)

    def _network_rule_matches(self, rule: NetworkPolicyRule, policy: NetworkPolicy, side: Side) -> bool:
        return (
            not rule.peers or any(self._network_peer_matches(peer, policy.namespace, side) for peer in rule.peers)
        ) and ports_match(rule.ports, side)

    def _network_peer_matches(self, peer: NetworkPolicyPeer, namespace: str, side: Side) -> bool:
        if peer.ip_block is not None:
            meant = not side.is_workloads or self._model.options.ipblock_matches_pods
            return meant and block_contains(peer.ip_block, side.peer_address)
        return side.peer is not None and peer_selects(peer, namespace, side.peer, self._namespaces[side.peer.namespace])

    def _tier_rules(self, tier: str, subject: Workload, direction: Direction) -> tuple[tuple[Rule, str], ...]:
        """The rules of a tier that are for a workload in one direction, in order of evaluation, with their origins."""
        wanted = (tier, subject.key, direction)
        if wanted not in self._rules:
            policies = sorted(
                (policy for policy in self._model.policies if policy.tier == tier), key=lambda p: (p.priority, p.name)
            )
            self._rules[wanted] = tuple(
                (rule, rule_origin(direction, tier, policy.name, rule.label or index))
                for policy in policies
                for index, rule in enumerate(policy.rules)
                if rule.direction is direction and self._applies(policy, rule, subject)
            )
        return self._rules[wanted]

    def _applies(self, policy: Policy, rule: Rule, subject: Workload) -> bool:
        """Whether a rule is for a workload: the policy's word beats the rule's, and the exclusion list beats both."""
        if policy.tier not in KUBERNETES and self._is_any(self._model.exclusions, subject):
            return False
        applies_to = policy.applies_to or rule.applies_to
        return not applies_to or self._is_any(applies_to, subject)

    def _is_any(self, selectors: tuple[Selector, ...], workload: Workload) -> bool:
        return any(self._members.selects(selector, workload) for selector in selectors)

    def _isolating_policies(self, subject: Workload, direction: Direction) -> tuple[NetworkPolicy, ...]:
        """The NetworkPolicies that select a workload in one direction, in the order in which they are named."""
        if (subject.key, direction) not in self._isolating:
            selecting = (
                policy
                for policy in self._by_namespace.get(subject.namespace, ())
                if direction in policy.directions and policy_selects(policy, subject)
            )
            self._isolating[subject.key, direction] = tuple(sorted(selecting, key=lambda p: (p.namespace, p.name)))
        return self._isolating[subject.key, direction]


def ports_match(ports: tuple[PortRange, ...], side: Side) -> bool:
    """Whether one of a rule's ports is the packet's; no ports are no wish. To an answer, all that it can have are."""
    if side.is_reply and ports:
        return is_about_replies(ports, side.protocol, side.destination)
    return not ports or any(port_matches(port, side.protocol, side.port, side.destination) for port in ports)


def rules_of(policy: NetworkPolicy, direction: Direction) -> tuple[NetworkPolicyRule, ...]:
    """The rules that a NetworkPolicy has for a direction."""
    return policy.ingress if direction is Direction.INGRESS else policy.egress


def key_of(policy: NetworkPolicy) -> str:
    """How origins call a NetworkPolicy."""
    return f"{policy.namespace}/{policy.name}"

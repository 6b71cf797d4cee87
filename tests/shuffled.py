"""The same world in another order, wherever order means nothing: what `Model` promises must not be relied on."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

from msgspec.structs import replace

from sdn.model import (
    AllOf,
    AnyOf,
    Expression,
    Group,
    InGroup,
    IPBlock,
    LabelSelector,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Peer,
    Placed,
    Rule,
    Selector,
    Where,
)

T = TypeVar("T")


class Shuffler:
    """Reorders by a seeded `Random`, so that a failure can be repeated."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def placed(self, world: Placed) -> Placed:
        """Everything except rules inside a policy, whose order counts."""
        model = world.model
        changed = replace(
            model,
            applications=self._mixed(replace(a, connects=self._mixed(a.connects)) for a in model.applications),
            workloads=self._mixed(replace(w, labels=dict(self._mixed(w.labels.items()))) for w in model.workloads),
            namespaces=self._mixed(model.namespaces),
            services=self._mixed(replace(s, ports=self._mixed(s.ports)) for s in model.services),
            network_policies=self._mixed(
                replace(
                    p,
                    pods=self._labels(p.pods),
                    directions=self._mixed(p.directions),
                    ingress=tuple(map(self._network_rule, p.ingress)),
                    egress=tuple(map(self._network_rule, p.egress)),
                )
                for p in model.network_policies
            ),
            policies=self._mixed(
                replace(
                    p, rules=tuple(map(self._rule, p.rules)), applies_to=self._mixed(map(self._selector, p.applies_to))
                )
                for p in model.policies
            ),
            groups=self._mixed(map(self._group, model.groups)),
            exclusions=self._mixed(map(self._selector, model.exclusions)),
        )
        return replace(world, model=changed, endpoints=dict(self._mixed(world.endpoints.items())))

    def _mixed(self, values: Iterable[T]) -> tuple[T, ...]:
        found = list(values)
        self._random.shuffle(found)
        return tuple(found)

    def _labels(self, selector: LabelSelector) -> LabelSelector:
        expressions = (replace(e, values=self._mixed(e.values)) for e in selector.expressions)
        return LabelSelector(self._mixed(selector.labels), self._mixed(expressions))

    def _network_rule(self, rule: NetworkPolicyRule) -> NetworkPolicyRule:
        return NetworkPolicyRule(self._mixed(map(self._network_peer, rule.peers)), self._mixed(rule.ports))

    def _network_peer(self, peer: NetworkPolicyPeer) -> NetworkPolicyPeer:
        return replace(
            peer,
            pods=self._labels(peer.pods) if peer.pods else None,
            namespaces=self._labels(peer.namespaces) if peer.namespaces else None,
            ip_block=self._block(peer.ip_block) if peer.ip_block else None,
        )

    def _block(self, block: IPBlock) -> IPBlock:
        return replace(block, excepts=self._mixed(block.excepts))

    def _group(self, group: Group) -> Group:
        return replace(
            group,
            members=self._expression(group.members) if group.members else None,
            blocks=self._mixed(map(self._block, group.blocks)),
            within=self._mixed(group.within),
        )

    def _expression(self, expression: Expression) -> Expression:
        match expression:
            case Where(selector):
                return Where(self._selector(selector))
            case InGroup():
                return expression
            case AllOf(parts):
                return AllOf(self._mixed(map(self._expression, parts)))
            case AnyOf(parts):
                return AnyOf(self._mixed(map(self._expression, parts)))

    def _rule(self, rule: Rule) -> Rule:
        return replace(
            rule,
            peers=self._mixed(map(self._peer, rule.peers)),
            ports=self._mixed(rule.ports),
            own=self._mixed(map(self._peer, rule.own)),
            applies_to=self._mixed(map(self._selector, rule.applies_to)),
        )

    def _peer(self, peer: Peer) -> Peer:
        return replace(
            peer,
            selector=self._selector(peer.selector) if peer.selector else None,
            ip_block=self._block(peer.ip_block) if peer.ip_block else None,
        )

    def _selector(self, selector: Selector) -> Selector:
        return replace(
            selector,
            labels=self._labels(selector.labels) if selector.labels else None,
            namespaces=self._mixed(selector.namespaces),
            applications=self._mixed(selector.applications),
            segments=self._mixed(selector.segments),
            keys=self._mixed(selector.keys),
            groups=self._mixed(selector.groups),
        )

"""A model without some of its rules, for tests that ask what would be if they were not there."""

from __future__ import annotations

from msgspec.structs import replace

from sdn.model import (
    NETWORK_POLICY,
    Direction,
    IPBlock,
    Model,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    rule_origin,
)

NOBODY = NetworkPolicyRule(peers=(NetworkPolicyPeer(ip_block=IPBlock("192.0.2.1/32")),))


def without(model: Model, origins: set[str]) -> Model:
    """The model in which these rules match nothing; all others keep their places, and so their names."""
    policies = tuple(
        replace(
            policy,
            rules=tuple(
                replace(rule, nothing=True)
                if rule_origin(rule.direction, policy.tier, policy.name, rule.label or index) in origins
                else rule
                for index, rule in enumerate(policy.rules)
            ),
        )
        for policy in model.policies
    )

    def silenced(key: str, direction: Direction, rules: tuple[NetworkPolicyRule, ...]) -> tuple[NetworkPolicyRule, ...]:
        return tuple(
            NOBODY if rule_origin(direction, NETWORK_POLICY, key, index) in origins else rule
            for index, rule in enumerate(rules)
        )

    network_policies = tuple(
        replace(
            policy,
            ingress=silenced(f"{policy.namespace}/{policy.name}", Direction.INGRESS, policy.ingress),
            egress=silenced(f"{policy.namespace}/{policy.name}", Direction.EGRESS, policy.egress),
        )
        for policy in model.network_policies
    )
    return replace(model, policies=policies, network_policies=network_policies)

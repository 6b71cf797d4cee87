"""The policies of a lab while they come and go, filed by where the workloads are that they may select.

Thousands of policies are about one namespace or one Application each; whoever asks for one class reads no others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from sdn.model import Model, NetworkPolicy, Policy
from sdn.policy.compiler_classes import Universe
from sdn.policy.compiler_vocabulary import WorkloadClass
from sdn.policy.compiler_written import selected

Written = NetworkPolicy | Policy

Place = tuple[str, str]
"""A namespace, or an Application; the other one is empty. Both empty: anywhere."""

ANYWHERE: Place = ("", "")


class WrittenPolicies:
    """All policies that are written now, by their places."""

    def __init__(self, model: Model) -> None:
        self._filed: dict[Place, dict[tuple[str, str], Written]] = defaultdict(dict)
        for network_policy in model.network_policies:
            self.add(network_policy)
        for policy in model.policies:
            self.add(policy)

    def add(self, policy: Written) -> None:
        """One that is new."""
        for place in _places(policy):
            self._filed[place][_key(policy)] = policy

    def remove(self, policy: Written) -> None:
        """One that is no more."""
        for place in _places(policy):
            del self._filed[place][_key(policy)]
            if not self._filed[place]:
                del self._filed[place]

    def about(self, classes: Collection[WorkloadClass], universe: Universe) -> list[Written]:
        """Those that say anything to one of these classes, of which the universe is made."""
        places = {("", one.application) for one in classes} | {(one.namespace, "") for one in classes} | {ANYWHERE}
        near = {key: policy for place in places for key, policy in self._filed.get(place, {}).items()}
        return [policy for policy in near.values() if selected(policy, universe)]


def _key(policy: Written) -> tuple[str, str]:
    """A tier's policies have no namespace."""
    return (policy.namespace if isinstance(policy, NetworkPolicy) else "", policy.name)


def _places(policy: Written) -> set[Place]:
    """Where all are whom a policy may be for."""
    if isinstance(policy, NetworkPolicy):
        return {(policy.namespace, "")}
    found: set[Place] = set()
    for applied in [policy.applies_to] if policy.applies_to else [rule.applies_to for rule in policy.rules]:
        for selector in applied:
            found.update(_either(selector.namespaces, selector.applications))
        if not applied:
            return {ANYWHERE}
    return {ANYWHERE} if ANYWHERE in found else found


def _either(namespaces: Iterable[str], applications: Iterable[str]) -> Iterator[Place]:
    places = [(name, "") for name in namespaces] or [("", name) for name in applications]
    yield from places or [ANYWHERE]

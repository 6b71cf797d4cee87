"""Workloads in classes that no selector can tell apart: what the compiler works on instead of workloads.

Only what some policy asks about makes a class, so pods that differ in a hash label, or in nothing, are one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from fnmatch import translate

from msgspec import Struct

from sdn.model import Kind, LabelSelector, Model, Placed, PortRange, Protocol, Selector, Workload
from sdn.policy.selector import LabelIndex, mask_of, positions_of

NAME_LABEL = "kubernetes.io/metadata.name"


class PodSelector(Struct, frozen=True):
    """A NetworkPolicy's peer, made absolute: Pods of `namespace`, or of all that `namespaces` matches."""

    namespace: str
    pods: LabelSelector
    namespaces: LabelSelector | None = None


Part = Selector | PodSelector
"""What a rule may unite into one group."""

NamedPort = tuple[Protocol, str]


class WorkloadClass(Struct, frozen=True, order=True):
    """Everything about a workload that a policy of this model can see; `namespace` first, so each is one bit range.

    `labels` holds only keys that some selector names, `patterns` the name patterns that match, `ports` the numbers
    behind port names that some policy uses.
    """

    namespace: str
    application: str
    segment: str
    kind: Kind
    labels: tuple[tuple[str, str], ...]
    patterns: tuple[str, ...]
    ports: tuple[tuple[Protocol, str, int], ...]


class Vocabulary:
    """What the policies of a model ask about: label keys, name patterns and named ports; all else is left out."""

    def __init__(self, model: Model) -> None:
        self.keys: set[str] = set()
        self.patterns: set[str] = set()
        self.ports: set[NamedPort] = set()
        for network_policy in model.network_policies:
            self._labels(network_policy.pods)
            for written in (*network_policy.ingress, *network_policy.egress):
                self._ports(written.ports)
                for pod_peer in written.peers:
                    self._labels(pod_peer.pods)
        for policy in model.policies:
            for selector in policy.applies_to:
                self._selector(selector)
            for rule in policy.rules:
                self._ports(rule.ports)
                for peer in rule.peers:
                    self._selector(peer.selector)
        self._literal = {pattern for pattern in self.patterns if not set(pattern) & set("*?[")}
        self._matchers = [(p, re.compile(translate(p)).match) for p in sorted(self.patterns - self._literal)]

    def classify(self, workload: Workload) -> WorkloadClass:
        """The class of a workload: equal for workloads that no policy can tell apart."""
        patterns = [pattern for pattern, match in self._matchers if match(workload.name)]
        if workload.name in self._literal:
            patterns.append(workload.name)
        return WorkloadClass(
            workload.namespace,
            workload.application,
            workload.segment,
            workload.kind,
            tuple(sorted((k, v) for k, v in workload.labels.items() if k in self.keys)),
            tuple(patterns),
            tuple(
                sorted({(p.protocol, p.name, p.number) for p in workload.ports if (p.protocol, p.name) in self.ports})
            ),
        )

    def _labels(self, selector: LabelSelector | None) -> None:
        if selector is not None:
            self.keys.update(key for key, _ in selector.labels)
            self.keys.update(requirement.key for requirement in selector.expressions)

    def _selector(self, selector: Selector | None) -> None:
        if selector is not None:
            self._labels(selector.labels)
            if selector.name:
                self.patterns.add(selector.name)

    def _ports(self, ports: Iterable[PortRange]) -> None:
        self.ports.update((port.protocol, port.port) for port in ports if isinstance(port.port, str))


class Universe:
    """All workloads with an endpoint, by class. Masks are over `classes`; bit i is `classes[i]`."""

    def __init__(self, placed: Placed) -> None:
        members: dict[WorkloadClass, list[str]] = defaultdict(list)
        vocabulary = Vocabulary(placed.model)
        for workload in placed.model.workloads:
            if workload.key in placed.endpoints:
                members[vocabulary.classify(workload)].append(workload.key)
        self.classes = sorted(members)
        self.members = [sorted(members[found]) for found in self.classes]
        labels = {space.name: {NAME_LABEL: space.name, **space.labels} for space in placed.model.namespaces}
        self._labels = LabelIndex([dict(found.labels) for found in self.classes])
        self._facts = LabelIndex([_facts(found) for found in self.classes])
        self._spaces = LabelIndex([labels.get(c.namespace, {NAME_LABEL: c.namespace}) for c in self.classes])
        self.all = self._facts.all
        self._pods = self._facts.having("kind", (Kind.POD,))
        self._ranges = self._namespace_ranges()
        self._own: dict[str, tuple[LabelIndex, int]] = {}
        self._numbers: dict[NamedPort, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._by_number: dict[NamedPort, dict[int, int]] = {}
        for position, found in enumerate(self.classes):
            for protocol, name, number in found.ports:
                self._numbers[protocol, name][number].append(position)

    def select(self, part: Part) -> int:
        """The classes that a selector of ours or a NetworkPolicy's peer matches."""
        if isinstance(part, Selector):
            return self._select(part)
        if part.namespaces is None:
            start, mask = self.pods(part.namespace, part.pods)
            return mask << start
        return self._pods & self._spaces.match(part.namespaces) & self._labels.match(part.pods)

    def pods(self, namespace: str, selector: LabelSelector) -> tuple[int, int]:
        """Pods of one namespace as (first class, mask from there): small numbers, however many namespaces there are."""
        start, end = self._ranges.get(namespace, (0, 0))
        if namespace not in self._own:
            own = self.classes[start:end]
            index = LabelIndex([dict(found.labels) for found in own])
            self._own[namespace] = index, mask_of([i for i, found in enumerate(own) if found.kind is Kind.POD])
        index, pods = self._own[namespace]
        return start, index.match(selector) & pods

    def numbers(self, port: NamedPort) -> dict[int, int]:
        """The port numbers that a name stands for, each with the classes where it does."""
        if port not in self._by_number:
            found = self._numbers.get(port, {})
            self._by_number[port] = {number: mask_of(classes) for number, classes in sorted(found.items())}
        return self._by_number[port]

    def workloads(self, mask: int) -> tuple[str, ...]:
        """The keys of all workloads in these classes, sorted."""
        return tuple(sorted(key for position in positions_of(mask) for key in self.members[position]))

    def _select(self, selector: Selector) -> int:
        found = self.all
        for key, values in _alternatives(selector):
            found &= self._facts.having(key, values)
        if selector.namespace_labels is not None:
            found &= self._spaces.match(selector.namespace_labels)
        if selector.labels is not None and found:
            found &= self._labels.match(selector.labels)
        return found

    def _namespace_ranges(self) -> dict[str, tuple[int, int]]:
        ranges: dict[str, tuple[int, int]] = {}
        for position, found in enumerate(self.classes):
            start, _ = ranges.get(found.namespace, (position, position))
            ranges[found.namespace] = start, position + 1
        return ranges


def _facts(found: WorkloadClass) -> dict[str, str]:
    """What is not a label, as labels; a pattern is a key of its own, for several may match one name."""
    return {
        "namespace": found.namespace,
        "application": found.application,
        "segment": found.segment,
        "kind": found.kind,
        **{f"name {pattern}": "" for pattern in found.patterns},
    }


def _alternatives(selector: Selector) -> list[tuple[str, tuple[str, ...]]]:
    asked = [
        ("namespace", selector.namespaces),
        ("application", selector.applications),
        ("segment", selector.segments),
        ("kind", (selector.kind.value,) if selector.kind else ()),
        (f"name {selector.name}", ("",) if selector.name else ()),
    ]
    return [(key, values) for key, values in asked if values]

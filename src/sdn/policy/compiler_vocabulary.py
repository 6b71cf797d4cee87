"""What the policies of a model ask about workloads: label keys, names, named ports, lists of keys, own addresses.

Everything else about a workload is left out of its class, so pods that differ in a hash label, or in nothing, are one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase, translate
from functools import cached_property
from typing import NamedTuple

from msgspec import Struct

from sdn.model import (
    AllOf,
    AnyOf,
    Endpoint,
    Expression,
    Group,
    InGroup,
    IPBlock,
    Kind,
    LabelSelector,
    Model,
    NetworkPolicy,
    Peer,
    Policy,
    PortRange,
    Protocol,
    Selector,
    Where,
    Workload,
)
from sdn.policy.compiler_places import Places

NAME_LABEL = "kubernetes.io/metadata.name"

NamedPort = tuple[Protocol, str]


class WorkloadClass(Struct, frozen=True, order=True, gc=False):
    """Everything about a workload that a policy of this model can see; `namespace` first, so each is one bit range.

    `labels` holds only keys that some selector names, `patterns` the name patterns that match, `ports` the numbers
    behind port names that some policy uses, `lists` the numbers of the lists of keys that name it, `places` where its
    own addresses lie among the blocks that rules' own sides speak of.
    """

    namespace: str
    application: str
    segment: str
    kind: Kind
    labels: tuple[tuple[str, str], ...]
    patterns: tuple[str, ...]
    ports: tuple[tuple[Protocol, str, int], ...]
    lists: tuple[int, ...] = ()
    places: tuple[int, ...] = ()


class GroupBook:
    """The written Groups by name; one that nobody wrote holds nobody."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups = {group.name: group for group in groups}
        self._blocks: dict[str, tuple[IPBlock, ...]] = {}

    def get(self, name: str) -> Group:
        """The Group of this name."""
        return self._groups.get(name) or Group(name)

    def blocks(self, name: str) -> tuple[IPBlock, ...]:
        """Its addresses and those of the Groups within it."""
        if name not in self._blocks:
            group = self.get(name)
            nested = (block for inner in group.within for block in self.blocks(inner))
            self._blocks[name] = tuple(dict.fromkeys((*group.blocks, *nested)))
        return self._blocks[name]

    def of_peers(self, peers: Iterable[Peer]) -> Iterator[IPBlock]:
        """All addresses that these peers speak of."""
        for peer in peers:
            if peer.ip_block is not None:
                yield peer.ip_block
            if peer.group:
                yield from self.blocks(peer.group)


class News(NamedTuple):
    """What nobody asked about until now: keys of labels, named ports, patterns of names, workloads' keys, blocks."""

    keys: set[str]
    ports: set[NamedPort]
    patterns: set[str]
    listed: set[str]
    blocks: set[IPBlock]

    def concern(self, workload: Workload) -> bool:
        """Whether it may be told apart from others of its class now."""
        return (
            bool(self.blocks)
            or not self.keys.isdisjoint(workload.labels)
            or workload.key in self.listed
            or any(fnmatchcase(workload.name, pattern) for pattern in self.patterns)
            or any((port.protocol, port.name) in self.ports for port in workload.ports)
        )


class Vocabulary:
    """What a model's policies ask about; Groups count as far as some policy reaches them."""

    def __init__(self, model: Model, book: GroupBook) -> None:
        self.keys: set[str] = set()
        self.patterns: set[str] = set()
        self.ports: set[NamedPort] = set()
        self.lists: dict[tuple[str, ...], int] = {}
        self.book = book
        self._namespaces = model.namespaces
        self._own: set[IPBlock] = set()
        self._seen: set[str] = set()
        self._read(model.network_policies, model.policies)
        for selector in model.exclusions:
            self._selector(selector)
        self._index()

    def _index(self) -> None:
        self.places = Places(self._own)
        self._literal = {pattern for pattern in self.patterns if not set(pattern) & set("*?[")}
        self._matchers = [(p, re.compile(translate(p)).match) for p in sorted(self.patterns - self._literal)]
        self._listed: dict[str, list[int]] = defaultdict(list)
        for keys, number in self.lists.items():
            for key in set(keys):
                self._listed[key].append(number)

    def widen(self, network_policies: Iterable[NetworkPolicy], policies: Iterable[Policy]) -> News:
        """Ask what these policies ask as well, and never anything less: finer classes come to the same rules."""
        known = set(self.keys), set(self.ports), set(self.patterns), set(self.lists), set(self._own)
        self._read(network_policies, policies)
        keys, ports, patterns, blocks = self.keys, self.ports, self.patterns, self._own
        lists = {key for one in self.lists.keys() - known[3] for key in one}
        news = News(keys - known[0], ports - known[1], patterns - known[2], lists, blocks - known[4])
        if any(news):
            self._index()
        return news

    @cached_property
    def spaces(self) -> dict[str, dict[str, str]]:
        """Namespace → its labels; made once for all universes, for a cluster may have 25,000."""
        return {space.name: {NAME_LABEL: space.name, **space.labels} for space in self._namespaces}

    def classify(self, workload: Workload, endpoint: Endpoint) -> WorkloadClass:
        """The class of a workload: equal for workloads that no policy can tell apart."""
        labels = [item for item in workload.labels.items() if item[0] in self.keys]
        return WorkloadClass(
            workload.namespace,
            workload.application,
            workload.segment,
            workload.kind,
            tuple(sorted(labels)) if len(labels) > 1 else tuple(labels),
            self._patterns_of(workload.name) if self.patterns else (),
            self._ports_of(workload) if self.ports else (),
            tuple(self._listed.get(workload.key, ())) if self.lists else (),
            self.places.of_endpoint(endpoint) if self._own else (),
        )

    def _patterns_of(self, name: str) -> tuple[str, ...]:
        patterns = [pattern for pattern, match in self._matchers if match(name)]
        return (*patterns, name) if name in self._literal else tuple(patterns)

    def _ports_of(self, workload: Workload) -> tuple[tuple[Protocol, str, int], ...]:
        found = {(p.protocol, p.name, p.number) for p in workload.ports if (p.protocol, p.name) in self.ports}
        return tuple(sorted(found))

    def _read(self, network_policies: Iterable[NetworkPolicy], policies: Iterable[Policy]) -> None:
        for network_policy in network_policies:
            self._labels(network_policy.pods)
            for rules in (network_policy.ingress, network_policy.egress):
                for written in rules:
                    self._ports(written.ports)
                    for pod_peer in written.peers:
                        self._labels(pod_peer.pods)
        for policy in policies:
            for rule in policy.rules:
                self._ports(rule.ports)
                self._own.update(self.book.of_peers(rule.own))
                for peer in (*rule.peers, *rule.own):
                    self._peer(peer)
                for selector in rule.applies_to:
                    self._selector(selector)
            for selector in policy.applies_to:
                self._selector(selector)

    def _peer(self, peer: Peer) -> None:
        if peer.selector is not None:
            self._selector(peer.selector)
        if peer.group:
            self._group(peer.group)

    def _selector(self, selector: Selector) -> None:
        self._labels(selector.labels)
        if selector.name:
            self.patterns.add(selector.name)
        if selector.keys:
            self.lists.setdefault(selector.keys, len(self.lists))
        for name in selector.groups:
            self._group(name)

    def _group(self, name: str) -> None:
        if name in self._seen:
            return
        self._seen.add(name)
        group = self.book.get(name)
        if group.members is not None:
            self._expression(group.members)
        for inner in group.within:
            self._group(inner)

    def _expression(self, expression: Expression) -> None:
        match expression:
            case Where(selector):
                self._selector(selector)
            case InGroup(name):
                self._group(name)
            case AllOf(parts) | AnyOf(parts):
                for part in parts:
                    self._expression(part)

    def _labels(self, selector: LabelSelector | None) -> None:
        if selector is not None:
            for key, _ in selector.labels:
                self.keys.add(key)
            for requirement in selector.expressions:
                self.keys.add(requirement.key)

    def _ports(self, ports: Iterable[PortRange]) -> None:
        for port in ports:
            if isinstance(port.port, str):
                self.ports.add((port.protocol, port.port))

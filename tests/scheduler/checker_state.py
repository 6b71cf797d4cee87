"""Who is where, for the checker: read from a Placement by plain loops, with no word of the scheduler's.

A *place* is what a workload is bound to: a Host, or a node. A node has the labels of its Host under its own, so that
racks and zones need not be written twice, and whatever a Pod asks of its Host stays true when the node moves.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from sdn.model import (
    HOSTNAME,
    NODE_NAME,
    Affinity,
    Effect,
    Host,
    HostState,
    Kind,
    LabelSelector,
    Model,
    Namespace,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    Placement,
    PodTerm,
    Taint,
    Workload,
)
from sdn.policy.oracle_match import labels_match
from sdn.policy.oracle_members import Members

NOTHING = Affinity()
OS = {"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "linux"}
"""Labels that every place has of itself, for manifests ask for them."""


class Violation(Struct, frozen=True, order=True):
    """One rule that is broken by one subject. `excess` says how far, so that "worse than before" can be told."""

    rule: str
    subject: str
    excess: float = 1
    text: str = ""

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.text}" if self.text else f"{self.rule}: {self.subject}"


class Place(Struct, frozen=True):
    """A Host or a node as the rules see it."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    host: Host


class State:
    """A Model and where all of it is; `before` is where it was, for rules that look at newcomers only."""

    def __init__(self, model: Model, placement: Placement, before: Placement | None = None) -> None:
        self.model = with_namespaces(model)
        self.placement = placement
        self.before = before or Placement({})
        self.hosts = {host.name: host for host in model.underlay.hosts}
        self.workloads = {workload.key: workload for workload in model.workloads}
        self.members = Members(self.model)
        self.namespaces = {namespace.name: namespace.labels for namespace in self.model.namespaces}
        self.placed = [w for w in model.workloads if self.is_placed(w)]
        self.on: dict[str, list[Workload]] = {name: [] for name in self.hosts}  # Host → all that runs there
        self.directly: dict[str, list[Workload]] = {name: [] for name in self.hosts}  # Host → without Pods in nodes
        self.inside: dict[str, list[Workload]] = {w.key: [] for w in model.workloads if w.is_node}
        for workload in self.placed:
            self._enter(workload)
        self.host_places = {name: host_place(host) for name, host in self.hosts.items()}
        self.node_places = {w.key: self._node_place(w) for w in self.placed if w.is_node}
        self.places = {w.key: self._place(w) for w in self.placed}
        self._labelled: dict[tuple[str, str], list[Workload]] = {}
        for workload in self.placed:
            for label in workload.labels.items():
                self._labelled.setdefault(label, []).append(workload)
        self._matching: dict[tuple[PodTerm, str], list[Workload]] = {}
        self._domains: dict[tuple[PodTerm, str], dict[str, list[Workload]]] = {}

    def is_placed(self, workload: Workload) -> bool:
        """Whether it is somewhere that exists; `checker_rules.whereabouts` tells of those that are nowhere sensible."""
        node = self.placement.nodes.get(workload.key)
        if node is not None and (node not in self.workloads or not self.workloads[node].is_node):
            return False
        if node is not None and self.placement.hosts.get(node) != self.placement.hosts.get(workload.key):
            return False
        return self.placement.hosts.get(workload.key) in self.hosts

    def _enter(self, workload: Workload) -> None:
        host, node = self.placement.hosts[workload.key], self.placement.nodes.get(workload.key)
        self.on[host].append(workload)
        (self.directly[host] if node is None else self.inside[node]).append(workload)

    def _place(self, workload: Workload) -> Place:
        node = self.placement.nodes.get(workload.key)
        return self.host_places[self.placement.hosts[workload.key]] if node is None else self.node_places[node]

    def _node_place(self, node: Workload) -> Place:
        host = self.hosts[self.placement.hosts[node.key]]
        taints = tuple(Taint(key, value, Effect(effect)) for key, value, effect in node.taints)
        return Place(node.name, OS | host.labels | node.labels | {HOSTNAME: node.name}, taints, host)

    def candidates(self, workload: Workload) -> list[Place]:
        """The places that a workload could be bound to: Pods go to nodes where there are any, all else to Hosts."""
        pod_in_node = workload.kind is Kind.POD and self.node_places
        return list(self.node_places.values() if pod_in_node else self.host_places.values())

    def is_new(self, workload: Workload) -> bool:
        """Whether it was bound since `before`. A Pod in a node that moved stayed where it was."""
        node = self.placement.nodes.get(workload.key)
        if node is not None:
            return self.before.nodes.get(workload.key) != node
        return workload.key in self.before.nodes or (
            self.before.hosts.get(workload.key) != self.placement.hosts[workload.key]
        )

    def domain(self, workload: Workload, topology: str) -> str | None:
        """The value of the label at the place where a workload is; None where there is no such label."""
        return self.places[workload.key].labels.get(topology)

    def matching(self, term: PodTerm, own_namespace: str) -> list[Workload]:
        """All placed workloads that a term means, wherever they are."""
        if (term, own_namespace) not in self._matching:
            among = self.perhaps(term.selector)
            self._matching[term, own_namespace] = [w for w in among if self.means(term, own_namespace, w)]
        return self._matching[term, own_namespace]

    def perhaps(self, selector: LabelSelector | None) -> list[Workload]:
        """All placed workloads that have the first label that a selector names; large labs have thousands of them."""
        labels = selector.labels if selector else ()
        return self._labelled.get(labels[0], []) if labels else self.placed

    def in_domains(self, term: PodTerm, own_namespace: str) -> dict[str, list[Workload]]:
        """The same by the domain that they are in; those in none are left out."""
        if (term, own_namespace) not in self._domains:
            found: dict[str, list[Workload]] = {}
            for workload in self.matching(term, own_namespace):
                domain = self.domain(workload, term.topology)
                if domain is not None:
                    found.setdefault(domain, []).append(workload)
            self._domains[term, own_namespace] = found
        return self._domains[term, own_namespace]

    def means(self, term: PodTerm, own_namespace: str, workload: Workload) -> bool:
        """Whether a term is about this workload."""
        if term.selector is None or not labels_match(term.selector, workload.labels):
            return False
        if not term.namespaces and term.namespace_labels is None:
            return workload.namespace == own_namespace
        by_label = term.namespace_labels is not None and labels_match(
            term.namespace_labels, self.namespaces[workload.namespace]
        )
        return by_label or workload.namespace in term.namespaces


def host_place(host: Host) -> Place:
    """A Host as a place."""
    return Place(host.name, OS | host.labels | {HOSTNAME: host.name}, host.taints, host)


def with_namespaces(model: Model) -> Model:
    """The model with every namespace that its workloads are in, for tests rarely write them down."""
    known = {namespace.name for namespace in model.namespaces}
    missing = sorted({workload.namespace for workload in model.workloads} - known)
    added = tuple(Namespace(name, {"kubernetes.io/metadata.name": name}) for name in missing)
    return replace(model, namespaces=(*model.namespaces, *added))


def affinity_of(workload: Workload) -> Affinity:
    """Its affinity, an empty one where it has none."""
    return workload.scheduling.affinity or NOTHING


def admits(workload: Workload, place: Place) -> bool:
    """Whether a workload's node selector and node affinity allow a place."""
    if any(place.labels.get(key) != value for key, value in workload.selector.items()):
        return False
    terms = affinity_of(workload).nodes
    return not terms or any(term_holds(term, place) for term in terms)


def term_holds(term: NodeTerm, place: Place) -> bool:
    """All requirements; a term without any holds nowhere."""
    return bool(term.requirements) and all(requirement_holds(one, place) for one in term.requirements)


def requirement_holds(one: NodeRequirement, place: Place) -> bool:
    """Whether one condition is true of a place; NotIn and DoesNotExist are true where there is no such label."""
    value = place.name if one.key == NODE_NAME else place.labels.get(one.key)
    match one.operator:
        case NodeOperator.IN:
            return value is not None and value in one.values
        case NodeOperator.NOT_IN:
            return value is None or value not in one.values
        case NodeOperator.EXISTS:
            return value is not None
        case NodeOperator.DOES_NOT_EXIST:
            return value is None
        case NodeOperator.GT | NodeOperator.LT:
            return compares(one, value)


def compares(one: NodeRequirement, value: str | None) -> bool:
    """Greater or less than a whole number; what is no number is neither."""
    try:
        mine, theirs = int(value or "none"), int(one.values[0])
    except (ValueError, IndexError):
        return False
    return mine > theirs if one.operator is NodeOperator.GT else mine < theirs


def is_up(place: Place) -> bool:
    """Whether new workloads may come here at all."""
    return place.host.state is HostState.UP

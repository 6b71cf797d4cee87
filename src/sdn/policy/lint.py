"""What is legal in policies and services and yet does nothing: selectors that match nobody, port names that nobody has.

Warnings, never errors: published manifests hold such mistakes, and the cluster that they were written for takes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from sdn.model import (
    AllOf,
    AnyOf,
    Direction,
    Expression,
    Group,
    LabelSelector,
    Model,
    NetworkPolicy,
    NetworkPolicyPeer,
    Operator,
    Policy,
    PortRange,
    Requirement,
    Rule,
    Selector,
    Service,
    Where,
    Workload,
)
from sdn.policy.oracle_match import (
    Labels,
    is_policy_pod,
    labels_match,
    named_ports,
    namespace_labels,
    peer_selects,
    policy_selects,
    service_selects,
)
from sdn.policy.oracle_members import Members

SHOWN = 5
"""How many of the labels that exist a warning lists."""


def warnings(model: Model, where: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence per thing that does nothing, ordered by file and line.

    `where` gives file:line of "NetworkPolicy namespace/name", "policy name", "group name" and "service namespace/name";
    what it lacks is named without a place.
    """
    lint = _Lint(model)
    found = [
        *((f"NetworkPolicy {p.namespace}/{p.name}", text) for p in model.network_policies for text in lint.network(p)),
        *((f"policy {p.name}", text) for p in model.policies for text in lint.policy(p)),
        *((f"group {g.name}", text) for g in model.groups for text in lint.group(g)),
        *((f"service {s.key}", text) for s in model.services for text in lint.service(s)),
    ]
    unique = dict.fromkeys(found)
    placed = sorted(unique, key=lambda item: (*_line_order(where.get(item[0], "")), item[0]))
    return tuple(f"{where[who]}: {who}: {text}" if who in where else f"{who}: {text}" for who, text in placed)


def _distinct(model: Model) -> list[Workload]:
    """One workload for all that no policy and no Service tells apart: replicas would only be asked again."""
    selectors = (s for policy in model.policies for s in _selectors(policy))
    by_name = bool(model.groups) or any(selector.name or selector.keys for selector in selectors)
    kinds: dict[tuple[object, ...], Workload] = {}
    for workload in model.workloads:
        if not workload.host_network:
            labels = tuple(sorted(workload.labels.items()))
            place = (workload.namespace, workload.application, workload.segment, workload.kind)
            kinds.setdefault((place, labels, workload.ports, workload.key if by_name else ""), workload)
    return list(kinds.values())


def _selectors(policy: Policy) -> Iterator[Selector]:
    yield from policy.applies_to
    for rule in policy.rules:
        yield from rule.applies_to
        yield from (peer.selector for peer in (*rule.peers, *rule.own) if peer.selector is not None)


class _Lint:
    """The workloads of a model as policies see them."""

    def __init__(self, model: Model) -> None:
        self._namespaces = namespace_labels(model)
        self._members = Members(model)
        self._groups = {group.name: group for group in model.groups}
        self._is_empty: dict[str, bool] = {}
        self._workloads = _distinct(model)
        self._pods = [workload for workload in self._workloads if is_policy_pod(workload)]
        self._chosen: dict[tuple[str, LabelSelector], list[Workload]] = {}
        self._peers: dict[tuple[NetworkPolicyPeer, str], list[Workload]] = {}
        self._matches: dict[Selector, list[Workload]] = {}
        self._in_application: dict[str, list[Workload]] = {}
        self._in_namespace: dict[str, list[Workload]] = {}
        for workload in self._workloads:
            self._in_application.setdefault(workload.application, []).append(workload)
            self._in_namespace.setdefault(workload.namespace, []).append(workload)
        self._neighbours: dict[str, list[Workload]] = {}
        for pod in self._pods:
            self._neighbours.setdefault(pod.namespace, []).append(pod)

    def network(self, policy: NetworkPolicy) -> Iterator[str]:
        """What of a NetworkPolicy does nothing."""
        own = self._neighbours.get(policy.namespace, [])
        chosen = policy.namespace, policy.pods
        if chosen not in self._chosen:
            self._chosen[chosen] = [pod for pod in own if policy_selects(policy, pod)]
        selected = self._chosen[chosen]
        if not selected:
            hint = _hint(policy.pods, [pod.labels for pod in own])
            yield f"{_words(policy.pods)} selects no pod of namespace {policy.namespace}{hint}"
        for direction in policy.directions:
            rules = policy.ingress if direction is Direction.INGRESS else policy.egress
            for rule in rules:
                matches = [self._network_peer(peer, policy.namespace) for peer in rule.peers]
                for peer, match in zip(rule.peers, matches, strict=True):
                    if match == []:
                        yield f"peer {_peer_words(peer)} selects no workload{self._peer_hint(peer, own)}"
                destinations = selected if direction is Direction.INGRESS else self._union(matches)
                yield from _unknown_ports(rule.ports, destinations)

    def policy(self, policy: Policy) -> Iterator[str]:
        """What of a tier policy does nothing."""
        for selector in policy.applies_to:
            if not self._selected(selector):
                yield f"applies_to {_selector_words(selector)} selects no workload{self._selector_hint(selector)}"
        subjects = self._union([self._selected(selector) for selector in policy.applies_to])
        for index, rule in enumerate(policy.rules):
            yield from (f"rule {rule.label or index}: {text}" for text in self._rule(rule))
            matches = [None if peer.selector is None else self._selected(peer.selector) for peer in rule.peers]
            for peer, match in zip(rule.peers, matches, strict=True):
                if match == [] and peer.selector is not None:
                    hint = self._selector_hint(peer.selector)
                    yield f"peer {_selector_words(peer.selector)} selects no workload{hint}"
            yield from _unknown_ports(
                rule.ports, subjects if rule.direction is Direction.INGRESS else self._union(matches)
            )

    def _rule(self, rule: Rule) -> Iterator[str]:
        """Groups that hold nobody, and whom the rule is for where that is nobody."""
        named = {peer.group for peer in (*rule.peers, *rule.own)} | {n for one in rule.applies_to for n in one.groups}
        for name in sorted(named & self._groups.keys()):
            if self._holds_nobody(name):
                yield f"group {name} holds nobody"
        for selector in (*rule.applies_to, *(peer.selector for peer in rule.own if peer.selector is not None)):
            if not selector.groups and not self._selected(selector):
                yield f"{_selector_words(selector)} selects no workload{self._selector_hint(selector)}"

    def group(self, group: Group) -> Iterator[str]:
        """A group that holds nobody, with what its selectors may have meant."""
        if self._holds_nobody(group.name):
            hints = (self._selector_hint(one) for one in _leaves(group.members))
            yield f"holds no workload and no address{next(filter(None, hints), '')}"

    def _holds_nobody(self, name: str) -> bool:
        """Neither by itself nor by what is nested in it."""
        if name not in self._is_empty:
            self._is_empty[name] = not self._has_addresses(name) and not any(
                self._members.is_member(name, workload) for workload in self._workloads
            )
        return self._is_empty[name]

    def _has_addresses(self, name: str) -> bool:
        group = self._groups.get(name)
        return group is not None and (bool(group.blocks) or any(map(self._has_addresses, group.within)))

    def service(self, service: Service) -> Iterator[str]:
        """What of a Service leads nowhere."""
        if not service.selector:
            yield "has no selector, so nobody stands behind it"
            return
        near = self._in_namespace.get(service.namespace, [])
        backends = [workload for workload in near if service_selects(service, workload)]
        if not backends:
            selector = LabelSelector(tuple(sorted(service.selector.items())))
            yield f"selector {_words(selector)} selects no workload{_hint(selector, [one.labels for one in near])}"
            return
        yield from _unknown_ports(
            tuple(PortRange(port.protocol, port.target) for port in service.ports), backends, "target port"
        )

    def _network_peer(self, peer: NetworkPolicyPeer, namespace: str) -> list[Workload] | None:
        if peer.ip_block is not None:
            return None
        at = namespace if peer.namespaces is None else ""  # the rest of the cluster is the same seen from anywhere
        if (peer, at) not in self._peers:
            pods = self._neighbours.get(at, []) if at else self._pods
            self._peers[peer, at] = [p for p in pods if peer_selects(peer, namespace, p, self._namespaces[p.namespace])]
        return self._peers[peer, at]

    def _peer_hint(self, peer: NetworkPolicyPeer, own: list[Workload]) -> str:
        """The labels nearby: first of namespaces, because pods are looked for inside those only."""
        if peer.namespaces is not None:
            names = [name for name, labels in self._namespaces.items() if labels_match(peer.namespaces, labels)]
            if not names:
                return _hint(peer.namespaces, list(self._namespaces.values()))
            own = [pod for pod in self._pods if pod.namespace in names]
        return "" if peer.pods is None else _hint(peer.pods, [pod.labels for pod in own])

    def _selected(self, selector: Selector) -> list[Workload]:
        if selector not in self._matches:
            near = self._workloads
            if len(selector.applications) == 1:
                near = self._in_application.get(selector.applications[0], [])
            elif len(selector.namespaces) == 1:
                near = self._in_namespace.get(selector.namespaces[0], [])
            self._matches[selector] = [w for w in near if self._members.selects(selector, w)]
        return self._matches[selector]

    def _selector_hint(self, selector: Selector) -> str:
        known: list[tuple[tuple[str, ...], Callable[[Workload], str]]] = [
            (selector.namespaces, lambda workload: workload.namespace),
            (selector.applications, lambda workload: workload.application),
            (selector.segments, lambda workload: workload.segment),
        ]
        for wanted, get in known:
            existing = _itself(get(workload) for workload in self._workloads)
            if wanted and not set(wanted) & set(existing):
                return _near(wanted[0], existing)
        if selector.name and not self._selected(Selector(name=selector.name)):
            return _near(selector.name, _itself(workload.name for workload in self._workloads))
        labels = [(selector.labels, [workload.labels for workload in self._workloads])]
        labels.append((selector.namespace_labels, list(self._namespaces.values())))
        return next((hint for wanted, existing in labels if wanted and (hint := _hint(wanted, existing))), "")

    def _union(self, matches: Sequence[list[Workload] | None]) -> list[Workload]:
        """Everybody whom a list of peers means, each once; no peers mean everybody."""
        if not matches:
            return self._workloads
        return list({workload.key: workload for match in matches for workload in match or ()}.values())


def _leaves(expression: Expression | None) -> Iterator[Selector]:
    """The selectors of an expression."""
    if isinstance(expression, AllOf | AnyOf):
        for part in expression.parts:
            yield from _leaves(part)
    elif isinstance(expression, Where):
        yield expression.selector


def _unknown_ports(ports: tuple[PortRange, ...], destinations: list[Workload], word: str = "port") -> Iterator[str]:
    """Port names that none of the workloads has; nothing if there are no workloads, which is its own warning."""
    if not destinations:
        return
    for port in ports:
        if isinstance(port.port, str) and not any(named_ports(w, port.port, port.protocol) for w in destinations):
            known = {f"{p.name}/{p.protocol}": p.name for w in destinations for p in w.ports if p.name}
            hint = _near(port.port, dict(sorted(known.items())))
            yield f"{word} {port.port}/{port.protocol} is a name that no selected workload gives{hint}"


def _hint(selector: LabelSelector, existing: list[Labels]) -> str:
    """The labels that exist and that whoever wrote the selector may have meant."""
    wanted: list[tuple[str, tuple[str, ...]]] = [(key, (value,)) for key, value in selector.labels]
    wanted += [(r.key, r.values) for r in selector.expressions if r.operator in (Operator.IN, Operator.EXISTS)]
    for key, alternatives in wanted:
        values = sorted({labels[key] for labels in existing if key in labels})
        if not values:
            return _near(key, _itself(other for labels in existing for other in labels), "labels")
        if alternatives and not set(alternatives) & set(values):
            return _near(alternatives[0], {f"{key}={other}": other for other in values})
    return ""


def _near(text: str, existing: Mapping[str, str], what: str = "") -> str:
    """`(did you mean ...?)` where something is close, else what there is, else nothing.

    `existing` is what is compared with `text`, by the words that name it.
    """
    close = get_close_matches(text, sorted(set(existing.values())), n=2, cutoff=0.75)
    if close:
        return f" (did you mean {' or '.join(shown for shown, word in existing.items() if word in close)}?)"
    if not existing:
        return ""
    shown = [*existing][:SHOWN]
    more = ", ..." if len(existing) > SHOWN else ""
    return f" (there are{' ' + what if what else ''}: {', '.join(shown)}{more})"


def _itself(words: Iterable[str]) -> dict[str, str]:
    """Sorted words that are shown as they are compared."""
    return {word: word for word in sorted(set(words))}


def _words(selector: LabelSelector) -> str:
    """A label selector as `kubectl -l` writes it."""
    written = [f"{key}={value}" for key, value in selector.labels] + [_requirement(r) for r in selector.expressions]
    return ",".join(written) or "everything"


def _requirement(requirement: Requirement) -> str:
    match requirement.operator:
        case Operator.EXISTS:
            return requirement.key
        case Operator.DOES_NOT_EXIST:
            return f"!{requirement.key}"
        case Operator.IN:
            return f"{requirement.key} in ({', '.join(requirement.values)})"
        case Operator.NOT_IN:
            return f"{requirement.key} notin ({', '.join(requirement.values)})"


def _peer_words(peer: NetworkPolicyPeer) -> str:
    pods = "" if peer.pods is None else _words(peer.pods)
    spaces = "" if peer.namespaces is None else f"namespaces {_words(peer.namespaces)}"
    return " in ".join(part for part in (pods, spaces) if part)


def _selector_words(selector: Selector) -> str:
    """A tier policy's selector, field by field as it is written."""
    fields = {
        "labels": "" if selector.labels is None else _words(selector.labels),
        "namespace_labels": "" if selector.namespace_labels is None else _words(selector.namespace_labels),
        "namespaces": ", ".join(selector.namespaces),
        "applications": ", ".join(selector.applications),
        "segments": ", ".join(selector.segments),
        "kind": "" if selector.kind is None else str(selector.kind),
        "name": selector.name,
        "workloads": ", ".join(selector.keys),
        "groups": ", ".join(selector.groups),
    }
    return " and ".join(f"{field} {value}" for field, value in fields.items() if value) or "everything"


def _line_order(place: str) -> tuple[str, int]:
    """`file:line` so that line 9 comes before line 10."""
    match = re.fullmatch(r"(.*?):(\d+)(?::\d+)?", place)
    return (match[1], int(match[2])) if match else (place, 0)

"""ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy as policies of the admin and baseline tiers.

What is not enforced here (nodes, domain names, kinds of a later API) fails closed: an allowing rule does not match by
it, a Deny or Pass rule matches everything. Source: the API comments of kubernetes-sigs/network-policy-api.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from sdn.model import (
    ADMIN,
    BASELINE,
    Action,
    Direction,
    IPBlock,
    Kind,
    Peer,
    Policy,
    PortRange,
    Protocol,
    Rule,
    Selector,
)
from sdn.model import LabelSelector as Labels
from sdn.spec.kubernetes import schema_cluster as schema
from sdn.spec.kubernetes.objects import Object, Objects
from sdn.spec.kubernetes.policies import label_selector, network
from sdn.spec.kubernetes.schema_selectors import LabelSelector
from sdn.spec.mistakes import Site, nearest
from sdn.spec.parts import place_key

LAST = 1001
"""BaselineAdminNetworkPolicy has no priority; it comes after every ClusterNetworkPolicy of its tier."""

_TIERS = {"Admin": ADMIN, "Baseline": BASELINE}
_NETWORKS = 25
"""The most of one peer, in every API."""
_NAMED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
_NAMELESS = ("networks", "nodes", "domainNames")


@dataclass(frozen=True)
class _Dialect:
    """Where the APIs differ: the words, and how many of a thing they admit."""

    allow: str
    limit: int
    matches: str
    needs_namespaces: bool

    passes: bool = True

    def actions(self) -> dict[str, Action]:
        """The words for what a rule does."""
        actions = {self.allow: Action.ALLOW, "Deny": Action.DENY}
        return actions | {"Pass": Action.PASS} if self.passes else actions


_DIALECTS = {
    "ClusterNetworkPolicy": _Dialect("Accept", 25, "protocols", needs_namespaces=False),
    "AdminNetworkPolicy": _Dialect("Allow", 100, "ports", needs_namespaces=True),
    "BaselineAdminNetworkPolicy": _Dialect("Allow", 100, "ports", needs_namespaces=True, passes=False),
}


@dataclass
class ClusterPolicies:
    """What came of the objects; `where` is keyed as in LabParts."""

    policies: list[Policy] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    where: dict[str, Site] = field(default_factory=dict)


def cluster_policies(objects: Objects, taken: Collection[str]) -> ClusterPolicies:
    """All of them; one whose name another kind has too, or that is `taken`, is called `Kind/name`."""
    items = objects.of(*_DIALECTS)
    times = Counter(item.name for item in items)
    result = ClusterPolicies()
    for item in items:
        name = f"{item.kind}/{item.name}" if times[item.name] > 1 or item.name in taken else item.name
        result.policies.append(_Reader(item, result.warnings).policy(name))
        result.where[place_key("policy", name)] = item.site
    result.warnings += _ties(items, result.policies)
    return result


def _ties(items: Sequence[Object], policies: Sequence[Policy]) -> list[str]:
    """The API leaves the order of equal priorities open, so nobody should rely on ours."""
    equal: dict[tuple[str, int], list[tuple[str, Object]]] = defaultdict(list)
    for item, policy in zip(items, policies, strict=True):
        equal[policy.tier, policy.priority].append((policy.name, item))
    return [
        f"{same[-1][1].site.line}: {' and '.join(item.site.title for _, item in same)} have priority {priority} in the "
        f"{tier} tier, where the API leaves their order open; here {same[0][1].site.title} comes first, by name"
        for (tier, priority), found in sorted(equal.items())
        if len(same := sorted(found, key=lambda pair: pair[0])) > 1
    ]


class _Reader:
    """Translates one object and notes what of it is not enforced, each kind once."""

    def __init__(self, item: Object, warnings: list[str]) -> None:
        self._item, self._warnings = item, warnings
        self._dialect = _DIALECTS[item.kind]
        self._reported: set[str] = set()

    def policy(self, name: str) -> Policy:
        spec, site = self._item.content.spec, self._item.site.at("spec")
        if self._item.kind == "BaselineAdminNetworkPolicy" and self._item.name != "default":
            self._item.site.at("metadata", "name").report(
                f'"{self._item.name}" is not possible, for there is only one such policy; name it default'
            )
        rules = [*self._rules(spec.ingress, Direction.INGRESS, site), *self._rules(spec.egress, Direction.EGRESS, site)]
        subject = self._subject(spec.subject, site.at("subject"))
        return Policy(name, self._tier(spec, site), tuple(rules), (subject,), getattr(spec, "priority", LAST))

    def _tier(self, spec: Any, site: Site) -> str:
        if self._item.kind != "ClusterNetworkPolicy":
            return ADMIN if self._item.kind == "AdminNetworkPolicy" else BASELINE
        if spec.tier not in _TIERS:
            hint = nearest(spec.tier, _TIERS)
            site.at("tier").report(f'"{spec.tier}" is no tier (there are: {", ".join(_TIERS)}){hint}')
        return _TIERS.get(spec.tier, ADMIN)

    def _subject(self, subject: schema.Subject, site: Site) -> Selector:
        kinds = _given(subject)
        if len(kinds) != 1:
            site.report(_exactly_one(kinds, ("namespaces", "pods")))
        return self._selector(subject, site)

    def _selector(self, written: schema.Subject | schema.IngressPeer, site: Site) -> Selector:
        """Cluster-wide policies are about Pods; a VM is none."""
        if written.pods is None:
            return Selector(namespace_labels=_labels_of(written.namespaces, site.at("namespaces")), kind=Kind.POD)
        pods, here = written.pods, site.at("pods")
        needed = ["podSelector"] if pods.pod_selector is None else []
        if pods.namespace_selector is None and self._dialect.needs_namespaces:
            needed.insert(0, "namespaceSelector")
        for name in needed:
            here.report(f'"{name}" is missing; add it ({{}} selects everything)')
        return Selector(
            labels=_labels_of(pods.pod_selector, here.at("podSelector")),
            namespace_labels=_labels_of(pods.namespace_selector, here.at("namespaceSelector")),
            kind=Kind.POD,
        )

    def _rules(self, rules: Sequence[Any], direction: Direction, site: Site) -> list[Rule]:
        here = site.at(str(direction))
        _at_most(self._dialect.limit, rules, "rules", here)
        labels = _labels([rule.name for rule in rules])
        return [
            self._rule(rule, label, direction, here.at(position))
            for position, (rule, label) in enumerate(zip(rules, labels, strict=True))
        ]

    def _rule(self, rule: Any, label: str, direction: Direction, site: Site) -> Rule:
        actions = self._dialect.actions()
        if rule.action not in actions:
            hint = nearest(rule.action, actions)
            site.at("action").report(f'"{rule.action}" is no action (there are: {", ".join(actions)}){hint}')
        action = actions.get(rule.action, Action.DENY)
        peers = self._peers(rule.peers, action, site.at("from" if direction is Direction.INGRESS else "to"))
        ports = self._ports(rule.matches, action, site.at(self._dialect.matches))
        if direction is Direction.EGRESS:
            self._check_named(rule, site)
        nothing = peers is None or ports is None
        return Rule(action, direction, peers or (), ports or (), nothing=nothing, label=label)

    def _check_named(self, rule: Any, site: Site) -> None:
        """An address has no ports with names."""
        beside = next((kind for peer in rule.peers for kind in _given(peer) if kind in _NAMELESS), None)
        for position, match in enumerate(rule.matches or ()):
            named = next((kind for kind in _given(match) if kind in ("namedPort", "destinationNamedPort")), None)
            if beside and named:
                site.at(self._dialect.matches, position, named).report(
                    f"a named port cannot stand beside {beside}, which have no names for ports; write a number, or two "
                    "rules"
                )

    def _peers(self, peers: Sequence[schema.IngressPeer], action: Action, site: Site) -> tuple[Peer, ...] | None:
        """No peers: everybody. None: nobody."""
        if not peers:
            site.report("is empty, but a rule needs at least one peer; add one (namespaces: {} is every pod)")
        _at_most(self._dialect.limit, peers, "peers", site)
        found = [self._peer(peer, site.at(position)) for position, peer in enumerate(peers)]
        if action is not Action.ALLOW and None in found:
            return ()
        return tuple(one for some in found for one in some or ()) or None

    def _peer(self, peer: schema.IngressPeer, site: Site) -> list[Peer] | None:
        """Several for several networks; None for what is not enforced here."""
        kinds = self._kinds(peer, site, ("namespaces", "pods"))
        if kinds & {"namespaces", "pods"}:
            return [Peer(selector=self._selector(peer, site))]
        if "networks" in kinds and isinstance(peer, schema.EgressPeer):
            here = site.at("networks")
            _at_most(_NETWORKS, peer.networks or (), "networks", here)
            return [Peer(ip_block=block) for block in _blocks(peer.networks or [], here)]
        return None

    def _ports(self, matches: Sequence[Any] | None, action: Action, site: Site) -> tuple[PortRange, ...] | None:
        """No ports: all traffic, ICMP included. None: no traffic."""
        if matches is None:
            return ()
        if not matches:
            site.report("is empty, which could be read as everything or nothing; remove the field for all traffic")
        _at_most(self._dialect.limit, matches, self._dialect.matches, site)
        found = [self._port(match, site.at(position)) for position, match in enumerate(matches)]
        if action is not Action.ALLOW and None in found:
            return ()
        return tuple(one for some in found for one in some or ()) or None

    def _port(self, match: Any, site: Site) -> list[PortRange] | None:
        """Several for a name, which may be of any protocol; None for a protocol that is not known here."""
        kinds = self._kinds(match, site, ("tcp", "udp") if isinstance(match, schema.ProtocolMatch) else ("portNumber",))
        known = kinds & _names(match)
        if len(known) != 1:
            return None
        if isinstance(match, schema.AdminPort):
            return _admin_port(match, site)
        if match.destination_named_port is not None:
            return [PortRange(protocol, match.destination_named_port) for protocol in _NAMED]
        (word,) = known
        return [_transport(Protocol(word), getattr(match, word), site.at(word))]

    def _kinds(self, written: schema.Open, site: Site, examples: tuple[str, ...]) -> set[str]:
        """Which kinds an element is of: a mistake unless it is exactly one; one that is not enforced is reported."""
        kinds, known = _given(written), _names(written)
        for kind in kinds:
            hint = "" if kind in known else _meant(kind, known)
            if hint:
                site.at(kind).report(f"this field is not known{hint}", key=True)
            elif kind not in known or kind in ("nodes", "domainNames"):
                self._not_enforced(kind, site.at(kind))
        if len(kinds) != 1:
            site.report(_exactly_one(kinds, examples))
        return set(kinds)

    def _not_enforced(self, kind: str, site: Site) -> None:
        if kind not in self._reported:
            self._warnings.append(
                f"{site.line}: {site.title}: {kind} is not enforced here: {self._dialect.allow} rules do not match by "
                "it, Deny and Pass rules match everything"
            )
        self._reported.add(kind)


def _labels_of(written: LabelSelector | None, site: Site) -> Labels | None:
    return None if written is None else label_selector(written, site)


def _given(written: BaseModel) -> list[str]:
    """The fields that were written, by their own names, unknown ones too."""
    fields = type(written).model_fields.items()
    known = [(info.alias or name) for name, info in fields if getattr(written, name) is not None]
    return known + sorted(written.model_extra or ())


def _names(written: BaseModel) -> set[str]:
    return {info.alias or name for name, info in type(written).model_fields.items()}


def _meant(word: str, known: Collection[str]) -> str:
    """`; did you mean "tcp"?`; in a short word, two letters that changed places are most of it."""
    swapped = next((f'; did you mean "{name}"?' for name in known if sorted(name) == sorted(word)), "")
    return swapped or nearest(word, known)


def _exactly_one(kinds: Sequence[str], examples: Iterable[str]) -> str:
    if kinds:
        return f"has {' and '.join(kinds)}, but exactly one may be there; write several elements"
    return f"is empty; give it exactly one field, such as {' or '.join(examples)}"


def _at_most(limit: int, items: Sequence[Any], what: str, site: Site) -> None:
    if len(items) > limit:
        site.report(f"has {len(items)} {what}, but the API takes {limit}; split the policy or the rule")


def _labels(names: Sequence[str]) -> list[str]:
    """A rule's name where it is clear, else its index. Labels stand in nft comments, which take no quotes."""
    plain = [re.sub(r"[^-\w .,:;/()+=@#*]", "_", name, flags=re.ASCII) for name in names]
    times = Counter(plain)
    return [
        name if name and times[name] == 1 and not name.isdigit() else str(index) for index, name in enumerate(plain)
    ]


def _blocks(networks: Sequence[str], site: Site) -> list[IPBlock]:
    if not networks:
        site.report("is empty; name at least one network, such as 10.0.0.0/8")
    found = [network(text, site.at(position)) for position, text in enumerate(networks)]
    return [IPBlock(str(one)) for one in found if one is not None]


def _transport(protocol: Protocol, written: schema.Transport, site: Site) -> PortRange:
    port = written.destination_port
    if port is None:
        return PortRange(protocol)
    here = site.at("destinationPort")
    kinds = _given(port)
    if len(kinds) != 1:
        here.report(_exactly_one(kinds, ("number", "range")))
    if port.range is not None:
        return _range(protocol, port.range, here.at("range"))
    return PortRange(protocol, port.number)


def _admin_port(written: schema.AdminPort, site: Site) -> list[PortRange]:
    if written.port_range is not None:
        return [_range(written.port_range.protocol, written.port_range, site.at("portRange"))]
    if written.port_number is not None:
        return [PortRange(written.port_number.protocol, written.port_number.port)]
    return [PortRange(protocol, written.named_port) for protocol in _NAMED]


def _range(protocol: Protocol, span: schema.Span, site: Site) -> PortRange:
    if span.start >= span.end:
        hint = "swap them" if span.start > span.end else "write a single port"
        site.at("end").report(f"{span.end} must be greater than start {span.start}; {hint}")
    return PortRange(protocol, span.start, span.end)

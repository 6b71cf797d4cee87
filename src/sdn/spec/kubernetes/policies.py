"""NetworkPolicy objects as the model's, with the API server's defaults and its refusals.

Source: pkg/apis/networking/{v1/defaults,validation/validation}.go of Kubernetes.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar

from sdn.model import (
    Direction,
    IPBlock,
    LabelSelector,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    NodeOperator,
    Operator,
    PortRange,
    Requirement,
)
from sdn.spec.kubernetes import schema, schema_selectors
from sdn.spec.kubernetes.objects import Object
from sdn.spec.mistakes import Site, nearest

AnyOperator = TypeVar("AnyOperator", Operator, NodeOperator)

_TYPES = {"Ingress": Direction.INGRESS, "Egress": Direction.EGRESS}


def network_policy(item: Object, warnings: list[str]) -> NetworkPolicy:
    """One NetworkPolicy; mistakes are reported at the object's site, and the result is then not to be used."""
    spec: schema.NetworkPolicySpec = item.content.spec
    site = item.site.at("spec")
    directions = _directions(spec, site)
    ingress = tuple(
        NetworkPolicyRule(_peers(rule.from_, site.at("ingress", i, "from")), _ports(rule, site.at("ingress", i)))
        for i, rule in enumerate(spec.ingress)
    )
    egress = tuple(
        NetworkPolicyRule(_peers(rule.to, site.at("egress", i, "to")), _ports(rule, site.at("egress", i)))
        for i, rule in enumerate(spec.egress)
    )
    for direction, rules in ((Direction.INGRESS, ingress), (Direction.EGRESS, egress)):
        if rules and direction not in directions:
            line = site.at(str(direction)).line
            warnings.append(
                f"{line}: {site.title} has {direction} rules that do nothing; add the type to its policyTypes"
            )
    return NetworkPolicy(
        namespace=item.namespace,
        name=item.name,
        pods=label_selector(spec.pod_selector, site.at("podSelector")),
        directions=directions,
        ingress=ingress if Direction.INGRESS in directions else (),
        egress=egress if Direction.EGRESS in directions else (),
    )


def _directions(spec: schema.NetworkPolicySpec, site: Site) -> tuple[Direction, ...]:
    """Without types, Ingress always, and Egress where there is an egress rule (an empty list does not count)."""
    for position, name in enumerate(spec.policy_types):
        if name not in _TYPES:
            site.at("policyTypes", position).report(f'"{name}" is neither Ingress nor Egress{nearest(name, _TYPES)}')
    if not spec.policy_types:
        return (Direction.INGRESS, Direction.EGRESS) if spec.egress else (Direction.INGRESS,)
    return tuple(direction for name, direction in _TYPES.items() if name in spec.policy_types)


def label_selector(written: schema_selectors.LabelSelector, site: Site) -> LabelSelector:
    """A selector in the model's canonical order of labels; expressions stay as written."""
    return LabelSelector(
        labels=tuple(sorted(written.match_labels.items())),
        expressions=tuple(
            _requirement(requirement, site.at("matchExpressions", position))
            for position, requirement in enumerate(written.match_expressions)
        ),
    )


def _requirement(written: schema_selectors.Requirement, site: Site) -> Requirement:
    operator = known_operator(written.operator, written.values, Operator, site)
    if operator is None:
        return Requirement(written.key, Operator.EXISTS)
    return Requirement(written.key, operator, tuple(written.values))


def known_operator(text: str, values: Sequence[str], kinds: type[AnyOperator], site: Site) -> AnyOperator | None:
    """The operator of a requirement on labels, None if there is no such; values that it cannot have are complained of.

    `kinds` are the operators that there are; what only some of them take is for the caller to see.
    """
    operators = [operator.value for operator in kinds]
    if text not in operators:
        hint = nearest(text, operators)
        site.at("operator").report(f'"{text}" does not exist (there are: {", ".join(operators)}){hint}')
        return None
    if text in (Operator.IN, Operator.NOT_IN) and not values:
        site.at("values").report(f"{text} needs at least one value; add values, or use Exists or DoesNotExist")
    if text in (Operator.EXISTS, Operator.DOES_NOT_EXIST) and values:
        site.at("values").report(f"{text} takes no values; remove them, or use In or NotIn")
    return kinds(text)


def _peers(peers: Sequence[schema.Peer], site: Site) -> tuple[NetworkPolicyPeer, ...]:
    return tuple(_peer(peer, site.at(position)) for position, peer in enumerate(peers))


def _peer(peer: schema.Peer, site: Site) -> NetworkPolicyPeer:
    pods, namespaces, block = peer.pod_selector, peer.namespace_selector, peer.ip_block
    if pods is None and namespaces is None and block is None:
        site.report("names nobody; give it a podSelector, a namespaceSelector or an ipBlock ({} selects everything)")
    if block is not None and (pods is not None or namespaces is not None):
        site.report("ipBlock cannot stand beside a selector; write two elements")
    return NetworkPolicyPeer(
        pods=None if pods is None else label_selector(pods, site.at("podSelector")),
        namespaces=None if namespaces is None else label_selector(namespaces, site.at("namespaceSelector")),
        ip_block=None if block is None else _ip_block(block, site.at("ipBlock")),
    )


def _ip_block(block: schema.IPBlock, site: Site) -> IPBlock:
    cidr = network(block.cidr, site.at("cidr"))
    excepts = []
    for position, text in enumerate(block.except_):
        here = site.at("except", position)
        inner = network(text, here)
        if cidr is None or inner is None:
            continue
        if inner.version != cidr.version or not _strictly_inside(inner, cidr):
            here.report(f"{text} is not a part of {block.cidr}; write a smaller block inside it")
        excepts.append(str(inner))
    return IPBlock(str(cidr), tuple(excepts))


def _strictly_inside(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.prefixlen > outer.prefixlen and inner.network_address in outer


def network(text: str, site: Site) -> IPv4Network | IPv6Network | None:
    """Host bits are cut off, as Kubernetes does; an address without a length, or with a netmask, is refused."""
    address, _, length = text.partition("/")
    try:
        if not (length.isascii() and length.isdigit()) or "%" in address:
            raise ValueError
        return ip_network(text, strict=False)
    except ValueError:
        hint = f"; write {address}/{128 if ':' in address else 32} for one address" if address == text else ""
        site.report(f'"{text}" is not an IP block such as 10.0.0.0/8 or fd00::/8{hint}')
        return None


def _ports(rule: schema.IngressRule | schema.EgressRule, site: Site) -> tuple[PortRange, ...]:
    return tuple(_port(port, site.at("ports", position)) for position, port in enumerate(rule.ports))


def _port(written: schema.PolicyPort, site: Site) -> PortRange:
    port, end = written.port, written.end_port
    if end is not None and port is None:
        site.at("endPort").report("endPort needs a port before it; add the first port of the range")
    elif end is not None and isinstance(port, str):
        site.at("endPort").report(f'endPort cannot follow the named port "{port}"; write a number for port')
    elif end is not None and isinstance(port, int) and end < port:
        site.at("endPort").report(f"{end} is smaller than port {port}; swap them")
    return PortRange(written.protocol, port, end)

"""What the words of a policy match, one word at a time: labels, selectors, address blocks, ports.

The oracle's own reading of them. The compiler has another one, and must never share this one: two readings that agree
prove something, one that is used twice proves nothing.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sdn.model import (
    EPHEMERAL,
    IPBlock,
    Kind,
    LabelSelector,
    Model,
    NetworkPolicy,
    NetworkPolicyPeer,
    Operator,
    Port,
    PortRange,
    Protocol,
    Requirement,
    Selector,
    Service,
    Workload,
)

NAMESPACE_NAME = "kubernetes.io/metadata.name"
"""The label that Kubernetes gives to every namespace."""

Labels = dict[str, str]


@lru_cache(maxsize=65536)
def address(text: str) -> IPv4Address | IPv6Address:
    """An address as a value, so that two spellings of one IPv6 address are equal; ValueError if it is none."""
    return ip_address(text)


@lru_cache(maxsize=65536)
def network(text: str) -> IPv4Network | IPv6Network:
    """A prefix as a value; host bits that the user left set are ignored, as Kubernetes ignores them."""
    return ip_network(text, strict=False)


def namespace_labels(model: Model) -> dict[str, Labels]:
    """The labels of every namespace that an object of the model is in, written down as an object or not."""
    named = {w.namespace for w in model.workloads} | {p.namespace for p in model.network_policies}
    labels = {name: {NAMESPACE_NAME: name} for name in named}
    return labels | {n.name: {NAMESPACE_NAME: n.name} | n.labels for n in model.namespaces}


def holds(requirement: Requirement, labels: Labels) -> bool:
    """Whether one matchExpressions element is true of these labels."""
    present = requirement.key in labels
    match requirement.operator:
        case Operator.IN:
            return present and labels[requirement.key] in requirement.values
        case Operator.NOT_IN:
            return not present or labels[requirement.key] not in requirement.values
        case Operator.EXISTS:
            return present
        case Operator.DOES_NOT_EXIST:
            return not present


def labels_match(selector: LabelSelector, labels: Labels) -> bool:
    """Whether all of a label selector is true of these labels."""
    return all(labels.get(key) == value for key, value in selector.labels) and all(
        holds(requirement, labels) for requirement in selector.expressions
    )


def is_policy_pod(workload: Workload) -> bool:
    """Whether NetworkPolicy sees it, as the one selected or as a peer: VMs and host-network Pods are neither."""
    return workload.kind is Kind.POD and not workload.host_network


def policy_selects(policy: NetworkPolicy, workload: Workload) -> bool:
    """Whether a NetworkPolicy is about this workload (in the directions that it names)."""
    return (
        is_policy_pod(workload)
        and workload.namespace == policy.namespace
        and labels_match(policy.pods, workload.labels)
    )


def peer_selects(peer: NetworkPolicyPeer, own_namespace: str, workload: Workload, its_namespace: Labels) -> bool:
    """Whether the selectors of a NetworkPolicy's peer match a workload; an `ip_block` is not looked at here.

    `own_namespace` is the policy's, `its_namespace` the labels of the workload's.
    """
    if not is_policy_pod(workload) or (peer.pods is None and peer.namespaces is None):
        return False
    if peer.namespaces is None:
        in_namespace = workload.namespace == own_namespace
    else:
        in_namespace = labels_match(peer.namespaces, its_namespace)
    return in_namespace and (peer.pods is None or labels_match(peer.pods, workload.labels))


def fields_match(selector: Selector, workload: Workload, its_namespace: Labels) -> bool:
    """Whether what a tier policy's selector says of a workload itself is true; its `groups` are not looked at here."""
    return (
        (selector.labels is None or labels_match(selector.labels, workload.labels))
        and (selector.namespace_labels is None or labels_match(selector.namespace_labels, its_namespace))
        and (not selector.namespaces or workload.namespace in selector.namespaces)
        and (not selector.applications or workload.application in selector.applications)
        and (not selector.segments or workload.segment in selector.segments)
        and (selector.kind is None or workload.kind is selector.kind)
        and (not selector.name or fnmatchcase(workload.name, selector.name))
        and (not selector.keys or workload.key in selector.keys)
    )


def service_selects(service: Service, workload: Workload) -> bool:
    """Whether a Service's selector means this workload; an empty selector means nobody."""
    return (
        bool(service.selector)
        and workload.namespace == service.namespace
        and workload.application == service.application
        and not workload.host_network
        and all(workload.labels.get(key) == value for key, value in service.selector.items())
    )


def block_contains(block: IPBlock, text: str) -> bool:
    """Whether an address is in the block and in none of its excepts; another family's address never is."""
    value = address(text)
    return value in network(block.cidr) and not any(value in network(hole) for hole in block.excepts)


def named_ports(workload: Workload, name: str, protocol: Protocol) -> tuple[Port, ...]:
    """The ports that a workload calls by this name, of this protocol, in the order in which it lists them."""
    return tuple(port for port in workload.ports if port.name == name and port.protocol is protocol)


def is_about_replies(ports: tuple[PortRange, ...], protocol: Protocol, destination: Workload | None) -> bool:
    """Whether some ports together are all that an answer may go to."""
    if protocol is Protocol.ICMP:
        return any(wanted.protocol is protocol for wanted in ports)
    first, last = EPHEMERAL
    edges = {first, *(wanted.end + 1 for wanted in ports if wanted.end is not None)}
    edges |= {wanted.port + 1 for wanted in ports if isinstance(wanted.port, int)}
    edges |= {named.number + 1 for named in (destination.ports if destination is not None else ())}
    # What is not allowed begins at the first of them, or right behind something that is.
    return all(
        any(port_matches(wanted, protocol, port, destination) for wanted in ports)
        for port in edges
        if first <= port <= last
    )


def port_matches(wanted: PortRange, protocol: Protocol, port: int, destination: Workload | None) -> bool:
    """Whether a rule's port is the one that a packet goes to; a name never is, where no workload is the destination."""
    if wanted.protocol is not protocol:
        return False
    if wanted.port is None:
        return True
    if isinstance(wanted.port, str):
        return destination is not None and any(
            named.number == port for named in named_ports(destination, wanted.port, protocol)
        )
    return wanted.port <= port <= (wanted.port if wanted.end is None else wanted.end)

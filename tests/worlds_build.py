"""Short words for the objects of the test worlds, so that a world reads like the manifest that it stands for."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from sdn.model import (
    Action,
    Application,
    Direction,
    Expression,
    Group,
    Host,
    IPBlock,
    Kind,
    LabelSelector,
    Link,
    Model,
    Namespace,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Operator,
    Options,
    Peer,
    Placed,
    Policy,
    Port,
    PortRange,
    Protocol,
    Requirement,
    Role,
    Rule,
    Segment,
    SegmentKind,
    Selector,
    Service,
    Switch,
    Underlay,
    Workload,
)
from sdn.plan.allocate import allocate
from sdn.scheduler import place

INGRESS, EGRESS = Direction.INGRESS, Direction.EGRESS
BOTH = (Direction.INGRESS, Direction.EGRESS)


def leaf_spine(hosts: int) -> Underlay:
    """`host-1` .. `host-N`, each on one of two leaves below one spine: some pairs share a leaf and some do not."""
    names = [f"host-{number}" for number in range(1, hosts + 1)]
    links = [Link(name, f"leaf-{1 + index % 2}") for index, name in enumerate(names)]
    links += [Link("leaf-1", "spine-1"), Link("leaf-2", "spine-1")]
    return Underlay(
        tuple(Host(name) for name in names),
        (Switch("leaf-1"), Switch("leaf-2"), Switch("spine-1", Role.SPINE)),
        tuple(sorted(links, key=lambda link: (link.a, link.b))),
    )


def segment(name: str, *subnets: str, kind: SegmentKind = SegmentKind.L2) -> Segment:
    """IPv4 before IPv6."""
    return Segment(name, subnets, kind)


def workload(
    key: str,
    host: int,
    where: str,
    *ports: str,
    kind: Kind = Kind.POD,
    ip: tuple[str, ...] = (),
    **labels: str,
) -> Workload:
    """`workload("shop/web", 1, "cluster/pods", "http:80", app="web")`: on host-1, in a segment, listening."""
    namespace, name = key.split("/")
    application, in_segment = where.split("/")
    return Workload(
        namespace, name, kind, application, in_segment,
        labels=labels, ports=tuple(listen(port) for port in ports), host=f"host-{host}", ip=ip,
    )  # fmt: skip


def listen(text: str) -> Port:
    """`http:80`, `:80` or `dns:53/udp`."""
    name, _, rest = text.partition(":")
    number, _, protocol = rest.partition("/")
    return Port(int(number), Protocol(protocol or "tcp"), name)


def model(
    name: str,
    applications: Iterable[Application],
    workloads: Iterable[Workload],
    *objects: NetworkPolicy | Policy | Service | Namespace | Group,
    options: Options | None = None,
    exclusions: Iterable[Selector] = (),
) -> Model:
    """Everything sorted as the spec would; a namespace that is not among the objects has no label but its name."""
    workloads = sorted(workloads, key=lambda w: w.key)
    given = {o.name: o for o in objects if isinstance(o, Namespace)}
    spaces = sorted({w.namespace for w in workloads} | set(given))
    return Model(
        name,
        leaf_spine(3),
        tuple(sorted(applications, key=lambda a: a.name)),
        tuple(workloads),
        tuple(given.get(space) or namespace(space) for space in spaces),
        tuple(sorted((o for o in objects if isinstance(o, Service)), key=lambda s: s.key)),
        tuple(sorted((o for o in objects if isinstance(o, NetworkPolicy)), key=lambda p: (p.namespace, p.name))),
        tuple(sorted((o for o in objects if isinstance(o, Policy)), key=lambda p: p.name)),
        tuple(sorted((o for o in objects if isinstance(o, Group)), key=lambda g: g.name)),
        tuple(exclusions),
        options=options or Options(),
    )


def build(lab: Model) -> Placed:
    """What every answer starts from, by the real scheduler and the real allocator."""
    return allocate(lab, place(lab))


def namespace(name: str, **labels: str) -> Namespace:
    """With the label that Kubernetes adds."""
    return Namespace(name, {"kubernetes.io/metadata.name": name} | labels)


def labelled(*expressions: Requirement, **labels: str) -> LabelSelector:
    """`labelled(app="web")`; without arguments it matches everything."""
    return LabelSelector(tuple(sorted(labels.items())), expressions)


def need(key: str, operator: Operator, *values: str) -> Requirement:
    """One matchExpressions element."""
    return Requirement(key, operator, values)


def netpol(
    key: str,
    pods: LabelSelector,
    directions: Iterable[Direction] = (INGRESS,),
    ingress: Iterable[NetworkPolicyRule] = (),
    egress: Iterable[NetworkPolicyRule] = (),
) -> NetworkPolicy:
    """`key` is `namespace/name`; `directions` are its policyTypes after defaulting."""
    space, name = key.split("/")
    return NetworkPolicy(space, name, pods, tuple(directions), tuple(ingress), tuple(egress))


def pods(*expressions: Requirement, **labels: str) -> NetworkPolicyPeer:
    """podSelector alone."""
    return NetworkPolicyPeer(pods=labelled(*expressions, **labels))


def spaces(*expressions: Requirement, **labels: str) -> NetworkPolicyPeer:
    """namespaceSelector alone."""
    return NetworkPolicyPeer(namespaces=labelled(*expressions, **labels))


def pods_in(namespaces: LabelSelector, selected: LabelSelector) -> NetworkPolicyPeer:
    """Both selectors in one element: AND."""
    return NetworkPolicyPeer(selected, namespaces)


def block(cidr: str, *excepts: str) -> NetworkPolicyPeer:
    """ipBlock."""
    return NetworkPolicyPeer(ip_block=IPBlock(cidr, excepts))


def rule(*parts: NetworkPolicyPeer | PortRange) -> NetworkPolicyRule:
    """Peers and ports in any order."""
    return NetworkPolicyRule(
        tuple(part for part in parts if isinstance(part, NetworkPolicyPeer)),
        tuple(part for part in parts if isinstance(part, PortRange)),
    )


def tcp(port: int | str | None = None, end: int | None = None) -> PortRange:
    """A TCP port, range, name, or all of TCP."""
    return PortRange(Protocol.TCP, port, end)


def udp(port: int | str | None = None) -> PortRange:
    """A UDP port, name, or all of UDP."""
    return PortRange(Protocol.UDP, port)


ECHO = PortRange(Protocol.ICMP)


def tier(name: str, *rules: Rule, priority: int = 1000, to: Iterable[Selector] = (), stateless: bool = False) -> Policy:
    """`tier("application/quarantine", ...)`: the tier, then the policy's name."""
    where, policy = name.split("/")
    return Policy(policy, where, rules, tuple(to), priority, stateless=stateless)


def group(name: str, *parts: Expression | IPBlock, within: Iterable[str] = ()) -> Group:
    """At most one expression, and addresses, in any order."""
    members = next((part for part in parts if not isinstance(part, IPBlock)), None)
    return Group(name, members, tuple(part for part in parts if isinstance(part, IPBlock)), tuple(within))


Who = Selector | IPBlock | str
"""A peer; a string is the name of a group."""


def act(
    action: str,
    direction: Direction,
    *parts: Who | PortRange,
    own: Iterable[Who] = (),
    excluded: Iterable[str] = (),
    to: Iterable[Selector] = (),
    label: str = "",
) -> Rule:
    """A rule of a tier policy: peers and ports in any order; `excluded` holds "own", "peers" or both."""
    excluded = set(excluded)
    return Rule(
        Action(action),
        direction,
        tuple(peer(part) for part in parts if not isinstance(part, PortRange)),
        tuple(part for part in parts if isinstance(part, PortRange)),
        peers_excluded="peers" in excluded,
        own=tuple(peer(who) for who in own),
        own_excluded="own" in excluded,
        applies_to=tuple(to),
        label=label,
    )


def peer(who: Who) -> Peer:
    """Of the kind that it is."""
    match who:
        case Selector():
            return Peer(selector=who)
        case IPBlock():
            return Peer(ip_block=who)
        case str():
            return Peer(group=who)


def from_to(
    action: str,
    sources: Iterable[Who],
    destinations: Iterable[Who],
    *ports: PortRange,
    label: str = "",
    excluded: Iterable[str] = (),
    to: Iterable[Selector] = (),
) -> tuple[Rule, Rule]:
    """An NSX rule, which is two of ours: out at its sources, in at its destinations. Either side empty is ANY.

    `excluded` holds "sources", "destinations" or both.
    """
    sources, destinations, to, excluded = tuple(sources), tuple(destinations), tuple(to), set(excluded)
    out = {"own" if word == "sources" else "peers" for word in excluded}
    into = {"peers" if word == "sources" else "own" for word in excluded}
    return (
        act(action, EGRESS, *destinations, *ports, own=sources, excluded=out, to=to, label=label),
        act(action, INGRESS, *sources, *ports, own=destinations, excluded=into, to=to, label=label),
    )


def relabel(workloads: Iterable[Workload], key: str, **labels: str) -> list[Workload]:
    """The same workloads, one of them with other labels."""
    return [replace(w, labels=labels) if w.key == key else w for w in workloads]

"""Random worlds, small but nasty, and flows that look for their edges: `@given(placed_and_flow())`.

Everything drawn is legal, so nothing is thrown away: names and ports are unique where the spec wants them unique, and
only Applications that no chain of connections joins overlap. Policies are drawn after the addresses are known, so that
address blocks begin and end beside real workloads.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import combinations
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec.structs import replace

from sdn.model import (
    TIERS,
    Action,
    Application,
    Direction,
    Flow,
    IPBlock,
    Kind,
    LabelSelector,
    Model,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Operator,
    Options,
    Peer,
    Placed,
    Placement,
    Policy,
    Port,
    PortRange,
    Protocol,
    Requirement,
    Rule,
    Segment,
    SegmentKind,
    Selector,
    Service,
    ServicePort,
    Workload,
)
from sdn.plan.allocate import allocate
from worlds_build import leaf_spine, listen, namespace

T = TypeVar("T")

NAMESPACES = ("n1", "n2", "n3")  # n3 has labels but rarely a workload
VALUES = ("x", "y", "")
TCP, UDP, SCTP, ICMP = Protocol.TCP, Protocol.UDP, Protocol.SCTP, Protocol.ICMP

LISTENS = (
    (),
    ("http:80",),
    ("http:8080", ":81"),
    ("http:80", "dns:53/udp"),
    ("dns:5353", "dns:53/udp"),  # one name, another number for each protocol
    (":9/sctp", "sctp:80/sctp"),
)
"""What a workload may listen on."""

PORTS = (
    PortRange(TCP),
    PortRange(UDP),
    PortRange(SCTP),
    PortRange(TCP, 80),
    PortRange(TCP, 79, 80),
    PortRange(TCP, 81, 8079),
    PortRange(TCP, 1, 65535),
    PortRange(UDP, 53),
    PortRange(SCTP, 80, 80),
    PortRange(TCP, "http"),
    PortRange(TCP, "dns"),
    PortRange(UDP, "dns"),
    PortRange(UDP, "http"),  # nobody has it of this protocol
    PortRange(SCTP, "sctp"),
)
TIER_PORTS = (*PORTS, PortRange(ICMP), PortRange(ICMP))
ASKED = (
    *((TCP, port) for port in (1, 53, 78, 79, 80, 81, 82, 5353, 8078, 8079, 8080, 8081, 65535)),
    *((UDP, port) for port in (52, 53, 54, 80)),
    *((SCTP, port) for port in (9, 79, 80, 81)),
    *((ICMP, 0),) * 3,
)
"""(protocol, port) of flows: each edge of a range above, and one beyond it."""

SERVICE_PORTS = (
    ServicePort(80, 80),
    ServicePort(80, "http"),
    ServicePort(443, "http"),
    ServicePort(81, 8079),
    ServicePort(53, "dns", UDP),
    ServicePort(53, "dns", TCP),
    ServicePort(80, "sctp", SCTP),
)

SUBNETS = {
    SegmentKind.L2: ("10.{a}.{s}.0/27", "fd00:{a}:{s}::/64"),
    SegmentKind.ROUTED: ("10.{a}.{s}.0/24", "fd00:{a}:{s}::/56"),
}


@st.composite
def placed_and_flow(draw: DrawFn) -> tuple[Placed, Flow]:
    """One world and one flow in it."""
    placed = draw(worlds())
    return placed, draw(flows(placed))


@st.composite
def placed_and_flows(draw: DrawFn, most: int = 20) -> tuple[Placed, list[Flow]]:
    """One world and several flows: most of the time goes into making the world."""
    placed = draw(worlds())
    return placed, draw(st.lists(flows(placed), min_size=1, max_size=most))


@st.composite
def worlds(draw: DrawFn) -> Placed:
    """A lab with addresses, policies and services."""
    bare = draw(bare_worlds())
    addresses = sorted({address for endpoint in bare.endpoints.values() for address in endpoint.addresses})
    block = blocks(addresses)
    policies = draw(st.lists(network_policies(block), max_size=4))
    tiers = draw(st.lists(tier_rules(block), max_size=3))
    names = [application.name for application in bare.model.applications]
    services = [draw(service(number, names)) for number in range(draw(st.integers(0, 3)))]
    model = replace(
        bare.model,
        services=tuple(sorted(services, key=lambda s: s.key)),
        network_policies=tuple(unique for _, unique in sorted({(p.namespace, p.name): p for p in policies}.items())),
        policies=tuple(replace(policy, name=f"t{number}") for number, policy in enumerate(tiers)),
        options=Options(ipblock_matches_pods=draw(st.booleans())),
    )
    return replace(bare, model=model)


@st.composite
def bare_worlds(draw: DrawFn) -> Placed:
    """A lab with addresses, and with neither policies nor services."""
    applications = draw(networks())
    places = [(a.name, s) for a in applications for s in a.segments]
    workloads = [draw(workload(number, *draw(st.sampled_from(places)))) for number in range(draw(st.integers(2, 8)))]
    if all(w.host_network for w in workloads):
        workloads[0] = replace(workloads[0], host_network=False)
    workloads.sort(key=lambda w: w.key)
    spaces = [namespace(name, **draw(labels)) for name in NAMESPACES]
    model = Model("random", leaf_spine(3), applications, tuple(workloads), tuple(spaces))
    return allocate(model, place_as_written(model))


def place_as_written(model: Model) -> Placement:
    """Every workload on the Host that it names; Pods beside a node run in it."""
    nodes = {w.host: w.key for w in model.workloads if w.is_node}
    inside = {w.key: nodes[w.host] for w in model.workloads if w.kind is Kind.POD and w.host in nodes}
    return Placement({w.key: w.host for w in model.workloads}, inside)


@st.composite
def networks(draw: DrawFn) -> tuple[Application, ...]:
    """1 to 3 Applications, connected or not; one that is alone may have the first one's subnets."""
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    joined = [pair for pair in combinations(names, 2) if draw(st.booleans())]
    made = []
    for number, name in enumerate(names):
        alone = not any(name in pair for pair in joined)
        numbering = 0 if alone and draw(st.booleans()) else number
        segments = tuple(draw(segment(numbering, index)) for index in range(draw(st.integers(1, 2))))
        # A connection is written at either end.
        ends = [pair if draw(st.booleans()) else pair[::-1] for pair in joined if name == pair[0]]
        made.append((name, segments, ends))
    written = [end for _, _, ends in made for end in ends]
    return tuple(Application(n, segments, tuple(sorted(b for a, b in written if a == n))) for n, segments, _ in made)


@st.composite
def segment(draw: DrawFn, application: int, index: int) -> Segment:
    """IPv4, IPv6 or both, of either kind."""
    kind = draw(st.sampled_from(SegmentKind))
    both = tuple(text.format(a=application, s=index) for text in SUBNETS[kind])
    return Segment(f"s{index}", draw(st.sampled_from((both, both, both[:1], both[1:]))), kind)


labels: SearchStrategy[dict[str, str]] = st.dictionaries(st.sampled_from("ab"), st.sampled_from(VALUES), max_size=2)


@st.composite
def workload(draw: DrawFn, number: int, application: str, where: Segment) -> Workload:
    """A VM or a Pod; sometimes a node, on its Host's own network, or with an address that its user fixed."""
    kind = draw(st.sampled_from((Kind.POD, Kind.POD, Kind.VM)))
    special = draw(st.sampled_from(("", "", "", "", "network", "fixed", "node")))
    return Workload(
        draw(st.sampled_from(NAMESPACES[:2])),
        f"w{number}",
        kind,
        application,
        where.name,
        labels=draw(labels),
        ports=ports(draw(st.sampled_from(LISTENS))),
        host=f"host-{draw(st.integers(1, 3))}",
        is_node=special == "node" and kind is Kind.VM,
        host_network=special == "network" and kind is Kind.POD,
        ip=tuple(str(ip_network(net)[20 + number]) for net in where.subnets) if special == "fixed" else (),
    )


def ports(texts: tuple[str, ...]) -> tuple[Port, ...]:
    """Sorted, as the spec hands them on."""
    return tuple(sorted(listen(text) for text in texts))


@st.composite
def blocks(draw: DrawFn, addresses: list[str]) -> IPBlock:
    """A block that begins, ends or has its hole at a real address or one beside it; rarely one far away."""
    if not draw(st.integers(0, 7)):
        return IPBlock("203.0.113.0/24", draw(st.sampled_from(((), ("203.0.113.0/28",)))))
    middle = ip_address(draw(st.sampled_from(addresses))) + draw(st.integers(-1, 1))
    bits = middle.max_prefixlen
    length = draw(st.sampled_from((bits, bits - 1, bits - 2, bits - 5, 24, 0)))
    cidr = ip_network((int(middle), length) if middle.version == 4 else (middle.packed, length), strict=False)
    holes = []
    for offset in draw(st.lists(st.integers(-1, 1), max_size=2, unique=True)):
        hole = ip_network(middle + offset)
        if hole != cidr and hole.network_address in cidr:
            holes.append(str(hole))
    return IPBlock(str(cidr), tuple(sorted(holes)))


requirements: SearchStrategy[Requirement] = st.one_of(
    st.builds(
        Requirement,
        st.sampled_from("abc"),
        st.sampled_from((Operator.IN, Operator.NOT_IN)),
        st.sampled_from((("x",), ("x", "y"), ("",), ("y", "z"))),
    ),
    st.builds(Requirement, st.sampled_from("abc"), st.sampled_from((Operator.EXISTS, Operator.DOES_NOT_EXIST))),
)

label_selectors: SearchStrategy[LabelSelector] = st.one_of(
    st.just(LabelSelector()),
    labels.map(lambda chosen: LabelSelector(tuple(sorted(chosen.items())))),
    requirements.map(lambda requirement: LabelSelector((), (requirement,))),
    st.builds(lambda pair, requirement: LabelSelector((pair,), (requirement,)),
              st.tuples(st.just("a"), st.sampled_from(VALUES)), requirements),
    st.just(LabelSelector((("kubernetes.io/metadata.name", "n1"),))),
)  # fmt: skip


def network_peers(block: SearchStrategy[IPBlock]) -> SearchStrategy[NetworkPolicyPeer]:
    """Each of the four legal kinds."""
    return st.one_of(
        st.builds(NetworkPolicyPeer, pods=label_selectors),
        st.builds(NetworkPolicyPeer, namespaces=label_selectors),
        st.builds(NetworkPolicyPeer, pods=label_selectors, namespaces=label_selectors),
        st.builds(NetworkPolicyPeer, ip_block=block),
    )


def network_policies(block: SearchStrategy[IPBlock]) -> SearchStrategy[NetworkPolicy]:
    """Also with rules of a direction that the policy does not isolate, which do nothing."""
    rules = st.lists(
        st.builds(NetworkPolicyRule, few(network_peers(block)), few(st.sampled_from(PORTS))), max_size=2
    ).map(tuple)
    directions = ((Direction.INGRESS,), (Direction.EGRESS,), (Direction.INGRESS, Direction.EGRESS))
    return st.builds(
        NetworkPolicy,
        st.sampled_from(NAMESPACES),
        st.sampled_from(("p", "q")),
        label_selectors,
        st.sampled_from(directions),
        rules,
        rules,
    )


def few(elements: SearchStrategy[T]) -> SearchStrategy[tuple[T, ...]]:
    """None, one or two."""
    return st.lists(elements, max_size=2).map(tuple)


FIELDS: dict[str, SearchStrategy[object]] = {
    "labels": label_selectors,
    "namespace_labels": label_selectors,
    "namespaces": st.sampled_from((("n1",), ("n2", "n3"))),
    "applications": st.sampled_from((("a",), ("b",), ("a", "c"))),
    "segments": st.sampled_from((("s0",), ("s1",))),
    "kind": st.sampled_from(Kind),
    "name": st.sampled_from(("w*", "w0", "w[0-2]", "?3", "nobody")),
}


@st.composite
def selectors(draw: DrawFn) -> Selector:
    """With none, one or two of its fields set."""
    chosen = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=2, unique=True))
    return Selector(**{field: draw(FIELDS[field]) for field in chosen})  # type: ignore[arg-type]


def tier_rules(block: SearchStrategy[IPBlock]) -> SearchStrategy[Policy]:
    """A tier policy whose name is given later."""
    peers = st.one_of(st.builds(Peer, selector=selectors()), st.builds(Peer, ip_block=block))
    rule = st.builds(
        Rule, st.sampled_from(Action), st.sampled_from(Direction), few(peers), few(st.sampled_from(TIER_PORTS))
    )
    return st.builds(
        Policy,
        st.just(""),
        st.sampled_from(TIERS),
        st.lists(rule, min_size=1, max_size=3).map(tuple),
        few(selectors()),
        st.sampled_from((0, 1000, 1000)),
    )


@st.composite
def service(draw: DrawFn, number: int, applications: list[str]) -> Service:
    """With and without backends, named targets, either family or headless."""
    both = (f"10.96.0.{10 + number}", f"fd00:10:96::{10 + number:x}")
    chosen = draw(st.lists(st.sampled_from(SERVICE_PORTS), min_size=1, max_size=3))
    return Service(
        draw(st.sampled_from(NAMESPACES[:2])),
        f"s{number}",
        draw(st.sampled_from(applications)),
        draw(labels),
        tuple(sorted({(p.port, p.protocol): p for p in chosen}.values(), key=lambda p: (p.port, p.protocol))),
        draw(st.sampled_from((both, both, both, both[:1], both[1:], ()))),
    )


@st.composite
def flows(draw: DrawFn, placed: Placed) -> Flow:
    """From any Endpoint to workloads (also itself, and those of other Applications), Services, and nobody."""
    source = draw(st.sampled_from(sorted(placed.endpoints)))
    owned = [address for endpoint in placed.endpoints.values() for address in endpoint.addresses]
    virtual = [(address, port) for s in placed.model.services for address in s.addresses for port in s.ports]
    kind = draw(st.sampled_from(("workload", "workload", "workload", "listener", "service", "service", "nobody")))
    protocol, port = draw(st.sampled_from(ASKED))
    if kind == "service" and virtual:
        address, wanted = draw(st.sampled_from(virtual))
        if draw(st.integers(0, 4)):
            protocol, port = wanted.protocol, wanted.port
        return Flow(source, address, protocol, port)
    if kind == "listener":
        target = draw(st.sampled_from(sorted(placed.endpoints)))
        listened = next(w.ports for w in placed.model.workloads if w.key == target)
        if listened:
            listener = draw(st.sampled_from(listened))
            protocol, port = listener.protocol, listener.number
        return Flow(source, draw(st.sampled_from(placed.endpoints[target].addresses)), protocol, port)
    address = draw(st.sampled_from(sorted(owned)))
    if kind == "nobody":
        beside = str(ip_address(address) + draw(st.sampled_from((-1, 1))))
        address = draw(st.sampled_from((beside, beside, "203.0.113.7", "2001:db8::7", "10.96.0.200")))
    return Flow(source, address, protocol, port)

"""The world of a seed: small but nasty, and legal.

Names and ports are unique where the spec wants them unique, and only Applications that no chain of connections joins
overlap. Policies are made after the addresses are known, so that address blocks begin and end beside real workloads.
"""

from __future__ import annotations

from ipaddress import ip_network
from itertools import combinations

from msgspec.structs import replace

from sdn.model import (
    Application,
    Direction,
    Kind,
    LabelSelector,
    Model,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Options,
    Placed,
    Placement,
    Segment,
    SegmentKind,
    Service,
    ServicePort,
    Workload,
)
from sdn.plan.allocate import allocate
from strategies_tiers import Writer
from strategies_words import (
    NAMESPACES,
    PORTS,
    SCTP,
    TCP,
    UDP,
    VALUES,
    Dice,
    block,
    label_selector,
    labels,
)
from worlds_build import leaf_spine, listen, namespace

LISTENS = (
    (),
    ("http:80",),
    ("http:8080", ":81"),
    ("http:80", "dns:53/udp"),
    ("dns:5353", "dns:53/udp"),  # one name, another number for each protocol
    (":9/sctp", "sctp:80/sctp"),
)
"""What a workload may listen on."""

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


def world(seed: int) -> Placed:
    """The world of a seed: the same one on every machine."""
    dice = Dice(seed)
    bare = bare_world(dice)
    addresses = sorted({address for endpoint in bare.endpoints.values() for address in endpoint.addresses})
    policies = dice.up_to(6, lambda: network_policy(dice, addresses), least=1)
    names = [application.name for application in bare.model.applications]
    model = replace(
        bare.model,
        services=tuple(sorted((service(dice, n, names) for n in range(dice.randint(0, 3))), key=lambda s: s.key)),
        network_policies=tuple(only for _, only in sorted({(p.namespace, p.name): p for p in policies}.items())),
        options=Options(ipblock_matches_pods=not dice.one_in(3)),
    )
    written = Writer(dice, model, addresses).write(model)
    options = replace(written.options, judge_hairpin=not dice.one_in(3))
    return replace(bare, model=replace(written, options=options))


def bare_world(dice: Dice) -> Placed:
    """A lab with addresses, and with neither policies nor services."""
    applications = networks(dice)
    places = [(a.name, s) for a in applications for s in a.segments]
    workloads = [workload(dice, number, *dice.pick(places)) for number in range(dice.randint(2, 8))]
    if all(w.host_network for w in workloads):
        workloads[0] = replace(workloads[0], host_network=False)
    workloads.sort(key=lambda w: w.key)
    spaces = [namespace(name, **labels(dice)) for name in NAMESPACES]
    model = Model("random", leaf_spine(3), applications, tuple(workloads), tuple(spaces))
    return allocate(model, place_as_written(model))


def place_as_written(model: Model) -> Placement:
    """Every workload on the Host that it names; Pods beside a node run in it."""
    nodes = {w.host: w.key for w in model.workloads if w.is_node}
    inside = {w.key: nodes[w.host] for w in model.workloads if w.kind is Kind.POD and w.host in nodes}
    return Placement({w.key: w.host for w in model.workloads}, inside)


def networks(dice: Dice) -> tuple[Application, ...]:
    """1 to 3 Applications, connected or not; one that is alone may have the first one's subnets."""
    names = ["a", "b", "c"][: dice.randint(1, 3)]
    joined = [pair for pair in combinations(names, 2) if not dice.one_in(3)]
    # A connection is written at either end.
    written = [pair if dice.one_in(2) else pair[::-1] for pair in joined]
    made = []
    for number, name in enumerate(names):
        alone = not any(name in pair for pair in joined)
        numbering = 0 if alone and dice.one_in(2) else number
        segments = tuple(segment(dice, numbering, index) for index in range(dice.randint(1, 2)))
        made.append(Application(name, segments, tuple(sorted(b for a, b in written if a == name))))
    return tuple(made)


def segment(dice: Dice, application: int, index: int) -> Segment:
    """IPv4, IPv6 or both, of either kind."""
    kind = dice.pick(list(SegmentKind))
    both = tuple(str(ip_network(text.format(a=application, s=index))) for text in SUBNETS[kind])
    return Segment(f"s{index}", dice.pick((both, both, both, both[:1], both[1:])), kind)


def workload(dice: Dice, number: int, application: str, where: Segment) -> Workload:
    """A VM or a Pod; sometimes a node, on its Host's own network, or with an address that its user fixed."""
    kind = dice.pick((Kind.POD, Kind.POD, Kind.POD, Kind.VM))
    special = dice.pick(("", "", "", "", "", "network", "fixed", "node"))
    return Workload(
        dice.pick(NAMESPACES[:2]),
        f"w{number}",
        kind,
        application,
        where.name,
        labels=labels(dice),
        ports=tuple(sorted(listen(text) for text in dice.pick(LISTENS))),
        host=f"host-{dice.randint(1, 3)}",
        is_node=special == "node" and kind is Kind.VM,
        host_network=special == "network" and kind is Kind.POD,
        ip=tuple(str(ip_network(net)[20 + number]) for net in where.subnets) if special == "fixed" else (),
    )


def network_peer(dice: Dice, addresses: list[str]) -> NetworkPolicyPeer:
    """Each of the four legal kinds."""
    kind = dice.pick(("pods", "namespaces", "both", "block"))
    if kind == "block":
        return NetworkPolicyPeer(ip_block=block(dice, addresses))
    return NetworkPolicyPeer(
        label_selector(dice) if kind != "namespaces" else None, label_selector(dice) if kind != "pods" else None
    )


def network_policy(dice: Dice, addresses: list[str]) -> NetworkPolicy:
    """Also with rules of a direction that the policy does not isolate, which do nothing."""

    def rule() -> NetworkPolicyRule:
        return NetworkPolicyRule(
            dice.up_to(2, lambda: network_peer(dice, addresses)), dice.up_to(2, lambda: dice.pick(PORTS))
        )

    directions = ((Direction.INGRESS,), (Direction.EGRESS,), (Direction.INGRESS, Direction.EGRESS))
    return NetworkPolicy(
        dice.pick((*NAMESPACES[:2], *NAMESPACES)),
        dice.pick(("p", "q", "r")),
        LabelSelector() if dice.one_in(2) else label_selector(dice),
        dice.pick(directions),
        dice.up_to(2, rule),
        dice.up_to(2, rule),
    )


def service(dice: Dice, number: int, applications: list[str]) -> Service:
    """With and without backends, named targets, either family or headless."""
    both = (f"10.96.0.{10 + number}", f"fd00:10:96::{10 + number:x}")
    chosen = {(port.port, port.protocol): port for port in dice.up_to(3, lambda: dice.pick(SERVICE_PORTS), least=1)}
    key = dice.pick("ab")
    return Service(
        dice.pick(NAMESPACES[:2]),
        f"s{number}",
        dice.pick(applications),
        {} if dice.one_in(8) else {key: dice.pick(VALUES)},
        tuple(chosen[key] for key in sorted(chosen)),
        dice.pick((both, both, both, both, both[:1], both[1:], ())),
    )

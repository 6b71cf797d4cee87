"""Labs placed rightly, and placed so that one rule breaks: one or more of each rule."""

from __future__ import annotations

from typing import NamedTuple

from scheduler_words import apart, app, host, lab, near, node, pod, spread, vm

from sdn.model import (
    HOSTNAME,
    NODE_NAME,
    Admission,
    Affinity,
    HostState,
    Image,
    ImageGate,
    LabelSelector,
    Model,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    PlacementRule,
    PodTerm,
    Pool,
    Reserve,
    Resources,
    Selector,
    Separation,
    Severity,
    Taint,
    Together,
    Toleration,
    Volume,
    Workload,
)

H = [host("h1"), host("h2"), host("h3")]
ZONES = [host("h1", zone="a"), host("h2", zone="a"), host("h3", zone="b")]
LOW, HIGH = {"level": "low"}, {"level": "high"}


class Case(NamedTuple):
    """`good` keeps all rules, `bad` breaks `rule` and no other; both may be alternatives, one per line."""

    name: str
    model: Model
    good: str
    bad: str
    rule: str


def nodes_are(*requirements: NodeRequirement) -> Affinity:
    """Node affinity of one term."""
    return Affinity(nodes=(NodeTerm(requirements),))


def rule(kind: Together, **said: object) -> dict[str, object]:
    """A rule over the app x."""
    return {"rules": (PlacementRule("r", kind, Selector(labels=app("x")), **said),)}  # type: ignore[arg-type]


def ssd(operator: NodeOperator, *values: str) -> list[Workload]:
    """A Pod that asks something of the label `size`, on Hosts of size 5, 9 and none."""
    return [pod("a", affinity=nodes_are(NodeRequirement("size", operator, values)))]


SIZES = [host("h1", labels={"size": "5"}), host("h2", labels={"size": "9"}), host("h3")]
TWO_CELLS = host("h1", numa=((2000, 4096), (2000, 4096)))

CASES = [
    Case("cpu", lab(H, [pod("a", cpu=3000), pod("b", cpu=2000)]), "a:h1 b:h2", "a:h1 b:h1", "capacity"),
    Case("memory", lab(H, [pod("a", memory=8192), pod("b", memory=1)]), "a:h1 b:h2", "a:h1 b:h1", "capacity"),
    Case("count", lab([host("h1", pods=1), H[1]], [pod("a"), pod("b")]), "a:h1 b:h2", "a:h1 b:h1", "capacity"),
    Case(
        "over-commitment",
        lab([host("h1", cpu_overcommit=150)], [vm("a", cpu=4000), vm("b", cpu=2000), vm("c", cpu=1)]),
        "a:h1 b:h1",
        "a:h1 b:h1 c:h1",
        "capacity",
    ),
    Case(
        "reservations-are-never-over-committed",
        lab(
            [host("h1", cpu_overcommit=200), H[1]],
            [vm(name, cpu=3000, resources=Resources(cpu_reservation=2001)) for name in "ab"],
        ),
        "a:h1 b:h2",
        "a:h1 b:h1",
        "reservation",
    ),
    Case(
        "a-node-on-an-over-committed-host-is-promised-what-its-pods-ask-for",
        lab(
            [host("h1", cpu_overcommit=200), H[1]],
            [node("n1", cpu=4000), node("n2", cpu=4000), pod("a", cpu=3000), pod("b", cpu=2000)],
        ),
        "n1:h1 n2:h1 a:n1@h1",
        "n1:h1 n2:h1 a:n1@h1 b:n2@h1",
        "reservation",
    ),
    Case(
        "node-cpu",
        lab(H, [node("n1"), pod("a", cpu=2000), pod("b", cpu=1)]),
        "n1:h1 a:n1@h1 b:h1",
        "n1:h1 a:n1@h1 b:n1@h1",
        "capacity",
    ),
    Case(
        "node-count",
        lab(H, [node("n1", pods=1), pod("a"), pod("b")]),
        "n1:h1 a:n1@h1",
        "n1:h1 a:n1@h1 b:n1@h1",
        "capacity",
    ),
    Case(
        "numa",
        lab([TWO_CELLS, H[1]], [vm(name, cpu=1500, memory=64, numa=1) for name in "ab"] + [vm("c", cpu=600, numa=1)]),
        "a:h1 b:h1 c:h2",
        "a:h1 b:h1 c:h1",
        "NUMA",
    ),
    Case("numa-memory", lab([TWO_CELLS, H[1]], [vm("a", memory=5000, numa=1)]), "a:h2", "a:h1", "NUMA"),
    Case(
        "numa-of-two",
        lab([TWO_CELLS, host("h2", numa=((1000, 2048),) * 4)], [vm("a", cpu=4000, numa=2)]),
        "a:h1",
        "a:h2",
        "NUMA",
    ),
    Case("selector", lab(SIZES, [pod("a", selector={"size": "9"})]), "a:h2", "a:h1\na:h3", "node affinity"),
    Case("in", lab(SIZES, ssd(NodeOperator.IN, "5", "7")), "a:h1", "a:h2\na:h3", "node affinity"),
    Case("not-in", lab(SIZES, ssd(NodeOperator.NOT_IN, "5")), "a:h2\na:h3", "a:h1", "node affinity"),
    Case("exists", lab(SIZES, ssd(NodeOperator.EXISTS)), "a:h1\na:h2", "a:h3", "node affinity"),
    Case("exists-not", lab(SIZES, ssd(NodeOperator.DOES_NOT_EXIST)), "a:h3", "a:h1", "node affinity"),
    Case("greater", lab(SIZES, ssd(NodeOperator.GT, "5")), "a:h2", "a:h1\na:h3", "node affinity"),
    Case("less", lab(SIZES, ssd(NodeOperator.LT, "9")), "a:h1", "a:h2\na:h3", "node affinity"),
    Case(
        "name",
        lab(H, [pod("a", affinity=nodes_are(NodeRequirement(NODE_NAME, NodeOperator.IN, ("h2",))))]),
        "a:h2",
        "a:h1",
        "node affinity",
    ),
    Case(
        "terms-are-alternatives",
        lab(
            SIZES,
            [
                pod(
                    "a",
                    affinity=Affinity(
                        nodes=(
                            NodeTerm(),
                            NodeTerm((NodeRequirement("size", NodeOperator.IN, ("5",)),)),
                            NodeTerm((NodeRequirement("size", NodeOperator.IN, ("9",)),)),
                        )
                    ),
                )
            ],
        ),
        "a:h1\na:h2",
        "a:h3",
        "node affinity",
    ),
    Case(
        "a-node-has-the-labels-of-its-host-under-its-own",
        lab(
            SIZES,
            [node("n1", labels={"size": "9"}), node("n2"), pod("a", selector={"size": "5"})],
        ),
        "n1:h1 n2:h1 a:n2@h1",
        "n1:h1 n2:h1 a:n1@h1\nn1:h1 n2:h2 a:n2@h2",
        "node affinity",
    ),
    Case("no-schedule", lab([host("h1", taints=(Taint("gpu", "yes"),)), H[1]], [pod("a")]), "a:h2", "a:h1", "taint"),
    Case(
        "no-execute-of-a-node",
        lab(
            H,
            [
                node("n1", taints=(("gpu", "yes", "NoExecute"),)),
                pod("a", tolerations=(Toleration("gpu", "yes", effect="NoExecute"),)),
                pod("b", tolerations=(Toleration("gpu", "no"), Toleration("gpu", exists=True, effect="NoSchedule"))),
            ],
        ),
        "n1:h1 a:n1@h1",
        "n1:h1 b:n1@h1",
        "taint",
    ),
    Case("apart", lab(H, [pod("a", "x", affinity=apart("x")), pod("b", "x")]), "a:h1 b:h2", "a:h1 b:h1", "apart"),
    Case(
        "apart-is-symmetric",
        lab(ZONES, [pod("a", "x"), pod("b", "y", affinity=apart("x", topology="zone"))]),
        "a:h1 b:h3",
        "a:h1 b:h1\na:h1 b:h2",
        "apart",
    ),
    Case(
        "apart-in-other-namespaces",
        lab(
            H,
            [
                pod("a", affinity=Affinity(apart=(PodTerm(HOSTNAME, LabelSelector(), ("nodes",)),))),
                pod("b"),
                node("n1"),
            ],
        ),
        "a:h2 b:h2 n1:h1",
        "a:h1 n1:h1",
        "apart",
    ),
    Case(
        "apart-in-a-zone-of-nodes",
        lab(
            ZONES,
            [node("n1"), node("n2"), pod("a", "x", affinity=apart("x", topology="zone")), pod("b", "x")],
        ),
        "n1:h1 n2:h3 a:n1@h1 b:n2@h3",
        "n1:h1 n2:h2 a:n1@h1 b:n2@h2",
        "apart",
    ),
    Case(
        "near",
        lab(ZONES, [pod("a", "x"), pod("b", "y", affinity=near("x"))]),
        "a:h1 b:h2",
        "a:h1 b:h3",
        "near",
    ),
    Case(
        "near-itself-starts-one-domain-only",
        lab(ZONES, [pod("a", "x", affinity=near("x")), pod("b", "x", affinity=near("x"))]),
        "a:h1 b:h2\na:h3 b:h3",
        "a:h1 b:h3",
        "near",
    ),
    Case(
        "near-needs-the-label", lab([*ZONES, host("h4")], [pod("a", "x", affinity=near("x"))]), "a:h1", "a:h4", "near"
    ),
    Case(
        "spread",
        lab(ZONES, [pod(name, "x", spread=(spread("x"),)) for name in "abc"]),
        "a:h1 b:h2 c:h3",
        "a:h1 b:h2 c:h1",
        "spread",
    ),
    Case(
        "spread-leaves-out-domains-that-the-pod-may-not-go-to",
        lab(
            ZONES,
            [pod(name, "x", spread=(spread("x"),), selector={"zone": "a"}) for name in "ab"]
            + [pod(name, "y", spread=(spread("y"),)) for name in "cd"],
        ),
        "a:h1 b:h2 c:h1 d:h3",
        "a:h1 b:h2 c:h1 d:h2",
        "spread",
    ),
    Case(
        "spread-of-too-few-domains",
        lab(
            ZONES,
            [pod(name, "x", spread=(spread("x", min_domains=3),)) for name in "ab"] + [pod("c", "x")],
        ),
        "a:h1 b:h3\na:h1 b:h3 c:h3",
        "a:h1 b:h2 c:h3",
        "spread",
    ),
    Case(
        "spread-needs-the-label",
        lab([*ZONES, host("h4")], [pod("a", "x", spread=(spread("x"),))]),
        "a:h1",
        "a:h4",
        "spread",
    ),
    Case(
        "levels-on-a-host",
        lab(H, [pod("a", labels=LOW), pod("b", labels=HIGH), pod("c")], separations=(Separation("level"),)),
        "a:h1 b:h2 c:h3",
        "a:h1 b:h1\na:h1 c:h1",
        "separation",
    ),
    Case(
        "levels-of-nodes-are-those-of-their-pods",
        lab(
            H,
            [node("n1"), node("n2"), pod("a", labels=LOW), pod("b", labels=HIGH)],
            separations=(Separation("level"),),
        ),
        "n1:h1 n2:h2 a:n1@h1 b:n2@h2\nn1:h1 n2:h1 a:n1@h1",
        "n1:h1 n2:h1 a:n1@h1 b:n2@h1",
        "separation",
    ),
    Case(
        "levels-in-a-vm-may-share-a-host",
        lab(
            H,
            [node("n1"), node("n2", labels=HIGH), pod("a", labels=LOW), pod("b", labels=HIGH)],
            separations=(Separation("level", "vm"),),
        ),
        "n1:h1 n2:h1 a:n1@h1 b:n2@h1\nn1:h1 n2:h1 a:h1 b:n2@h1",
        "n1:h1 n2:h1 a:n1@h1 b:n1@h1\nn1:h1 n2:h1 a:n2@h1\na:h1 b:h1",
        "separation",
    ),
    Case("together", lab(H, [vm("a", "x"), vm("b", "x")], **rule(Together.TOGETHER)), "a:h1 b:h1", "a:h1 b:h2", "rule"),
    Case(
        "together-in-a-rack",
        lab(ZONES, [vm("a", "x"), vm("b", "x")], **rule(Together.TOGETHER, topology="zone")),
        "a:h1 b:h2",
        "a:h1 b:h3",
        "rule",
    ),
    Case("apart-rule", lab(H, [vm("a", "x"), vm("b", "x")], **rule(Together.APART)), "a:h1 b:h2", "a:h1 b:h1", "rule"),
    Case(
        "apart-rule-counts-hosts-below-nodes",
        lab(H, [node("n1"), node("n2"), pod("a", "x"), pod("b", "x")], **rule(Together.APART)),
        "n1:h1 n2:h2 a:n1@h1 b:n2@h2",
        "n1:h1 n2:h1 a:n1@h1 b:n2@h1",
        "rule",
    ),
    Case("on", lab(ZONES, [vm("a", "x")], **rule(Together.ON, hosts={"zone": "b"})), "a:h3", "a:h1", "rule"),
    Case("not-on", lab(ZONES, [vm("a", "x")], **rule(Together.NOT_ON, host_names=("h1",))), "a:h3", "a:h1", "rule"),
    Case(
        "volume",
        lab(H, [vm("a", volumes=("v",))], volumes=(Volume("v", ("h1", "h2")),)),
        "a:h1\na:h2",
        "a:h3",
        "volume",
    ),
    Case(
        "volume-of-a-pod-in-a-node",
        lab(H, [node("n1"), pod("a", volumes=("v",))], volumes=(Volume("v", ("h1",)),)),
        "n1:h1 a:n1@h1",
        "n1:h2 a:n1@h2",
        "volume",
    ),
    Case(
        "image",
        lab(
            H,
            [pod("a", images=("good",)), pod("b", images=("flawed",)), pod("c", images=("unknown",))],
            images=(Image("flawed", True, True, Severity.HIGH), Image("good", True, True, Severity.MEDIUM)),
            gate=ImageGate(signed=True, severity=Severity.MEDIUM),
        ),
        "a:h1",
        "b:h1\nc:h1",
        "image",
    ),
    Case("failed", lab([host("h1", state=HostState.FAILED), H[1]], [vm("a")]), "a:h2", "a:h1", "Host state"),
    Case("maintenance", lab([host("h1", state=HostState.MAINTENANCE), H[1]], [vm("a")]), "a:h2", "a:h1", "Host state"),
    Case("pin", lab(H, [vm("a", host="h2")]), "a:h2", "a:h1", "pin"),
    Case(
        "pin-to-a-node",
        lab(H, [node("n1"), node("n2"), pod("a", host="n2")]),
        "n1:h1 n2:h1 a:n2@h1",
        "n1:h1 n2:h1 a:n1@h1",
        "pin",
    ),
    Case("nowhere", lab(H, [pod("a"), node("n1")]), "a:h1 n1:h1\na:n1@h1 n1:h1", "a:h9\na:n1@h2 n1:h1", "whereabouts"),
    Case(
        "pool-without-room",
        lab(
            H,
            [vm(name, pool="p", resources=Resources(cpu_reservation=600)) for name in "ab"],
            pools=(Pool("p", resources=Resources(cpu_reservation=1000, memory_reservation=0), expandable=False),),
        ),
        "a:h1",
        "a:h1 b:h2",
        "pool reservation",
    ),
    Case(
        "pool-that-expands-into-one-that-may-not",
        lab(
            H,
            [vm(name, pool="q", resources=Resources(cpu_reservation=600)) for name in "abc"],
            pools=(
                Pool("p", resources=Resources(cpu_reservation=1500, memory_reservation=0), expandable=False),
                Pool("q", "p", Resources(cpu_reservation=500)),
            ),
        ),
        "a:h1 b:h2",
        "a:h1 b:h2 c:h3",
        "pool reservation",
    ),
    Case(
        "pool-limit",
        lab(
            H,
            [vm(name, pool="p", resources=Resources(memory_reservation=600)) for name in "ab"],
            pools=(Pool("p", resources=Resources(memory_limit=1000)),),
        ),
        "a:h1",
        "a:h1 b:h2",
        "pool limit",
    ),
    Case(
        "slots",
        lab(H, [vm(n, cpu=2000, memory=64) for n in "abcde"], admission=Admission(1)),
        "a:h1 b:h1 c:h2 d:h2",
        "a:h1 b:h1 c:h2 d:h2 e:h3",
        "admission",
    ),
    Case(
        "percentage",
        lab(H, [vm(n, cpu=3000) for n in "abc"], admission=Admission(1, Reserve.PERCENTAGE, 50)),
        "a:h1 b:h2",
        "a:h1 b:h2 c:h3",
        "admission",
    ),
    Case(
        "percentage-of-the-largest-hosts",
        lab(H, [vm(n, cpu=3000) for n in "abc"], admission=Admission(1, Reserve.PERCENTAGE)),
        "a:h1 b:h2",
        "a:h1 b:h2 c:h3",
        "admission",
    ),
    Case(
        "dedicated",
        lab(H, [vm("a")], admission=Admission(1, Reserve.DEDICATED, dedicated=("h3",))),
        "a:h1",
        "a:h3",
        "admission",
    ),
]

"""The three worlds of the policy cases, and what a case is.

Every case is a lab that can really be built (at most 3 Hosts and 6 workloads, dual stack), so evaluate, trace and probe
are asked the same table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sdn.model import (
    Answer,
    Application,
    Disposition,
    Flow,
    Group,
    Kind,
    LabelSelector,
    Model,
    Namespace,
    NetworkPolicy,
    Options,
    Placed,
    Policy,
    SegmentKind,
    Selector,
    Service,
    ServicePort,
    Verdict,
    Workload,
)
from sdn.policy.resolve import parse_destination
from worlds_build import block, build, labelled, model, namespace, segment, workload

IN, OUT = "ingress default allow", "egress default allow"


class Case(NamedTuple):
    """One flow in one world, what must become of it, and by which rule.

    `line` is a number among the corner cases of policy, or `tier`, `path` or `service`. Of the numbers those that are
    about a flow have rows: 01 to 16 are Kubernetes' NetworkPolicy, 19 to 26 its admin and baseline tiers, 27 to 32
    NSX. `backend` is the Backend that it is about, where a Service has several.
    """

    line: str
    name: str
    placed: Placed
    flow: Flow
    disposition: Disposition
    rule: str
    egress: str = ""
    backend: str = ""
    reply: bool = False

    @property
    def verdict(self) -> Verdict:
        """What all three answers must be."""
        return Verdict(self.disposition, self.rule, self.egress, self.reply)

    def of(self, answers: tuple[Answer, ...]) -> Answer:
        """The answer that this case is about."""
        return next(answer for answer in answers if self.backend in {"", answer.backend})


def scene(title: str, lab: Model, *rows: str) -> list[Case]:
    """One world and its rows: `source → destination | disposition | rule | egress rule | backend`, for each IP family.

    The egress rule of a flow that gets as far as ingress is the default unless it is written. The disposition of a flow
    whose answer is stopped is `answer`.
    """
    placed = build(lab)
    cases = []
    for row in rows:
        question, disposition, decided, *more = [part.strip() for part in row.split("|")]
        source, _, destination = question.partition(" → ")
        reply = disposition == "answer"
        egress = (more[0] if more else "") or (OUT if decided.startswith("ingress") or reply else "")
        for flow in parse_destination(placed, source, destination):
            cases.append(
                Case(
                    title.split(maxsplit=1)[0], f"{title}: {question} IPv{flow.family}", placed, flow,
                    Disposition("deny" if reply else disposition), decided, egress,
                    more[1] if len(more) > 1 else "", reply,
                )
            )  # fmt: skip
    return cases


# --- Pods of two namespaces and a VM, in one flat Application: what manifests without a lab file get.

CLUSTER = Application(
    "cluster",
    (
        segment("pods", "10.244.0.0/16", "fd00:244::/48", kind=SegmentKind.ROUTED),
        segment("vms", "10.245.0.0/24", "fd00:245::/64"),
    ),
)
KUBE = [
    workload("shop/web", 1, "cluster/pods", "http:80", app="web", tier="front", site="yes"),
    workload("shop/api", 1, "cluster/pods", "http:8000", app="api", tier="", site="yes"),
    workload("shop/db", 2, "cluster/pods", "http:8080", "sql:5432", "dns:53/udp", app="db"),
    workload("shop/old", 3, "cluster/vms", "ssh:22", kind=Kind.VM, app="web", tier="front"),
    workload("ops/web", 2, "cluster/pods", "http:80", app="web", tier="back"),
    workload("ops/mon", 1, "cluster/pods", app="mon"),
]
SHOP, OPS = namespace("shop", team="a"), namespace("ops", team="b")
DB, WEB, ALL = labelled(app="db"), labelled(app="web"), LabelSelector()
P0, NONE = "ingress NetworkPolicy shop/p[0]", "ingress NetworkPolicy shop/p isolates"


def kube(
    *objects: NetworkPolicy | Policy | Service | Namespace | Group,
    workloads: list[Workload] | None = None,
    exclusions: Iterable[Selector] = (),
    options: Options | None = None,
) -> Model:
    """The cluster with these policies, groups and services."""
    named = {o.name for o in objects if isinstance(o, Namespace)}
    default = [space for space in (SHOP, OPS) if space.name not in named]
    return model("kube", [CLUSTER], workloads or KUBE, *default, *objects, exclusions=exclusions, options=options)


# --- One l2 segment with addresses that are known, for ipBlocks.

LAN = Application("cluster", (segment("lan", "10.244.9.0/24", "fd00:9::/64"),))
NUMBERED = [
    workload("shop/web", 1, "cluster/lan", ":80", "web:81", ip=("10.244.9.10", "fd00:9::10"), app="web"),
    workload("shop/api", 2, "cluster/lan", ":80", ip=("10.244.9.11", "fd00:9::11"), app="api"),
    workload("shop/db", 1, "cluster/lan", ":80", ip=("10.244.9.12", "fd00:9::12"), app="db"),
    workload("shop/old", 2, "cluster/lan", ":80", kind=Kind.VM, ip=("10.244.9.13", "fd00:9::13"), app="old"),
]
ANYBODY = (block("10.244.9.0/24"), block("fd00:9::/64"))
ALL_BUT_API = (block("10.244.9.0/24", "10.244.9.11/32"), block("fd00:9::/64", "fd00:9::11/128"))
ONLY_API = (block("10.244.9.11/32"), block("fd00:9::11/128"))


def lan(*objects: NetworkPolicy | Policy | Service | Group, options: Options | None = None) -> Model:
    """The numbered world with these policies."""
    return model("lan", [LAN], NUMBERED, *objects, options=options)


# --- Applications of VMs and Pods: front and back are connected, back and far too, other overlaps front.

APPLICATIONS = [
    Application("front", (segment("web", "10.1.1.0/24", "fd00:1:1::/64"),), ("back",)),
    Application(
        "back", (segment("app", "10.2.1.0/24", "fd00:2:1::/64"), segment("db", "10.2.2.0/24", "fd00:2:2::/64"))
    ),
    Application("far", (segment("only", "10.3.1.0/24", kind=SegmentKind.ROUTED),), ("back",)),
    Application("other", (segment("web", "10.1.1.0/24", "fd00:1:1::/64"),)),
]
TIERED = [
    workload("front/web-1", 1, "front/web", "http:80", kind=Kind.VM, ip=("10.1.1.20", "fd00:1:1::20"), role="web"),
    workload("front/web-2", 2, "front/web", "http:80", role="web"),
    workload("back/app-1", 1, "back/app", "api:8080", role="app"),
    workload("back/db-1", 3, "back/db", "sql:5432", kind=Kind.VM, role="db"),
    workload("far/far-1", 2, "far/only", ":80", role="web"),
    workload("other/web-1", 2, "other/web", "http:80", ip=("10.1.1.20", "fd00:1:1::20"), role="web"),
]


def tiered(*objects: NetworkPolicy | Policy | Service | Group, exclusions: Iterable[Selector] = ()) -> Model:
    """The Applications with these policies, groups and services."""
    return model("tiered", APPLICATIONS, TIERED, *objects, exclusions=exclusions)


def service(key: str, application: str, number: int, *ports: ServicePort, **selector: str) -> Service:
    """At 10.96.0.NUMBER and its IPv6 sister."""
    space, name = key.split("/")
    return Service(space, name, application, selector, ports, (f"10.96.0.{number}", f"fd00:10:96::{number}"))


SITE = service("shop/site", "cluster", 10, ServicePort(80, "http"), site="yes")

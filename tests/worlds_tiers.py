"""Our own tiers, the paths between Applications, and Services, as rows."""

from sdn.model import GATEWAY, NO_BACKEND, NO_PATH, IPBlock, Kind, Options, Selector, ServicePort
from worlds_base import DB, IN, OUT, WEB, kube, lan, scene, service, tiered
from worlds_build import (
    ECHO,
    EGRESS,
    INGRESS,
    act,
    block,
    labelled,
    netpol,
    rule,
    tcp,
    tier,
    udp,
)

ROLE_WEB, ROLE_DB = Selector(labels=labelled(role="web")), Selector(labels=labelled(role="db"))
API_BLOCKS = (IPBlock("10.244.9.11/32"), IPBlock("fd00:9::11/128"))

TIER_CASES = [
    *scene(
        "07 a named port is resolved for the workloads in an ipBlock",
        kube(netpol("shop/p", WEB, [EGRESS], egress=[rule(block("0.0.0.0/0"), block("::/0"), tcp("http"))])),
        f"shop/web → shop/db:8080 | allow | {IN} | egress NetworkPolicy shop/p[0]",
        "shop/web → shop/db:80 | deny | egress NetworkPolicy shop/p isolates",
    ),
    *scene(
        "07 and in the addresses of a tier's rule",
        lan(tier("application/t", act("reject", EGRESS, IPBlock("10.244.9.8/29"), IPBlock("fd00:9::/64"), tcp("web")))),
        "shop/api → shop/web:81 | reject | egress application t[0]",
        f"shop/api → shop/web:80 | allow | {IN}",
        f"shop/api → shop/db:81 | allow | {IN}",
    ),
    *scene(
        "tier the first match in written order decides",
        tiered(tier("application/t", act("deny", INGRESS, tcp(80, 90)), act("allow", INGRESS), to=[ROLE_DB])),
        "back/app-1 → back/db-1:79 | allow | ingress application t[1]",
        "back/app-1 → back/db-1:80 | deny | ingress application t[0]",
        "back/app-1 → back/db-1:90 | deny | ingress application t[0]",
        "back/app-1 → back/db-1:91 | allow | ingress application t[1]",
        f"back/db-1 → back/app-1:80 | allow | {IN}",
    ),
    *scene(
        "tier priority orders policies, then the name does",
        tiered(
            tier("application/a", act("deny", INGRESS, tcp(1, 2)), priority=9),
            tier("application/b", act("reject", INGRESS, tcp(2, 3)), priority=9),
            tier("application/c", act("allow", INGRESS, tcp(1)), priority=0),
        ),
        "back/app-1 → back/db-1:1 | allow | ingress application c[0]",
        "back/app-1 → back/db-1:2 | deny | ingress application a[0]",
        "back/app-1 → back/db-1:3 | reject | ingress application b[0]",
    ),
    *scene(
        "tier tiers in their order, whatever the priority",
        tiered(
            tier("emergency/z", act("deny", EGRESS, tcp(1)), priority=9999),
            tier("infrastructure/y", act("deny", EGRESS, tcp(1, 2)), priority=5),
            tier("environment/x", act("reject", EGRESS, tcp(1, 3)), priority=1),
            tier("application/w", act("allow", EGRESS), priority=0),
        ),
        "back/app-1 → back/db-1:1 | deny | egress emergency z[0]",
        "back/app-1 → back/db-1:2 | deny | egress infrastructure y[0]",
        "back/app-1 → back/db-1:3 | reject | egress environment x[0]",
        f"back/app-1 → back/db-1:4 | allow | {IN} | egress application w[0]",
    ),
    *scene(
        "tier pass skips the rest of its own tier only",
        tiered(
            tier("environment/a", act("pass", INGRESS, tcp(1)), act("deny", INGRESS, tcp(1)), priority=1),
            tier("environment/b", act("deny", INGRESS), priority=2),
            tier("application/c", act("reject", INGRESS, tcp(1))),
        ),
        "back/app-1 → back/db-1:1 | reject | ingress application c[0]",
        "back/app-1 → back/db-1:2 | deny | ingress environment b[0]",
    ),
    *scene(
        "tier pass and no match lead to NetworkPolicy, allow does not",
        kube(
            netpol("shop/p", DB, ingress=[rule(udp(53))]),
            tier(
                "application/t", act("pass", INGRESS, tcp(1)), act("allow", INGRESS, tcp(2)), to=[Selector(name="d*")]
            ),
        ),
        "shop/web → shop/db:1 | deny | ingress NetworkPolicy shop/p isolates",
        "shop/web → shop/db:2 | allow | ingress application t[1]",
        "shop/web → shop/db:3 | deny | ingress NetworkPolicy shop/p isolates",
        "shop/web → shop/db:53/udp | allow | ingress NetworkPolicy shop/p[0]",
    ),
    *scene(
        "tier egress is judged first, and both sides must allow",
        tiered(
            tier("application/out", act("reject", EGRESS, tcp(1)), act("allow", EGRESS, tcp(2, 3))),
            tier("environment/in", act("deny", INGRESS, tcp(1, 2))),
        ),
        "back/app-1 → back/db-1:1 | reject | egress application out[0]",
        "back/app-1 → back/db-1:2 | deny | ingress environment in[0] | egress application out[1]",
        f"back/app-1 → back/db-1:3 | allow | {IN} | egress application out[1]",
    ),
    *scene(
        "tier VMs and pods of every Application are in one group",
        tiered(tier("application/t", act("deny", INGRESS, ROLE_WEB), to=[Selector(applications=("back",))])),
        "front/web-1 → back/app-1:8080 | deny | ingress application t[0]",
        "front/web-2 → back/db-1:5432 | deny | ingress application t[0]",
        "far/far-1 → back/app-1:8080 | deny | ingress application t[0]",
        f"back/app-1 → back/db-1:5432 | allow | {IN}",
    ),
    *scene(
        "tier every field of a selector must match, and applies_to are alternatives",
        tiered(
            tier(
                "application/t",
                act("deny", INGRESS, Selector(kind=Kind.VM, name="web-?", namespaces=("front", "other"))),
                to=[Selector(segments=("db",)), Selector(name="app-1", namespaces=("back",))],
            )
        ),
        "front/web-1 → back/db-1:5432 | deny | ingress application t[0]",
        "front/web-1 → back/app-1:8080 | deny | ingress application t[0]",
        f"front/web-2 → back/app-1:8080 | allow | {IN}",
        f"back/app-1 → front/web-1:80 | allow | {IN}",
    ),
    *scene(
        "tier labels of namespaces",
        kube(tier("application/t", act("deny", INGRESS, Selector(namespace_labels=labelled(team="b"))))),
        "ops/web → shop/old:22 | deny | ingress application t[0]",
        f"shop/web → shop/old:22 | allow | {IN}",
    ),
    *scene(
        "tier ICMP is echo, and TCP rules do not match it",
        tiered(tier("application/t", act("allow", INGRESS, ECHO), act("deny", INGRESS, tcp()), act("reject", INGRESS))),
        "back/app-1 → back/db-1/icmp | allow | ingress application t[0]",
        "back/app-1 → back/db-1:80 | deny | ingress application t[1]",
        "back/app-1 → back/db-1:80/udp | reject | ingress application t[2]",
    ),
    *scene(
        "tier named ports are the destination's",
        tiered(tier("application/t", act("reject", EGRESS, tcp("sql")), act("deny", INGRESS, tcp("api")))),
        "front/web-1 → back/db-1:5432 | reject | egress application t[0]",
        "front/web-1 → back/app-1:8080 | deny | ingress application t[1]",
        f"front/web-1 → back/app-1:5432 | allow | {IN}",
        f"front/web-1 → back/db-1:8080 | allow | {IN}",
    ),
    *scene(
        "tier addresses match workloads, whatever ipblock_matches_pods says",
        lan(tier("application/t", act("deny", EGRESS, *API_BLOCKS)), options=Options(ipblock_matches_pods=False)),
        "shop/web → shop/api:80 | deny | egress application t[0]",
        "shop/old → shop/api:80 | deny | egress application t[0]",
        f"shop/web → shop/db:80 | allow | {IN}",
    ),
    *scene(
        "tier applies_to VMs alone",
        kube(tier("application/t", act("deny", INGRESS), act("reject", EGRESS), to=[Selector(kind=Kind.VM)])),
        "shop/web → shop/old:22 | deny | ingress application t[0]",
        "shop/old → shop/web:80 | reject | egress application t[1]",
        f"shop/web → shop/db:5432 | allow | {IN}",
    ),
]

PATH_CASES = [
    *scene(
        "path connected Applications reach each other both ways, not transitively",
        tiered(),
        f"front/web-1 → back/db-1:5432 | allow | {IN}",
        f"back/db-1 → front/web-1:80 | allow | {IN}",
        f"far/far-1 → back/app-1:8080 | allow | {IN}",
        f"front/web-1 → far/far-1:80 | no-route | {NO_PATH}",
        f"far/far-1 → front/web-1:80 | no-route | {NO_PATH}",
        f"other/web-1 → back/app-1:8080 | no-route | {NO_PATH}",
    ),
    *scene(
        "path overlapping addresses are each Application's own",
        tiered(tier("application/t", act("deny", INGRESS), to=[Selector(applications=("front",))])),
        "front/web-2 → 10.1.1.20:80 | deny | ingress application t[0]",
        "other/web-1 → [fd00:1:1::20]:80 | allow | default: own address",
        f"far/far-1 → 10.1.1.20:80 | no-route | {NO_PATH}",
    ),
    *scene(
        "path no network leads there: nobody answers a neighbour, and egress is judged on the way to all others",
        tiered(tier("application/t", act("deny", EGRESS))),
        f"front/web-1 → 10.1.1.99:80 | no-route | {NO_PATH}",
        "front/web-1 → 203.0.113.7:80 | deny | egress application t[0]",
        "front/web-1 → [2001:db8::1]:80 | deny | egress application t[0]",
        "front/web-1 → 10.2.1.99:80 | deny | egress application t[0]",
        "front/web-1 → 10.3.1.2:80 | deny | egress application t[0]",
    ),
    *scene(
        "path no network leads there, and egress lets it go",
        tiered(),
        f"front/web-1 → 203.0.113.7:80 | no-route | {NO_PATH}",
        f"front/web-1 → [2001:db8::1]:80 | no-route | {NO_PATH}",
        f"front/web-1 → 10.2.1.99:80 | no-route | {NO_PATH}",
        f"far/far-1 → 10.3.1.99:80 | no-route | {NO_PATH}",
    ),
    *scene(
        "path a gateway answers echo and nothing else, whatever policy says",
        tiered(tier("application/t", act("deny", EGRESS))),
        f"front/web-1 → 10.1.1.1/icmp | allow | {GATEWAY}",
        f"front/web-1 → 10.2.1.1/icmp | allow | {GATEWAY}",
        f"far/far-1 → 10.3.1.1/icmp | allow | {GATEWAY}",
        f"front/web-1 → [fd00:1:1::1]/icmp | allow | {GATEWAY}",
        f"front/web-1 → 10.1.1.1:80 | no-route | {NO_PATH}",
        f"far/far-1 → 10.3.1.1:80 | no-route | {NO_PATH}",
    ),
    *scene(
        "path a source without an address of the family",
        tiered(),
        f"far/far-1 → [fd00:2:1::99]:80 | no-route | {NO_PATH}",
    ),
]

SERVICES = (
    service("back/api", "back", 20, ServicePort(80, "api"), ServicePort(5432, 8080), role="app"),
    service("back/empty", "back", 21, ServicePort(80, 80), role="nobody"),
    service("back/unnamed", "back", 22, ServicePort(80, "http"), role="app"),
    service("back/foreign", "front", 23, ServicePort(80, 80), role="app"),
)

SERVICE_CASES = [
    *scene(
        "service clients of its Application and of those connected to it",
        tiered(*SERVICES),
        f"back/db-1 → service:back/api:80 | allow | {IN} | {OUT} | back/app-1",
        f"front/web-1 → service:back/api:80 | allow | {IN} | {OUT} | back/app-1",
        f"far/far-1 → service:back/api:5432 | allow | {IN} | {OUT} | back/app-1",
        f"other/web-1 → service:back/api:80 | no-route | {NO_PATH}",
    ),
    *scene(
        "service a port, a protocol or an echo that it does not have",
        tiered(*SERVICES),
        f"front/web-1 → service:back/api:81 | no-route | {NO_PATH}",
        f"front/web-1 → service:back/api:80/udp | no-route | {NO_PATH}",
        f"front/web-1 → service:back/api/icmp | no-route | {NO_PATH}",
    ),
    *scene(
        "service nobody behind it: no label, no port of the name, another Application",
        tiered(*SERVICES),
        f"front/web-1 → service:back/empty:80 | no-backend | {NO_BACKEND}",
        f"front/web-1 → service:back/unnamed:80 | no-backend | {NO_BACKEND}",
        f"front/web-1 → service:back/foreign:80 | no-backend | {NO_BACKEND}",
    ),
    *scene(
        "service policy judges the backend and its port",
        tiered(
            SERVICES[0],
            tier(
                "application/t",
                act("allow", INGRESS, ROLE_WEB, tcp(8080)),
                act("reject", INGRESS),
                to=[Selector(name="app-*")],
            ),
        ),
        "front/web-1 → service:back/api:80 | allow | ingress application t[0]",
        "front/web-1 → service:back/api:5432 | allow | ingress application t[0]",
        "back/db-1 → service:back/api:80 | reject | ingress application t[1]",
    ),
]

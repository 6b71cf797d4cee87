"""Lines 19 to 26, Kubernetes' admin and baseline tiers around NetworkPolicy, as rows."""

from __future__ import annotations

from msgspec.structs import replace

from sdn.model import OWN_ADDRESS, IPBlock, Kind, Options, Selector
from worlds_base import DB, IN, NONE, P0, SITE, WEB, kube, lan, scene
from worlds_build import (
    BOTH,
    ECHO,
    EGRESS,
    INGRESS,
    act,
    labelled,
    netpol,
    rule,
    tcp,
    tier,
    udp,
)

PODS = Selector(kind=Kind.POD)
DB_POD, WEB_PODS = Selector(labels=DB, kind=Kind.POD), Selector(labels=WEB, kind=Kind.POD)
TEAM_B = Selector(namespace_labels=labelled(team="b"), kind=Kind.POD)
API_NETWORKS = (IPBlock("10.244.9.11/32"), IPBlock("fd00:9::11/128"))

ORDER = [
    *scene(
        "19 admin, then NetworkPolicy, then baseline",
        kube(
            tier(
                "admin/a",
                act("deny", INGRESS, TEAM_B, tcp(1)),
                act("pass", INGRESS, tcp(2)),
                act("allow", INGRESS, tcp(2, 3)),
                to=[PODS],
            ),
            netpol("shop/p", DB, ingress=[rule(tcp(1, 2))]),
            tier("baseline/b", act("deny", INGRESS, tcp(1, 6)), to=[PODS]),
        ),
        "ops/web → shop/db:1 | deny | ingress admin a[0]",
        f"shop/web → shop/db:1 | allow | {P0}",
        f"shop/web → shop/db:2 | allow | {P0}",
        "shop/web → shop/db:3 | allow | ingress admin a[2]",
        f"shop/web → shop/db:4 | deny | {NONE}",
        f"shop/web → shop/db:7 | deny | {NONE}",
        "shop/web → shop/api:3 | allow | ingress admin a[2]",
        "shop/web → shop/api:4 | deny | ingress baseline b[0]",
        f"shop/web → shop/api:7 | allow | {IN}",
        f"shop/web → shop/old:4 | allow | {IN}",
    ),
    *scene(
        "19 NetworkPolicy is final for the direction that it isolates, and for no other",
        kube(
            netpol("shop/p", DB, ingress=[rule()]),
            tier("baseline/b", act("deny", INGRESS), act("reject", EGRESS), to=[DB_POD]),
        ),
        f"shop/web → shop/db:5432 | allow | {P0}",
        "shop/db → shop/web:80 | reject | egress baseline b[1]",
    ),
    *scene(
        "19 pass in the admin tier skips all of that tier and nothing else",
        kube(
            tier("admin/a", act("pass", INGRESS, tcp(1, 2)), act("deny", INGRESS, tcp(2)), priority=1),
            tier("admin/b", act("deny", INGRESS, tcp(1, 3)), priority=2),
            tier("baseline/c", act("reject", INGRESS, tcp(2))),
        ),
        f"shop/web → shop/db:1 | allow | {IN}",
        "shop/web → shop/db:2 | reject | ingress baseline c[0]",
        "shop/web → shop/db:3 | deny | ingress admin b[0]",
    ),
    *scene(
        "19 pass in baseline is the default",
        kube(
            tier("baseline/a", act("pass", EGRESS, tcp(1)), priority=1),
            tier("baseline/b", act("deny", EGRESS, tcp(1, 2)), priority=2),
        ),
        f"shop/web → shop/db:1 | allow | {IN}",
        "shop/web → shop/db:2 | deny | egress baseline b[0]",
    ),
    *scene(
        "19 micro-segmentation comes before the admin tier",
        kube(
            tier("application/m", act("allow", INGRESS, tcp(1)), act("pass", INGRESS, tcp(2))),
            tier("admin/a", act("deny", INGRESS, tcp(1, 3)), priority=0),
        ),
        "shop/web → shop/db:1 | allow | ingress application m[0]",
        "shop/web → shop/db:2 | deny | ingress admin a[0]",
        "shop/web → shop/db:3 | deny | ingress admin a[0]",
    ),
    *scene(
        "20 accept at the source's egress still needs the destination's ingress",
        kube(
            tier("admin/a", act("allow", EGRESS), to=[WEB_PODS]),
            tier("admin/z", act("deny", INGRESS, tcp(5432)), to=[DB_POD]),
            netpol("shop/p", DB),
        ),
        "shop/web → shop/db:5432 | deny | ingress admin z[0] | egress admin a[0]",
        f"shop/web → shop/db:8080 | deny | {NONE} | egress admin a[0]",
        f"shop/web → shop/api:8000 | allow | {IN} | egress admin a[0]",
    ),
    *scene(
        "20 and accept at the destination's ingress still needs the source's egress",
        kube(tier("admin/a", act("allow", INGRESS), to=[DB_POD]), netpol("shop/p", WEB, [EGRESS])),
        "shop/web → shop/db:5432 | deny | egress NetworkPolicy shop/p isolates",
        "shop/api → shop/db:5432 | allow | ingress admin a[0]",
    ),
    *scene(
        "21 a workload that an admin or baseline policy is for is not isolated by that",
        kube(
            tier("admin/a", act("allow", INGRESS, WEB_PODS, tcp(80)), to=[DB_POD]),
            tier("baseline/b", act("allow", EGRESS, tcp(80)), to=[DB_POD]),
        ),
        "shop/web → shop/db:80 | allow | ingress admin a[0]",
        f"shop/web → shop/db:81 | allow | {IN}",
        f"ops/mon → shop/db:80 | allow | {IN}",
        f"shop/db → shop/web:81 | allow | {IN}",
    ),
]

MATCHES = [
    *scene(
        "22 what is not known fails closed: accept matches nothing, deny and pass everything",
        kube(
            tier(
                "admin/a",
                replace(act("allow", INGRESS, tcp(1)), nothing=True),
                act("pass", INGRESS, tcp(2)),
                act("deny", INGRESS),
                to=[DB_POD],
            ),
            tier("baseline/b", replace(act("deny", INGRESS), nothing=True), act("reject", INGRESS, tcp(2))),
        ),
        "shop/web → shop/db:1 | deny | ingress admin a[2]",
        "shop/web → shop/db:2 | reject | ingress baseline b[1]",
        f"shop/web → shop/api:1 | allow | {IN}",
    ),
    *scene(
        "22 nothing matches also what is turned round",
        kube(tier("admin/a", replace(act("deny", INGRESS, DB_POD, excluded=["peers"]), nothing=True))),
        f"shop/web → shop/db:1 | allow | {IN}",
    ),
    *scene(
        "23 no protocols is all traffic, echo included",
        kube(tier("admin/a", act("deny", INGRESS, WEB_PODS), to=[DB_POD])),
        "shop/web → shop/db:1 | deny | ingress admin a[0]",
        "shop/web → shop/db:53/udp | deny | ingress admin a[0]",
        "shop/web → shop/db:9/sctp | deny | ingress admin a[0]",
        "shop/web → shop/db/icmp | deny | ingress admin a[0]",
        f"shop/api → shop/db/icmp | allow | {IN}",
    ),
    *scene(
        "23 ranges are inclusive, and of their protocol",
        kube(tier("baseline/b", act("deny", EGRESS, tcp(8000, 8005), udp(), ECHO), to=[WEB_PODS])),
        f"shop/web → shop/db:7999 | allow | {IN}",
        "shop/web → shop/db:8000 | deny | egress baseline b[0]",
        "shop/web → shop/db:8005 | deny | egress baseline b[0]",
        f"shop/web → shop/db:8006 | allow | {IN}",
        "shop/web → shop/db:9/udp | deny | egress baseline b[0]",
        "shop/web → shop/db/icmp | deny | egress baseline b[0]",
        f"shop/web → shop/db:8000/sctp | allow | {IN}",
    ),
    *scene(
        "23 priority 0 is valid and highest, and all objects are one list",
        kube(
            tier("admin/a", act("deny", INGRESS, tcp(1, 2)), priority=1),
            tier("admin/b", act("allow", INGRESS, tcp(1)), priority=0),
            tier("admin/c", act("reject", INGRESS, tcp(2, 3)), priority=1000),
        ),
        "shop/web → shop/db:1 | allow | ingress admin b[0]",
        "shop/web → shop/db:2 | deny | ingress admin a[0]",
        "shop/web → shop/db:3 | reject | ingress admin c[0]",
    ),
    *scene(
        "24 networks match the addresses of pods, whatever ipblock_matches_pods says",
        lan(tier("admin/a", act("deny", EGRESS, *API_NETWORKS)), options=Options(ipblock_matches_pods=False)),
        "shop/web → shop/api:80 | deny | egress admin a[0]",
        f"shop/web → shop/db:80 | allow | {IN}",
    ),
    *scene(
        "24 networks reach outside in the baseline tier, too",
        kube(tier("baseline/b", act("reject", EGRESS, IPBlock("203.0.113.0/29"), IPBlock("2001:db8::/64")))),
        "shop/web → 203.0.113.7:80 | reject | egress baseline b[0]",
        "shop/web → [2001:db8::7]:80 | reject | egress baseline b[0]",
        "shop/web → 203.0.113.8:80 | no-route | default: no path between these networks",
    ),
    *scene(
        "25 the own address is not subject to the admin tier",
        kube(tier("admin/a", act("deny", INGRESS), act("deny", EGRESS)), netpol("shop/p", DB, BOTH)),
        f"shop/db → shop/db:5432 | allow | {OWN_ADDRESS}",
        f"shop/old → shop/old/icmp | allow | {OWN_ADDRESS}",
    ),
    *scene(
        "25 through a Service back to itself is subject to the admin tier",
        kube(SITE, tier("admin/a", act("deny", EGRESS), to=[WEB_PODS])),
        "shop/web → service:shop/site:80 | deny | egress admin a[0] || shop/web",
        "shop/web → service:shop/site:80 | deny | egress admin a[0] || shop/api",
    ),
    *scene(
        "25 through a Service back to itself ingress is asked after egress",
        kube(SITE, tier("admin/a", act("reject", INGRESS, WEB_PODS), act("allow", EGRESS))),
        "shop/web → service:shop/site:80 | reject | ingress admin a[0] | egress admin a[1] | shop/web",
        "shop/api → service:shop/site:80 | allow | ingress default allow | egress admin a[1] | shop/api",
        "shop/api → service:shop/site:80 | allow | ingress default allow | egress admin a[1] | shop/web",
    ),
    *scene(
        "25 a lab whose hairpin is not judged",
        kube(SITE, tier("admin/a", act("deny", EGRESS), to=[WEB_PODS]), options=Options(judge_hairpin=False)),
        f"shop/web → service:shop/site:80 | allow | {OWN_ADDRESS} || shop/web",
        "shop/web → service:shop/site:80 | deny | egress admin a[0] || shop/api",
    ),
    *scene(
        "26 one priority twice in a tier is in the order of names",
        kube(
            tier("admin/b", act("deny", INGRESS, tcp(1, 2)), priority=7),
            tier("admin/a", act("allow", INGRESS, tcp(1)), priority=7),
        ),
        "shop/web → shop/db:1 | allow | ingress admin a[0]",
        "shop/web → shop/db:2 | deny | ingress admin b[0]",
    ),
]

ADMIN_CASES = [*ORDER, *MATCHES]

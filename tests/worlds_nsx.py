"""Lines 27 to 32, what NSX says with applied-to, categories, groups and exclusions, as rows."""

from __future__ import annotations

from msgspec.structs import replace

from sdn.model import AllOf, AnyOf, InGroup, IPBlock, Kind, Operator, Selector, Where
from worlds_base import DB, IN, OUT, kube, lan, scene, tiered
from worlds_build import (
    ECHO,
    EGRESS,
    INGRESS,
    act,
    from_to,
    group,
    labelled,
    need,
    netpol,
    rule,
    tcp,
    tier,
)

WEB, APP, DBS = (Selector(labels=labelled(role=role)) for role in ("web", "app", "db"))
FRONT = Selector(applications=("front",))
VMS = Selector(kind=Kind.VM)
API_BLOCKS = (IPBlock("10.244.9.11/32"), IPBlock("fd00:9::11/128"))
HALF = (IPBlock("10.244.9.12/31"), IPBlock("fd00:9::12/127"))  # shop/db and shop/old

VNICS = [
    *scene(
        "27 a packet is judged out at its source",
        tiered(tier("application/s", *from_to("deny", [WEB], [DBS], label="r"))),
        "front/web-1 → back/db-1:5432 | deny | egress application s[r]",
        f"back/app-1 → back/db-1:5432 | allow | {IN}",
        f"back/db-1 → front/web-1:80 | allow | {IN}",
    ),
    *scene(
        "27 and in at its destination",
        tiered(
            tier("application/s", *from_to("allow", [FRONT], [], label="a"), to=[FRONT], priority=1),
            tier("application/t", *from_to("deny", [WEB], [DBS], label="r"), priority=2),
        ),
        "front/web-1 → back/db-1:5432 | deny | ingress application t[r] | egress application s[a]",
        "far/far-1 → back/db-1:5432 | deny | egress application t[r]",
    ),
    *scene(
        "27 what is applied to the destination alone does not act at the source",
        tiered(tier("application/s", *from_to("reject", [WEB], [DBS], to=[DBS], label="r"))),
        f"front/web-1 → back/db-1:5432 | reject | ingress application s[r] | {OUT}",
        f"back/app-1 → back/db-1:5432 | allow | {IN}",
    ),
    *scene(
        "27 what is applied to the source alone does not act at the destination",
        tiered(tier("application/s", *from_to("deny", [WEB, APP], [DBS], to=[WEB], label="r"))),
        "front/web-1 → back/db-1:5432 | deny | egress application s[r]",
        f"back/app-1 → back/db-1:5432 | allow | {IN}",
    ),
    *scene(
        "27 the policy's scope beats its rules' scopes",
        tiered(
            tier("application/s", act("deny", INGRESS, tcp(1), to=[DBS], label="r"), to=[APP]),
            tier("application/t", act("deny", INGRESS, tcp(2), to=[DBS]), act("reject", INGRESS, tcp(2), to=[APP])),
        ),
        "front/web-1 → back/app-1:1 | deny | ingress application s[r]",
        f"front/web-1 → back/db-1:1 | allow | {IN}",
        "front/web-1 → back/db-1:2 | deny | ingress application t[0]",
        "front/web-1 → back/app-1:2 | reject | ingress application t[1]",
        f"back/db-1 → front/web-1:2 | allow | {IN}",
    ),
    *scene(
        "27 a scope of several groups, and a scope that nobody is in",
        tiered(
            group("dbs", Where(DBS)),
            group("apps", Where(APP)),
            tier("application/s", act("deny", INGRESS, tcp(1), to=[Selector(groups=("dbs", "apps"))])),
            tier("application/t", act("deny", INGRESS, tcp(2)), to=[Selector(groups=("nobody",))]),
        ),
        "front/web-1 → back/db-1:1 | deny | ingress application s[0]",
        "front/web-1 → back/app-1:1 | deny | ingress application s[0]",
        f"back/app-1 → front/web-1:1 | allow | {IN}",
        f"front/web-1 → back/db-1:2 | allow | {IN}",
    ),
    *scene(
        "32 applied-to left open lands on every vNIC, of VMs and pods",
        tiered(tier("application/s", *from_to("deny", [], [DBS], tcp(9), label="r"), act("reject", INGRESS, tcp(8)))),
        "front/web-1 → back/db-1:9 | deny | egress application s[r]",
        "front/web-2 → back/db-1:9 | deny | egress application s[r]",
        f"front/web-1 → back/app-1:8 | reject | ingress application s[2] | {OUT}",
        f"front/web-2 → back/db-1:8 | reject | ingress application s[2] | {OUT}",
    ),
]

CATEGORIES = [
    *scene(
        "28 categories from left to right, each final but for the jump",
        tiered(
            tier("emergency/e", *from_to("deny", [], [DBS], tcp(1), label="e"), priority=9),
            tier("infrastructure/i", *from_to("allow", [], [DBS], tcp(1, 2), label="i"), priority=8),
            tier("environment/n", *from_to("pass", [], [DBS], tcp(3), label="j"), priority=1),
            tier("environment/o", *from_to("reject", [], [DBS], tcp(2, 4), label="n"), priority=2),
            tier("application/a", *from_to("allow", [APP], [DBS], tcp(3), label="a"), priority=1),
            tier("application/z", *from_to("deny", [], [], label="default"), priority=9999),
        ),
        "back/app-1 → back/db-1:1 | deny | egress emergency e[e]",
        "back/app-1 → back/db-1:2 | allow | ingress infrastructure i[i] | egress infrastructure i[i]",
        "back/app-1 → back/db-1:3 | allow | ingress application a[a] | egress application a[a]",
        "front/web-1 → back/db-1:3 | deny | egress application z[default]",
        "back/app-1 → back/db-1:4 | reject | egress environment o[n]",
        "back/app-1 → back/db-1:5 | deny | egress application z[default]",
    ),
    *scene(
        "28 the jump at one side says nothing of the other",
        tiered(
            tier("environment/n", act("pass", EGRESS, DBS, own=[APP], label="j"), act("deny", INGRESS, own=[DBS])),
            tier("application/a", act("allow", EGRESS, tcp(1))),
        ),
        "back/app-1 → back/db-1:1 | deny | ingress environment n[1] | egress application a[0]",
        f"back/app-1 → front/web-1:2 | allow | {IN}",
    ),
    *scene(
        "28 no match in application is the default rule, the last of that tier",
        tiered(
            tier("application/web", *from_to("allow", [], [WEB], tcp(80), label="10"), priority=10),
            tier("application/default", *from_to("reject", [], [], label="2"), priority=9999),
        ),
        "back/app-1 → front/web-2:80 | allow | ingress application web[10] | egress application web[10]",
        "back/app-1 → front/web-2:81 | reject | egress application default[2]",
        "back/app-1 → 203.0.113.7:80 | reject | egress application default[2]",
    ),
    *scene(
        "28 a default rule that allows is final: Kubernetes' tiers are not asked",
        kube(
            tier("application/default", act("allow", INGRESS, label="2"), priority=9999),
            tier("admin/a", act("deny", INGRESS)),
            netpol("shop/p", DB),
        ),
        "shop/web → shop/db:1 | allow | ingress application default[2]",
    ),
]

EXCLUDED = [
    *scene(
        "29 sources excluded: everybody but they",
        tiered(tier("application/s", *from_to("deny", [APP], [DBS], excluded=["sources"], label="r"))),
        f"back/app-1 → back/db-1:5432 | allow | {IN}",
        "front/web-1 → back/db-1:5432 | deny | egress application s[r]",
        f"front/web-1 → back/app-1:8080 | allow | {IN}",
    ),
    *scene(
        "29 destinations excluded: anywhere but there, outside included",
        tiered(tier("application/s", *from_to("deny", [WEB], [APP], excluded=["destinations"], label="r"))),
        f"front/web-1 → back/app-1:8080 | allow | {IN}",
        "front/web-1 → back/db-1:5432 | deny | egress application s[r]",
        "front/web-1 → 203.0.113.7:80 | deny | egress application s[r]",
        f"back/db-1 → front/web-1:80 | allow | {IN}",
    ),
    *scene(
        "29 both excluded, with ports",
        tiered(
            tier("application/s", *from_to("reject", [APP], [DBS], tcp(80), excluded=["sources", "destinations"])),
        ),
        "front/web-1 → back/app-1:80 | reject | egress application s[0]",
        f"front/web-1 → back/db-1:80 | allow | {IN}",
        f"back/app-1 → front/web-1:80 | allow | {IN}",
        f"front/web-1 → back/app-1:81 | allow | {IN}",
    ),
    *scene(
        "29 addresses excluded, at the other end and at the own",
        lan(
            tier("application/s", act("deny", INGRESS, *API_BLOCKS, tcp(80), excluded=["peers"])),
            tier("application/t", act("reject", INGRESS, tcp(81), own=API_BLOCKS, excluded=["own"])),
        ),
        f"shop/api → shop/db:80 | allow | {IN}",
        "shop/web → shop/db:80 | deny | ingress application s[0]",
        f"shop/web → shop/api:81 | allow | {IN}",
        "shop/web → shop/db:81 | reject | ingress application t[0]",
    ),
    *scene(
        "29 addresses of one family excluded: the other family is everybody but they",
        lan(
            tier("application/s", act("deny", EGRESS, IPBlock("10.244.9.0/24"), tcp(80), excluded=["peers"])),
            tier("application/t", act("deny", EGRESS, tcp(81), own=[IPBlock("10.244.9.0/24")], excluded=["own"])),
        ),
        f"shop/web → 10.244.9.12:80 | allow | {IN}",
        "shop/web → [fd00:9::12]:80 | deny | egress application s[0]",
        f"shop/web → 10.244.9.12:81 | allow | {IN}",
        "shop/web → [fd00:9::12]:81 | deny | egress application t[0]",
    ),
    *scene(
        "29 a group that nobody is in: included it is nobody, excluded it is everybody",
        tiered(
            tier("application/s", act("deny", INGRESS, "nobody"), act("deny", INGRESS, own=["nobody"])),
            tier("application/t", act("reject", INGRESS, "nobody", tcp(1), excluded=["peers"])),
            tier("application/u", act("reject", INGRESS, tcp(2), own=["nobody"], excluded=["own"])),
        ),
        f"back/app-1 → back/db-1:1 | reject | ingress application t[0] | {OUT}",
        f"back/app-1 → back/db-1:2 | reject | ingress application u[0] | {OUT}",
        f"back/app-1 → back/db-1:3 | allow | {IN}",
    ),
]

GROUPS = [
    *scene(
        "30 conditions joined by AND and by OR",
        tiered(
            group("web-vms", AllOf((Where(WEB), Where(VMS)))),
            group("stores", AnyOf((Where(APP), Where(Selector(name="db-*")), Where(Selector(keys=("far/far-1",)))))),
            tier("application/s", act("deny", INGRESS, "web-vms", tcp(1)), act("deny", INGRESS, "stores", tcp(2))),
        ),
        "front/web-1 → back/app-1:1 | deny | ingress application s[0]",
        f"front/web-2 → back/app-1:1 | allow | {IN}",
        f"back/db-1 → back/app-1:1 | allow | {IN}",
        "back/db-1 → back/app-1:2 | deny | ingress application s[1]",
        "far/far-1 → back/app-1:2 | deny | ingress application s[1]",
        "back/app-1 → back/db-1:2 | deny | ingress application s[1]",
        f"front/web-1 → back/app-1:2 | allow | {IN}",
    ),
    *scene(
        "30 no conditions: of AND everybody, of OR nobody, of neither nobody",
        tiered(
            group("all", AllOf(())),
            group("any", AnyOf(())),
            group("none"),
            tier(
                "application/s",
                act("deny", INGRESS, "any", "none"),
                act("reject", INGRESS, "all", tcp(1)),
                act("deny", EGRESS, "all", tcp(2)),
            ),
        ),
        f"front/web-1 → back/app-1:1 | reject | ingress application s[1] | {OUT}",
        f"front/web-1 → back/app-1:3 | allow | {IN}",
        "front/web-1 → back/app-1:2 | deny | egress application s[2]",
        "front/web-1 → 203.0.113.7:2 | no-route | default: no path between these networks",
    ),
    *scene(
        "30 nested groups, two deep, and everybody but one",
        tiered(
            group("dbs", Where(DBS)),
            group("back", Where(APP), within=["dbs"]),
            group("all", Where(FRONT), within=["back"]),
            group(
                "not-web",
                AllOf((InGroup("all"), Where(Selector(labels=labelled(need("role", Operator.NOT_IN, "web")))))),
            ),
            tier(
                "application/s", act("deny", INGRESS, tcp(1), own=["back"]), act("reject", INGRESS, "not-web", tcp(2))
            ),
        ),
        "front/web-1 → back/db-1:1 | deny | ingress application s[0]",
        "front/web-1 → back/app-1:1 | deny | ingress application s[0]",
        f"back/app-1 → front/web-1:1 | allow | {IN}",
        "back/db-1 → front/web-1:2 | reject | ingress application s[1]",
        f"front/web-1 → back/db-1:2 | allow | {IN}",
    ),
    *scene(
        "30 a group of addresses, at the other end and at the own",
        lan(
            group("api", *API_BLOCKS),
            group("half", *HALF, within=["api"]),
            tier("application/s", act("deny", EGRESS, "half", tcp(80)), act("reject", EGRESS, tcp(81), own=["half"])),
        ),
        "shop/web → shop/api:80 | deny | egress application s[0]",
        "shop/web → shop/old:80 | deny | egress application s[0]",
        f"shop/api → shop/web:80 | allow | {IN}",
        "shop/api → shop/web:81 | reject | egress application s[1]",
        "shop/old → shop/web:81 | reject | egress application s[1]",
        f"shop/web → shop/api:81 | allow | {IN}",
    ),
    *scene(
        "30 a group of both, and its addresses are nobody's membership",
        lan(
            group("both", Where(Selector(labels=DB)), *API_BLOCKS),
            group("inside", InGroup("both")),
            tier("application/s", act("deny", EGRESS, "both", tcp(80)), act("deny", EGRESS, "inside", tcp(81))),
            tier("application/t", act("reject", INGRESS, tcp(82)), to=[Selector(groups=("both",))]),
        ),
        "shop/web → shop/db:80 | deny | egress application s[0]",
        "shop/web → shop/api:80 | deny | egress application s[0]",
        f"shop/web → shop/old:80 | allow | {IN}",
        "shop/web → shop/db:81 | deny | egress application s[1]",
        f"shop/web → shop/api:81 | allow | {IN}",
        f"shop/web → shop/db:82 | reject | ingress application t[0] | {OUT}",
        f"shop/web → shop/api:82 | allow | {IN}",
    ),
    *scene(
        "30 a group of addresses reaches outside, but for its holes",
        kube(
            group("outside", IPBlock("203.0.113.0/29", ("203.0.113.4/32",)), IPBlock("2001:db8::/64")),
            tier("application/s", act("deny", EGRESS, "outside", ECHO, tcp())),
        ),
        "shop/web → 203.0.113.7:80 | deny | egress application s[0]",
        "shop/web → 203.0.113.4:80 | no-route | default: no path between these networks",
        "shop/web → [2001:db8::7]:80 | deny | egress application s[0]",
    ),
    *scene(
        "30 a selector that names a group means those of its members that the rest of it means",
        tiered(
            group("web", Where(WEB)),
            tier("application/s", act("deny", INGRESS, Selector(kind=Kind.VM, groups=("web", "nobody")))),
        ),
        "front/web-1 → back/app-1:1 | deny | ingress application s[0]",
        f"front/web-2 → back/app-1:1 | allow | {IN}",
        f"back/db-1 → back/app-1:1 | allow | {IN}",
    ),
    *scene(
        "30 services that name no protocol of ours match nothing",
        tiered(tier("application/s", *(replace(r, nothing=True) for r in from_to("deny", [WEB], [DBS])))),
        f"front/web-1 → back/db-1:5432 | allow | {IN}",
    ),
]

EXCLUSIONS = [
    *scene(
        "31 the exclusion list beats everything, as subject only",
        tiered(
            tier("emergency/e", *from_to("deny", [], [], tcp(1), label="e")),
            tier("application/z", *from_to("reject", [], [], label="default"), priority=9999),
            tier("admin/a", act("deny", INGRESS, tcp(2), to=[DBS])),
            exclusions=[DBS, Selector(name="app-*")],
        ),
        f"back/app-1 → back/db-1:1 | allow | {IN}",
        f"back/db-1 → back/app-1:3 | allow | {IN}",
        "front/web-1 → back/db-1:1 | deny | egress emergency e[e]",
        f"back/db-1 → front/web-1:1 | deny | ingress emergency e[e] | {OUT}",
        f"back/db-1 → front/web-1:3 | reject | ingress application z[default] | {OUT}",
        "back/app-1 → back/db-1:2 | deny | ingress admin a[0]",
    ),
    *scene(
        "31 NetworkPolicy and baseline are for those on the exclusion list, too",
        kube(
            group("excluded", Where(Selector(name="[dw]*b")), IPBlock("10.244.0.0/16"), IPBlock("fd00:244::/48")),
            tier("application/s", act("deny", INGRESS), act("deny", EGRESS)),
            netpol("shop/p", DB, ingress=[rule(tcp(5432))]),
            tier("baseline/b", act("reject", EGRESS), to=[Selector(labels=DB)]),
            exclusions=[Selector(groups=("excluded",))],
        ),
        "shop/web → shop/db:5432 | allow | ingress NetworkPolicy shop/p[0]",
        "shop/web → shop/db:80 | deny | ingress NetworkPolicy shop/p isolates",
        "shop/db → shop/web:80 | reject | egress baseline b[0]",
        f"shop/web → shop/api:8000 | deny | ingress application s[0] | {OUT}",
        "shop/api → shop/db:5432 | deny | egress application s[1]",
    ),
]

NSX_CASES = [*VNICS, *CATEGORIES, *EXCLUDED, *GROUPS, *EXCLUSIONS]

"""Line 31 as rows: what a stateless rule allows is not remembered, so the answer must be allowed by itself."""

from __future__ import annotations

from sdn.model import Options, Selector
from worlds_base import DB, IN, OUT, SITE, kube, lan, scene
from worlds_build import BOTH, ECHO, EGRESS, INGRESS, act, from_to, labelled, netpol, rule, tcp, tier, udp

DBS, WEBS = Selector(labels=DB), Selector(labels=labelled(site="yes"))
ANSWERS = tcp(32768, 60999)

STATELESS_CASES = [
    *scene(
        "31 a stateless rule at the receiver: its egress judges the answer",
        kube(
            tier(
                "application/t",
                act("allow", INGRESS, tcp(5432)),
                act("allow", INGRESS, udp(53)),
                act("allow", INGRESS, ECHO),
                act("deny", EGRESS, tcp()),
                act("reject", EGRESS),
                to=[DBS],
                stateless=True,
            )
        ),
        "shop/web → shop/db:5432 | answer | egress application t[3]",
        "shop/web → shop/db:53/udp | answer | egress application t[4]",
        "shop/web → shop/db/icmp | answer | egress application t[4]",
        f"shop/web → shop/db:8080 | allow | {IN}",
        "shop/old → shop/db:5432 | answer | egress application t[3]",
        "ops/web → shop/db:5432 | answer | egress application t[3]",
        "shop/db → shop/web:80 | deny | egress application t[3]",
    ),
    *scene(
        "31 a rule about all ports that answers go to is about answers, one about some of them is not",
        kube(
            tier(
                "application/t",
                act("allow", INGRESS),
                act("allow", EGRESS, WEBS, tcp(1024, 40000), tcp(40001, 65535)),
                act("allow", EGRESS, udp(), ECHO),
                act("allow", EGRESS, tcp(32768, 50000)),
                act("deny", EGRESS),
                to=[DBS],
                stateless=True,
            )
        ),
        "shop/web → shop/db:5432 | allow | ingress application t[0]",
        "shop/web → shop/db:53/udp | allow | ingress application t[0]",
        "shop/web → shop/db/icmp | allow | ingress application t[0]",
        "ops/mon → shop/db/icmp | allow | ingress application t[0]",
    ),
    *scene(
        "31 a stateless rule at the sender: its ingress judges the answer",
        kube(
            tier(
                "application/t",
                act("allow", EGRESS, DBS),
                act("allow", INGRESS, DBS, ANSWERS),
                act("deny", INGRESS),
                to=[WEBS],
                stateless=True,
            )
        ),
        f"shop/web → shop/db:5432 | allow | {IN} | egress application t[0]",
        "shop/web → shop/db:53/udp | answer | ingress application t[2] | egress application t[0]",
        "shop/web → shop/db/icmp | answer | ingress application t[2] | egress application t[0]",
        f"shop/web → ops/web:80 | allow | {IN}",
        "shop/db → shop/api:8000 | deny | ingress application t[2]",
    ),
    *scene(
        "31 on one segment and one Host, both sides stateless: the receiver's egress comes first",
        lan(
            tier("application/a", act("allow", INGRESS, tcp(80)), act("deny", EGRESS, ANSWERS), stateless=True),
            tier("infrastructure/i", act("allow", EGRESS, tcp(80)), act("deny", INGRESS, ANSWERS), stateless=True),
        ),
        "shop/web → shop/db:80 | answer | egress application a[1] | egress infrastructure i[0]",
        "shop/web → shop/api:80 | answer | egress application a[1] | egress infrastructure i[0]",
        "shop/old → shop/web:80 | answer | egress application a[1] | egress infrastructure i[0]",
        "shop/old → shop/web:81 | allow | ingress default allow | egress default allow",
    ),
    *scene(
        "31 a stateless rule of both directions allows its own answers",
        kube(
            tier("application/t", *from_to("allow", [WEBS], [DBS]), *from_to("allow", [DBS], [WEBS]), stateless=True),
            tier("application/u", act("deny", INGRESS), act("deny", EGRESS)),
        ),
        "shop/web → shop/db:5432 | allow | ingress application t[1] | egress application t[0]",
        "shop/db → shop/api:8000 | allow | ingress application t[3] | egress application t[2]",
        "shop/web → ops/web:80 | deny | egress application u[1]",
    ),
    *scene(
        "31 NetworkPolicy and the last tiers judge answers as they judge everything",
        kube(
            tier("application/t", act("allow", INGRESS, tcp(5432)), to=[DBS], stateless=True),
            netpol("shop/p", DB, BOTH, egress=[rule(udp())]),
        ),
        "shop/web → shop/db:5432 | answer | egress NetworkPolicy shop/p isolates",
        "shop/web → shop/db:53/udp | deny | ingress NetworkPolicy shop/p isolates",
    ),
    *scene(
        "31 through a Service, also back to its client",
        kube(SITE, tier("application/t", act("allow", EGRESS), act("deny", INGRESS, WEBS, ANSWERS), stateless=True)),
        "shop/web → service:shop/site:80 | answer | ingress application t[1] | egress application t[0] | shop/api",
        "shop/web → service:shop/site:80 | answer | ingress application t[1] | egress application t[0] | shop/web",
        f"shop/api → shop/db:8080 | allow | {IN} | egress application t[0]",
    ),
    *scene(
        "31 what is not judged needs no answer",
        kube(
            SITE,
            tier("application/t", act("allow", EGRESS), act("deny", INGRESS, WEBS, ANSWERS), stateless=True),
            options=Options(judge_hairpin=False),
        ),
        "shop/web → service:shop/site:80 | allow | default: own address || shop/web",
    ),
    *scene(
        "31 a stateless denial is a denial",
        kube(tier("application/t", act("deny", INGRESS, tcp(80)), act("reject", INGRESS, tcp(8000)), stateless=True)),
        "shop/db → shop/web:80 | deny | ingress application t[0]",
        "shop/db → shop/api:8000 | reject | ingress application t[1]",
        f"shop/web → shop/db:5432 | allow | {IN} | {OUT}",
    ),
]

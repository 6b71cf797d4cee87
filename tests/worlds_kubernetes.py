"""Lines 01 to 16 of Kubernetes NetworkPolicy as rows: what implementers get wrong and a single flow can show."""

from msgspec.structs import replace

from sdn.model import NO_BACKEND, OWN_ADDRESS, Operator, Options, ServicePort
from worlds_base import (
    ALL,
    ALL_BUT_API,
    ANYBODY,
    DB,
    IN,
    KUBE,
    NONE,
    ONLY_API,
    P0,
    SITE,
    WEB,
    kube,
    lan,
    scene,
    service,
)
from worlds_build import (
    BOTH,
    EGRESS,
    INGRESS,
    block,
    labelled,
    namespace,
    need,
    netpol,
    pods,
    pods_in,
    relabel,
    rule,
    spaces,
    tcp,
    udp,
    workload,
)

OUT0, OUT_NONE = "egress NetworkPolicy shop/p[0]", "egress NetworkPolicy shop/p isolates"

ISOLATION = [
    *scene(
        "01 egress-only policy without types isolates ingress as well",
        kube(netpol("shop/p", DB, BOTH, egress=[rule(tcp(80))])),
        f"shop/web → shop/db:5432 | deny | {NONE}",
        f"shop/db → shop/web:80 | allow | {IN} | {OUT0}",
        f"shop/db → shop/web:81 | deny | {OUT_NONE}",
    ),
    *scene(
        "01 ingress-only policy leaves egress alone",
        kube(netpol("shop/p", DB)),
        f"shop/db → shop/web:80 | allow | {IN}",
    ),
    *scene(
        "02 no ingress rule allows nothing",
        kube(netpol("shop/p", DB)),
        f"shop/web → shop/db:5432 | deny | {NONE}",
        f"shop/old → shop/db/icmp | deny | {NONE}",
    ),
    *scene(
        "02 an empty rule allows everything",
        kube(netpol("shop/p", DB, ingress=[rule()])),
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"shop/old → shop/db:53/udp | allow | {P0}",
        f"shop/web → shop/db/icmp | allow | {P0}",
    ),
    *scene(
        "02 no from is any source",
        kube(netpol("shop/p", DB, ingress=[rule(tcp(5432))])),
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"shop/old → shop/db:5432 | allow | {P0}",
        f"ops/web → shop/db:5433 | deny | {NONE}",
    ),
    *scene(
        "02 empty podSelector is the own namespace, and no VM",
        kube(netpol("shop/p", DB, ingress=[rule(pods())])),
        f"shop/web → shop/db:5432 | allow | {P0}",
        f"ops/web → shop/db:5432 | deny | {NONE}",
        f"shop/old → shop/db:5432 | deny | {NONE}",
    ),
    *scene(
        "02 empty namespaceSelector is every pod of the cluster, and no VM",
        kube(netpol("shop/p", DB, ingress=[rule(spaces())])),
        f"shop/web → shop/db:5432 | allow | {P0}",
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"shop/old → shop/db:5432 | deny | {NONE}",
    ),
]

SELECTION = [
    *scene(
        "03 two selectors in one element are AND",
        kube(netpol("shop/p", DB, ingress=[rule(pods_in(labelled(team="b"), WEB))])),
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"shop/web → shop/db:5432 | deny | {NONE}",
        f"ops/mon → shop/db:5432 | deny | {NONE}",
    ),
    *scene(
        "03 two elements are OR",
        kube(netpol("shop/p", DB, ingress=[rule(pods(app="web"), spaces(team="b"))])),
        f"shop/web → shop/db:5432 | allow | {P0}",
        f"ops/mon → shop/db:5432 | allow | {P0}",
        f"shop/api → shop/db:5432 | deny | {NONE}",
    ),
    *scene(
        "03 an absent selector is not an empty one",
        kube(netpol("shop/p", DB, ingress=[rule(pods_in(ALL, WEB))])),
        f"shop/web → shop/db:5432 | allow | {P0}",
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"shop/api → shop/db:5432 | deny | {NONE}",
    ),
    *scene(
        "04 a policy captures no pod of another namespace, and no VM",
        kube(netpol("ops/p", ALL, BOTH)),
        f"shop/web → shop/db:5432 | allow | {IN}",
        f"shop/web → shop/old:22 | allow | {IN}",
        "shop/web → ops/web:80 | deny | ingress NetworkPolicy ops/p isolates",
        "ops/web → shop/web:80 | deny | egress NetworkPolicy ops/p isolates",
    ),
    *scene(
        "04 one name in two namespaces is two policies",
        kube(netpol("shop/p", WEB), netpol("ops/p", WEB, ingress=[rule()])),
        f"shop/api → shop/web:80 | deny | {NONE}",
        "shop/api → ops/web:80 | allow | ingress NetworkPolicy ops/p[0]",
    ),
    *scene(
        "04 policies add up, and the first that allows is named",
        kube(
            netpol("shop/a", DB),
            netpol("shop/b", DB, ingress=[rule(tcp(81)), rule(tcp(5432))]),
            netpol("shop/c", DB, ingress=[rule(tcp(5432)), rule(tcp(82))]),
        ),
        "shop/web → shop/db:5432 | allow | ingress NetworkPolicy shop/b[1]",
        "shop/web → shop/db:82 | allow | ingress NetworkPolicy shop/c[1]",
        "shop/web → shop/db:83 | deny | ingress NetworkPolicy shop/a isolates (+2 more)",
    ),
]

PORTS = [
    *scene(
        "05 a port entry without port is every port of its protocol",
        kube(netpol("shop/p", DB, ingress=[rule(tcp())])),
        f"shop/web → shop/db:1 | allow | {P0}",
        f"shop/web → shop/db:65535 | allow | {P0}",
        f"shop/web → shop/db:53/udp | deny | {NONE}",
        f"shop/web → shop/db/icmp | deny | {NONE}",
    ),
    *scene(
        "05 a number is of one protocol",
        kube(netpol("shop/p", DB, ingress=[rule(udp(53))])),
        f"shop/web → shop/db:53/udp | allow | {P0}",
        f"shop/web → shop/db:53/tcp | deny | {NONE}",
        f"shop/web → shop/db:53/sctp | deny | {NONE}",
    ),
    *scene(
        "05 no ports is every port and every protocol",
        kube(netpol("shop/p", DB, ingress=[rule(pods(app="web"))])),
        f"shop/web → shop/db:9/udp | allow | {P0}",
        f"shop/web → shop/db:9/sctp | allow | {P0}",
        f"shop/web → shop/db/icmp | allow | {P0}",
    ),
    *scene(
        "06 endPort is inclusive",
        kube(netpol("shop/p", DB, ingress=[rule(tcp(8000, 8005))])),
        f"shop/web → shop/db:7999 | deny | {NONE}",
        f"shop/web → shop/db:8000 | allow | {P0}",
        f"shop/web → shop/db:8005 | allow | {P0}",
        f"shop/web → shop/db:8006 | deny | {NONE}",
    ),
    *scene(
        "07 a named port is another number at each destination, ingress",
        kube(netpol("shop/p", ALL, ingress=[rule(tcp("http"))])),
        f"ops/web → shop/web:80 | allow | {P0}",
        f"ops/web → shop/db:8080 | allow | {P0}",
        f"ops/web → shop/db:80 | deny | {NONE}",
        f"ops/web → shop/web:8080 | deny | {NONE}",
    ),
    *scene(
        "07 a named port is another number at each destination, egress",
        kube(netpol("shop/p", WEB, [EGRESS], egress=[rule(pods(), tcp("http"))])),
        f"shop/web → shop/api:8000 | allow | {IN} | {OUT0}",
        f"shop/web → shop/db:8080 | allow | {IN} | {OUT0}",
        f"shop/web → shop/db:80 | deny | {OUT_NONE}",
        f"shop/web → shop/db:8000 | deny | {OUT_NONE}",
    ),
    *scene(
        "07 the protocol of a named port must agree",
        kube(netpol("shop/p", DB, ingress=[rule(tcp("dns"))])),
        f"shop/web → shop/db:53/tcp | deny | {NONE}",
        f"shop/web → shop/db:53/udp | deny | {NONE}",
    ),
]

BLOCKS = [
    *scene(
        "08 except takes an address out, and only that",
        lan(netpol("shop/p", DB, ingress=[rule(*ALL_BUT_API)])),
        f"shop/web → shop/db:80 | allow | {P0}",
        f"shop/api → shop/db:80 | deny | {NONE}",
        f"shop/old → shop/db:80 | allow | {P0}",
    ),
    *scene(
        "08 except does not deny: another element allows the address again",
        lan(netpol("shop/p", DB, ingress=[rule(*ALL_BUT_API, *ONLY_API)])),
        f"shop/api → shop/db:80 | allow | {P0}",
    ),
    *scene(
        "08 except does not deny: another policy allows the address again",
        lan(netpol("shop/p", DB, ingress=[rule(*ALL_BUT_API)]), netpol("shop/q", DB, ingress=[rule(pods(app="api"))])),
        "shop/api → shop/db:80 | allow | ingress NetworkPolicy shop/q[0]",
    ),
    *scene(
        "08 a block of one family says nothing of the other",
        lan(netpol("shop/p", DB, ingress=[rule(block("10.244.9.10/31"))])),
        f"shop/web → 10.244.9.12:80 | allow | {P0}",
        f"shop/api → 10.244.9.12:80 | allow | {P0}",
        f"shop/old → 10.244.9.12:80 | deny | {NONE}",
        f"shop/web → [fd00:9::12]:80 | deny | {NONE}",
    ),
    *scene(
        "09 ipBlock matches workloads by default",
        lan(netpol("shop/p", DB, BOTH, [rule(*ANYBODY)], [rule(*ONLY_API)])),
        f"shop/web → shop/db:80 | allow | {P0}",
        f"shop/old → shop/db:80 | allow | {P0}",
        f"shop/db → shop/api:80 | allow | {IN} | {OUT0}",
        f"shop/db → shop/web:80 | deny | {OUT_NONE}",
    ),
    *scene(
        "09 ipBlock matches no workload where the lab says so",
        lan(
            netpol("shop/p", DB, BOTH, [rule(*ANYBODY)], [rule(*ANYBODY)]), options=Options(ipblock_matches_pods=False)
        ),
        f"shop/web → shop/db:80 | deny | {NONE}",
        f"shop/old → shop/db:80 | deny | {NONE}",
        f"shop/db → shop/web:80 | deny | {OUT_NONE}",
    ),
]

EXPRESSIONS = [
    *scene(
        "10 NotIn matches where the key is absent",
        kube(netpol("shop/p", DB, ingress=[rule(pods_in(ALL, labelled(need("tier", Operator.NOT_IN, "front"))))])),
        f"ops/mon → shop/db:5432 | allow | {P0}",
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"shop/api → shop/db:5432 | allow | {P0}",
        f"shop/web → shop/db:5432 | deny | {NONE}",
    ),
    *scene(
        "10 In does not match where the key is absent, and an empty value is a value",
        kube(netpol("shop/p", DB, ingress=[rule(pods_in(ALL, labelled(need("tier", Operator.IN, "", "back"))))])),
        f"shop/api → shop/db:5432 | allow | {P0}",
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"ops/mon → shop/db:5432 | deny | {NONE}",
        f"shop/web → shop/db:5432 | deny | {NONE}",
    ),
    *scene(
        "10 Exists matches an empty value",
        kube(netpol("shop/p", DB, ingress=[rule(pods_in(ALL, labelled(need("tier", Operator.EXISTS))))])),
        f"shop/api → shop/db:5432 | allow | {P0}",
        f"ops/mon → shop/db:5432 | deny | {NONE}",
    ),
    *scene(
        "10 DoesNotExist matches absence only",
        kube(netpol("shop/p", DB, ingress=[rule(pods_in(ALL, labelled(need("tier", Operator.DOES_NOT_EXIST))))])),
        f"shop/api → shop/db:5432 | deny | {NONE}",
        f"ops/mon → shop/db:5432 | allow | {P0}",
    ),
    *scene(
        "10 every namespace has its name as a label",
        kube(netpol("shop/p", DB, ingress=[rule(spaces(need("kubernetes.io/metadata.name", Operator.IN, "ops")))])),
        f"ops/web → shop/db:5432 | allow | {P0}",
        f"shop/web → shop/db:5432 | deny | {NONE}",
    ),
]

HOSTNET = replace(workload("shop/agent", 1, "cluster/pods", "http:9100", app="agent"), host_network=True)

ADDRESSES = [
    *scene(
        "11 a rule on the Service's port does nothing, one on the target port does",
        kube(SITE, netpol("shop/p", WEB, ingress=[rule(tcp(81))]), netpol("shop/q", DB, ingress=[rule(tcp(8080))])),
        f"ops/mon → service:shop/site:80 | deny | {NONE} || shop/web",
        f"ops/mon → service:shop/site:80 | allow | {IN} || shop/api",
    ),
    *scene(
        "11 egress to the Service's own port does nothing",
        kube(SITE, netpol("ops/p", ALL, [EGRESS], egress=[rule(tcp(80))])),
        f"ops/mon → service:shop/site:80 | allow | {IN} | egress NetworkPolicy ops/p[0] | shop/web",
        "ops/mon → service:shop/site:80 | deny | egress NetworkPolicy ops/p isolates || shop/api",
    ),
    *scene(
        "11 egress to the Service's address does nothing",
        kube(SITE, netpol("ops/p", ALL, [EGRESS], egress=[rule(block("10.96.0.10/32"), block("fd00:10:96::10/128"))])),
        "ops/mon → service:shop/site:80 | deny | egress NetworkPolicy ops/p isolates || shop/web",
        "ops/mon → service:shop/site:80 | deny | egress NetworkPolicy ops/p isolates || shop/api",
    ),
    *scene(
        "12 replies pass where the reverse direction is denied",
        kube(netpol("shop/p", DB, [EGRESS])),
        f"shop/web → shop/db:5432 | allow | {IN}",
        f"shop/web → shop/db:53/udp | allow | {IN}",
        f"shop/web → shop/db/icmp | allow | {IN}",
        f"shop/db → shop/web:80 | deny | {OUT_NONE}",
    ),
    *scene(
        "13 a pod always reaches itself by its own address",
        kube(netpol("shop/p", DB, BOTH)),
        f"shop/db → shop/db:5432 | allow | {OWN_ADDRESS}",
        f"shop/db → shop/db/icmp | allow | {OWN_ADDRESS}",
    ),
    *scene(
        "13 and through a Service that leads back to itself",
        kube(SITE, netpol("shop/p", WEB, BOTH)),
        f"shop/web → service:shop/site:80 | deny | {OUT_NONE} || shop/web",
        f"shop/web → service:shop/site:80 | deny | {OUT_NONE} || shop/api",
    ),
    *scene(
        "13 through a Service back to itself both of its sides must allow",
        kube(SITE, netpol("shop/p", WEB, [INGRESS], [rule(pods(app="api"))])),
        f"shop/web → service:shop/site:80 | deny | {NONE} || shop/web",
        f"shop/web → service:shop/site:80 | allow | {IN} || shop/api",
    ),
    *scene(
        "13 through a Service back to itself, allowed by name on both sides",
        kube(SITE, netpol("shop/p", WEB, BOTH, [rule(pods(app="web"), tcp("http"))], [rule(pods(app="web"))])),
        f"shop/web → service:shop/site:80 | allow | {P0} | egress NetworkPolicy shop/p[0] | shop/web",
        f"shop/web → service:shop/site:80 | deny | {OUT_NONE} || shop/api",
    ),
    *scene(
        "13 through a Service back to itself on an l2 segment",
        lan(
            service("shop/me", "cluster", 12, ServicePort(80, 80), app="web"),
            service("shop/you", "cluster", 13, ServicePort(80, 81), app="web"),
            netpol("shop/p", WEB, [INGRESS], [rule(tcp(80))]),
        ),
        f"shop/web → service:shop/me:80 | allow | {P0}",
        f"shop/web → service:shop/you:80 | deny | {NONE}",
    ),
    *scene(
        "13 a lab whose hairpin is not judged",
        kube(SITE, netpol("shop/p", WEB, BOTH), options=Options(judge_hairpin=False)),
        f"shop/web → service:shop/site:80 | allow | {OWN_ADDRESS} || shop/web",
        f"shop/web → service:shop/site:80 | deny | {OUT_NONE} || shop/api",
    ),
    *scene(
        "14 a host-network pod is nobody's backend, and no policy selects it",
        kube(
            netpol("shop/p", labelled(app="agent")),
            service("shop/agent", "cluster", 11, ServicePort(80, "http"), app="agent"),
            workloads=[w for w in KUBE if w.name != "mon"] + [HOSTNET],
        ),
        f"shop/web → service:shop/agent:80 | no-backend | {NO_BACKEND}",
        f"shop/web → shop/api:8000 | allow | {IN}",
    ),
    *scene(
        "15 address resolution is no flow: one allowed port of an isolated pod is enough",
        lan(
            netpol("shop/p", ALL, BOTH),
            netpol("shop/q", DB, ingress=[rule(tcp(80))]),
            netpol("shop/r", WEB, [EGRESS], egress=[rule(tcp(80))]),
        ),
        "shop/web → shop/db:80 | allow | ingress NetworkPolicy shop/q[0] | egress NetworkPolicy shop/r[0]",
        "shop/web → shop/db:81 | deny | egress NetworkPolicy shop/p isolates (+1 more)",
    ),
]

FROM_WEB, FROM_TEAM = (
    netpol("shop/p", DB, ingress=[rule(pods(app="web"))]),
    netpol("shop/p", DB, ingress=[rule(spaces(team="b"))]),
)

CHANGES = [
    *scene("16 a label that came", kube(FROM_WEB, workloads=relabel(KUBE, "shop/api", app="web")),
           f"shop/api → shop/db:5432 | allow | {P0}"),
    *scene("16 a label that went", kube(FROM_WEB, workloads=relabel(KUBE, "shop/web", app="api")),
           f"shop/web → shop/db:5432 | deny | {NONE}"),
    *scene("16 a label of a namespace that came", kube(FROM_TEAM, namespace("shop", team="b")),
           f"shop/web → shop/db:5432 | allow | {P0}"),
    *scene("16 a label of a namespace that went", kube(FROM_TEAM, namespace("ops", team="c")),
           f"ops/web → shop/db:5432 | deny | {NONE}"),
    *scene("16 the selected pod's label went", kube(FROM_WEB, workloads=relabel(KUBE, "shop/db", app="cache")),
           f"shop/api → shop/db:5432 | allow | {IN}"),
]  # fmt: skip

NETWORK_POLICY_CASES = [
    *ISOLATION,
    *SELECTION,
    *PORTS,
    *BLOCKS,
    *EXPRESSIONS,
    *ADDRESSES,
    *CHANGES,
]

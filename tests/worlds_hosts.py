"""What a Host sends (case 14): it reaches whoever runs on it, whatever policy says, and nobody else."""

from sdn.model import HOST, NO_PATH, Application, Kind, Model, NetworkPolicy, Policy, SegmentKind
from worlds_base import ALL, NONE, SITE, kube, scene, tiered
from worlds_build import BOTH, EGRESS, INGRESS, act, model, netpol, segment, tier, workload

SHUT = (tier("emergency/shut", act("deny", INGRESS), act("deny", EGRESS)),)
ISOLATED = (netpol("shop/p", ALL, BOTH), netpol("ops/p", ALL, BOTH))
REFUSED = tier("admin/refuse", act("deny", INGRESS), act("deny", EGRESS))

SUBNETS = ("10.1.1.0/24", "fd00:1:1::/64")
SAME = ("10.1.1.20", "fd00:1:1::20")
TWINS = [
    Application("blue", (segment("pods", *SUBNETS, kind=SegmentKind.ROUTED),)),
    Application("red", (segment("lan", *SUBNETS),)),
]
OVERLAPPING = [
    workload("red/vm", 1, "red/lan", ":22", kind=Kind.VM, ip=SAME),
    workload("red/far", 2, "red/lan", ":22", ip=("10.1.1.30", "fd00:1:1::30")),
    workload("blue/pod", 1, "blue/pods", ":80", ":53/udp", ":9/sctp", ip=SAME),
    workload("blue/near", 2, "blue/pods", ":80", ip=("10.1.1.30", "fd00:1:1::30")),
]


def twins(*objects: NetworkPolicy | Policy) -> Model:
    """Two Applications with the same addresses on the same Hosts, one of each kind of segment."""
    return model("twins", TWINS, OVERLAPPING, *objects)


HOST_CASES = [
    *scene(
        "14 a host reaches its own pods on every port, though policies deny everything",
        kube(*ISOLATED, REFUSED),
        f"host-1 → shop/web:80 | allow | {HOST}",
        f"host-1 → shop/web:81 | allow | {HOST}",
        f"host-1 → shop/web:53/udp | allow | {HOST}",
        f"host-1 → shop/web:9/sctp | allow | {HOST}",
        f"host-1 → ops/mon/icmp | allow | {HOST}",
        f"host-3 → shop/old:22 | allow | {HOST}",
    ),
    *scene(
        "14 what a host may its pods and other hosts may not",
        kube(*ISOLATED),
        f"host-1 → shop/web:80 | allow | {HOST}",
        f"host-2 → shop/web:80 | no-route | {NO_PATH}",
        f"host-3 → shop/web/icmp | no-route | {NO_PATH}",
        f"host-2 → shop/old:22 | no-route | {NO_PATH}",
        f"shop/old → shop/web:80 | deny | {NONE}",
        "ops/mon → shop/web:80 | deny | egress NetworkPolicy ops/p isolates",
    ),
    *scene(
        "14 a host reaches VMs and pods of every Application on it, and only those",
        tiered(*SHUT),
        f"host-1 → front/web-1:80 | allow | {HOST}",
        f"host-1 → back/app-1:1 | allow | {HOST}",
        f"host-1 → back/db-1:5432 | no-route | {NO_PATH}",
        f"host-1 → front/web-2:80 | no-route | {NO_PATH}",
        f"host-1 → far/far-1:80 | no-route | {NO_PATH}",
        f"host-2 → far/far-1:80 | allow | {HOST}",
        f"host-2 → other/web-1/icmp | allow | {HOST}",
        f"host-3 → back/db-1:53/udp | allow | {HOST}",
        f"host-3 → front/web-1:80 | no-route | {NO_PATH}",
    ),
    *scene(
        "14 of two workloads with one address a host reaches the one that it means",
        twins(*SHUT),
        f"host-1 → red/vm:22 | allow | {HOST}",
        f"host-1 → red/vm:80 | allow | {HOST}",
        f"host-1 → blue/pod:80 | allow | {HOST}",
        f"host-1 → blue/pod:53/udp | allow | {HOST}",
        f"host-1 → blue/pod:9/sctp | allow | {HOST}",
        f"host-1 → blue/pod/icmp | allow | {HOST}",
        f"host-1 → red/vm/icmp | allow | {HOST}",
        f"host-2 → red/vm:22 | no-route | {NO_PATH}",
        f"host-2 → blue/pod:80 | no-route | {NO_PATH}",
        f"host-2 → blue/near:80 | allow | {HOST}",
        "red/far → red/vm:22 | deny | egress emergency shut[1]",
    ),
    *scene(
        "14 a host is no client of a Service",
        kube(SITE),
        f"host-1 → service:shop/site:80 | no-route | {NO_PATH}",
        "host-1 → shop/api:8000 | allow | " + HOST,
    ),
]

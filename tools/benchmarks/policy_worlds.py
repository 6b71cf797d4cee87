"""Placed labs for measuring policy alone: made directly, for the scheduler and the allocator are not what is timed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sdn.model import (
    Application,
    Direction,
    Endpoint,
    IPBlock,
    Kind,
    LabelSelector,
    Model,
    Namespace,
    NetworkPolicy,
    NetworkPolicyPeer,
    NetworkPolicyRule,
    Placed,
    Placement,
    Port,
    PortRange,
    Segment,
    SegmentKind,
    Underlay,
    Workload,
)

BOTH = (Direction.INGRESS, Direction.EGRESS)
PODS_PER_HOST = 250
CLUSTER = Application("cluster", (Segment("pods", ("10.0.0.0/8",), SegmentKind.ROUTED),))


def namespaces(count: int) -> Placed:
    """Per namespace four Pods of two apps and three policies: deny all, and each app may talk to the other."""
    workloads = [
        _pod(f"ns-{number:05}", f"{app}-{replica}", app)
        for number in range(count)
        for app in ("app-1", "app-2")
        for replica in range(2)
    ]
    return _placed(workloads, (policy for number in range(count) for policy in _policies(f"ns-{number:05}")))


def everybody(count: int) -> Placed:
    """As many policies as Pods, all in one namespace, each for every Pod."""
    workloads = [_pod("flat", f"pod-{number:05}", f"app-{number % 100}") for number in range(count)]
    return _placed(
        workloads,
        (
            NetworkPolicy("flat", f"p-{number:05}", LabelSelector(), BOTH, *_talk(f"app-{number % 100}", 1 + number))
            for number in range(count)
        ),
    )


def outside(pods: int, blocks: int) -> Placed:
    """Pods that each may be reached from blocks with exceptions of their own, no two of which end alike."""
    workloads = [_pod("edge", f"pod-{number:03}", f"app-{number}") for number in range(pods)]
    policies = []
    for number in range(pods):
        peers = tuple(NetworkPolicyPeer(ip_block=_block(each)) for each in range(number % 3, blocks, 3))
        rules = (NetworkPolicyRule(peers, (PortRange(port=1000 + number),)),)
        policies.append(NetworkPolicy("edge", f"p-{number:03}", _app(f"app-{number}"), (Direction.INGRESS,), rules))
    return _placed(workloads, policies)


def flows(policies: int) -> Placed:
    """500 Pods in 25 namespaces, and policies by label, namespace and block, dealt out to the namespaces in turn."""
    workloads = [
        _pod(f"ns-{number % 25:02}", f"app-{number % 4}-{number // 100}", f"app-{number % 4}") for number in range(500)
    ]
    return _placed(workloads, (_mixed(number) for number in range(policies)))


def _mixed(number: int) -> NetworkPolicy:
    """For one app of its namespace, and every third for all of them."""
    peers = (
        NetworkPolicyPeer(pods=_app(f"app-{number // 7 % 4}")),
        NetworkPolicyPeer(
            namespaces=LabelSelector((("kubernetes.io/metadata.name", f"ns-{number * 11 % 25:02}"),)),
            pods=_app("app-1"),
        ),
        NetworkPolicyPeer(ip_block=_block(number)),
    )
    rules = (NetworkPolicyRule(peers, (PortRange(port=8000 + number % 100),)),)
    pods = LabelSelector() if number % 3 == 0 else _app(f"app-{number % 4}")
    return NetworkPolicy(f"ns-{number % 25:02}", f"p-{number:05}", pods, BOTH, rules, rules)


def _block(number: int) -> IPBlock:
    """A /16 of its own with two holes, the second inside of a /18."""
    first = f"{20 + number // 256}.{number % 256}"
    return IPBlock(f"{first}.0.0/16", (f"{first}.7.0/24", f"{first}.128.0/18"))


def _pod(namespace: str, name: str, app: str) -> Workload:
    labels = {"app": app, "hash": name}
    return Workload(namespace, name, Kind.POD, "cluster", "pods", labels=labels, ports=(Port(8080, name="http"),))


def _policies(namespace: str) -> Iterator[NetworkPolicy]:
    yield NetworkPolicy(namespace, "app-1", _app("app-1"), BOTH, *_talk("app-2", 8080))
    yield NetworkPolicy(namespace, "app-2", _app("app-2"), BOTH, *_talk("app-1", 8080))
    yield NetworkPolicy(namespace, "default-deny", LabelSelector(), BOTH)


def _talk(app: str, port: int) -> tuple[tuple[NetworkPolicyRule, ...], tuple[NetworkPolicyRule, ...]]:
    """The rules of both directions, with the Pods of an app of the same namespace."""
    rules = (NetworkPolicyRule((NetworkPolicyPeer(pods=_app(app)),), (PortRange(port=port),)),)
    return rules, rules


def _app(name: str) -> LabelSelector:
    return LabelSelector((("app", name),))


def _placed(workloads: list[Workload], policies: Iterable[NetworkPolicy]) -> Placed:
    spaces = sorted({workload.namespace for workload in workloads})
    model = Model(
        "bench",
        Underlay(()),
        (CLUSTER,),
        tuple(workloads),
        tuple(Namespace(name, {"kubernetes.io/metadata.name": name}) for name in spaces),
        network_policies=tuple(policies),
    )
    endpoints = {
        workload.key: Endpoint(
            workload.key,
            "cluster",
            "pods",
            f"host-{number // PODS_PER_HOST}",
            f"02:00:00:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}",
            (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",),
        )
        for number, workload in enumerate(workloads)
    }
    return Placed(model, Placement({}), endpoints, zones={"cluster": 1}, marks={"cluster": 1})

"""Short ways to write a lab for the scheduler's tests: Hosts, Pods, nodes, VMs, and what they ask for."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import fields, replace

from sdn.model import (
    HOSTNAME,
    Affinity,
    Constraints,
    Host,
    Kind,
    LabelSelector,
    Model,
    Namespace,
    Placement,
    PodTerm,
    Scheduling,
    TopologySpread,
    Underlay,
    Workload,
)

ASKED = {field.name for field in fields(Scheduling)}


def host(name: str, **said: object) -> Host:
    """4 cores, 8 GiB, 10 workloads, and more as said; `zone` is a label."""
    base = Host(name, cpu=4000, memory=8192, pods=10)
    if "zone" in said:
        said["labels"] = {"zone": said.pop("zone")}
    return replace(base, **said)


def pod(name: str, app: str = "", **said: object) -> Workload:
    """A Pod of namespace `shop` with the label `app`; what belongs into its Scheduling is put there."""
    return workload(Workload("shop", name, Kind.POD, "shop", "pods"), app, said)


def vm(name: str, app: str = "", **said: object) -> Workload:
    """A VM of namespace `shop`."""
    return workload(Workload("shop", name, Kind.VM, "shop", "vms"), app, said)


def node(name: str, **said: object) -> Workload:
    """A node of 2 cores, 2 GiB and 5 Pods, in a namespace of its own."""
    base = Workload("nodes", name, Kind.VM, "", "", cpu=2000, memory=2048, is_node=True, pods=5)
    return workload(base, "", said)


def workload(base: Workload, app: str, said: dict[str, object]) -> Workload:
    """With the label, and with what is said sorted into the workload and its Scheduling."""
    scheduling = {key: said.pop(key) for key in list(said) if key in ASKED and key != "spread"}
    if isinstance(said.get("spread"), tuple):
        scheduling["spread"] = said.pop("spread")
    if "labels" not in said and app:
        said["labels"] = {"app": app}
    return replace(base, **said, scheduling=replace(base.scheduling, **scheduling))


def lab(hosts: Sequence[Host], workloads: Sequence[Workload], **constraints: object) -> Model:
    """A Model, sorted as the model promises."""
    namespaces = sorted({w.namespace for w in workloads})
    return Model(
        "lab",
        Underlay(tuple(sorted(hosts, key=lambda h: h.name))),
        (),
        tuple(sorted(workloads, key=lambda w: w.key)),
        tuple(Namespace(name, {"kubernetes.io/metadata.name": name}) for name in namespaces),
        constraints=replace(Constraints(), **constraints),
    )


def at(where: str) -> Placement:
    """`a:h1 n1:h1 b:n1@h1`: names of Pods and VMs in `shop`, nodes by their first letter n."""
    hosts, nodes = {}, {}
    for part in where.split():
        name, _, place = part.partition(":")
        key = f"nodes/{name}" if name.startswith("n") else f"shop/{name}"
        inside, _, on = place.rpartition("@")
        hosts[key] = on
        if inside:
            nodes[key] = f"nodes/{inside}"
    return Placement(hosts, nodes)


def app(value: str) -> LabelSelector:
    """Those with this label `app`."""
    return LabelSelector((("app", value),))


def term(value: str, topology: str = HOSTNAME, **said: object) -> PodTerm:
    """Workloads of an app within a topology."""
    return replace(PodTerm(topology, app(value)), **said)


def apart(*values: str, topology: str = HOSTNAME) -> Affinity:
    """Required anti-affinity to apps."""
    return Affinity(apart=tuple(term(value, topology) for value in values))


def near(*values: str, topology: str = "zone") -> Affinity:
    """Required affinity to apps."""
    return Affinity(near=tuple(term(value, topology) for value in values))


def spread(value: str, topology: str = "zone", skew: int = 1, **said: object) -> TopologySpread:
    """An app's replicas over a topology."""
    return replace(TopologySpread(topology, skew, app(value)), **said)

"""Large data centres for measuring the scheduler: Hosts in racks, Pods of many apps, VMs that must be apart.

Sizes are drawn from a seed, so Hosts are never equally full and no two runs differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random

from msgspec.structs import replace

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
    PlacementRule,
    PodTerm,
    Scheduling,
    Selector,
    Together,
    TopologySpread,
    Underlay,
    Workload,
)

SEED = 4
HOSTS_PER_RACK = 40
RACKS_PER_ZONE = 12
REPLICAS = 100
GROUP = 8
"""VMs of one group of the data centre; all groups have some rule among them."""

FILLED = 95
"""Percent of a Host that the packed data centre fills before it takes the next."""


def hosts(count: int) -> tuple[Host, ...]:
    """64 cores, 256 GiB, in racks of 40 and zones of 12 racks; small labs have smaller racks, but never none."""
    per_rack = min(HOSTS_PER_RACK, max(1, count // GROUP // 2))
    return tuple(
        Host(
            f"host-{number:05}",
            labels={
                "rack": f"rack-{number // per_rack:03}",
                "zone": f"zone-{number // per_rack // RACKS_PER_ZONE:02}",
            },
        )
        for number in range(count)
    )


def plain(host_count: int, pods: int) -> Model:
    """Pods of Deployments with 100 replicas; nothing but room matters."""
    return _model(hosts(host_count), _pods(pods, REPLICAS, {}))


def affinity(host_count: int, pods: int) -> Model:
    """Each third app is apart on Hosts, the next near it in its rack, the last apart from both on Hosts."""
    kinds = {0: _apart_from_itself, 1: _near_the_one_before, 2: _apart_from_others}
    return _model(hosts(host_count), _pods(pods, min(REPLICAS, host_count // 4), kinds))


def spread(host_count: int, pods: int) -> Model:
    """Each app is spread over zones, every second one over Hosts as well."""
    return _model(
        hosts(host_count),
        _pods(pods, min(REPLICAS, host_count // 4), {0: _over_zones, 1: _over_zones_and_hosts, 2: _over_zones}),
    )


def nodes(host_count: int, node_count: int, pods: int) -> Model:
    """Kubernetes: nodes of 8 cores and 32 GiB, Pods that fit 30 or so to a node."""
    vms = [
        Workload(
            "nodes", f"node-{number:05}", Kind.VM, "", "", cpu=8000, memory=32 * 1024, is_node=True, pods=110,
            labels={"kind": "node"},
        )
        for number in range(node_count)
    ]  # fmt: skip
    return _model(hosts(host_count), [*vms, *_pods(pods, REPLICAS, {}, most_cpu=300, most_memory=1024)])


def datacentre(host_count: int, vms: int) -> Model:
    """Groups of 8 VMs: half apart on Hosts, a quarter apart in racks, an eighth spread over racks, the rest by rule.

    They ask for three quarters of all memory.
    """
    dice = Random(SEED)
    memory = 256 * 1024 * host_count * 3 // 4 // vms
    workloads = [vm for number in range(vms // GROUP) for vm in _group(dice, number, memory)]
    rules = tuple(
        PlacementRule(f"apart-{number:05}", Together.APART, Selector(labels=_app(f"app-{number:05}")))
        for number in range(7, vms // GROUP, GROUP)
    )
    return replace(_model(hosts(host_count), workloads), constraints=Constraints(rules=rules))


def packed(model: Model) -> Placement:
    """Where the VMs of a data centre run if each Host was filled before the next: right, but with no room to grow."""
    open_hosts = list(model.underlay.hosts)
    free = {host.name: [host.cpu * FILLED // 100, host.memory * FILLED // 100] for host in open_hosts}
    racks: dict[str, set[str]] = {}
    where: dict[str, str] = {}
    smallest = min(vm.memory for vm in model.workloads)
    for vm in sorted(model.workloads, key=lambda vm: (vm.name.rpartition("-")[2], vm.key)):
        taken = racks.setdefault(vm.labels["app"], set())
        for host in open_hosts:
            room = free[host.name]
            if host.labels["rack"] not in taken and room[0] >= vm.cpu and room[1] >= vm.memory:
                break
        else:
            raise ValueError(f"{vm.key} has no room: ask for more Hosts")
        room[0] -= vm.cpu
        room[1] -= vm.memory
        taken.add(host.labels["rack"])
        where[vm.key] = host.name
        if room[1] < smallest:
            open_hosts.remove(host)
    return Placement(where)


def grown(model: Model, percent: int) -> Model:
    """Every workload asks for so much more."""
    return replace(
        model,
        workloads=tuple(
            replace(w, cpu=w.cpu * (100 + percent) // 100, memory=w.memory * (100 + percent) // 100)
            for w in model.workloads
        ),
    )


def doubled(model: Model, one_in: int) -> Model:
    """One workload in so many asks for twice as much: the same load in all, but uneven."""
    dice = Random(SEED)
    chosen = set(dice.sample([w.key for w in model.workloads], len(model.workloads) // one_in))
    twice = (replace(w, cpu=w.cpu * 2, memory=w.memory * 2) if w.key in chosen else w for w in model.workloads)
    return replace(model, workloads=tuple(twice))


def _model(all_hosts: tuple[Host, ...], workloads: list[Workload]) -> Model:
    namespaces = sorted({w.namespace for w in workloads})
    return Model(
        "lab",
        Underlay(all_hosts),
        (),
        tuple(sorted(workloads, key=lambda w: w.key)),
        tuple(Namespace(name, {"kubernetes.io/metadata.name": name}) for name in namespaces),
    )


def _app(name: str) -> LabelSelector:
    return LabelSelector((("app", name),))


def _pods(
    count: int,
    replicas: int,
    kinds: Mapping[int, Callable[[int], Scheduling]],
    most_cpu: int = 1000,
    most_memory: int = 2048,
) -> list[Workload]:
    """Apps of so many replicas; what an app asks for depends on its number modulo three."""
    dice = Random(SEED)
    made: list[Workload] = []
    for number in range(-(-count // replicas)):
        name = f"app-{number:05}"
        scheduling = kinds[number % 3](number) if kinds else Scheduling()
        cpu, memory = dice.randrange(50, most_cpu), dice.randrange(64, most_memory)
        made += [
            Workload(
                "shop", f"{name}-{replica:03}", Kind.POD, "shop", "pods", {"app": name}, ("Deployment", name),
                cpu=cpu, memory=memory, scheduling=scheduling,
            )
            for replica in range(min(replicas, count - len(made)))
        ]  # fmt: skip
    return made


def _apart_from_itself(number: int) -> Scheduling:
    return Scheduling(Affinity(apart=(PodTerm(HOSTNAME, _app(f"app-{number:05}")),)))


def _near_the_one_before(number: int) -> Scheduling:
    return Scheduling(Affinity(near=(PodTerm("rack", _app(f"app-{number - 1:05}")),)))


def _apart_from_others(number: int) -> Scheduling:
    others = (f"app-{number - 1:05}", f"app-{number - 2:05}")
    return Scheduling(Affinity(apart=tuple(PodTerm(HOSTNAME, _app(other)) for other in others)))


def _over_zones(number: int) -> Scheduling:
    return Scheduling(spread=(TopologySpread("zone", 1, _app(f"app-{number:05}")),))


def _over_zones_and_hosts(number: int) -> Scheduling:
    selector = _app(f"app-{number:05}")
    return Scheduling(spread=(TopologySpread("zone", 1, selector), TopologySpread(HOSTNAME, 1, selector)))


def _group(dice: Random, number: int, memory: int) -> Iterator[Workload]:
    """VMs of one size between half of the mean and one and a half, with the rule of their group."""
    name = f"app-{number:05}"
    size = dice.randrange(memory // 2, memory * 3 // 2)
    scheduling = _rule_of(name, number)
    for replica in range(GROUP):
        yield Workload(
            "dc", f"{name}-{replica}", Kind.VM, "dc", "vms", {"app": name}, ("group", name),
            cpu=size // 5, memory=size, scheduling=scheduling,
        )  # fmt: skip


def _rule_of(name: str, number: int) -> Scheduling:
    match number % GROUP:
        case 0 | 1 | 2 | 3:
            return Scheduling(Affinity(apart=(PodTerm(HOSTNAME, _app(name)),)))
        case 4 | 5:
            return Scheduling(Affinity(apart=(PodTerm("rack", _app(name)),)))
        case 6:
            return Scheduling(spread=(TopologySpread("rack", 1, _app(name)),))
        case _:
            return Scheduling()  # a PlacementRule of the lab says it

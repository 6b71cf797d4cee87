"""How many Hosts, and nodes, each value of a Separation should take: in proportion to what its workloads ask for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sdn.model import Kind, Workload
from sdn.scheduler.cluster import Cluster
from sdn.scheduler.target import Target


def set_quotas(cluster: Cluster) -> None:
    """For all Separations; a wish only, so no more than sums are looked at."""
    separations = cluster.separations
    if not separations.written:
        return
    hosts = [host for host in cluster.hosts if not host.closed]
    nodes = [node for w in cluster.workloads.values() if (node := cluster.inside(w.key))]
    on_host, in_node = _Unit(hosts), _Unit(nodes)
    for index, each in enumerate(separations.written):
        outside: defaultdict[str, float] = defaultdict(float)
        inside: defaultdict[str, float] = defaultdict(float)
        for workload in cluster.workloads.values():
            level = cluster.shape(workload).levels[index]
            if level is None:
                continue
            if workload.kind is Kind.POD and nodes:
                inside[level] += in_node.share(workload)
            else:
                outside[level] += on_host.share(workload)
        if each.within == "host":
            for level, amount in inside.items():
                outside[level] += amount * len(hosts) / max(1, len(nodes))
        else:
            separations.vms[index].quota = _divided(inside, len(nodes))
        separations.hosts[index].quota = _divided(outside, len(hosts))


class _Unit:
    """The average Host or node."""

    def __init__(self, targets: Sequence[Target]) -> None:
        many = max(1, len(targets))
        self._cpu = max(1, sum(target.cpu for target in targets) / many)
        self._memory = max(1, sum(target.memory for target in targets) / many)
        self._pods = max(1, sum(target.pods for target in targets) / many)

    def share(self, workload: Workload) -> float:
        """How much of one a workload takes."""
        return max(workload.cpu / self._cpu, workload.memory / self._memory, 1 / self._pods)


def _divided(amounts: dict[str, float], places: int) -> dict[str, int]:
    total = sum(amounts.values()) or 1
    return {level: max(1, int(places * amount / total)) for level, amount in amounts.items()}

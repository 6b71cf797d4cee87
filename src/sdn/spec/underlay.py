"""Generated underlays: a leaf–spine fabric from counts, and one that is large enough for given workloads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

from sdn.model import Host, Link, Role, Switch, Underlay, Workload

HOST_CPU = 16_000  # millicores
HOST_MEMORY = 64 * 1024  # MiB
HOST_PODS = 110
PLANNED_PODS = 100
"""Pods per Host that a default underlay counts on, so that some room is left on each."""
HOSTS_PER_LEAF = 32


def leaf_spine(
    hosts: Sequence[Host], leaves: int, spines: int, mtu: int = 9000, uplinks: int = 1, family: int = 4
) -> Underlay:
    """Every Host on one leaf, in turn, and every leaf on every spine with `uplinks` cables; `mtu` in bytes.

    Switches are `leaf-1`.. and `spine-1`... Hosts are dealt out by their order given, Host i to leaf i mod `leaves`.
    """
    leaf = [f"leaf-{number}" for number in range(1, leaves + 1)]
    spine = [f"spine-{number}" for number in range(1, spines + 1)]
    links = [_link(host.name, leaf[position % leaves], 0, mtu) for position, host in enumerate(hosts)]
    links += [_link(a, b, index, mtu) for a in leaf for b in spine for index in range(uplinks)]
    switches = [Switch(name, Role.LEAF) for name in leaf] + [Switch(name, Role.SPINE) for name in spine]
    return Underlay(
        hosts=tuple(sorted(hosts, key=lambda host: host.name)),
        switches=tuple(sorted(switches, key=lambda switch: switch.name)),
        links=tuple(sorted(links, key=lambda link: (link.a, link.b, link.index))),
        family=family,
    )


def default_underlay(workloads: Iterable[Workload], hosts: int = 3) -> Underlay:
    """A leaf–spine of at least `hosts` Hosts with room for all workloads and 30 % more.

    Every Host carries the labels that Kubernetes gives its nodes; its leaf is its zone.
    """
    everything = list(workloads)
    need = max(
        hosts,
        ceil(1.3 * sum(workload.cpu for workload in everything) / HOST_CPU),
        ceil(1.3 * sum(workload.memory for workload in everything) / HOST_MEMORY),
        ceil(len(everything) / PLANNED_PODS),
    )
    leaves = max(2, ceil(need / HOSTS_PER_LEAF))
    return leaf_spine([_host(number, leaves) for number in range(1, need + 1)], leaves, spines=2)


def _host(number: int, leaves: int) -> Host:
    name = f"host-{number}"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": f"leaf-{(number - 1) % leaves + 1}",
    }
    return Host(name, HOST_CPU, HOST_MEMORY, HOST_PODS, labels)


def _link(one: str, other: str, index: int, mtu: int) -> Link:
    a, b = sorted((one, other))
    return Link(a, b, index, mtu)

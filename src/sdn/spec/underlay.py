"""Generated underlays: a leaf–spine fabric from counts, and one that is large enough for given workloads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil

from sdn.model import HOSTNAME, Host, Link, Role, Switch, Underlay, Workload
from sdn.spec.wanted import USUAL, ZONE, Wish, domains, wishes

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


def default_underlay(workloads: Iterable[Workload], daemons: Sequence[Workload] = (), hosts: int = 3) -> Underlay:
    """A leaf–spine of at least `hosts` Hosts with room for all workloads and 30 % more.

    `daemons` run once on each Host. Every Host carries the labels that Kubernetes gives its nodes, its leaf is its
    zone, and for what each workload requires of nodes there is a Host that satisfies it, if any can.
    """
    everything = [*workloads, *daemons]
    # A workload larger than a Host would fit nowhere, however many Hosts there were.
    cpu = max([HOST_CPU, *(2 * workload.cpu for workload in everything if workload.cpu > HOST_CPU // 2)])
    memory = max([HOST_MEMORY, *(2 * workload.memory for workload in everything if workload.memory > HOST_MEMORY // 2)])
    once = everything[: len(everything) - len(daemons)]
    asked, apart = wishes(everything), domains(everything)
    need = max(
        hosts,
        ceil(1.3 * sum(workload.cpu for workload in once) / cpu),
        ceil(1.3 * sum(workload.memory for workload in once) / memory),
        ceil(len(once) / max(1, PLANNED_PODS - len(daemons))),
        len(asked),
        *apart.values(),
    )
    leaves = max(2, ceil(need / HOSTS_PER_LEAF), *(count for label, count in apart.items() if label != HOSTNAME))
    cpu += sum(daemon.cpu for daemon in daemons)
    memory += sum(daemon.memory for daemon in daemons)
    places = {ZONE, *apart} - {HOSTNAME}
    made = []
    for index in range(need):
        name, leaf = f"host-{index + 1}", f"leaf-{index % leaves + 1}"
        labels = _labels(index, {HOSTNAME: name} | dict.fromkeys(places, leaf), asked)
        made.append(Host(name, cpu, memory, HOST_PODS, labels))
    return leaf_spine(made, leaves, spines=2)


def _labels(index: int, own: Mapping[str, str], asked: Sequence[Wish]) -> dict[str, str]:
    """Of Host `index` (from 0), for as many wishes as possible; each Host begins with another one."""
    labels: dict[str, str | None] = dict(own)
    turn = index % len(asked) if asked else 0
    for wish in (*asked[turn:], *asked[:turn]):
        if all(labels.get(key, value) == value for key, value in wish):
            labels.update(wish)
    return {key: value for key, value in sorted({**USUAL, **labels}.items()) if value is not None}


def _link(one: str, other: str, index: int, mtu: int) -> Link:
    a, b = sorted((one, other))
    return Link(a, b, index, mtu)

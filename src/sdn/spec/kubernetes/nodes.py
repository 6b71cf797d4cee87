"""Node objects as Hosts, under names that a Host can have."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from sdn.model import Effect, Host, Taint, Underlay
from sdn.spec.kubernetes import schema_scheduling as schema
from sdn.spec.kubernetes.fields import rounded_up
from sdn.spec.kubernetes.names import host_name
from sdn.spec.kubernetes.objects import Object
from sdn.spec.kubernetes.requests import MEBI, MILLI
from sdn.spec.mistakes import nearest
from sdn.spec.underlay import HOST_CPU, HOST_MEMORY, HOST_PODS, HOSTS_PER_LEAF, leaf_spine

CORDON = Taint("node.kubernetes.io/unschedulable", "", Effect.NO_SCHEDULE)
"""What Kubernetes itself adds to a node that is cordoned."""

_EFFECTS = tuple(effect.value for effect in Effect)


def underlay(items: Sequence[Object]) -> Underlay | None:
    """A leaf–spine of Hosts that are these nodes; None where there are none."""
    if not items:
        return None
    leaves = max(min(2, len(items)), ceil(len(items) / HOSTS_PER_LEAF))
    return leaf_spine([_host(item) for item in items], leaves, spines=2)


def _host(item: Object) -> Host:
    node: schema.Node = item.content
    taints = {_taint(item, index) for index in range(len(node.spec.taints))}
    room, all_of_it = node.status.allocatable, node.status.capacity
    cpu, memory, pods = room.cpu or all_of_it.cpu, room.memory or all_of_it.memory, room.pods or all_of_it.pods
    return Host(
        name=host_name(item.name),
        cpu=HOST_CPU if cpu is None else rounded_up(cpu, MILLI),
        memory=HOST_MEMORY if memory is None else int(memory // MEBI),
        pods=HOST_PODS if pods is None else int(pods),
        labels={"kubernetes.io/hostname": item.name} | dict(sorted(node.metadata.labels.items())),
        taints=tuple(sorted(taints | ({CORDON} if node.spec.unschedulable else set()))),
    )


def _taint(item: Object, index: int) -> Taint:
    written: schema.NodeTaint = item.content.spec.taints[index]
    if written.effect not in _EFFECTS:
        hint = nearest(written.effect, _EFFECTS)
        site = item.site.at("spec", "taints", index, "effect")
        site.report(f'"{written.effect}" does not exist (there are: {", ".join(_EFFECTS)}){hint}')
        return Taint(written.key, written.value)
    return Taint(written.key, written.value, Effect(written.effect))

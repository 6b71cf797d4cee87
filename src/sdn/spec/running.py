"""Where things run now, as the files say, as a Placement."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sdn.model import Kind, Placement, Underlay, Workload
from sdn.spec.labfile.complaints import suggest


def placement(
    said: Mapping[str, str], workloads: Sequence[Workload], underlay: Underlay, refuse: Callable[[str, str], None]
) -> Placement | None:
    """None where nothing is said. `said`: workload key → Host or node by name; `refuse` is told what cannot be."""
    if not said:
        return None
    hosts = {host.name for host in underlay.hosts}
    nodes = {one.name: one.key for one in workloads if one.is_node}
    known = {one.key: one for one in workloads}
    on_hosts, in_nodes = {}, {}
    for key, place in sorted(said.items()):
        workload = known.get(key)
        if workload is None:
            refuse(key, f'workload "{key}" is not defined{suggest(key, known)}')
        elif workload.kind is Kind.POD and place in nodes:
            in_nodes[key] = nodes[place]
        elif place in hosts:
            on_hosts[key] = place
        else:
            legal = hosts | nodes.keys() if workload.kind is Kind.POD else hosts
            refuse(
                key,
                f'{"host or node" if workload.kind is Kind.POD else "host"} "{place}" is not defined'
                f"{suggest(place, legal)}",
            )
    on_hosts.update({key: on_hosts[node] for key, node in in_nodes.items() if node in on_hosts})
    return Placement(dict(sorted(on_hosts.items())), in_nodes)

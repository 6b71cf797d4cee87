"""In which order workloads start: by priority, each after those that it waits for, VMs before Pods."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sdn.model import Kind, Workload


def restart_order(
    workloads: Mapping[str, Workload], keys: Collection[str], nodes: Mapping[str, str] | None = None
) -> list[str]:
    """Sorted keys. Whoever a more important one waits for is as important; a circle of `after` is cut at a name.

    A Pod waits for those that it names in `after`, and for its node in `nodes`, if that is to start as well.
    """
    starting = set(keys)
    before = {key: [*workloads[key].scheduling.after, *_node(key, nodes)] for key in starting}
    urgency = {key: workloads[key].scheduling.priority for key in starting}
    for key in sorted(starting, key=lambda k: (-urgency[k], k)):
        _lend(before, urgency, key)
    order = sorted(starting, key=lambda k: (-urgency[k], workloads[k].kind is Kind.POD, k))
    result: dict[str, None] = {}
    for key in order:
        _visit(before, result, key)
    return list(result)


def _node(key: str, nodes: Mapping[str, str] | None) -> list[str]:
    node = nodes.get(key) if nodes else None
    return [node] if node else []


def _lend(before: Mapping[str, list[str]], urgency: dict[str, int], key: str) -> None:
    """Those that it starts after are wanted as early as itself."""
    waiting = [key]
    while waiting:
        here = waiting.pop()
        for earlier in before[here]:
            if earlier in urgency and urgency[earlier] < urgency[here]:
                urgency[earlier] = urgency[here]
                waiting.append(earlier)


def _visit(before: Mapping[str, list[str]], result: dict[str, None], first: str) -> None:
    """Append a key after all that it starts after, depth first and without recursion: chains may be long."""
    path = [(first, iter(sorted(before[first])))]
    open_keys = {first}
    while path:
        key, earlier = path[-1]
        found = next((k for k in earlier if k in before and k not in result and k not in open_keys), None)
        if found is None:
            path.pop()
            result.setdefault(key)
        else:
            open_keys.add(found)
            path.append((found, iter(sorted(before[found]))))

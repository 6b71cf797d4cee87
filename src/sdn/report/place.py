"""A placement as text: Hosts with what is used and free and what runs there; why a workload runs here or nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sdn.model.lifecycle import Move
from sdn.report.columns import columns
from sdn.report.words import count
from sdn.scheduler import Cluster, Explanation
from sdn.scheduler.filters import PLURAL, cpu_text, memory_text
from sdn.scheduler.target import Target

NAMES = 6
"""Workloads that one row names before it only counts."""


def table(cluster: Cluster) -> list[str]:
    """A row for each Host, with its nodes below it."""
    rows: list[tuple[str, ...]] = [("host", "cpu used", "free", "memory used", "free", "runs")]
    for host in cluster.hosts:
        nodes = [node for node in cluster.on_host(host.name) if node.node]
        inner = {node.node for node in nodes}
        rows.append(_row(host, host.name, [key for key in host.bound if key not in inner]))
        rows += [_row(node, f"  {node.node}", list(node.bound)) for node in nodes]
    return columns(rows)


def _row(target: Target, name: str, keys: list[str]) -> tuple[str, ...]:
    runs = ", ".join(sorted(keys)[:NAMES]) + (f" and {len(keys) - NAMES} more" if len(keys) > NAMES else "")
    if target.closed and not target.node:
        runs = f"({target.closed})" + (f" {runs}" if runs else "")
    return (
        name,
        cpu_text(target.cpu - target.free_cpu),
        cpu_text(target.free_cpu),
        memory_text(target.memory - target.free_memory),
        memory_text(target.free_memory),
        runs,
    )


def refusals(refused: Sequence[tuple[str, str]]) -> list[str]:
    """What could not be placed."""
    return [f"{key}: {why}" for key, why in refused]


def ordered(moves: Iterable[Move]) -> list[str]:
    """Moves in their order, numbered."""
    rows = []
    for number, move in enumerate(moves, 1):
        source, target = move.source_node or move.source, move.target_node or move.target
        way = f"{source} → {target}" if source and target else f"start on {target}" if target else f"stop on {source}"
        rows.append((str(number), move.workload, way, move.why))
    return columns(rows, "  ") if rows else []


def summary(placed: int, refused: int, hosts: int, moves: int) -> str:
    """`12 workloads on 3 hosts, 1 refused, 2 moves`."""
    parts = [f"{count(placed, 'workloads')} on {count(hosts, 'hosts')}"]
    if refused:
        parts.append(f"{refused} refused")
    if moves:
        parts.append(count(moves, "moves"))
    return ", ".join(parts)


def why(told: Explanation, here: str) -> list[str]:
    """Every Host and node with its score, the best first, or what speaks against it; `here` is where it runs."""
    lines = [f"{told.workload}: {told.text}" + (f"; it runs on {here}" if here else "")]
    rows = [(name, _score(score)) for score, name in told.scores]
    rows += [
        (name, f"it {reason.one}" if _is_verb(reason.one) else reason.one) for name, reason in told.targets if reason
    ]
    if rows:
        lines += columns(rows, "  ")
    if told.changes and not told.scores:
        lines.append("to place it, one of these would have to change where nothing else stands in the way:")
        lines += [f"  - {change}" for change in told.changes]
    return lines


def _is_verb(text: str) -> bool:
    return text.split(" ", 1)[0] in {*PLURAL, "would", "may"}


PARTS = (
    "taints and rules about hosts",
    "places that others need",
    "rules between workloads",
    "affinity",
    "spread",
    "replicas in its domain",
    "replicas on its host",
    "replicas on itself",
)
"""What the numbers of a score are for, in its order; load and name come after them."""


def _score(score: Sequence[object]) -> str:
    parts = [f"{name} {value}" for name, value in zip(PARTS, score[: len(PARTS)], strict=True) if value]
    load = score[len(PARTS)]
    share = f"{load * 100 // (3 * 10**12)} % used" if isinstance(load, int) else ""
    return "fits: " + ", ".join([share, *parts])

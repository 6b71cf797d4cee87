"""Who went from where to where in a running lab, why, and for how long it was away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from sdn.model.lifecycle import Moved
from sdn.report.columns import columns


class MovedDocument(Struct, frozen=True):
    """`gap` in seconds: as long the workload could neither send nor receive. An empty end is nowhere."""

    workload: str
    source: str
    target: str
    source_node: str
    target_node: str
    why: str
    gap: float
    connections: int


def moved_document(one: Moved) -> MovedDocument:
    """As the value that is written."""
    move = one.move
    ends = (move.source, move.target, move.source_node, move.target_node)
    return MovedDocument(move.workload, *ends, move.why, one.gap, one.connections)


def moved_table(moved: Sequence[Moved]) -> Iterable[str]:
    """A row each."""
    return columns([("WORKLOAD", "FROM", "TO", "GAP", "CONNECTIONS", "WHY"), *map(_row, moved)])


def _row(one: Moved) -> tuple[str, ...]:
    move = one.move
    ends = (_place(move.source, move.source_node), _place(move.target, move.target_node))
    return (move.workload, *ends, milliseconds(one.gap) if one.gap else "-", f"{one.connections:,}", move.why)


def _place(host: str, node: str) -> str:
    return f"{node} on {host}" if node else host or "-"


def milliseconds(seconds: float) -> str:
    """With one decimal where it is short."""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"

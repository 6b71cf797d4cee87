"""What came of an operation on a running lab: who moved and why, what was touched, how long it took, what was lost."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from sdn.model.lifecycle import Heal, Label, Moved, Outcome
from sdn.report.changes import CountDocument, count_documents, summary, table
from sdn.report.columns import columns
from sdn.report.json import VERSION
from sdn.report.words import count


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


class WatchedDocument(Struct, frozen=True):
    """Packets of the watching probe: permitted ones sent, lost and come twice; forbidden ones that came."""

    sent: int
    lost: int
    duplicated: int
    leaked: int


class OutcomeDocument(Struct, frozen=True):
    """`--format json` of every verb that operates on a lab; `planned`, `enforced` and `stages` in seconds."""

    version: int
    lab: str
    refused: tuple[str, ...]
    moved: tuple[MovedDocument, ...]
    hosts: tuple[str, ...]
    counts: dict[str, CountDocument]
    planned: float
    enforced: float
    stages: dict[str, float]
    watched: WatchedDocument
    notes: tuple[str, ...]
    failed: tuple[str, ...]


def document(lab: str, outcome: Outcome) -> OutcomeDocument:
    """As the value that is written."""
    return OutcomeDocument(
        VERSION,
        lab,
        refused=outcome.refused,
        moved=tuple(map(_moved, outcome.moved)),
        hosts=outcome.hosts,
        counts=count_documents(outcome.changes),
        planned=outcome.planned,
        enforced=outcome.enforced,
        stages={stage.name: stage.seconds for stage in outcome.stages},
        watched=WatchedDocument(outcome.sent, outcome.lost, outcome.duplicated, outcome.leaked),
        notes=outcome.notes,
        failed=outcome.failed,
    )


def _moved(one: Moved) -> MovedDocument:
    move = one.move
    ends = (move.source, move.target, move.source_node, move.target_node)
    return MovedDocument(move.workload, *ends, move.why, one.gap, one.connections)


def lines(lab: str, outcome: Outcome, dry: bool = False) -> Iterator[str]:
    """For people; with `dry` nothing has been done."""
    if outcome.refused:
        yield from outcome.refused
        return
    if outcome.moved:
        yield from columns([("WORKLOAD", "FROM", "TO", "GAP", "CONNECTIONS", "WHY"), *map(_row, outcome.moved)])
    yield from (f"note: {note}" for note in outcome.notes)
    yield from (f"failed: {sentence}" for sentence in outcome.failed)
    if dry or not (outcome.moved or outcome.changes):
        moves = count(len(outcome.moved), "moves")
        idle = "no host has anything to change" if isinstance(outcome.operation, Label | Heal) else "nothing to do"
        yield f"{lab} would make {moves}" if dry and outcome.moved else f"{lab}: {idle}"
        return
    if outcome.changes:
        yield from table(outcome.changes)
    yield f"{lab} made {summary(outcome.changes, outcome.hosts)}"
    yield f"enforced {_ms(outcome.enforced)} after it was asked: {', '.join(_stages(outcome))}"
    if outcome.sent or outcome.lost or outcome.leaked:
        yield (
            f"watched {count(outcome.sent, 'permitted packets')}: {outcome.lost:,} lost, "
            f"{outcome.duplicated:,} came twice; {outcome.leaked:,} forbidden ones arrived"
        )


def _stages(outcome: Outcome) -> Iterator[str]:
    return (f"{stage.name} {_ms(stage.seconds)}" for stage in outcome.stages)


def _row(one: Moved) -> tuple[str, ...]:
    move = one.move
    ends = (_place(move.source, move.source_node), _place(move.target, move.target_node))
    return (move.workload, *ends, _ms(one.gap) if one.gap else "-", f"{one.connections:,}", move.why)


def _place(host: str, node: str) -> str:
    return f"{node} on {host}" if node else host or "-"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"

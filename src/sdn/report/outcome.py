"""What came of an operation on a running lab: who moved and why, what was touched, how long it took, what was lost."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from sdn.model.lifecycle import Heal, Label, Outcome
from sdn.report.changes import CountDocument, count_documents, summary, table
from sdn.report.json import VERSION
from sdn.report.moved import MovedDocument, milliseconds, moved_document, moved_table
from sdn.report.words import count


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
        moved=tuple(map(moved_document, outcome.moved)),
        hosts=outcome.hosts,
        counts=count_documents(outcome.changes),
        planned=outcome.planned,
        enforced=outcome.enforced,
        stages={stage.name: stage.seconds for stage in outcome.stages},
        watched=WatchedDocument(outcome.sent, outcome.lost, outcome.duplicated, outcome.leaked),
        notes=outcome.notes,
        failed=outcome.failed,
    )


def lines(lab: str, outcome: Outcome, dry: bool = False) -> Iterator[str]:
    """For people; with `dry` nothing has been done."""
    if outcome.refused:
        yield from outcome.refused
        return
    if outcome.moved:
        yield from moved_table(outcome.moved)
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
    yield f"enforced {milliseconds(outcome.enforced)} after it was asked: {', '.join(_stages(outcome))}"
    if outcome.sent or outcome.lost or outcome.leaked:
        yield (
            f"watched {count(outcome.sent, 'permitted packets')}: {outcome.lost:,} lost, "
            f"{outcome.duplicated:,} came twice; {outcome.leaked:,} forbidden ones arrived"
        )


def _stages(outcome: Outcome) -> Iterator[str]:
    return (f"{stage.name} {milliseconds(stage.seconds)}" for stage in outcome.stages)

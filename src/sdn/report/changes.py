"""What a running lab would change, or has changed, to become another model: counts, lines, and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from sdn.plan.delta import Changes
from sdn.plan.describe import detail, title
from sdn.report.columns import columns
from sdn.report.json import VERSION
from sdn.report.moved import MovedDocument
from sdn.report.words import count, few

Counts = Mapping[str, tuple[int, int, int]]
"""Kind of thing → how many are added, changed and removed."""


class CountDocument(Struct, frozen=True):
    """How many things of one kind."""

    added: int
    changed: int
    removed: int


class ChangeDocument(Struct, frozen=True):
    """`op` is add, remove or change; `before` and `after` are empty where there is nothing, or nothing to say."""

    node: str
    op: str
    kind: str
    name: str
    before: str
    after: str


class PlanDocument(Struct, frozen=True):
    """`sdn plan --format json`; `changes` in the order in which each node makes them."""

    version: int
    lab: str
    nodes: tuple[str, ...]
    counts: dict[str, CountDocument]
    changes: tuple[ChangeDocument, ...]


class ApplyDocument(Struct, frozen=True):
    """`sdn apply --format json`: `messages` of netlink, `commands` of nft, seconds, connections that were `cut`.

    `moved` are those that went to other places, in that order; a `gap` of 0 is a new cable, and connections were lost.
    """

    version: int
    lab: str
    nodes: tuple[str, ...]
    counts: dict[str, CountDocument]
    messages: int
    commands: int
    planned: float
    enforced: float
    cut: int
    warnings: tuple[str, ...]
    moved: tuple[MovedDocument, ...] = ()


def count_documents(counts: Counts) -> dict[str, CountDocument]:
    """Counts with names."""
    return {kind: CountDocument(*numbers) for kind, numbers in counts.items()}


def plan_document(lab: str, changes: Changes) -> PlanDocument:
    """All changes as the value that is written."""
    return PlanDocument(VERSION, lab, tuple(changes.nodes), count_documents(changes.counts), tuple(_documents(changes)))


def _documents(changes: Changes) -> Iterator[ChangeDocument]:
    for change in changes:
        thing = change.after if change.after is not None else change.before
        assert thing is not None
        was, now = (detail(one) if one is not None else "" for one in (change.before, change.after))
        yield ChangeDocument(change.node, str(change.op), str(change.part), title(thing), was, now)


def table(counts: Counts) -> Iterable[str]:
    """One row for each kind."""
    rows = [(kind, *(f"{number:,}" if number else "-" for number in counts[kind])) for kind in counts]
    return columns([("CHANGES OF", "ADDED", "CHANGED", "REMOVED"), *rows], indent="  ")


def summary(counts: Counts, nodes: Sequence[str]) -> str:
    """`12 changes on 2 nodes: host-1, host-2`."""
    total = sum(sum(numbers) for numbers in counts.values())
    where = f" on {count(len(nodes), 'nodes')}: {few(nodes)}" if nodes else ""
    return f"{count(total, 'changes')}{where}"

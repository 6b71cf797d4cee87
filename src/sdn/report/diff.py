"""Differences between two labs: one paragraph each for people, the same as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from sdn.model import Verdict
from sdn.policy.diff import Change, Kind
from sdn.report import words
from sdn.report.reach import (
    AllowedDocument,
    OutsideDocument,
    WorkloadDocument,
    allowed_documents,
    allowed_text,
    name,
    party_document,
)

SIGNS = {Kind.APPEARS: "+", Kind.DISAPPEARS: "-", Kind.GROWS: ">", Kind.SHRINKS: "<", Kind.CHANGES: "~"}

NOT_THERE = "not there"


class ReasonDocument(Struct, frozen=True):
    """What the rules said of some of the services before, and what they say after."""

    services: tuple[AllowedDocument, ...]
    before: str
    after: str


class ChangeDocument(Struct, frozen=True):
    """`change` is appears, disappears, grows, shrinks or changes (it gains something and loses something else)."""

    change: str
    src: WorkloadDocument | OutsideDocument
    dst: WorkloadDocument | OutsideDocument
    before: tuple[AllowedDocument, ...]
    after: tuple[AllowedDocument, ...]
    gained: tuple[AllowedDocument, ...]
    lost: tuple[AllowedDocument, ...]
    reasons: tuple[ReasonDocument, ...]


class DiffDocument(Struct, frozen=True):
    """`sdn diff --format json`."""

    changes: tuple[ChangeDocument, ...]


def document(changes: Iterable[Change]) -> DiffDocument:
    """All changes as the value that is written."""
    return DiffDocument(tuple(map(_change, changes)))


def _change(one: Change) -> ChangeDocument:
    reasons = tuple(
        ReasonDocument(allowed_documents(reason.services), _said(reason.before), _said(reason.after))
        for reason in one.reasons
    )
    return ChangeDocument(
        change=str(one.kind),
        src=party_document(one.source),
        dst=party_document(one.destination),
        before=allowed_documents(one.before),
        after=allowed_documents(one.after),
        gained=allowed_documents(one.gained),
        lost=allowed_documents(one.lost),
        reasons=reasons,
    )


def text(changes: Iterable[Change]) -> Iterator[str]:
    """Each change with what it was and is, and which rules said and say so."""
    for one in changes:
        yield f"{SIGNS[one.kind]} {name(one.source)} → {name(one.destination)} {one.kind}: {_what(one)}"
        for reason in one.reasons:
            of = f"{allowed_text(reason.services)}: " if len(one.reasons) > 1 else ""
            yield f"    before  {of}{_said(reason.before)}"
            yield f"    after   {of}{_said(reason.after)}"


def summary(changes: Iterable[Change]) -> str:
    """`2 connections appear, 1 grows`."""
    tally: dict[Kind, int] = {}
    for one in changes:
        tally[one.kind] = tally.get(one.kind, 0) + 1
    if not tally:
        return "no connection changes"
    verbs = {kind: str(kind).removesuffix("s") for kind in Kind}
    return "connections: " + ", ".join(
        f"{tally[kind]:,} {kind if tally[kind] == 1 else verbs[kind]}" for kind in Kind if kind in tally
    )


def causes(changes: Sequence[Change]) -> Iterator[str]:
    """Which rules gave way to which, for how many connections; nothing where each connection has its own."""
    tally: Counter[tuple[str, str]] = Counter()
    for one in changes:
        tally.update({_cause(reason.before, reason.after) for reason in one.reasons})
    if len(tally) >= len(changes):
        return
    yield "rules behind them:"
    for (before, after), number in sorted(tally.items(), key=lambda item: (-item[1], item[0])):
        yield f"{number:>6,}  {before}"
        yield f"        → {after}"


def _cause(before: Verdict | None, after: Verdict | None) -> tuple[str, str]:
    """Of the side that allows only the rule at the end where the other side denies."""
    both = [verdict for verdict in (before, after) if verdict is not None]
    ingress = all(verdict.allowed or not verdict.rule.startswith("egress ") for verdict in both)
    return _decider(before, ingress), _decider(after, ingress)


def _decider(verdict: Verdict | None, ingress: bool) -> str:
    if verdict is None:
        return NOT_THERE
    return verdict.rule if ingress or verdict.reply or not verdict.egress else verdict.egress


def _what(one: Change) -> str:
    match one.kind:
        case Kind.APPEARS:
            return allowed_text(one.after)
        case Kind.DISAPPEARS:
            return allowed_text(one.before)
        case Kind.GROWS:
            return f"by {allowed_text(one.gained)}, to {allowed_text(one.after)}"
        case Kind.SHRINKS:
            return f"by {allowed_text(one.lost)}, to {allowed_text(one.after)}"
        case Kind.CHANGES:
            return f"gains {allowed_text(one.gained)}, loses {allowed_text(one.lost)}"


def _said(verdict: Verdict | None) -> str:
    return NOT_THERE if verdict is None else words.verdict(verdict)

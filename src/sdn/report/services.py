"""The Services of a report: which Backends were meant to answer, and which really did."""

from __future__ import annotations

from msgspec import Struct
from rich.text import Text

from sdn.model import Ask, Outcome, Report
from sdn.report.columns import columns
from sdn.report.words import few

MOST = 60
"""Lines of the table; a person with more Services reads JSON."""


class ServiceRow(Struct):
    """One port of one Service over all who asked for it; both families together."""

    service: str
    port: str
    asked: set[str]
    allowed: set[str]
    backends: set[str]
    reached: set[str]

    @property
    def complete(self) -> bool:
        """Every Backend that somebody may reach has answered."""
        return self.backends <= self.reached


def service_rows(report: Report) -> list[ServiceRow]:
    """One row per Service and port, sorted."""
    rows: dict[tuple[str, int, str], ServiceRow] = {}
    for result in report.results:
        question = result.question
        if question.ask is not Ask.SERVICE:
            continue
        flow = question.flow
        key = (question.target, flow.port, str(flow.protocol))
        row = rows.setdefault(
            key, ServiceRow(question.target, f"{flow.port}/{flow.protocol}", set(), set(), set(), set())
        )
        row.asked.add(flow.source)
        for answer in result.evaluate:
            if answer.verdict.allowed:
                row.allowed.add(flow.source)
                row.backends.add(answer.backend)
        row.reached.update(seen.responder for seen in result.observations if seen.outcome is Outcome.CONNECTED)
    return [row for _, row in sorted(rows.items())]


def services(report: Report) -> list[Text]:
    """Heading and one line per Service port; empty where no Service was asked."""
    rows = service_rows(report)
    if not rows:
        return []
    cells = [("service", "port", "clients allowed", "backends reached")]
    for row in rows[:MOST]:
        cells.append((row.service, row.port, f"{len(row.allowed)} of {len(row.asked)}", _reached(row)))
    heading, *lines = columns(cells, indent="  ")
    shown = [Text(heading, "dim")]
    shown += [Text(line, "" if row.complete else "red") for line, row in zip(lines, rows, strict=False)]
    if len(rows) > MOST:
        shown.append(Text(f"  and {len(rows) - MOST} more: --format json has them"))
    return shown


def _reached(row: ServiceRow) -> str:
    if not row.backends:
        return "none is meant to be"
    text = f"{len(row.backends & row.reached)} of {len(row.backends)}"
    return text if row.complete else f"{text} (not {few(sorted(row.backends - row.reached), 1)})"

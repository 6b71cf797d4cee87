"""The matrix of who reaches whom as lines of a terminal: rows ask, columns answer."""

from __future__ import annotations

from rich.text import Text

from sdn.model import Report
from sdn.report.folding import Pairs, Reach, between_workloads, groups, pairs
from sdn.report.words import namespace

MOST = 40
"""Rows and columns that a person still reads; beyond that, namespaces are shown instead."""

SIGNS = {
    Reach.ALL: "●",
    Reach.PORTS: "✓",
    Reach.SOME: "◐",
    Reach.NOTHING: "✗",
    Reach.NO_ROUTE: "·",
    Reach.WRONG: "!",
}

# For terminals and files whose encoding has nothing else.
ASCII_SIGNS = {
    Reach.ALL: "A",
    Reach.PORTS: "P",
    Reach.SOME: "s",
    Reach.NOTHING: "x",
    Reach.NO_ROUTE: ".",
    Reach.WRONG: "!",
}

STYLES = {
    Reach.ALL: "green",
    Reach.PORTS: "green",
    Reach.SOME: "yellow",
    Reach.NOTHING: "red",
    Reach.NO_ROUTE: "dim",
    Reach.WRONG: "bold white on red",
}


def matrix(report: Report, unicode: bool = True) -> list[Text]:
    """Heading, column numbers, one row per group, legend; empty where nothing was asked between workloads."""
    results = between_workloads(report)
    if not results:
        return []
    shown = groups(results)
    shared = namespace(member for group in shown for member in group.members)
    where = f", all in {shared}" if shared else ""
    title = f"who reaches whom (rows ask, columns answer{where})"
    names = {member: group.name for group in shown for member in group.members}
    if len(shown) > MOST:
        names = {member: member.partition("/")[0] for member in names}
        title = "who reaches whom, by namespace (rows ask, columns answer)"
    labels = sorted(dict.fromkeys(names.values()))
    if len(labels) > MOST:
        return [Text(f"no matrix of {len(labels)} namespaces: --format json has every answer")]
    signs = SIGNS if unicode else ASCII_SIGNS
    cells = pairs(results, names)
    prefix = f"{shared}/" if shared and len(shown) <= MOST else ""
    return [Text(title), *_grid(labels, cells, signs, prefix), Text(), _legend(labels, cells, signs)]


def _grid(labels: list[str], cells: Pairs, signs: dict[Reach, str], prefix: str) -> list[Text]:
    shown = [label.removeprefix(prefix) for label in labels]
    digits = len(str(len(labels)))
    width = max(map(len, shown))
    margin = " " * (digits + width + 4)
    numbers = [str(index + 1).rjust(digits) for index in range(len(labels))]
    heads = [Text(margin + " ".join(number[row] for number in numbers).rstrip(), "dim") for row in range(digits)]
    rows = []
    for number, name, source in zip(numbers, shown, labels, strict=True):
        line = Text(f"  {number} {name.ljust(width)} ")
        for target in labels:
            cell = cells.get((source, target))
            line.append(signs[cell.reach] if cell else " ", STYLES[cell.reach] if cell else "")
            line.append(" ")
        line.rstrip()
        rows.append(line)
    return [*heads, *rows]


def _legend(labels: list[str], cells: Pairs, signs: dict[Reach, str]) -> Text:
    """Only the signs that occur; a blank needs a word only where it is not a workload and itself."""
    present = {cell.reach for cell in cells.values()}
    line = Text("  ")
    for reach in Reach:
        if reach in present:
            line.append(signs[reach], STYLES[reach])
            line.append(f" {reach}   ")
    if any((a, b) not in cells for a in labels for b in labels if a != b):
        line.append("(blank: not asked)")
    line.rstrip()
    return line

"""What `sdn test` prints: what was built, who reaches whom, whatever went wrong in full, and one line of verdict."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.text import Text

from sdn.model import Ask, Report, Result
from sdn.report import words
from sdn.report.matrix import matrix
from sdn.report.services import services
from sdn.report.trace import STYLES, heading, steps

IN_FULL = 10
"""Disagreements shown with all their steps; the rest follow in one line each, so that every pair is named."""


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has gone is the verb's to judge; rich would end the process with 1, as an answer does."""
        self.quiet = True
        raise  # noqa: PLE0704 - rich calls this where it handles the BrokenPipeError


def console(file: TextIO | None = None, width: int | None = None) -> Console:
    """Colours and the terminal's width on a terminal; plain text that nothing wraps or colours anywhere else."""
    file = file or sys.stdout
    if width is None and not file.isatty():
        width = 1000
    return _Console(file=file, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def show(report: Report, to: Console) -> None:
    """Print all of it."""
    for part in render(report, unicode=can_draw(to)):
        to.print(part)


def can_draw(to: Console) -> bool:
    """Whether the signs of the matrix exist in the encoding of what is written to."""
    return to.encoding.lower().startswith("utf")


def render(report: Report, unicode: bool = True) -> Iterator[Text]:
    """The parts from top to bottom, paragraphs apart; the verdict is the last line."""
    yield Text(words.built(report), "bold")
    yield Text(f"in {words.took(report)}", "dim")
    for paragraph in (
        matrix(report, unicode),
        services(report),
        list(_disagreements(report)),
        _sentences("expected otherwise:", report.failed_expectations, "red"),
        _sentences("warnings:", report.warnings, "yellow"),
    ):
        if paragraph:
            yield Text()
            yield from paragraph
    yield Text()
    yield Text(words.conclusion(report), "bold green" if report.ok else "bold red")


def _sentences(title: str, sentences: tuple[str, ...], style: str) -> list[Text]:
    return [Text(title, style), *(Text(f"  {sentence}") for sentence in sentences)] if sentences else []


def _disagreements(report: Report) -> Iterator[Text]:
    """Each with its three reasons, a blank line apart."""
    found = report.disagreements
    for index, result in enumerate(found[:IN_FULL]):
        if index:
            yield Text()
        yield from disagreement(result)
    if len(found) > IN_FULL:
        yield Text()
    for result in found[IN_FULL:]:
        yield Text(result.disagreement)


def disagreement(result: Result) -> Iterator[Text]:
    """What does not fit, the three answers one below the other, and the trace's steps."""
    yield Text(words.contradiction(result), "bold red")
    yield from _three(result)
    if result.steps:
        yield Text("  the trace's steps:", "dim")
        yield from steps(result.steps, indent="    ")


def answered(result: Result) -> Iterator[Text]:
    """What `sdn probe` shows of one flow: the three answers, and then whether they agree."""
    if result.disagreement:
        yield from disagreement(result)
        return
    yield heading(result.question.flow, result.question.target)
    yield from _three(result)
    given = result.evaluate
    for line in words.answers(given, _is_balanced(result)):
        yield Text(line, STYLES[given[0].verdict.disposition] if len(given) == 1 else "bold")


def _three(result: Result) -> Iterator[Text]:
    for who, line in words.three_answers(result, _is_balanced(result)):
        yield Text(f"  {who:<9} {line}")


def _is_balanced(result: Result) -> bool:
    return result.question.ask is Ask.SERVICE

"""A trace as a person follows it: what happens at every node, the rule where one decided, and the verdict last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from sdn.model import Answer, Disposition, Flow, Step, Trace
from sdn.report import words

STYLES = {
    Disposition.ALLOW: "green",
    Disposition.DENY: "red",
    Disposition.REJECT: "red",
    Disposition.NO_ROUTE: "yellow",
    Disposition.NO_BACKEND: "yellow",
}


def steps(given: Sequence[Step], indent: str = "  ") -> Iterator[Text]:
    """Numbered lines, nodes aligned; a rule stands in brackets behind what it decided."""
    width = max((len(step.node) for step in given), default=0)
    digits = len(str(len(given)))
    for number, step in enumerate(given, 1):
        line = Text(f"{indent}{str(number).rjust(digits)}  {step.node.ljust(width)}  {step.what}")
        if step.rule:
            line.append(f"  [{step.rule}]", "cyan")
        yield line


def verdict(answer: Answer, balanced: bool = False) -> Text:
    """The last line of one trace."""
    (line,) = words.answers((answer,), balanced)
    return Text(line, STYLES[answer.verdict.disposition])


def heading(flow: Flow, target: str = "") -> Text:
    """Who asks for what; `target` is whom the address means, where that is known."""
    means = f" ({target})" if target and target != flow.destination else ""
    return Text(f"{flow.source} → {words.destination(flow)}{means}", "bold")


def render(traces: Sequence[Trace]) -> Iterator[Text]:
    """All traces of one flow: one, or for a Service one per Backend."""
    balanced = len(traces) > 1
    for index, one in enumerate(traces):
        if index == 0:
            yield heading(one.flow, "" if balanced else one.answer.backend)
        if balanced:
            yield Text(f"  backend {one.answer.backend} ({index + 1} of {len(traces)})", "dim")
        yield from steps(one.steps)
        yield verdict(one.answer, balanced)

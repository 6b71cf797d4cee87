"""What reports look like, as files that a person reads; `tools/goldens` rewrites them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path

import pytest
import report_samples as samples
from rich.text import Text

from sdn.model import Report
from sdn.report import json, junit, text, trace

GOLDEN = Path(__file__).parent / "golden"


def plain(parts: Iterable[Text]) -> str:
    """The text that a file would get."""
    file = StringIO()
    to = text.console(file)
    for part in parts:
        to.print(part)
    return file.getvalue()


def as_text(report: Report) -> str:
    return plain(text.render(report))


CASES: dict[str, Callable[[], str]] = {
    "good.txt": lambda: as_text(samples.good()),
    "bad.txt": lambda: as_text(samples.bad()),
    "many-bad.txt": lambda: as_text(samples.bad(12)),
    "good.json": lambda: json.render(samples.good()) + "\n",
    "bad.xml": lambda: junit.render(samples.bad()) + "\n",
    "trace.txt": lambda: plain(trace.render(samples.traces())),
    "trace-service.txt": lambda: plain(trace.render(samples.service_traces())),
    "probe.txt": lambda: plain(text.answered(samples.good().results[0])),
    "probe-service.txt": lambda: plain(text.answered(samples.good().results[-2])),
    "trace.json": lambda: json.dumps([json.trace(one) for one in samples.traces()]) + "\n",
}


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    made = CASES[name]()
    path = GOLDEN / name
    if os.environ.get("SDN_REWRITE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(made)
    assert made == path.read_text()

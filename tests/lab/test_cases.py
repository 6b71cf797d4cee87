"""Every corner case of policy on the wire: evaluate, trace and a real packet give the verdict of the table.

One lab for each world, several at a time; one test for each line of the list of corner cases.
"""

from __future__ import annotations

from itertools import chain

import msgspec
import pytest

from labs import assert_placed, side_by_side, story
from sdn.lab import client
from sdn.lab.suite import ask_flows
from worlds import CASES, Case

pytestmark = pytest.mark.kernel

LINES = sorted({case.line for case in CASES})


def worlds(line: str) -> list[list[Case]]:
    """The cases of a line that share a lab."""
    found: dict[bytes, list[Case]] = {}
    for case in CASES:
        if case.line == line:
            found.setdefault(msgspec.msgpack.encode(case.placed), []).append(case)
    return list(found.values())


def mistakes(cases: list[Case]) -> list[str]:
    """One paragraph for each case of a world that is not as it should be."""
    with client.temporary(cases[0].placed.model) as lab:
        lab.built()
        assert_placed(lab, cases[0].placed)
        results = ask_flows(lab, lab.placed(), [case.flow for case in cases])
    wrong = []
    for case, result in zip(cases, results, strict=True):
        if (verdict := case.of(result.evaluate).verdict) != case.verdict:
            wrong.append(f"{case.name}: {verdict} should be {case.verdict}")
        if result.disagreement:
            wrong.append(f"{case.name}: {story([result])}")
    return wrong


@pytest.mark.parametrize("line", LINES)
def test_line(line: str) -> None:
    wrong = list(chain.from_iterable(side_by_side(mistakes, worlds(line))))
    assert not wrong, "\n\n".join(wrong)


def test_no_case_is_left_out() -> None:
    assert sum(len(cases) for line in LINES for cases in worlds(line)) == len(CASES) > 300

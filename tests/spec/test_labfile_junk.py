"""Whatever is written in whatever place of a lab file, the answer is a Model or sentences with their lines."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sdn.errors import Problem
from sdn.spec.labfile import parse
from sdn.spec.source import read_text

FOLDER = Path(__file__).parents[2] / "topologies"
BAD = Path(__file__).parent / "bad"
JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    70000,
    1.5,
    "",
    "*",
    "web",
    "::",
    "10.1.1.0/24",
    [],
    [None],
    [[]],
    {},
    {"a": {"b": 1}},
    "x" * 300,
]


def labs() -> Iterator[Any]:
    """Every lab of the project, good and bad."""
    for file in (*sorted(FOLDER.glob("*.yaml")), *sorted(BAD.glob("*.yaml"))):
        for document in read_text(file.name, file.read_bytes(), []):
            if isinstance(document.data, dict):
                yield copy.deepcopy(document.data)


LABS = list(labs())


def paths(data: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    for key, one in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from paths(one, (*here, key))


@st.composite
def spoiled(draw: st.DrawFn) -> str:
    """A lab in which up to three places hold junk, are gone, or have an unknown neighbour."""
    data = copy.deepcopy(draw(st.sampled_from(LABS)))
    for _ in range(draw(st.integers(1, 3))):
        places = [path for path in paths(data) if path]
        if not places:
            break
        *home, last = draw(st.sampled_from(places))
        inside = data
        for step in home:
            inside = inside[step]
        what = draw(st.sampled_from(["junk", "gone", "beside"]))
        if what == "junk" or (what == "beside" and isinstance(inside, list)):
            inside[last] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        elif what == "gone":
            del inside[last]
        else:
            inside[f"{last}x"] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    return yaml.safe_dump(data, allow_unicode=True)


@given(spoiled())
@settings(max_examples=200)
def test_junk_never_breaks_the_reader(text: str) -> None:
    problems: list[Problem] = []
    for document in read_text("lab.yaml", text.encode(), problems):
        parts = parse(document, problems)
        if parts is not None and parts.expect is not None:
            parts.expect(parts.workloads, parts.services, problems)
        assert parts is not None or problems
    for problem in problems:
        assert problem.line > 0 or not text.strip("{}\n")
        assert "\n" not in problem.message
        assert len(problem.message) < 1200

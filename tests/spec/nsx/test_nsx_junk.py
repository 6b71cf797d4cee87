"""Broken exports: whatever is wrong, it is a mistake with a place or a lab that passes every check."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exports import model

from sdn.errors import Problem
from sdn.spec.check import check
from sdn.spec.nsx import is_nsx
from sdn.spec.nsx.read import read
from sdn.spec.source import read_text

STORE = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "store").glob("*.json"))]
JUNK: list[Any] = [None, [], {}, "x", "", 0, -1, True, [1], [None], ["ANY"], {"resource_type": "Group"}, 1.5, 10**12]
JUNK += ["10.0.0.0/33", "/infra/domains/default/groups/web", "|", {"resource_type": ["x"]}]


def spots(data: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from spots(value, (*path, key))


def _break(data: Any, path: tuple[str | int, ...], chance: random.Random) -> None:
    for step in path[:-1]:
        data = data[step]
    if isinstance(data, dict) and chance.random() < 0.2:
        del data[path[-1]]
    else:
        data[path[-1]] = copy.deepcopy(chance.choice(JUNK))


def broken(seed: int) -> list[Any]:
    """The store's export with a few values replaced or left out."""
    chance = random.Random(seed)
    data = copy.deepcopy(STORE)
    places = [path for path in spots(data) if len(path) > 1]
    for path in chance.sample(places, chance.choice((1, 1, 2, 5))):
        try:
            _break(data, path, chance)
        except (IndexError, KeyError, TypeError):
            continue  # an earlier break took the place away
    return data


@pytest.mark.parametrize("seed", range(150))
def test_a_broken_export(seed: int) -> None:
    problems: list[Problem] = []
    documents = [
        document
        for number, answer in enumerate(broken(seed))
        for document in read_text(f"{number}.json", json.dumps(answer).encode(), problems)
        if is_nsx(document)
    ]
    found = read(documents, problems)
    assert all(problem.line and problem.column for problem in problems)
    if not problems:
        assert check(model(found), [found.where]) == []

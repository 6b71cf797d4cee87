"""`tools/fuzz`: it finds nothing today, and would say so readably if there were something."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from sdn.model import Placed
from sdn.plan.live import LivePlan
from sdn.plan.live_changes import LiveChanges
from worlds import CASES

TOOLS = Path(__file__).parent.parent / "tools"
ENVIRONMENT = {**os.environ, "SDN_VENV": os.environ.get("SDN_VENV") or sys.prefix}
NESTED = next(case for case in CASES if case.name.startswith("30 nested groups") and "back/db-1:1" in case.name)


@pytest.fixture
def fuzzing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package beside the script."""
    monkeypatch.syspath_prepend(str(TOOLS))
    for part in ("compare", "living", "shrink", "story"):
        import_module(f"fuzzing.{part}")
    return import_module("fuzzing")


def blind(placed: Placed) -> Placed:
    """A world as a reader sees it that knows nothing of nested groups."""
    groups = tuple(replace(group, within=()) for group in placed.model.groups)
    return replace(placed, model=replace(placed.model, groups=groups))


def one_sided(fuzzing: Any, pair: Any) -> Any:
    """What `compare` says where trace is blind to nesting."""
    compare = fuzzing.compare
    evaluated = compare.oracle_of(pair.placed)(pair.flow)
    traced = compare.trace_of(blind(pair.placed))(pair.flow)
    return compare.Disagreement(pair, evaluated, traced) if evaluated.answers != traced.answers else None


def test_a_disagreement_is_shrunk_to_what_matters_and_told(fuzzing: Any) -> None:
    pair = fuzzing.compare.Pair(7, NESTED.placed, NESTED.flow)
    found = one_sided(fuzzing, pair)
    small = fuzzing.shrink.shrunk(found, lambda candidate: one_sided(fuzzing, candidate))
    model = small.pair.placed.model
    assert small.kind == found.kind and len(model.workloads) == 2
    assert {group.name for group in model.groups} == {"back", "dbs"}
    assert [len(policy.rules) for policy in model.policies] == [1]
    told = fuzzing.story.story(small)
    assert told.startswith("world 7: front/web-1 → 10.2.2.2 1/tcp\n  evaluate  deny by ingress application s[0]")
    assert "trace     allow by ingress default allow" in told
    assert "Group(name='back', within=['dbs'])" in told


def test_a_reader_that_raises_disagrees(fuzzing: Any) -> None:
    homeless = replace(NESTED.flow, source="front/nobody")
    pair = fuzzing.compare.Pair(7, NESTED.placed, homeless)
    found = fuzzing.compare.compare(pair)
    assert found.evaluate.error.startswith("KeyError: 'front/nobody' (evaluate.py:")
    assert "evaluate  raised KeyError" in fuzzing.story.story(found)


def test_run_says_how_to_repeat_it() -> None:
    done = subprocess.run(
        [TOOLS / "fuzz", "--pairs", "110", "--seed", "3"], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first, last = done.stdout.splitlines()
    assert first == "worlds from 3; the same again: tools/fuzz --pairs 110 --seed 3"
    assert last.startswith("110 pairs, ") and last.endswith(": 0 disagreements")


def test_a_plan_that_is_deaf_to_labels_is_found(fuzzing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(fuzzing.living.wrong(3, 50, fuzzing.living.Tally(), lambda: None)) == []
    tally = fuzzing.living.Tally()
    monkeypatch.setattr(LivePlan, "relabel", lambda *_: LiveChanges({}))
    told = list(fuzzing.living.wrong(3, 50, tally, lambda: None))
    assert told
    assert all("another plan than planned anew" in line for line in told)
    assert f"{len(told)} wrong" in tally.summary()

"""How a scenario is told: operations as one types them, a log without durations, a timeline with them."""

from __future__ import annotations

import pytest

from sdn.model.lifecycle import (
    Drain,
    Fail,
    Heal,
    Label,
    Migrate,
    Move,
    Operation,
    Outcome,
    Rebalance,
    Rollout,
    Scale,
    Stage,
    What,
)
from sdn.model.scenario import Happened
from sdn.report.scenario import lines, log_line, title


@pytest.mark.parametrize(
    ("operation", "typed"),
    [
        (Fail(What.LINK, "host-1:leaf-1"), "fail link host-1:leaf-1"),
        (Heal("host-1"), "heal host-1"),
        (Drain("host-1"), "drain host-1"),
        (Rebalance(), "rebalance"),
        (Migrate("a/w", "host-2"), "migrate a/w host-2"),
        (Scale("a/w", 3), "scale a/w 3"),
        (Label("a/w", {"one": "1", "two": ""}), "label a/w one=1 two-"),
        (Rollout("a", 2), "rollout a --max-unavailable 2"),
        (Rollout("", hosts=True), "rollout --max-unavailable 1 --hosts"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_operation_is_told_as_one_types_it(operation: Operation, typed: str) -> None:
    assert title(operation) == typed


FAILED = Happened(
    2000,
    3,
    "operation",
    False,
    operation=Fail(What.POD, "a/w"),
    moves=(Move("a/w", "host-1", "", why="failed"),),
    hosts=("host-1",),
    changes={"route": (0, 1, 2), "fdb": (1, 0, 0)},
    said=("a/w: 0 of 1 hosts fit",),
)


def test_the_log_has_one_order_and_no_durations() -> None:
    assert log_line(FAILED) == (
        '{"at":2000,"step":3,"event":"operation","ok":false,"operation":{"type":"fail","what":"pod","name":"a/w"},'
        '"moves":[{"workload":"a/w","source":"host-1","target":"","source_node":"","target_node":"","why":"failed"}],'
        '"hosts":["host-1"],"changes":{"fdb":[1,0,0],"route":[0,1,2]},"said":["a/w: 0 of 1 hosts fit"]}'
    )


def test_the_timeline_says_when_what_how_long_and_what_is_wrong() -> None:
    outcome = Outcome(Heal("x"), stages=(Stage("broken", 0.0121), Stage("fenced", 0.2)))
    assert list(lines(FAILED, 0.75, outcome)) == [
        "     2 s  ✗ fail pod a/w: 1 move, 1 node touched  (0.75 s)",
        "            a/w: host-1 → nowhere, failed",
        "            broken 12 ms, fenced 200 ms",
        "            a/w: 0 of 1 hosts fit",
    ]
    end = Happened(2500, 3, "end", False, said=("1 events were not as they should be",))
    assert list(lines(end, 0, None)) == ["   2.5 s  ✗ 1 events were not as they should be"]

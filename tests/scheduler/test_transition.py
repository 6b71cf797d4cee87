"""A new description of a running lab: who moves alive, in which turns, and who cannot."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from moving import SEEDS, broken, somewhere, world
from scheduler_words import at, host, lab, node, pod, vm

from sdn.lab.operations import after
from sdn.model import Placement, Workload
from sdn.model.lifecycle import Move
from sdn.scheduler.transition import AT_ONCE, WANTED, net, place_in, transition

H = [host(f"h{i}") for i in (1, 2, 3)]


def big(name: str) -> Workload:
    return vm(name, memory=5000)


def told(turns: tuple[tuple[Move, ...], ...]) -> list[str]:
    """`a:h1>h2 b:>h1`, each turn with what it comes to; nodes instead of their Hosts."""
    return [
        " ".join(
            f"{m.workload.partition('/')[2]}:{m.source_node.partition('/')[2] or m.source}"
            f">{m.target_node.partition('/')[2] or m.target}"
            for m in net(turn)
        )
        for turn in turns
    ]


SMALL: dict[str, Any] = {"memory": 64}


@pytest.mark.parametrize(
    ("workloads", "before", "wanted", "first", "turns"),
    [
        pytest.param([vm("a")], "a:h1", "a:h1", "a:h1", [], id="nothing"),
        pytest.param([vm("a"), vm("b")], "a:h1", "a:h1 b:h2", "a:h1 b:h2", [], id="who-comes-comes-with-it"),
        pytest.param([vm("b")], "a:h1 b:h2", "b:h2", "b:h2", [], id="who-goes-goes-with-it"),
        pytest.param([vm("a"), vm("b")], "a:h1 b:h1", "a:h2 b:h3", "a:h1 b:h1", ["a:h1>h2", "b:h1>h3"], id="moves"),
        pytest.param(
            [vm("a"), vm("b"), vm("c")], "a:h1", "a:h2 b:h1 c:h1", "a:h1", ["a:h1>h2", "b:>h1 c:>h1"], id="starts-last"
        ),
        pytest.param([big("a"), big("b")], "a:h1 c:h2", "a:h2 b:h1", "a:h1", ["a:h1>h2", "b:>h1"], id="all-three"),
        pytest.param(
            [node("n1"), pod("p", **SMALL)], "n1:h1 p:n1@h1", "n1:h2 p:n1@h2", "n1:h1 p:n1@h1", ["n1:h1>h2"], id="node"
        ),
        pytest.param(
            [node("n2"), pod("p", **SMALL)], "n1:h1 p:n1@h1", "n2:h2 p:n2@h2", "n2:h2 p:n2@h2", [], id="node-is-gone"
        ),
    ],
)
def test_turns(workloads: list[Workload], before: str, wanted: str, first: str, turns: list[str]) -> None:
    way = transition(lab(H, workloads), at(before), at(wanted))
    assert way.first == at(first)
    assert told(way.turns) == turns
    assert {move.why for turn in way.turns for move in turn} <= {WANTED, "starts"}


def test_who_has_no_third_place_goes_at_once_with_who_is_in_the_way_and_does_not_stop() -> None:
    way = transition(lab(H[:2], [big("a"), big("b"), vm("c")]), at("a:h1 b:h2 c:h1"), at("a:h2 b:h1 c:h2"))
    assert way.first == at("a:h1 b:h2 c:h1")
    (swap,) = [turn for turn in way.turns if len(turn) > 1]
    assert sorted(told((swap,))[0].split()) == ["a:h1>h2", "b:h2>h1"]
    assert {move.why for move in net(swap)} == {AT_ONCE}
    assert "c:h1>h2" in told(way.turns)


def test_who_has_lost_its_place_goes_first_and_the_others_alive() -> None:
    way = transition(lab(H, [vm("a"), vm("b")]), at("a:h9 b:h1"), at("a:h2 b:h3"))
    assert way.first == at("a:h2 b:h1")
    assert way.at_once == (Move("shop/a", "h9", "h2", why="h9 is not in the lab any more"),)
    assert told(way.turns) == ["b:h1>h3"]


def test_where_no_order_keeps_the_rules_all_go_at_once_and_the_reason_is_told() -> None:
    way = transition(lab(H, [big("a"), big("b")]), at("a:h1 b:h2"), at("a:h3 b:h3"))
    assert (way.first, way.turns) == (at("a:h3 b:h3"), ())
    assert [move.workload for move in way.at_once] == ["shop/a", "shop/b"]
    assert "no order of moves keeps every rule (shop/b cannot go to h3: too little memory" in way.at_once[0].why


@settings(max_examples=40, deadline=None)
@given(SEEDS, SEEDS, SEEDS)
def test_the_turns_lead_there_over_placements_that_keep_every_rule_and_nobody_stops(
    which: int, one: int, other: int
) -> None:
    model = world(which, tight=True)
    before, wanted = somewhere(model, one), somewhere(model, other)
    assume(before is not None and wanted is not None)
    assert before and wanted
    way = transition(model, before, wanted)
    now: Placement = way.first
    assert {key: place_in(now, key) for key in before.hosts} == {key: place_in(before, key) for key in before.hosts}
    for turn in way.turns:
        assert len(turn) == 1 or {move.why for move in net(turn)} == {AT_ONCE}
        for move in turn:
            now = after(now, move)
        assert now.hosts.keys() == before.hosts.keys()
        assert broken(model, now) == []
    assert now == wanted

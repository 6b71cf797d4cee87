"""From one placement to another: every step within every rule, few detours, and none where there is no way."""

from __future__ import annotations

import pytest
from checker import check_steps
from scheduler_words import at, host, lab, node, pod, vm

from sdn.model import Model, Placement
from sdn.scheduler import moves
from sdn.scheduler.proposal import Proposal

H = [host(f"h{i}") for i in (1, 2, 3)]


def steps(proposal: Proposal) -> list[str]:
    """`a:h1>h2`, without a source where it starts, without a target where it stops; nodes instead of their Hosts."""
    return [
        f"{m.workload.partition('/')[2]}:{m.source_node.partition('/')[2] or m.source}"
        f">{m.target_node.partition('/')[2] or m.target}"
        for m in proposal.moves
    ]


def assert_kept(model: Model, before: Placement, proposal: Proposal) -> None:
    assert not check_steps(model, before, proposal.moves, proposal.placement)


def big(name: str, **said: object) -> object:
    return vm(name, memory=5000, **said)


@pytest.mark.parametrize(
    ("workloads", "before", "after", "expected"),
    [
        pytest.param([vm("a")], "a:h1", "a:h1", [], id="nothing"),
        pytest.param([vm("a")], "a:h1", "a:h2", ["a:h1>h2"], id="one"),
        pytest.param([vm("a")], "", "a:h2", ["a:>h2"], id="start"),
        pytest.param([vm("a")], "a:h1", "", ["a:h1>"], id="stop"),
        pytest.param([big("a"), big("b")], "a:h1 b:h2", "a:h2 b:h3", ["b:h2>h3", "a:h1>h2"], id="waits-for-room"),
        pytest.param([big("a"), big("b")], "b:h2", "a:h2 b:h3", ["b:h2>h3", "a:>h2"], id="start-waits-for-room"),
        pytest.param([big("a"), big("b")], "a:h1", "b:h1", ["a:h1>", "b:>h1"], id="stop-before-start"),
        pytest.param([big("a"), big("b")], "a:h1 b:h2", "a:h2 b:h1", ["b:h2>h3", "a:h1>h2", "b:h3>h1"], id="swap"),
        pytest.param(
            [node("n1"), pod("p", memory=64)], "n1:h1 p:n1@h1", "n1:h2 p:n1@h2", ["n1:h1>h2"], id="pods-follow"
        ),
        pytest.param(
            [node("n1"), node("n2"), pod("p", memory=64)],
            "n1:h1 n2:h2 p:n1@h1",
            "n1:h3 n2:h2 p:n2@h2",
            ["n1:h1>h3", "p:n1>n2"],
            id="node-and-pod",
        ),
        pytest.param(
            [node("n1"), pod("p", memory=64)], "", "n1:h1 p:n1@h1", ["n1:>h1", "p:>n1"], id="node-starts-first"
        ),
        pytest.param([node("n1"), pod("p", memory=64)], "n1:h1 p:n1@h1", "", ["p:n1>", "n1:h1>"], id="node-stops-last"),
    ],
)
def test_order(workloads: list[object], before: str, after: str, expected: list[str]) -> None:
    model = lab(H, workloads)  # type: ignore[arg-type]
    proposal = moves(model, at(before), at(after))
    assert not proposal.refused
    assert steps(proposal) == expected
    assert proposal.placement == at(after)
    assert_kept(model, at(before), proposal)


def test_without_a_third_place_the_least_important_stops_and_starts() -> None:
    model = lab(H[:2], [big("a", priority=10), big("b")])  # type: ignore[list-item]
    proposal = moves(model, at("a:h1 b:h2"), at("a:h2 b:h1"))
    assert steps(proposal) == ["b:h2>", "a:h1>h2", "b:>h1"]
    assert proposal.moves[0].why == "stops and starts again: there is no third place for it"
    assert_kept(model, at("a:h1 b:h2"), proposal)


def test_a_third_place_may_need_a_move_of_somebody_who_comes_back() -> None:
    small = [vm("c", memory=1500), vm("e", memory=3000)]
    model = lab([*H, host("h4", memory=1500)], [big("a"), big("b"), *small])  # type: ignore[list-item]
    before, after = at("a:h1 b:h2 c:h3 e:h3"), at("a:h2 b:h1 c:h3 e:h3")
    proposal = moves(model, before, after)
    assert steps(proposal) == ["c:h3>h1", "b:h2>h3", "a:h1>h2", "b:h3>h1", "c:h1>h3"]
    assert proposal.placement == after
    assert_kept(model, before, proposal)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("a:h1 b:h1", "shop/b cannot go to h1: too little memory (needs 5000 MiB)"),
        ("a:h9", "shop/a is to run on h9, which is not in the lab; choose another place"),
        ("x:h1", "shop/x is to run on h1, but is no workload of the lab; remove it from the placement"),
    ],
)
def test_refused(after: str, reason: str) -> None:
    model = lab(H, [big("a"), big("b")])  # type: ignore[list-item]
    proposal = moves(model, at("a:h1 b:h2"), at(after))
    assert reason in proposal.refused
    assert (proposal.moves, proposal.placement) == ((), at("a:h1 b:h2"))


def test_what_left_the_lab_stops_and_what_was_on_a_host_that_left_moves() -> None:
    proposal = moves(lab(H, [vm("a")]), at("a:gone b:h1"), at("a:h1"))
    assert steps(proposal) == ["b:h1>", "a:gone>h1"]

"""From one placement to another: every step within every rule, few detours, and none where there is no way."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import assume, given, settings
from moving import SEEDS, assert_kept, shuffled, somewhere, world
from scheduler_words import at, host, lab, node, pod, vm

from sdn.model import HOSTNAME, Model, Placement, PlacementRule, Selector, Together, Workload
from sdn.scheduler import Cluster, moves
from sdn.scheduler.proposal import Proposal

H = [host(f"h{i}") for i in (1, 2, 3)]


def steps(proposal: Proposal) -> list[str]:
    """`a:h1>h2`, without a source where it starts, without a target where it stops; nodes instead of their Hosts."""
    return [
        f"{m.workload.partition('/')[2]}:{m.source_node.partition('/')[2] or m.source}"
        f">{m.target_node.partition('/')[2] or m.target}"
        for m in proposal.moves
    ]


def big(name: str, priority: int = 0) -> Workload:
    return vm(name, memory=5000, priority=priority)


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
def test_order(workloads: list[Workload], before: str, after: str, expected: list[str]) -> None:
    model = lab(H, workloads)
    proposal = moves(model, at(before), at(after))
    assert not proposal.refused
    assert steps(proposal) == expected
    assert proposal.placement == at(after)
    assert_kept(model, at(before), proposal)


def test_without_a_third_place_the_least_important_stops_and_starts() -> None:
    model = lab(H[:2], [big("a", priority=10), big("b")])
    proposal = moves(model, at("a:h1 b:h2"), at("a:h2 b:h1"))
    assert steps(proposal) == ["b:h2>", "a:h1>h2", "b:>h1"]
    assert proposal.moves[0].why == "stops and starts again: there is no third place for it"
    assert_kept(model, at("a:h1 b:h2"), proposal)


def test_a_third_place_may_need_a_move_of_somebody_who_comes_back() -> None:
    small = [vm("c", memory=1500), vm("e", memory=3000)]
    model = lab([*H, host("h4", memory=1500)], [big("a"), big("b"), *small])
    before, after = at("a:h1 b:h2 c:h3 e:h3"), at("a:h2 b:h1 c:h3 e:h3")
    proposal = moves(model, before, after)
    assert steps(proposal) == ["c:h3>h1", "b:h2>h3", "a:h1>h2", "b:h3>h1", "c:h1>h3"]
    assert proposal.placement == after
    assert_kept(model, before, proposal)


def test_those_that_must_stay_together_stop_but_for_one() -> None:
    rule = PlacementRule("pair", Together.TOGETHER, Selector(keys=("shop/a", "shop/b")), topology=HOSTNAME)
    model = lab(H, [vm("a"), vm("b")], rules=(rule,))
    proposal = moves(model, at("a:h1 b:h1"), at("a:h2 b:h2"))
    assert steps(proposal) == ["a:h1>", "b:h1>h2", "a:>h2"]
    assert_kept(model, at("a:h1 b:h1"), proposal)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("a:h1 b:h1", "shop/b cannot go to h1: too little memory (needs 5000 MiB)"),
        ("a:h9", "shop/a is to run on h9, which is not in the lab; choose another place"),
        ("x:h1", "shop/x is to run on h1, but is no workload of the lab; remove it from the placement"),
    ],
)
def test_refused(after: str, reason: str) -> None:
    model = lab(H, [big("a"), big("b")])
    proposal = moves(model, at("a:h1 b:h2"), at(after))
    assert reason in proposal.refused
    assert (proposal.moves, proposal.placement) == ((), at("a:h1 b:h2"))


def test_what_left_the_lab_stops_and_what_was_on_a_host_that_left_moves() -> None:
    proposal = moves(lab(H, [vm("a")]), at("a:gone b:h1"), at("a:h1"))
    assert steps(proposal) == ["b:h1>", "a:gone>h1"]


@settings(max_examples=40, deadline=None)
@given(SEEDS, SEEDS, SEEDS)
def test_every_step_is_allowed(which: int, one: int, other: int) -> None:
    model = world(which, tight=True)
    before, after = somewhere(model, one), somewhere(model, other)
    assume(before is not None and after is not None)
    assert before and after
    proposal = moves(model, before, after)
    assert not proposal.refused
    assert proposal.placement == after
    assert_kept(model, before, proposal)


@settings(max_examples=20, deadline=None)
@given(SEEDS, SEEDS, SEEDS)
def test_the_order_of_input_does_not_matter(which: int, one: int, other: int) -> None:
    model = world(which)
    before, after = somewhere(model, one), somewhere(model, other)
    assume(before is not None and after is not None)
    assert before and after
    turned = Placement(dict(reversed(before.hosts.items())), dict(reversed(before.nodes.items())))
    assert moves(shuffled(model, one), turned, after) == moves(model, before, after)


def fewest(model: Model, before: Placement, after: Placement, limit: int) -> int | None:
    """The least number of live moves from one to the other, by trying all; None if there are not that few."""
    start = tuple(sorted(before.hosts.items()))
    seen, queue = {start}, deque([(start, 0)])
    while queue:
        state, count = queue.popleft()
        if dict(state) == after.hosts:
            return count
        if count == limit:
            continue
        cluster = Cluster.of(model, Placement(dict(state)))
        for workload in model.workloads:
            source = cluster.unbind(workload.key)
            for target in cluster.hosts:
                if target is not source and cluster.blocked(workload, target) is None:
                    following = tuple(sorted((dict(state) | {workload.key: target.name}).items()))
                    if following not in seen:
                        seen.add(following)
                        queue.append((following, count + 1))
            cluster.bind(workload, source)
    return None


@settings(max_examples=40, deadline=None)
@given(SEEDS, SEEDS, SEEDS)
def test_nearly_as_few_moves_as_brute_force_finds(which: int, one: int, other: int) -> None:
    """In small full clusters: never a stop where there is a live way, and at most one move more than the fewest."""
    sizes = [2000 + 500 * ((which >> i) % 8) for i in range(4)]
    model = lab(H, [vm(f"v{i}", memory=size) for i, size in enumerate(sizes)])
    before, after = somewhere(model, one), somewhere(model, other)
    assume(before is not None and after is not None)
    assert before and after
    best = fewest(model, before, after, 7)
    assume(best is not None)
    assert best is not None
    proposal = moves(model, before, after)
    assert all(move.target for move in proposal.moves)
    assert len(proposal.moves) <= best + 1

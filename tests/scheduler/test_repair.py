"""A placement that breaks rules by now: the fewest moves back, and from one lab to the next."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from moving import SEEDS, assert_kept, broken, shuffled, somewhere, world
from msgspec.structs import replace
from scheduler_words import at, host, lab, node, pod, vm

from sdn.errors import UnschedulableError
from sdn.model import (
    HOSTNAME,
    Affinity,
    Effect,
    HostState,
    LabelSelector,
    Model,
    Placement,
    PlacementRule,
    PodTerm,
    Selector,
    Separation,
    Taint,
    Together,
    Workload,
)
from sdn.scheduler import place, reconcile, repair, with_hosts

H = [host(f"h{i}") for i in (1, 2, 3)]
APART = Affinity(apart=(PodTerm(HOSTNAME, LabelSelector(labels=(("app", "db"),))),))


def moved(model: Model, before: str) -> list[str]:
    proposal = repair(model, at(before))
    assert not proposal.refused
    assert_kept(model, at(before), proposal)
    return [f"{move.workload.partition('/')[2]}>{move.target_node or move.target}" for move in proposal.moves]


@pytest.mark.parametrize(
    ("workloads", "before", "count"),
    [
        pytest.param([vm("a"), vm("b")], "a:h1 b:h1", 0, id="nothing-is-wrong"),
        pytest.param(
            [vm("a", memory=5000), vm("b", memory=3000), vm("c", memory=1000)], "a:h1 b:h1 c:h1", 1, id="load"
        ),
        pytest.param([vm("a", "db", affinity=APART), vm("b", "db", affinity=APART)], "a:h1 b:h1", 1, id="apart"),
    ],
)
def test_as_few_as_possible(workloads: list[Workload], before: str, count: int) -> None:
    assert len(moved(lab(H, workloads), before)) == count


def test_the_odd_one_out_leaves() -> None:
    some = [vm(f"v{i}", labels={"level": "secret" if i == 3 else "open"}) for i in range(6)]
    model = lab(H, some, separations=(Separation("level"),))
    assert [step.partition(">")[0] for step in moved(model, "v0:h1 v1:h1 v2:h1 v3:h1 v4:h1 v5:h1")] == ["v3"]


def test_a_must_rule_that_came_later() -> None:
    rule = PlacementRule("off", Together.NOT_ON, Selector(keys=("shop/a",)), host_names=("h1",))
    assert moved(lab(H, [vm("a"), vm("b")], rules=(rule,)), "a:h1 b:h1") == ["a>h2"]


def test_maintenance_and_no_execute_empty_a_host() -> None:
    tainted = replace(H[1], taints=(Taint("gone", "", Effect.NO_EXECUTE),))
    model = with_hosts(lab([H[0], tainted, H[2]], [vm("a"), vm("b")]), {"h1"}, HostState.MAINTENANCE)
    proposal = repair(model, at("a:h1 b:h2"))
    assert {move.target for move in proposal.moves} == {"h3"}
    assert len(proposal.moves) == 2


def test_a_node_that_is_too_full_gives_pods_away() -> None:
    model = lab(H, [node("n1", memory=1000), node("n2", memory=1000), pod("p", memory=600), pod("q", memory=600)])
    assert moved(model, "n1:h1 n2:h2 p:n1@h1 q:n1@h1") == ["p>nodes/n2"]


def test_what_has_no_other_place_is_a_reason_to_refuse() -> None:
    model = lab(H[:2], [vm("a", memory=8000), vm("b", memory=8000), vm("c", memory=8000)])
    proposal = repair(model, at("a:h1 b:h1 c:h2"))
    assert proposal.refused[0].startswith("shop/a: 0 of 2 hosts fit: ")
    assert proposal.moves == ()


def test_from_one_lab_to_the_next() -> None:
    before = at("a:h1 old:h1 b:h2")
    model = lab(H, [vm("a"), vm("b", memory=5000), vm("new", memory=4000)])
    proposal = reconcile(model, before)
    assert [(m.workload, m.source, m.target) for m in proposal.moves] == [
        ("shop/old", "h1", ""),
        ("shop/new", "", "h3"),
    ]
    assert proposal.placement == place(model, before)


def test_a_lab_that_cannot_be_placed_says_so() -> None:
    with pytest.raises(UnschedulableError, match="shop/new: 0 of 3 hosts fit"):
        reconcile(lab(H, [vm("new", memory=9000)]), Placement({}))


@settings(max_examples=40, deadline=None)
@given(SEEDS, SEEDS, st.sampled_from((1.1, 1.3)))
def test_load_rose(which: int, one: int, factor: float) -> None:
    """Every step is no worse than before, the end is valid, and a second look finds nothing to do."""
    model = world(which, tight=True)
    before = somewhere(model, one)
    assume(before is not None)
    assert before
    risen = replace(model, workloads=tuple(replace(w, memory=int(w.memory * factor)) for w in model.workloads))
    proposal = repair(risen, before)
    assert_kept(risen, before, proposal)
    assert repair(shuffled(risen, one), before) == proposal
    if not proposal.refused:
        assert not broken(risen, proposal.placement)
        assert repair(risen, proposal.placement).moves == ()


@settings(max_examples=30, deadline=None)
@given(SEEDS, SEEDS)
def test_reconciled_from_anywhere(which: int, one: int) -> None:
    model = world(which)
    before = somewhere(model, one)
    assume(before is not None)
    assert before
    fewer = replace(model, workloads=model.workloads[1:])
    try:
        proposal = reconcile(fewer, before)
    except UnschedulableError:
        return
    assert_kept(fewer, before, proposal)


def fewest(model: Model, before: Placement) -> int | None:
    """How many workloads must be elsewhere in the nearest valid placement, by trying all."""
    names = [each.name for each in model.underlay.hosts]
    keys = [workload.key for workload in model.workloads]
    counts = [
        sum(before.hosts[key] != where for key, where in zip(keys, places, strict=True))
        for places in product(names, repeat=len(keys))
        if not broken(model, Placement(dict(zip(keys, places, strict=True))))
    ]
    return min(counts, default=None)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.lists(st.sampled_from((1000, 2000, 3000, 4000)), min_size=3, max_size=4))
def test_nearly_as_few_as_brute_force_finds(seed: int, sizes: list[int]) -> None:
    """Of everything on one Host: at most one move more than the fewest, and none found only where there is none."""
    model = lab(H[:3], [vm(f"v{i}", "db" if (seed >> i) & 1 else "", memory=m) for i, m in enumerate(sizes)])
    apart = replace(model.workloads[0].scheduling, affinity=APART)
    model = replace(model, workloads=tuple(replace(w, scheduling=apart) if w.labels else w for w in model.workloads))
    before = Placement({workload.key: "h1" for workload in model.workloads})
    best, proposal = fewest(model, before), repair(model, before)
    if best is None:
        assert proposal.refused
    else:
        assert len({move.workload for move in proposal.moves}) <= best + 1 or proposal.refused

"""Moves that pay for themselves: rules first, then load, and never the same question twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from moving import SEEDS, assert_kept, broken, shuffled, somewhere, world
from msgspec.structs import replace
from scheduler_words import at, host, lab, vm

from sdn.model import Admission, HostState, PlacementRule, Reserve, Resources, Scheduling, Selector, Together
from sdn.scheduler import Proposal, imbalance, rebalance, with_hosts

H = [host(f"h{i}") for i in (1, 2, 3)]
FOUR = [vm(f"v{i}", memory=1000, cpu=500) for i in range(4)]


def targets(proposal: Proposal) -> list[str]:
    return [f"{m.workload.partition('/')[2]}>{m.target}" for m in proposal.moves]


def test_load_is_spread() -> None:
    model = lab(H[:2], FOUR)
    before = at("v0:h1 v1:h1 v2:h1 v3:h1")
    proposal = rebalance(model, before)
    assert len(proposal.moves) == 2
    assert imbalance(model, before) > imbalance(model, proposal.placement) == 0
    assert proposal.moves[0].why == "balances load: h1 50 %, h2 0 %"


def test_load_is_what_is_used_where_that_is_said() -> None:
    """By requests the Hosts are even; by what is used one is idle, and the next run finds nothing."""
    busy = [vm(f"v{i}", memory=1000, cpu=1000, cpu_demand=1000) for i in range(2)]
    idle = [vm(f"v{i}", memory=1000, cpu=1000, cpu_demand=0, memory_demand=100) for i in (2, 3)]
    model = lab(H[:2], [*busy, *idle])
    before = at("v0:h1 v1:h1 v2:h2 v3:h2")
    proposal = rebalance(model, before)
    assert sorted(targets(proposal)) == ["v0>h2"]
    assert proposal.moves[0].why == "balances load: h1 50 %, h2 2 %"
    assert imbalance(model, proposal.placement) < imbalance(model, before)
    assert rebalance(model, proposal.placement).moves == ()
    assert rebalance(lab(H[:2], [replace(one, scheduling=Scheduling()) for one in model.workloads]), before).moves == ()


def test_who_is_not_entitled_to_what_it_would_use_is_no_load() -> None:
    """A limit, or shares where all together want too much, say how much of its demand counts."""
    limited = Resources(cpu_limit=10)
    model = lab(H[:2], [vm(f"v{i}", cpu=1900, memory=64, cpu_demand=1800, resources=limited) for i in range(2)])
    assert rebalance(model, at("v0:h1 v1:h1")).moves == ()
    free = lab(H[:2], [vm(f"v{i}", cpu=1900, memory=64, cpu_demand=1800) for i in range(2)])
    assert len(rebalance(free, at("v0:h1 v1:h1")).moves) == 1


@settings(max_examples=20, deadline=None)
@given(SEEDS, SEEDS)
def test_with_demands_too_a_second_run_finds_nothing_and_every_step_is_allowed(which: int, one: int) -> None:
    dice = random.Random(one)
    model = world(which)
    used = (
        replace(w, scheduling=replace(w.scheduling, cpu_demand=dice.randint(0, w.cpu), memory_demand=w.memory // 2))
        for w in model.workloads
    )
    model = replace(model, workloads=tuple(used))
    before = somewhere(model, one)
    assume(before is not None)
    assert before
    proposal = rebalance(model, before)
    assert_kept(model, before, proposal)
    assert rebalance(model, proposal.placement).moves == ()


def test_who_gains_too_little_stays() -> None:
    model = lab(H[:2], FOUR)
    assert rebalance(model, at("v0:h1 v1:h1 v2:h1 v3:h2")).moves != ()
    assert rebalance(model, at("v0:h1 v1:h1 v2:h1 v3:h2"), worth=9).moves == ()
    assert rebalance(model, at("v0:h1 v1:h1 v2:h2 v3:h2"), worth=0).moves == ()


def test_a_rule_that_should_hold_is_repaired_and_then_kept_against_load() -> None:
    pair = PlacementRule("pair", Together.TOGETHER, Selector(keys=("shop/v0", "shop/v1")), must=False)
    model = lab(H[:2], FOUR[:2], rules=(pair,))
    proposal = rebalance(model, at("v0:h1 v1:h2"))
    assert len(proposal.moves) == 1
    assert len(set(proposal.placement.hosts.values())) == 1
    assert "rule" in proposal.moves[0].why


def test_a_rule_that_must_hold_comes_first() -> None:
    rule = PlacementRule("off", Together.NOT_ON, Selector(keys=("shop/v0",)), host_names=("h1",))
    proposal = rebalance(lab(H[:2], FOUR[:1], rules=(rule,)), at("v0:h1"))
    assert targets(proposal) == ["v0>h2"]
    assert 'rule "off"' in proposal.moves[0].why


def test_what_cannot_be_repaired_is_told_and_the_rest_goes_on() -> None:
    rule = PlacementRule("off", Together.NOT_ON, Selector(keys=("shop/v0",)), host_names=("h1", "h2"))
    proposal = rebalance(lab(H[:2], FOUR, rules=(rule,)), at("v0:h1 v1:h1 v2:h1 v3:h1"))
    assert proposal.notes[0].startswith("shop/v0: 0 of 2 hosts fit: ")
    assert len(proposal.moves) == 2


@pytest.mark.parametrize("closed", ["kept", "maintenance"])
def test_closed_hosts_are_not_balanced(closed: str) -> None:
    kept = Admission(failures=1, reserve=Reserve.DEDICATED, dedicated=("h3",))
    model = lab(H, FOUR, admission=kept) if closed == "kept" else lab(H, FOUR)
    if closed == "maintenance":
        model = with_hosts(model, {"h3"}, HostState.MAINTENANCE)
    assert rebalance(model, at("v0:h1 v1:h1 v2:h2 v3:h2")).moves == ()


@settings(max_examples=50, deadline=None)
@given(SEEDS, SEEDS)
def test_it_converges_and_does_not_swing(which: int, one: int) -> None:
    model = world(which)
    before = somewhere(model, one)
    assume(before is not None)
    assert before
    proposal = rebalance(model, before)
    assert_kept(model, before, proposal)
    assert not broken(model, proposal.placement)
    assert rebalance(model, proposal.placement).moves == ()
    assert rebalance(shuffled(model, one), before) == proposal
    if not any("rule" in move.why for move in proposal.moves):
        assert imbalance(model, proposal.placement) <= imbalance(model, before)

"""The oracle against the plan: on every corner case, and on random worlds."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdn.model import Flow, Placed
from sdn.plan.desired import plan_placed
from sdn.plan.trace import Tracer
from sdn.policy.evaluate import Oracle
from shuffled import Shuffler
from strategies import placed_and_flows
from worlds import CASES, Case

WORLDS = {id(case.placed): case.placed for case in CASES}


@cache
def both(world: int) -> tuple[Oracle, Tracer]:
    placed = WORLDS[world]
    return Oracle(placed), Tracer(plan_placed(placed).plan)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_corner_case(case: Case) -> None:
    oracle, tracer = both(id(case.placed))
    evaluated = oracle.evaluate(case.flow)
    traces = tracer.trace(case.flow)
    assert case.of(evaluated).verdict == case.verdict
    assert tuple(trace.answer for trace in traces) == evaluated, "\n".join(map(str, traces[0].steps))


@settings(max_examples=150)
@given(placed_and_flows(most=16, hosts=True))
def test_random_worlds(world: tuple[Placed, list[Flow]]) -> None:
    """150 worlds of up to 16 flows, of workloads and Hosts: well over a thousand random pairs in every run."""
    placed, flows = world
    oracle, tracer = Oracle(placed), Tracer(plan_placed(placed).plan)
    for flow in flows:
        traces = tracer.trace(flow)
        story = "\n".join(f"{step.node}: {step.what} {step.rule}" for trace in traces for step in trace.steps)
        assert tuple(trace.answer for trace in traces) == oracle.evaluate(flow), f"{flow}\n{story}"


@settings(max_examples=25)
@given(placed_and_flows(most=1), st.integers(0, 99))
def test_the_order_of_input_never_matters(world: tuple[Placed, list[Flow]], seed: int) -> None:
    placed, _ = world
    plans = [msgspec.msgpack.encode(plan_placed(one).plan) for one in (placed, Shuffler(seed).placed(placed))]
    assert plans[0] == plans[1]

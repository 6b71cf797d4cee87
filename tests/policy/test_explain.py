"""Explanations are checked by doing what they say: after all remedies of a side, its decision is the opposite."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from policy_without import without
from sdn.model import (
    Action,
    Flow,
    Placed,
)
from sdn.policy.evaluate import Oracle
from sdn.policy.explain import SideWalk, explain
from strategies import placed_and_flows
from worlds import CASES, Case


def removed(side: SideWalk) -> set[str]:
    """The rules that the remedies would remove; isolation is no rule."""
    return {
        opinion.origin
        for tier in side.tiers
        for opinion in tier.matches
        if any(opinion.origin in r for r in side.remedies)
    }


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.name)
def test_the_sides_say_what_the_oracle_says(case: Case) -> None:
    for one in explain(case.placed, case.flow):
        stops = [side for side in one.sides if side.action is not Action.ALLOW]
        if stops:
            assert one.answer.verdict.rule == stops[0].rule
        elif one.answer.backend and one.sides:
            assert (one.answer.verdict.egress, one.answer.verdict.rule) == tuple(side.rule for side in one.sides)


@settings(max_examples=60)
@given(placed_and_flows(most=6))
def test_remedies_turn_a_side_round(world: tuple[Placed, list[Flow]]) -> None:
    placed, flows = world
    for flow in flows:
        for one in explain(placed, flow):
            for number, side in enumerate(one.sides):
                isolated = any("isolates" in remedy for remedy in side.remedies)
                if not side.remedies or isolated:
                    continue
                changed = replace(placed, model=without(placed.model, removed(side)))
                oracle = Oracle(changed)
                after = oracle.judge.decide(oracle.sides(flow, one.answer)[number])
                assert (after.action is Action.ALLOW) is not (side.action is Action.ALLOW), (flow, side, after)

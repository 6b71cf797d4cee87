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
from worlds_base import tiered
from worlds_build import build


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
            there = tuple(side.rule for side in one.sides if not side.reply)
            assert (one.answer.verdict.egress, one.answer.verdict.rule) == there


@settings(max_examples=60)
@given(placed_and_flows(most=6))
def test_remedies_turn_a_side_round(world: tuple[Placed, list[Flow]]) -> None:
    placed, flows = world
    for flow in flows:
        for one in explain(placed, flow):
            for side in one.sides:
                isolated = any("isolates" in remedy for remedy in side.remedies)
                if not side.remedies or isolated:
                    continue
                changed = replace(placed, model=without(placed.model, removed(side)))
                oracle = Oracle(changed)
                first = oracle.sides(flow, one.answer)
                # Without the rules that an answer is judged by, there may be no answer to judge.
                judged = [*first, *(end.reply for end in reversed(first))] if side.reply else first
                (asked,) = [end for end in judged if (end.is_reply, end.direction) == (side.reply, side.direction)]
                after = oracle.judge.decide(asked)
                assert (after.action is Action.ALLOW) is not (side.action is Action.ALLOW), (flow, side, after)


def test_connections_are_offered_only_where_they_can_be_made() -> None:
    """front and other have the same subnet, so something else has to change first."""
    placed = build(tiered())
    far, twin = (placed.endpoints[key] for key in ("far/far-1", "other/web-1"))
    (apart,) = explain(placed, Flow("other/web-1", far.addresses[0], port=80))
    assert apart.path.endswith(
        "which other is not connected to; `connects: [far]` would join them, once one of them has other addresses than "
        "10.1.1.0/24, which both lead to"
    )
    alone = replace(placed.model, applications=tuple(a for a in placed.model.applications if a.name != "front"))
    (free,) = explain(replace(placed, model=alone), Flow("other/web-1", far.addresses[0], port=80))
    assert free.path.endswith("which other is not connected to; `connects: [far]` would join them")
    assert twin.application == "other"

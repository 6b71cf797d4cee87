"""An explanation as a person reads it: the path, both sides tier by tier, the verdict, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from sdn.model import Action, Direction, Disposition
from sdn.policy.explain import Explanation, SideWalk, TierWalk
from sdn.report import words
from sdn.report.trace import heading, verdict


def render(explanations: Sequence[Explanation]) -> Iterator[Text]:
    """All ways that one flow can take: one, or for a Service one per Backend."""
    balanced = len(explanations) > 1
    for index, one in enumerate(explanations):
        if index == 0:
            yield heading(one.flow, "" if balanced else one.answer.backend)
        if balanced:
            yield Text(f"backend {one.answer.backend} ({index + 1} of {len(explanations)})", "dim")
        yield Text(f"  path: {one.path}")
        for side in one.sides:
            yield from _side(side)
        yield verdict(one.answer, balanced)
        yield from _remedies(one)


def _side(side: SideWalk) -> Iterator[Text]:
    yield Text(f"  {side.direction} at {side.workload}", "bold")
    width = max(len(tier.tier) for tier in side.tiers)
    for tier in (tier for tier in side.tiers if tier.rules or tier.matches):
        yield Text(f"    {tier.tier.ljust(width)}  ").append(_tier(tier), "cyan" if tier.effect == "decides" else "")
    if not any(tier.effect == "decides" for tier in side.tiers):
        yield Text(f"    {'default'.ljust(width)}  ").append(f"{side.action}: {side.rule}", "cyan")


def _tier(tier: TierWalk) -> str:
    match tier.effect:
        case "decides":
            first, *others = tier.matches
            more = f" (also: {words.few([o.origin for o in others])})" if others else ""
            return f"{first.action}: {first.origin}{more}"
        case "passes":
            return f"pass: {tier.matches[0].origin}"
        case effect:
            silent = f"none of its {words.count(tier.rules, 'rules')} matches"
            return silent if effect == "silent" else "not reached"


def _remedies(one: Explanation) -> Iterator[Text]:
    allowed = one.answer.verdict.allowed
    if not one.sides:
        return
    if not allowed:
        denying = [side for side in one.sides if side.action is not Action.ALLOW]
        if not denying and one.answer.verdict.disposition is Disposition.NO_ROUTE:
            return
        yield Text("to allow it, all of this would have to change:")
        for side in denying:
            yield from (Text(f"  - {step}") for step in side.remedies)
        return
    yield Text("to deny it without a new rule:")
    for side in one.sides:
        what = "leaving" if side.direction is Direction.EGRESS else "arriving"
        if side.remedies:
            yield Text(f"  {what}, all of these would have to go:")
            yield from (Text(f"    - {step}") for step in side.remedies)
        else:
            yield Text(f"  {what}: nothing can be removed, in the end the default allows it")

"""An explanation as a person reads it: the path, both sides tier by tier, the verdict, and what would change it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from sdn.model import NETWORK_POLICY, Action, Direction, Disposition
from sdn.policy.explain import Explanation, SideWalk, TierWalk
from sdn.report.trace import heading, verdict

SHOWN = 4
"""Further rules of one tier that are named."""


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
    what = ", of the answer, which a stateless rule does not expect" if side.reply else ""
    yield Text(f"  {side.direction} at {side.workload}{what}", "bold")
    width = max(len(tier.tier) for tier in side.tiers)
    for tier in (tier for tier in side.tiers if tier.rules or tier.matches):
        yield Text(f"    {tier.tier.ljust(width)}  ").append(_tier(tier), "cyan" if tier.effect == "decides" else "")
        yield from (Text(f"    {' ' * width}  {line}") for line in _further(tier))
    if not any(tier.effect == "decides" for tier in side.tiers):
        yield Text(f"    {'default'.ljust(width)}  ").append(f"{side.action}: {side.rule}", "cyan")


def _tier(tier: TierWalk) -> str:
    if tier.effect == "silent":
        return "its only rule does not match" if tier.rules == 1 else f"none of its {tier.rules:,} rules matches"
    if tier.effect == "not reached":
        return "not reached"
    return f"{tier.matches[0].action}: {tier.matches[0].origin}"


def _further(tier: TierWalk) -> Iterator[str]:
    """What else matches in the tier that decides: it decides next when the first has gone, or all add up."""
    others = tier.matches[1:] if tier.effect == "decides" else ()
    word = "also" if tier.tier == NETWORK_POLICY else "then"
    yield from (f"{word} {other.action}: {other.origin}" for other in others[:SHOWN])
    if len(others) > SHOWN:
        yield f"{word} {len(others) - SHOWN:,} more"


def repeated(given: Sequence[Explanation], before: Sequence[Explanation]) -> bool:
    """Whether two explanations differ in nothing but addresses, as those of one question over IPv4 and IPv6 do."""
    return [(one.answer, one.path, one.sides) for one in given] == [(one.answer, one.path, one.sides) for one in before]


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
        what = f"the answer {what}" if side.reply else what
        if side.remedies:
            yield Text(f"  {what}, all of these would have to go:")
            yield from (Text(f"    - {step}") for step in side.remedies)
        else:
            yield Text(f"  {what}: nothing can be removed, in the end the default allows it")

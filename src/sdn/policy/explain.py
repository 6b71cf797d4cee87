"""Why a flow is allowed or denied: every tier on both sides, and everything that would have to change.

It reads the policies as the oracle does, and asks it for every rule that matches, not only for the one that decides.
Which rules match never depends on other rules, so "what if this rule were not there" is answered from that list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network

from msgspec import Struct

from sdn.model import (
    NETWORK_POLICY,
    OWN_ADDRESS,
    Action,
    Answer,
    Direction,
    Disposition,
    Endpoint,
    Flow,
    Model,
    Placed,
    connected,
    default_origin,
)
from sdn.policy.evaluate import Oracle
from sdn.policy.oracle_judge import ORDER, Opinion, Side


class TierWalk(Struct, frozen=True):
    """One tier on one side: how many of its rules are for the workload, those that match in order, and its effect.

    `effect` is `decides`, `passes`, `silent` (nothing matches), or `not reached`.
    """

    tier: str
    rules: int
    matches: tuple[Opinion, ...]
    effect: str


class SideWalk(Struct, frozen=True):
    """All tiers at one end; `rule` is what decided. `remedies` turn this side's decision round, all of them together.

    Empty `remedies` of an allowed side: no rule allows it, the default does, so only a new rule can deny it. `reply`:
    it is the answer that is judged, because a stateless rule let the packet pass on this side.
    """

    direction: Direction
    workload: str
    action: Action
    rule: str
    tiers: tuple[TierWalk, ...]
    remedies: tuple[str, ...]
    reply: bool = False


class Explanation(Struct, frozen=True):
    """One way a flow can take (one Backend of a Service): its answer, and both sides where policy was asked."""

    flow: Flow
    answer: Answer
    path: str
    sides: tuple[SideWalk, ...]


def explain(placed: Placed, flow: Flow) -> tuple[Explanation, ...]:
    """One Explanation per Backend, in the oracle's order."""
    oracle = Oracle(placed)
    return tuple(_explanation(placed, oracle, flow, answer) for answer in oracle.evaluate(flow))


def explain_arrival(placed: Placed, flow: Flow, destination: str) -> Explanation:
    """A flow whose source is an address outside, to a workload (a key): policy at the destination alone judges it."""
    oracle = Oracle(placed)
    arriving = oracle.arrival(flow.source, destination, flow.protocol, flow.port)
    sides = (arriving, *oracle.replies((arriving,)))
    verdict = oracle.judge_ingress(flow.source, destination, flow.protocol, flow.port)
    path = f"{flow.source} is outside, where policy alone decides what comes in"
    return Explanation(
        flow, Answer(verdict, destination, flow.port), path, tuple(_walk(oracle, side) for side in sides)
    )


def _explanation(placed: Placed, oracle: Oracle, flow: Flow, answer: Answer) -> Explanation:
    path = _path(placed, flow, answer)
    if answer.verdict.rule == OWN_ADDRESS or answer.verdict.disposition is Disposition.NO_BACKEND:
        return Explanation(flow, answer, path, ())
    sides = oracle.sides(flow, answer)
    if answer.backend:
        sides = (*sides, *oracle.replies(sides))
    return Explanation(flow, answer, path, tuple(_walk(oracle, side) for side in sides))


def _path(placed: Placed, flow: Flow, answer: Answer) -> str:
    """What the networks say, before any policy does."""
    source = placed.endpoints.get(flow.source)
    if source is None:
        return _from_host(placed, flow, answer)
    match answer.verdict.disposition:
        case Disposition.NO_ROUTE:
            return _no_path(placed, source, flow)
        case Disposition.NO_BACKEND:
            return f"{flow.destination} is a Service that no workload stands behind"
        case Disposition.ALLOW if not answer.backend:
            return f"{flow.destination} is a gateway, which the Host answers for"
    target = placed.endpoints.get(answer.backend)
    if target is None:
        return f"{flow.destination} is nobody's, but egress is judged on the way there"
    if target.workload == source.workload:
        return f"{flow.destination} is a Service that leads back to its own client"
    if target.application == source.application:
        return f"both are in application {source.application}"
    return f"applications {source.application} and {target.application} are connected"


def _from_host(placed: Placed, flow: Flow, answer: Answer) -> str:
    if answer.verdict.allowed:
        return f"{answer.backend} is on {flow.source}, and a host reaches the workloads on itself whatever policy says"
    named = (e for e in placed.endpoints.values() if e.application == flow.application)
    owners = [endpoint for endpoint in named if flow.destination in endpoint.addresses]
    where = f"{owners[0].workload} is on {owners[0].host}" if owners else f"{flow.destination} is no workload's"
    return f"{where}, and a host reaches the workloads on itself alone"


def _no_path(placed: Placed, source: Endpoint, flow: Flow) -> str:
    owners = [e for e in placed.endpoints.values() if flow.destination in e.addresses]
    if source.address(flow.family) is None:
        return f"{flow.source} has no IPv{flow.family} address"
    if not owners:
        return f"nobody has the address {flow.destination}, and the lab has no way out"
    foreign = ", ".join(sorted({owner.application for owner in owners}))
    step = f"`connects: [{owners[0].application}]` would join them"
    if shared := _shared(placed.model, source.application, owners[0].application):
        step += f", once one of them has other addresses than {shared}, which both lead to"
    return f"{flow.destination} is in application {foreign}, which {source.application} is not connected to; {step}"


def _shared(model: Model, one: str, other: str) -> str:
    """A subnet on either side that overlaps the other side's, with all that connections lead to; empty if none does."""
    near = connected(model.applications)
    subnets = {a.name: [ip_network(text) for s in a.segments for text in s.subnets] for a in model.applications}
    here, there = ([network for name in _joined(near, side) for network in subnets[name]] for side in (one, other))
    both = (str(a) for a in here for b in there if a.version == b.version and a.overlaps(b))
    return next(both, "")


def _joined(near: Mapping[str, frozenset[str]], name: str) -> list[str]:
    """All Applications that connections lead to, also through others."""
    found, waiting = {name}, [name]
    while waiting:
        more = near[waiting.pop()] - found
        found |= more
        waiting += more
    return sorted(found)


def _walk(oracle: Oracle, side: Side) -> SideWalk:
    opinions = oracle.judge.opinions(side)
    action, rule = _decide(side.direction, opinions)
    counts = oracle.judge.applying(side)
    tiers = tuple(_tier(tier, counts[tier], opinions, rule) for tier in ORDER)
    return SideWalk(
        side.direction,
        side.subject.key,
        action,
        rule,
        _reached(tiers),
        _remedies(side.direction, opinions),
        side.is_reply,
    )


def _decide(direction: Direction, opinions: Sequence[Opinion]) -> tuple[Action, str]:
    """The first opinion of each tier, until one of them is not `pass`."""
    for tier in ORDER:
        first = next((opinion for opinion in opinions if opinion.tier == tier), None)
        if first is not None and first.action is not Action.PASS:
            return first.action, first.origin
    return Action.ALLOW, default_origin(direction)


def _tier(tier: str, rules: int, opinions: Sequence[Opinion], decider: str) -> TierWalk:
    mine = tuple(opinion for opinion in opinions if opinion.tier == tier)
    if not mine:
        effect = "silent"
    elif mine[0].action is Action.PASS:
        effect = "passes"
    else:
        effect = "decides" if mine[0].origin == decider else "not reached"
    return TierWalk(tier, rules, mine, effect)


def _reached(tiers: Sequence[TierWalk]) -> tuple[TierWalk, ...]:
    """Nothing after the tier that decides is reached, also where it would have been silent."""
    decided = next((index for index, tier in enumerate(tiers) if tier.effect == "decides"), len(tiers))
    return tuple(
        tier if index <= decided else TierWalk(tier.tier, tier.rules, tier.matches, "not reached")
        for index, tier in enumerate(tiers)
    )


def _remedies(direction: Direction, opinions: Sequence[Opinion]) -> tuple[str, ...]:
    """What must change, step by step, until this side's decision is the opposite; empty where removing cannot do it."""
    left = list(opinions)
    allowed = _decide(direction, left)[0] is Action.ALLOW
    steps: list[str] = []
    while True:
        action, origin = _decide(direction, left)
        if (action is Action.ALLOW) is not allowed:
            return tuple(steps)
        decider = next((opinion for opinion in left if opinion.origin == origin), None)
        if decider is None:
            return ()
        left = [opinion for opinion in left if opinion.origin != origin]
        if decider.tier == NETWORK_POLICY and action is Action.DENY:
            steps.append(f"{origin}: let one of these policies allow it, or select the workload no more")
            left.append(Opinion(NETWORK_POLICY, Action.ALLOW, "a new rule"))
        elif decider.tier == NETWORK_POLICY and not any(o.tier == NETWORK_POLICY for o in left):
            steps.append(f"{origin}: without it nothing allows it")
            left.append(Opinion(NETWORK_POLICY, Action.DENY, "isolation"))
        else:
            steps.append(f"{origin} ({action}): remove or narrow it")

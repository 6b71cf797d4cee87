"""Why reach says what it says, in one sentence that names the rules, as `sdn trace` would for such a flow."""

from __future__ import annotations

from sdn.model import NO_PATH, Action, Direction, Disposition, Verdict
from sdn.policy.reach import Reach
from sdn.policy.reach_judge import Decision

STOPS = {Action.DENY: Disposition.DENY, Action.REJECT: Disposition.REJECT}


def verdict(reach: Reach, source: int, destination: int, family: int, service: int) -> Verdict:
    """Between two positions of `Judge`, one of which may be outside; `service` is a set of one bit.

    A class to itself is asked between two of its workloads.
    """
    inner = len(reach.classes.all)
    if source < inner and destination < inner and not reach.has_path(source, destination, family):
        return Verdict(Disposition.NO_ROUTE, NO_PATH)
    decided: list[Decision] = []
    ends: list[tuple[Direction, int, int]] = []
    if source < inner:
        ends.append((Direction.EGRESS, source, destination))
    if destination < inner:
        ends.append((Direction.INGRESS, destination, source))
    for direction, own, peer in ends:
        if all(one.action is Action.ALLOW for one in decided):
            decided.append(reach.decide(direction, own, family, peer, service))
    egress = decided[0].origin if source < inner else ""
    last = decided[-1]
    if last.action is Action.ALLOW:
        for (direction, own, peer), one in reversed([*zip(ends, decided, strict=True)]):
            answer = reach.decide(_other(direction), own, family, peer, service, answers=True)
            if one.stateless and answer.action is not Action.ALLOW:
                return Verdict(Disposition.DENY, answer.origin, egress, reply=True)
    disposition = STOPS.get(last.action, Disposition.ALLOW)
    return Verdict(disposition, last.origin, egress if len(decided) > 1 else "")


def _other(direction: Direction) -> Direction:
    return Direction.INGRESS if direction is Direction.EGRESS else Direction.EGRESS

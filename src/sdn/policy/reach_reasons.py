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
    if source < inner:
        decided.append(reach.decide(Direction.EGRESS, source, family, destination, service))
    if destination < inner and all(one.action is Action.ALLOW for one in decided):
        decided.append(reach.decide(Direction.INGRESS, destination, family, source, service))
    last = decided[-1]
    disposition = STOPS.get(last.action, Disposition.ALLOW)
    return Verdict(disposition, last.origin, decided[0].origin if len(decided) > 1 else "")

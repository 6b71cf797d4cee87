"""The checker's rules in Kubernetes' words: node affinity, taints, workload affinity, topology spread.

Kubernetes looks at *near* and *spread* when it binds, not afterwards. A finished placement is therefore right if it
could have come about by binding one after another from empty:

- *apart* is symmetric and about pairs, so it holds of the finished placement just as it held at each binding;
- *near* asks for somebody else who matches in the domain, except for a first one that matches its own terms. Those
  who started a domain without anybody cannot be two in two domains, for the second would have found the first;
- *spread*: the last one of a constraint's own workloads to enter a domain saw at least all of these there, and a least
  domain that has since only grown. Others that match came without asking, so only the constraint's own count.

At a step of a plan both are asked of what has just been bound, as Kubernetes does, and of the Pods that a node brings
along. Others may be worse off meanwhile, or nobody could ever follow his company; who still is at the end of a plan is
told apart from what breaks a rule (`checker.left_behind`).
"""

from __future__ import annotations

from collections.abc import Iterator

from checker_state import Place, State, Violation, admits, affinity_of, is_up

from sdn.model import Effect, PodTerm, Taint, Toleration, TopologySpread, Workload


def node_affinity(state: State) -> Iterator[Violation]:
    """Node selectors and node affinity."""
    for workload in state.placed:
        if not admits(workload, state.places[workload.key]):
            yield Violation("node affinity", workload.key, 1, f"not on {state.places[workload.key].name}")


def taints(state: State) -> Iterator[Violation]:
    """NoSchedule keeps newcomers away, NoExecute everybody."""
    for workload in state.placed:
        for taint in state.places[workload.key].taints:
            if taint.effect is Effect.PREFER_NO_SCHEDULE or tolerated(taint, workload):
                continue
            if taint.effect is Effect.NO_EXECUTE or state.is_new(workload):
                yield Violation("taint", f"{workload.key} {taint.key}={taint.value}:{taint.effect}")


def tolerated(taint: Taint, workload: Workload) -> bool:
    """Whether one of a workload's tolerations matches a taint."""
    return any(matches(toleration, taint) for toleration in workload.tolerations)


def matches(toleration: Toleration, taint: Taint) -> bool:
    """Effect, key and value; an empty effect is each one, and an empty key with `exists` each taint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if not toleration.key:
        return toleration.exists
    return toleration.key == taint.key and (toleration.exists or toleration.value == taint.value)


def apart(state: State) -> Iterator[Violation]:
    """Nobody is in a domain with whom it, or who with it, wants to be apart."""
    for workload in state.placed:
        for term in affinity_of(workload).apart:
            for other in others_in_domain(state, workload, term):
                yield Violation("apart", f"{workload.key} {other.key} {term.topology}")


def others_in_domain(state: State, workload: Workload, term: PodTerm) -> list[Workload]:
    """Those that the term means in the workload's domain; nobody where it is in none."""
    domain = state.domain(workload, term.topology)
    if domain is None:
        return []
    found = state.in_domains(term, workload.namespace).get(domain, [])
    return [other for other in found if other.key != workload.key]


def near(state: State) -> Iterator[Violation]:
    """Everybody with `near` has its company, or may have been the first."""
    for workload in state.placed:
        for term in affinity_of(workload).near:
            if state.domain(workload, term.topology) is None:
                yield Violation("near", f"{workload.key} {term.topology}", 2, "its place has no such label")
            elif not others_in_domain(state, workload, term) and not starts(state, workload):
                yield Violation("near", f"{workload.key} {term.topology}", 1, "nobody is near")


def starts(state: State, workload: Workload) -> bool:
    """Whether it matches all of its own terms, and so may begin where nobody else matches yet."""
    return all(state.means(term, workload.namespace, workload) for term in affinity_of(workload).near)


def starters(state: State) -> Iterator[Violation]:
    """Of one term at most one domain holds only workloads that had to start it."""
    terms = {(term, w.namespace) for w in state.placed for term in affinity_of(w).near}
    for term, namespace in sorted(terms, key=repr):
        begun = [
            domain
            for domain, there in state.in_domains(term, namespace).items()
            if all(w.namespace == namespace and term in affinity_of(w).near for w in there)
        ]
        if len(begun) > 1:
            yield Violation("near", f"{namespace} {term}", len(begun), f"begun in {', '.join(sorted(begun))}")


def arrived_near(state: State, moved: list[Workload]) -> Iterator[Violation]:
    """What has just moved has company where it came to, or nobody else matches anywhere: it could be bound there."""
    keys = {workload.key for workload in moved}
    for workload in moved:
        for term in affinity_of(workload).near:
            elsewhere = [w for w in state.matching(term, workload.namespace) if w.key not in keys]
            if not others_in_domain(state, workload, term) and elsewhere:
                yield Violation("near", f"{workload.key} arrives alone {term.topology}")


def left_alone(before: State, after: State) -> Iterator[Violation]:
    """Nobody has lost its company to a plan, even if it could have begun alone: others who match are elsewhere."""
    for workload in after.placed:
        for term in affinity_of(workload).near:
            had = before.is_placed(workload) and others_in_domain(before, workload, term)
            if (
                had
                and not others_in_domain(after, workload, term)
                and len(after.matching(term, workload.namespace)) > 1
            ):
                yield Violation("near", f"{workload.key} is left alone {term.topology}")


def arrived_spread(before: State, after: State, moved: list[Workload]) -> Iterator[Violation]:
    """What has just come to another domain does not make it too full."""
    for workload in moved:
        for constraint in required_spread(workload):
            domain = after.domain(workload, constraint.topology)
            if before.is_placed(workload) and before.domain(workload, constraint.topology) == domain:
                continue
            everyone, _ = counts(after, workload, constraint)
            least = min(everyone.values(), default=0) if len(everyone) >= constraint.min_domains else 0
            if domain is None or everyone.get(domain, 0) - least > constraint.max_skew:
                text = f"{everyone} may differ by {constraint.max_skew}"
                yield Violation("spread", f"{workload.key} arrives in {domain}", 1, text)


def spread(state: State) -> Iterator[Violation]:
    """No domain holds too many more of a constraint's workloads than the least of those that they may go to."""
    seen = set()
    for workload in state.placed:
        for constraint in required_spread(workload):
            if state.domain(workload, constraint.topology) is None:
                yield Violation("spread", f"{workload.key} {constraint.topology}", 1, "its place has no such label")
                continue
            kind = spread_kind(workload, constraint)
            if kind not in seen:
                seen.add(kind)
                yield from skew(state, workload, constraint)


def required_spread(workload: Workload) -> list[TopologySpread]:
    """Its constraints that are musts."""
    return [constraint for constraint in workload.scheduling.spread if constraint.required]


def spread_kind(workload: Workload, constraint: TopologySpread) -> str:
    """What two workloads must have in common for a constraint to count the same for both."""
    keys = sorted(other.topology for other in required_spread(workload))
    nodes = affinity_of(workload).nodes
    return repr((workload.namespace, constraint, keys, sorted(workload.selector.items()), nodes, workload.kind))


def skew(state: State, workload: Workload, constraint: TopologySpread) -> Iterator[Violation]:
    """One constraint, as all workloads see it that are like this one."""
    everyone, own = counts(state, workload, constraint)
    if not everyone:
        return
    least = min(everyone.values()) if len(everyone) >= constraint.min_domains else 0
    for domain, number in sorted(own.items()):
        if number - least > constraint.max_skew:
            subject = f"{spread_kind(workload, constraint)} {domain}"
            text = f"{workload.key}: {number} in {domain}, {least} in the least, may be {constraint.max_skew} more"
            yield Violation("spread", subject, number - least, text)


def counts(state: State, workload: Workload, constraint: TopologySpread) -> tuple[dict[str, int], dict[str, int]]:
    """Per domain that it may go to, all that match; and those of them that have the constraint themselves."""
    keys = [other.topology for other in required_spread(workload)]
    open_to_it = [p for p in state.candidates(workload) if counted(workload, p, keys) and is_up(p)]
    everyone = {place.labels[constraint.topology]: 0 for place in open_to_it}
    own: dict[str, int] = {}
    term = PodTerm(constraint.topology, constraint.selector)
    for other in state.matching(term, workload.namespace):
        place = state.places[other.key]
        if not counted(workload, place, keys) or place.labels[constraint.topology] not in everyone:
            continue
        domain = place.labels[constraint.topology]
        everyone[domain] += 1
        if any(spread_kind(other, c) == spread_kind(workload, constraint) for c in required_spread(other)):
            own[domain] = own.get(domain, 0) + 1
    return everyone, own


def counted(workload: Workload, place: Place, keys: list[str]) -> bool:
    """Whether a place is in the count: it has every label over which is spread, and the workload may go there."""
    return all(key in place.labels for key in keys) and admits(workload, place)

"""Small reports written by hand, one for each thing that a report can show."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from sdn.model import (
    NO_BACKEND,
    NO_PATH,
    Answer,
    Ask,
    Direction,
    Disposition,
    Flow,
    Observation,
    Outcome,
    Protocol,
    Question,
    Report,
    Result,
    Step,
    Timing,
    Trace,
    Verdict,
    default_origin,
    rule_origin,
)

EGRESS = default_origin(Direction.EGRESS)
INGRESS = default_origin(Direction.INGRESS)
DB = rule_origin(Direction.INGRESS, "NetworkPolicy", "shop/db", 0)
DENY = rule_origin(Direction.INGRESS, "application", "lockdown", 2)

ADDRESSES = {
    "shop/db-0": ("10.1.1.2", "fd00::2"),
    "shop/web-0": ("10.1.1.3", "fd00::3"),
    "shop/web-1": ("10.1.1.4", "fd00::4"),
    "test/probe": ("10.1.2.2", "fd00:1::2"),
}
PORTS = {"shop/db-0": (5432,), "shop/web-0": (80,), "shop/web-1": (80,), "test/probe": ()}

ALLOWED = Verdict(Disposition.ALLOW, INGRESS, EGRESS)
DENIED = Verdict(Disposition.DENY, DENY, EGRESS)

STEPS = (
    Step("shop/web-0", "eth0 10.1.1.3 → 10.1.1.2 5432/tcp, on its segment"),
    Step("host-1", "in web-0.0a1b2c: mark 1, zone 1"),
    Step("host-1", "egress judged", EGRESS),
    Step("host-1", "ingress judged", DENY),
)


def verdict_between(source: str, target: str, ask: Ask) -> Verdict:
    """Webs reach the database's port only and each other wholly; nothing leads to `test/probe`."""
    if "test/probe" in (source, target):
        return Verdict(Disposition.NO_ROUTE, NO_PATH)
    if target == "shop/db-0":
        return Verdict(Disposition.ALLOW, DB, EGRESS) if ask is Ask.LISTENING else DENIED
    return DENIED if source == "shop/db-0" else ALLOWED


def outcome_of(verdict: Verdict, ask: Ask) -> Outcome:
    match verdict.disposition:
        case Disposition.ALLOW:
            return Outcome.REFUSED if ask is Ask.CLOSED else Outcome.CONNECTED
        case Disposition.NO_ROUTE:
            return Outcome.UNREACHABLE
        case _:
            return Outcome.TIMEOUT


def result(source: str, target: str, flow: Flow, ask: Ask) -> Result:
    """A question on which all three agree."""
    verdict = verdict_between(source, target, ask)
    known = verdict.disposition is not Disposition.NO_ROUTE
    answer = Answer(verdict, target if known else "", flow.port)
    rules = tuple(rule for rule in (verdict.egress, verdict.rule) if rule) if known else ()
    responder = target if verdict.allowed and ask is not Ask.CLOSED else ""
    seen = Observation(flow, outcome_of(verdict, ask), responder, flow.port if responder else 0, rules)
    return Result(Question(flow, target, ask), (answer,), (answer,), (seen,))


def pair(source: str, target: str) -> Iterator[Result]:
    for address in ADDRESSES[target]:
        for port in PORTS[target]:
            yield result(source, target, Flow(source, address, Protocol.TCP, port), Ask.LISTENING)
        yield result(source, target, Flow(source, address, Protocol.TCP, 7), Ask.CLOSED)
        yield result(source, target, Flow(source, address, Protocol.ICMP), Ask.ECHO)


def service_results() -> Iterator[Result]:
    for source in ("shop/db-0", "shop/web-0"):
        flow = Flow(source, "10.96.0.1", Protocol.TCP, 80)
        verdict = DENIED if source == "shop/db-0" else ALLOWED
        given = tuple(Answer(verdict, f"shop/web-{index}", 80) for index in (0, 1))
        seen = tuple(
            Observation(flow, outcome_of(verdict, Ask.SERVICE), a.backend, 80, (EGRESS, verdict.rule))
            if verdict.allowed
            else Observation(flow, Outcome.TIMEOUT, rules=(EGRESS, verdict.rule))
            for a in given
        )
        yield Result(Question(flow, "shop/web", Ask.SERVICE), given, given, seen)
    flow = Flow("shop/web-0", "10.96.0.2", Protocol.TCP, 443)
    nobody = (Answer(Verdict(Disposition.NO_BACKEND, NO_BACKEND), "", 443),)
    seen = (Observation(flow, Outcome.REFUSED),)
    yield Result(Question(flow, "shop/api", Ask.SERVICE), nobody, nobody, seen)


def good() -> Report:
    """Everything agrees."""
    pairs = [r for a, b in product(ADDRESSES, repeat=2) if a != b for r in pair(a, b)]
    return Report(
        lab="shop",
        counts={"hosts": 2, "switches": 1, "vms": 0, "pods": 4, "services": 2, "policies": 1, "rules": 24},
        timings=(Timing("load", 0.034), Timing("up", 1.407), Timing("ask", 3.081)),
        results=(*pairs, *service_results()),
        warnings=("shop.yaml:14: policy lockdown: selector tier=appz selects no workload",),
    )


def bad(wrong: int = 1) -> Report:
    """The wire lets pass what policy denies, on the first denied closed ports of the database."""
    report = good()
    changed = []
    for one in report.results:
        flow = one.question.flow
        if wrong and one.question.target == "shop/db-0" and one.question.ask is not Ask.LISTENING:
            wrong -= 1
            seen = Observation(flow, Outcome.REFUSED, rules=(EGRESS,))
            said = (
                f"{flow.source} → shop/db-0 (to {flow.destination}): refused is not deny; evaluate: deny; wire: refused"
            )
            changed.append(Result(one.question, one.evaluate, one.trace, (seen,), STEPS, said))
        else:
            changed.append(one)
    failed = ("shop.yaml:40: web → db 22/tcp: expected allow, it is denied by " + DENY,)
    return Report(report.lab, report.counts, report.timings, tuple(changed), failed, report.warnings)


def traces() -> tuple[Trace, ...]:
    """A flow to one workload."""
    flow = Flow("shop/web-0", "10.1.1.2", Protocol.TCP, 5432)
    return (Trace(flow, Answer(DENIED, "shop/db-0", 5432), STEPS),)


def service_traces() -> tuple[Trace, ...]:
    """A flow to a Service with two Backends."""
    flow = Flow("shop/web-0", "10.96.0.1", Protocol.TCP, 80)
    steps = (Step("shop/web-0", "eth0 10.1.1.3 → 10.96.0.1 80/tcp, to its gateway"),)
    return tuple(
        Trace(flow, Answer(ALLOWED, f"shop/web-{i}", 80), (*steps, Step("host-1", f"dnat to 10.1.1.{i + 3}:80")))
        for i in (0, 1)
    )

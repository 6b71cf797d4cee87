"""Verdicts, observations and counts as sentences, so that every command says the same thing in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sdn.model import Answer, Disposition, Flow, Observation, Outcome, Report, Result, Verdict

_DEFAULT = "default: "

_OUTCOMES = {
    Outcome.CONNECTED: "connected",
    Outcome.REFUSED: "refused: it arrived, and nobody listens",
    Outcome.TIMEOUT: "no answer before the deadline",
    Outcome.REJECTED: 'rejected: ICMP "administratively prohibited"',
    Outcome.UNREACHABLE: "unreachable: no route",
    Outcome.WRONG_BACKEND: "answered by somebody else",
}


def destination(flow: Flow) -> str:
    """Where a flow goes, as `sdn trace` reads it: `10.1.2.3:80/tcp`, `[fd00::1]:53/udp`, `fd00::1/icmp`."""
    if not flow.port:
        return f"{flow.destination}/{flow.protocol}"
    address = f"[{flow.destination}]" if flow.family == 6 else flow.destination
    return f"{address}:{flow.port}/{flow.protocol}"


def verdict(given: Verdict) -> str:
    """`denied by ingress NetworkPolicy shop/db-from-web[0]`; an allowed flow names both sides, egress first."""
    reason = given.rule.removeprefix(_DEFAULT)
    match given.disposition:
        case Disposition.NO_ROUTE:
            return f"no route: {reason}"
        case Disposition.NO_BACKEND:
            return f"no backend: {reason}"
        case Disposition.ALLOW:
            by = f"{given.egress} and {given.rule}" if given.egress else reason
            word = "allowed"
        case Disposition.DENY:
            by, word = reason, "denied"
            if given.reply:
                by += ", which stops the answer"
        case Disposition.REJECT:
            by, word = reason, "rejected"
    return f"{word}: {by}" if given.rule.startswith(_DEFAULT) else f"{word} by {by}"


def answers(given: tuple[Answer, ...], balanced: bool) -> list[str]:
    """One line per Verdict; a flow to a Service (`balanced`) says through which Backends."""
    through: dict[str, list[str]] = {}
    for one in given:
        ends = through.setdefault(verdict(one.verdict), [])
        if balanced and one.backend:
            ends.append(f"{one.backend} port {one.port}")
    lines = [line + (f" through {few(ends)}" if ends else "") for line, ends in through.items()]
    return lines or ["no answer at all"]


def few(names: Sequence[str], most: int = 4) -> str:
    """`a, b, c, d and 96 more`: a line must stay one."""
    others = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + others


def observation(seen: Observation) -> str:
    """`connected to shop/db-0 port 5432; logged by egress default allow, ingress NetworkPolicy shop/db[0]`."""
    text = _OUTCOMES[seen.outcome]
    if seen.responder:
        joint = " to" if seen.outcome is Outcome.CONNECTED else ":"
        text += f"{joint} {seen.responder}" + (f" port {seen.port}" if seen.port else "")
    return text + (f"; logged by {', '.join(seen.rules)}" if seen.rules else "; no rule logged it")


def observations(seen: tuple[Observation, ...]) -> list[str]:
    """One line per distinct observation with how often it was made, in the order first seen."""
    tally: dict[str, int] = {}
    for one in seen:
        line = observation(one)
        tally[line] = tally.get(line, 0) + 1
    return [line + (f" ({times} times)" if times > 1 else "") for line, times in tally.items()] or ["was not asked"]


def three_answers(result: Result, balanced: bool) -> list[tuple[str, str]]:
    """(who, what it said) for each of the three, several lines of one after another."""
    said = (
        ("evaluate", answers(result.evaluate, balanced)),
        ("trace", answers(result.trace, balanced)),
        ("probe", observations(result.observations)),
    )
    return [(who, line) for who, lines in said for line in lines]


def contradiction(result: Result) -> str:
    """Who asked whom and what does not fit, without the three reasons that a disagreement's sentence ends in."""
    return result.disagreement.partition("; evaluate: ")[0]


def count(number: int, plural: str) -> str:
    """`1 switch`, `3 switches`, `24,310 questions`; takes the plural, as `Report.counts` does."""
    return f"{number:,} {_singular(plural) if number == 1 else plural}"


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `5 h`, `2 days`: as exact as a person needs it."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _singular(plural: str) -> str:
    if plural.endswith("ies"):
        return plural[:-3] + "y"
    if plural.endswith(("ches", "shes", "sses", "xes")):
        return plural[:-2]
    return plural.removesuffix("s")


def built(report: Report) -> str:
    """`shop: 3 hosts, 2 switches, 12 pods, 24 rules`; what there is none of is left out."""
    parts = [count(number, what) for what, number in report.counts.items() if number]
    return f"{report.lab}: {', '.join(parts) or 'nothing was built'}"


def took(report: Report) -> str:
    """`4.52 s: load 0.03, up 1.41, ask 3.08`."""
    total = sum(timing.seconds for timing in report.timings)
    return f"{total:.2f} s: " + ", ".join(f"{timing.stage} {timing.seconds:.2f}" for timing in report.timings)


def conclusion(report: Report) -> str:
    """The last line: `24,310 questions, three answers each: 0 disagreements`, and what else went wrong."""
    each = "three" if any(result.observations for result in report.results) else "two"
    text = f"{count(len(report.results), 'questions')}, {each} answers each: "
    text += count(len(report.disagreements), "disagreements")
    if report.failed_expectations:
        text += f", {count(len(report.failed_expectations), 'expectations')} failed"
    return text


def namespace(keys: Iterable[str]) -> str:
    """The namespace that all keys share, else empty."""
    found = {key.partition("/")[0] for key in keys}
    return found.pop() if len(found) == 1 else ""

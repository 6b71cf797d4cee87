"""A report as JSON that scripts can rely on: fields are added, never renamed or removed, within one `version`.

Everything is always present, empty where there is nothing to say, so that `jq` needs no defaults.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from sdn.model import Answer, Observation, Report, Result, Step, Trace
from sdn.report import words

VERSION = 1


class AnswerDocument(Struct, frozen=True):
    """`disposition`: allow, deny, reject, no-route, no-backend. `rule` decided; `egress` had allowed before it.

    `reply`: it is the answer to an allowed packet that the rule stopped.
    """

    disposition: str
    rule: str
    egress: str
    backend: str
    port: int
    reply: bool


class ObservationDocument(Struct, frozen=True):
    """`outcome`: connected, refused, timeout, rejected, unreachable, wrong-backend. `rules`: logged on the way."""

    outcome: str
    responder: str
    port: int
    rules: tuple[str, ...]


class StepDocument(Struct, frozen=True):
    """What happened to the packet at a node."""

    node: str
    what: str
    rule: str


class ResultDocument(Struct, frozen=True):
    """One question: `ask` is listening, closed, echo, service, host or expect; `target` the workload or Service."""

    source: str
    target: str
    ask: str
    destination: str
    family: int
    protocol: str
    port: int
    evaluate: tuple[AnswerDocument, ...]
    trace: tuple[AnswerDocument, ...]
    probe: tuple[ObservationDocument, ...]
    disagreement: str
    steps: tuple[StepDocument, ...]


class ReportDocument(Struct, frozen=True):
    """`sdn test --format json`. `timings` are seconds per stage; `ok` is what the exit status says."""

    version: int
    lab: str
    ok: bool
    verdict: str
    questions: int
    disagreements: int
    counts: dict[str, int]
    timings: dict[str, float]
    failed_expectations: tuple[str, ...]
    warnings: tuple[str, ...]
    results: tuple[ResultDocument, ...]


class TraceDocument(Struct, frozen=True):
    """`sdn trace --format json`: a list of these, one per family and Backend."""

    source: str
    destination: str
    family: int
    protocol: str
    port: int
    answer: AnswerDocument
    steps: tuple[StepDocument, ...]


def answer(given: Answer) -> AnswerDocument:
    """One Answer, flat."""
    verdict = given.verdict
    words = (str(verdict.disposition), verdict.rule, verdict.egress, given.backend, given.port, verdict.reply)
    return AnswerDocument(*words)


def observation(seen: Observation) -> ObservationDocument:
    """One packet; its flow is the result's."""
    return ObservationDocument(str(seen.outcome), seen.responder, seen.port, seen.rules)


def step(given: Step) -> StepDocument:
    """One Step."""
    return StepDocument(given.node, given.what, given.rule)


def result(given: Result) -> ResultDocument:
    """One question with its three answers. Steps only where the answers differ: elsewhere `sdn trace` has them."""
    question, flow = given.question, given.question.flow
    return ResultDocument(
        source=flow.source,
        target=question.target,
        ask=str(question.ask),
        destination=flow.destination,
        family=flow.family,
        protocol=str(flow.protocol),
        port=flow.port,
        evaluate=tuple(map(answer, given.evaluate)),
        trace=tuple(map(answer, given.trace)),
        probe=tuple(map(observation, given.observations)),
        disagreement=given.disagreement,
        steps=tuple(map(step, given.steps)) if given.disagreement else (),
    )


def document(report: Report) -> ReportDocument:
    """The whole report as the value that is written."""
    return ReportDocument(
        version=VERSION,
        lab=report.lab,
        ok=report.ok,
        verdict=words.conclusion(report),
        questions=len(report.results),
        disagreements=len(report.disagreements),
        counts=report.counts,
        timings={timing.stage: round(timing.seconds, 4) for timing in report.timings},
        failed_expectations=report.failed_expectations,
        warnings=report.warnings,
        results=tuple(map(result, report.results)),
    )


def trace(given: Trace) -> TraceDocument:
    """One Trace."""
    flow = given.flow
    return TraceDocument(
        flow.source,
        flow.destination,
        flow.family,
        str(flow.protocol),
        flow.port,
        answer(given.answer),
        tuple(map(step, given.steps)),
    )


def dumps(value: object) -> str:
    """Indented JSON of any Struct or list of them."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def render(report: Report) -> str:
    """What `sdn test --format json` prints: one result per line, for large labs have hundreds of thousands."""
    whole = document(report)
    head, mark, tail = dumps(msgspec.structs.replace(whole, results=())).rpartition("[]")
    if not whole.results:
        return head + mark + tail
    lines = ",\n    ".join(msgspec.json.encode(one).decode() for one in whole.results)
    return f"{head}[\n    {lines}\n  ]{tail}"

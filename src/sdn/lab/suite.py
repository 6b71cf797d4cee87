"""`sdn test`: ask every question three ways, compare the answers, and report.

The holder builds and probes in one process while this one evaluates and traces in another, from the same Model: the
plan is a pure function of it, so both have the same plan without sending it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from sdn.errors import ProbeError
from sdn.kernel.sandbox import Ahead
from sdn.lab import client
from sdn.lab.ahead import ahead
from sdn.lab.messages import Observations
from sdn.model import Answer, Ask, Flow, Model, Observation, Placed, Question, Report, Result, Timing, Trace, connected
from sdn.plan.desired import Prepared, plan_placed, prepare
from sdn.plan.trace import Tracer
from sdn.policy.collector import without_gc
from sdn.policy.evaluate import Oracle
from sdn.policy.lint import warnings
from sdn.probe.compare import compare, never_met
from sdn.probe.questions import Listener, expectation_questions, listening, questions
from sdn.spec.cache import load
from sdn.spec.loaded import Loaded

Progress = Callable[[str], None]


class Stopwatch:
    """Stages and how long they took, in seconds."""

    def __init__(self, progress: Progress) -> None:
        self.timings: list[Timing] = []
        self._progress = progress
        self._stage = ""
        self._since = 0.0

    def stage(self, name: str) -> None:
        """End the running stage and begin another; an empty name only ends."""
        now = time.monotonic()
        if self._stage:
            self.timings.append(Timing(self._stage, round(now - self._since, 3)))
        self._stage, self._since = name, now
        if name:
            self._progress(name)


def run(
    paths: Sequence[Path], progress: Progress = lambda _: None, altered: Callable[[Model], Model] = lambda model: model
) -> Report:
    """Build a lab that ends with this call, and test it. Raises what loading, placing and building raise.

    What is tested is what `altered` makes of the files.
    """
    with ahead() as begun:
        return _run(begun, paths, progress, altered)


def _run(begun: Ahead, paths: Sequence[Path], progress: Progress, altered: Callable[[Model], Model]) -> Report:
    watch = Stopwatch(progress)
    watch.stage("load")
    loaded = load(paths)
    model = altered(loaded.model)
    watch.stage("build")
    with ThreadPoolExecutor(1) as side, client.temporary(model, begun) as lab:
        built = side.submit(lab.built)
        answers = Answers(prepare(model))
        info = built.result()
        watch.stage("probe")
        asked = side.submit(lab.ask, answers.questions, answers.evaluated)
        answers.work()
        observed = asked.result()
        watch.stage("down")
    watch.stage("")
    return _report(model.name, model, info.counts, watch, answers, observed, _warnings(loaded))


def run_in(lab: client.Lab, progress: Progress = lambda _: None) -> Report:
    """Test a lab that is running, as it is now, and leave it running."""
    watch = Stopwatch(progress)
    watch.stage("plan")
    placed = lab.placed()
    info = lab.status(check=False)
    answers = Answers(plan_placed(placed))
    watch.stage("probe")
    with ThreadPoolExecutor(1) as side:
        asked = side.submit(lab.ask, answers.questions, answers.evaluated)
        answers.work()
        observed = asked.result()
    watch.stage("")
    return _report(lab.name, placed.model, info.counts, watch, answers, observed, info.warnings)


def ask_flows(lab: client.Lab, placed: Placed, flows: Sequence[Flow]) -> list[Result]:
    """All three answers to some flows. ProbeError where a silence proves nothing, because the listener is dead."""
    oracle, tracer, listens = Oracle(placed), Tracer(lab.plan()), listening(placed)
    evaluated = [oracle.evaluate(flow) for flow in flows]
    asked = [_question(placed, flow, answers) for flow, answers in zip(flows, evaluated, strict=True)]
    observed = lab.ask(asked, evaluated).observations
    dead = [question.target for question, seen in zip(asked, observed, strict=True) if not seen]
    if dead:
        raise ProbeError(f"{dead[0]} does not even answer itself, so its silence proves nothing; see `sdn status`")
    traces = [tracer.trace(flow) for flow in flows]
    return [_result(*each, listens) for each in zip(asked, evaluated, traces, observed, strict=True)]


def _question(placed: Placed, flow: Flow, answers: Sequence[Answer]) -> Question:
    """The flow with whom it means: the Service that the sender sees at that address, else who would receive it."""
    sender = placed.endpoints.get(flow.source)
    seen = connected(placed.model.applications)[sender.application if sender is not None else flow.application]
    for service in placed.model.services:
        if flow.destination in service.addresses and service.application in seen:
            return Question(flow, service.key, Ask.SERVICE)
    return Question(flow, answers[0].backend, Ask.EXPECT)


class Answers:
    """What policy and plan say to every question; no kernel is needed for it."""

    @without_gc()
    def __init__(self, prepared: Prepared) -> None:
        self.oracle = Oracle(prepared.placed)
        self.tracer = Tracer(prepared.plan)
        asked = dict.fromkeys(questions(prepared.placed))
        expected = expectation_questions(prepared.placed)
        known = {(q.flow, q.target): q for q in asked}
        for _, question in expected:
            if (question.flow, question.target) not in known:
                asked[question] = None
        self.questions = tuple(asked)
        self.listens = listening(prepared.placed)
        self.evaluated: list[tuple[Answer, ...]] = [self.oracle.evaluate(q.flow) for q in self.questions]
        self.traced: list[tuple[Trace, ...]] = []

    @without_gc()
    def work(self) -> None:
        """Trace every question; done while the holder sends packets."""
        self.traced = [self.tracer.trace(question.flow) for question in self.questions]

    @without_gc()
    def results(self, observed: Observations) -> tuple[Result, ...]:
        """All three answers side by side."""
        together = zip(self.questions, self.evaluated, self.traced, observed.observations, strict=True)
        results = [_result(*each, self.listens) for each in together]
        pooled = never_met(self.questions, self.evaluated, observed.observations, self.listens)
        for index, why in pooled.items():
            results[index] = replace(results[index], disagreement=results[index].disagreement or why)
        return tuple(results)


def _result(
    question: Question,
    evaluated: tuple[Answer, ...],
    traces: tuple[Trace, ...],
    seen: tuple[Observation, ...],
    listens: Collection[Listener],
) -> Result:
    traced = tuple(trace.answer for trace in traces)
    why = compare(question, evaluated, traced, seen, listens)
    return Result(question, evaluated, traced, seen, traces[0].steps, why)


def _report(
    lab: str,
    model: Model,
    counts: dict[str, int],
    watch: Stopwatch,
    answers: Answers,
    observed: Observations,
    notes: Sequence[str],
) -> Report:
    results = answers.results(observed)
    return Report(
        lab=lab,
        counts=counts,
        timings=tuple(watch.timings),
        results=results,
        failed_expectations=failed_expectations(model, results),
        warnings=tuple(notes),
    )


def failed_expectations(model: Model, results: Sequence[Result]) -> tuple[str, ...]:
    """A sentence for each `expect:` line that does not hold for every flow that it speaks of."""
    by_flow: dict[tuple[str, str, str, int], list[Result]] = {}
    for result in results:
        flow = result.question.flow
        for name in {result.question.target, flow.destination}:
            by_flow.setdefault((flow.source, name, flow.protocol, flow.port), []).append(result)
    failed = []
    for expected in model.expectations:
        key = (expected.source, expected.destination, expected.protocol, expected.port)
        found = [answer for result in by_flow.get(key, []) for answer in result.evaluate]
        wrong = [answer for answer in found if answer.verdict.disposition is not expected.disposition]
        service = f"{expected.port}/{expected.protocol}" if expected.port else str(expected.protocol)
        what = f"{expected.at}: expected {expected.source} → {expected.destination} {service}: {expected.disposition}"
        if wrong:
            verdict = wrong[0].verdict
            failed.append(f"{what}, but it is {verdict.disposition} by {verdict.rule}")
        elif not found:
            failed.append(f"{what}, but nobody asked: one of them does not run, or they share no IP family")
    return tuple(failed)


def _warnings(loaded: Loaded) -> tuple[str, ...]:
    return (*loaded.warnings, *warnings(loaded.model, loaded.where))

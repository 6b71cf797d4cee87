"""Run a scenario in a lab: do what each step says, then ask what must hold, all three ways.

The clock is simulated: a step's time says when it comes after the others, and is what the log tells. Whoever wants to
see it happen waits in real time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from sdn.errors import LabError, SdnError
from sdn.lab import client
from sdn.lab.suite import ask_flows
from sdn.model import HostState, Kind, Placed, Result
from sdn.model.lifecycle import Drain, Fail, Migrate, Operation, Outcome, What
from sdn.model.scenario import ANY, Act, Happened, Scenario
from sdn.probe.questions import expectation_questions
from sdn.scheduler import migrate
from sdn.spec.expect import Directory, parse_line

Wait = Callable[[int], None]
"""Until that time of the scenario, in milliseconds."""


class Timed(Struct, frozen=True):
    """What happened, and beside it how long it took; `outcome` has the stages and what was watched."""

    happened: Happened
    seconds: float
    outcome: Outcome | None = None


def run(
    lab: client.Lab, scenario: Scenario, wait: Wait = lambda _: None, say: client.Say = lambda _: None
) -> Iterator[Timed]:
    """Every event as it happens; the last one, `end`, says whether all of it held."""
    chance = random.Random(scenario.seed)
    placed = lab.placed()
    yield Timed(Happened(0, 0, "lab", True, placement=placed.placement.hosts, seed=scenario.seed), 0.0)
    wrong = 0
    last = 0
    for number, step in enumerate(scenario.steps, 1):
        wait(step.at)
        last = step.at
        for one in _step(lab, number, step, chance, say):
            wrong += not one.happened.ok
            yield one
    said = (f"{wrong} of the events above {'is' if wrong == 1 else 'are'} not as they should be",) if wrong else ()
    yield Timed(Happened(last, len(scenario.steps), "end", not wrong, said=said), 0.0)


def waiting() -> Wait:
    """In real time, from now on."""
    began = time.monotonic()

    def wait(at: int) -> None:
        time.sleep(max(0.0, began + at / 1000 - time.monotonic()))

    return wait


def _step(lab: client.Lab, number: int, step: Act, chance: random.Random, say: client.Say) -> Iterator[Timed]:
    if step.operation is not None:
        yield _operate(lab, number, step, _chosen(step.operation, lab.placed(), chance), say)
    for line in step.expect:
        yield _expect(lab, number, step, line)
    if step.test:
        yield _test(lab, number, step, say)


def _operate(lab: client.Lab, number: int, step: Act, operation: Operation, say: client.Say) -> Timed:
    """An operation that cannot be done at all ends the scenario where it stands: its steps build on one another."""
    started = time.monotonic()
    try:
        outcome = lab.operate(operation, watch=False, progress=say)
    except SdnError as error:
        raise LabError(f"{step.place}: {error}") from None
    no = (*outcome.refused, *outcome.failed)
    happened = Happened(
        step.at,
        number,
        "operation",
        bool(no) == step.refused,
        operation=operation,
        moves=tuple(one.move for one in outcome.moved),
        hosts=outcome.hosts,
        changes=outcome.changes,
        said=(*no, *outcome.notes),
    )
    return Timed(happened, time.monotonic() - started, outcome)


def _expect(lab: client.Lab, number: int, step: Act, text: str) -> Timed:
    """One line, for every pair and family it speaks of."""
    started = time.monotonic()
    placed = lab.placed()
    try:
        line = parse_line(text)
        pairs = Directory(placed.model.workloads, placed.model.services).expectations(line, step.place)
    except ValueError as error:
        raise LabError(f"{step.place}: {error}") from None
    asked = replace(placed, model=replace(placed.model, expectations=tuple(pairs)))
    flows = [question.flow for _, question in expectation_questions(asked)]
    results = ask_flows(lab, placed, flows) if flows else []
    wrong = _wrong(results, line.disposition) or (() if flows else ("nobody asked: who should does not run",))
    rules = sorted({answer.verdict.rule for result in results for answer in result.evaluate})
    happened = Happened(step.at, number, "expect", not wrong, line=text, rules=tuple(rules), said=tuple(wrong))
    return Timed(happened, time.monotonic() - started)


def _wrong(results: Sequence[Result], disposition: str) -> tuple[str, ...]:
    found = []
    for result in results:
        flow = result.question.flow
        what = f"{flow.source} → {result.question.target or flow.destination} over IPv{flow.family}"
        if result.disagreement:
            found.append(f"{what}: {result.disagreement}")
        found += [
            f"{what} is {answer.verdict.disposition} by {answer.verdict.rule}"
            for answer in result.evaluate
            if answer.verdict.disposition != disposition
        ]
    return tuple(dict.fromkeys(found))


def _test(lab: client.Lab, number: int, step: Act, say: client.Say) -> Timed:
    """Everything; but for `expect:` of the lab itself, which spoke of the lab before anything happened to it."""
    started = time.monotonic()
    report = lab.test(say)
    drift = lab.status().drift
    wrong = [one for one in report.results if one.disagreement]
    said = (*(f"{one.question.flow.source} → {one.question.target}: {one.disagreement}" for one in wrong), *drift)
    happened = Happened(step.at, number, "test", not said, questions=len(report.results), said=said)
    return Timed(happened, time.monotonic() - started)


def _chosen(operation: Operation, placed: Placed, chance: random.Random) -> Operation:
    """With a name wherever `any` stood; LabError where there is nothing to choose from."""
    match operation:
        case Fail(what, name) if name == ANY:
            return Fail(what, _one_of(_breakable(placed, what), f"{what} that works", chance))
        case Drain(host) if host == ANY:
            return Drain(_one_of(_breakable(placed, What.HOST), "host that is up", chance))
        case Migrate(workload, host):
            if workload == ANY:
                running = [key for key in placed.endpoints if key in placed.placement.hosts]
                workload = _one_of(running, "workload that runs", chance)
            if host == ANY:
                host = _one_of(_targets(placed, workload), f"host that takes {workload}", chance)
            return Migrate(workload, host)
    return operation


def _one_of(names: Sequence[str], what: str, chance: random.Random) -> str:
    if not names:
        raise LabError(f"the scenario says any, and there is no {what}; heal something before, or name one")
    return chance.choice(sorted(names))


def _breakable(placed: Placed, what: What) -> list[str]:
    underlay, runs = placed.model.underlay, placed.placement.hosts
    match what:
        case What.HOST:
            return [host.name for host in underlay.hosts if host.state is HostState.UP]
        case What.SWITCH:
            return [switch.name for switch in underlay.switches if not switch.failed]
        case What.LINK:
            return sorted({f"{link.a}:{link.b}" for link in underlay.links if not link.failed})
        case _:
            kind = Kind(what.value)
            return [one.key for one in placed.model.workloads if one.kind is kind and one.key in runs]


def _targets(placed: Placed, workload: str) -> list[str]:
    """The Hosts where it does not run and may."""
    here = placed.placement.hosts.get(workload)
    hosts = [host for host in _breakable(placed, What.HOST) if host != here]
    return [host for host in hosts if not migrate(placed.model, placed.placement, workload, host).refused]

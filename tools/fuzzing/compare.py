"""Two readings of one world and where they differ.

A reading that raises has an answer as well, the error: a fuzzer that stops at a crash finds only one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct

from sdn.model import Answer, Flow, Placed, Step
from sdn.plan.desired import plan_placed
from sdn.plan.trace import Tracer
from sdn.policy.evaluate import Oracle
from strategies_flows import flow, host_flow
from strategies_words import Dice
from strategies_world import world

FLOWS = 20
"""How many flows each world is asked: planning a world costs as much as a dozen of them."""

FROM_HOSTS = 2
"""How many of them a Host sends, which policy never judges."""


class Reading(Struct, frozen=True):
    """What one of the two says of a flow, or the error that stopped it."""

    answers: tuple[Answer, ...] = ()
    steps: tuple[Step, ...] = ()
    error: str = ""


class Pair(Struct, frozen=True):
    """A flow in the world of a seed."""

    seed: int
    placed: Placed
    flow: Flow


class Disagreement(Struct, frozen=True):
    """A pair with two answers."""

    pair: Pair
    evaluate: Reading
    trace: Reading

    @property
    def kind(self) -> tuple[str, str]:
        """What shrinking must keep: a wrong answer stays one, a crash the same crash."""
        return self.evaluate.error.partition(":")[0], self.trace.error.partition(":")[0]


Reader = Callable[[Flow], Reading]
Compare = Callable[[Pair], Disagreement | None]


def oracle_of(placed: Placed) -> Reader:
    """The policies as written."""
    oracle = Oracle(placed)
    return lambda asked: Reading(oracle.evaluate(asked))


def trace_of(placed: Placed) -> Reader:
    """The planned state of every Host."""
    tracer = Tracer(plan_placed(placed).plan)

    def read(asked: Flow) -> Reading:
        traces = tracer.trace(asked)
        return Reading(tuple(trace.answer for trace in traces), traces[0].steps)

    return read


def pairs_of(seed: int) -> list[Pair]:
    """The pairs that a seed stands for, the same ones on every machine."""
    placed = world(seed)
    dice = Dice(seed)
    flows = [flow(dice, placed) for _ in range(FLOWS - FROM_HOSTS)]
    flows += [host_flow(dice, placed) for _ in range(FROM_HOSTS)]
    return [Pair(seed, placed, one) for one in flows]


def disagreements(pairs: list[Pair], said: Counter[str] | None = None) -> Iterator[Disagreement]:
    """Where the readings of one world differ; all pairs are of that world. `said` counts what evaluate says of them."""
    placed = pairs[0].placed
    oracle, trace = _guarded(oracle_of, placed), _guarded(trace_of, placed)
    for pair in pairs:
        evaluated, traced = oracle(pair.flow), trace(pair.flow)
        if said is not None:
            said[evaluated.answers[0].verdict.disposition if evaluated.answers else "error"] += 1
        if evaluated.error or traced.error or evaluated.answers != traced.answers:
            yield Disagreement(pair, evaluated, traced)


def compare(pair: Pair) -> Disagreement | None:
    """One pair alone."""
    return next(disagreements([pair]), None)


def _guarded(make: Callable[[Placed], Reader], placed: Placed) -> Reader:
    """A reader whose errors are readings, those of making it as well."""
    try:
        reader = make(placed)
    except Exception as error:
        failed = _failure(error)
        return lambda _: failed

    def read(asked: Flow) -> Reading:
        try:
            return reader(asked)
        except Exception as error:
            return _failure(error)

    return read


def _failure(error: Exception) -> Reading:
    """The error with the place where it was raised."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" ({place.tb_frame.f_code.co_filename.rpartition('/')[2]}:{place.tb_lineno})" if place else ""
    return Reading(error=f"{type(error).__name__}: {error}{where}")

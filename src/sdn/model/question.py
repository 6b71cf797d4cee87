"""What `sdn test` asks and what it got: one question, three answers, and whether they agree."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from sdn.model.flow import Answer, Flow, Observation, Step


class Ask(StrEnum):
    """Why it is asked: a port somebody listens on, one that nobody does, ICMP echo, a Service, an `expect:` line.

    `host`: it is a Host that asks.
    """

    LISTENING = "listening"
    CLOSED = "closed"
    ECHO = "echo"
    SERVICE = "service"
    HOST = "host"
    EXPECT = "expect"


class Question(Struct, frozen=True, order=True):
    """A flow and where it should lead: `target` is the key of a workload, or of a Service if `ask` is `service`."""

    flow: Flow
    target: str
    ask: Ask


class Result(Struct, frozen=True):
    """Three answers to one question; `disagreement` is empty when they agree, else one sentence for a person.

    `evaluate` and `trace` hold one Answer per Backend (one alone where no Service is involved), `steps` the steps of
    the trace for the first of them. `observations` holds every packet sent; more than one only for Services.
    """

    question: Question
    evaluate: tuple[Answer, ...]
    trace: tuple[Answer, ...]
    observations: tuple[Observation, ...] = ()
    steps: tuple[Step, ...] = ()
    disagreement: str = ""


class Timing(Struct, frozen=True):
    """How long one stage took, in seconds."""

    stage: str
    seconds: float


class Report(Struct, frozen=True):
    """Everything that `sdn test` prints. `failed_expectations` and `warnings` are sentences with file:line.

    `counts` says what was built: hosts, switches, vms, pods, segments, services, rules, ...
    """

    lab: str
    counts: dict[str, int]
    timings: tuple[Timing, ...]
    results: tuple[Result, ...]
    failed_expectations: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def disagreements(self) -> tuple[Result, ...]:
        """The results in which the three answers differ."""
        return tuple(result for result in self.results if result.disagreement)

    @property
    def ok(self) -> bool:
        """All answers agree and every expectation holds."""
        return not self.disagreements and not self.failed_expectations

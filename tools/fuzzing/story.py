"""A disagreement as a person reads it: the flow, both answers, the way through the plan, and the world that is left."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

import msgspec
from msgspec.structs import fields

from fuzzing.compare import Disagreement, Reading
from sdn.model import Answer, Placed


def story(found: Disagreement) -> str:
    """Many lines, without one at the end."""
    pair = found.pair
    flow = pair.flow
    lines = [
        f"world {pair.seed}: {flow.source} → {flow.destination} {flow.port}/{flow.protocol}",
        *(f"  evaluate  {line}" for line in _reading(found.evaluate)),
        *(f"  trace     {line}" for line in _reading(found.trace)),
        *(f"    {step.node}: {step.what}" + (f" [{step.rule}]" if step.rule else "") for step in found.trace.steps),
        *(f"  {line}" for line in _world(pair.placed)),
    ]
    return "\n".join(lines)


def brief(value: Any) -> str:
    """A value as its constructor would be written, without what is as it is by default."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(brief, value))}]"
    if not isinstance(value, msgspec.Struct):
        return repr(value)
    said = (
        f"{field.name}={brief(getattr(value, field.name))}"
        for field in fields(value)
        if getattr(value, field.name) != field.default
    )
    return f"{type(value).__name__}({', '.join(said)})"


def _reading(reading: Reading) -> list[str]:
    return [f"raised {reading.error}"] if reading.error else [_answer(answer) for answer in reading.answers]


def _answer(answer: Answer) -> str:
    verdict = answer.verdict
    leaving = f" after {verdict.egress}" if verdict.egress else ""
    return f"{verdict.disposition} by {verdict.rule}{leaving} (at {answer.backend or 'nobody'}, port {answer.port})"


def _world(placed: Placed) -> Iterator[str]:
    """Who is there, and what is said about them."""
    model = placed.model
    for workload in model.workloads:
        endpoint = placed.endpoints.get(workload.key)
        addresses = " ".join(endpoint.addresses) if endpoint else "host-network"
        where = f"{workload.application}/{workload.segment} on {placed.placement.hosts[workload.key]}"
        ports = " ".join(f"{port.name}:{port.number}/{port.protocol}" for port in workload.ports)
        yield f"{workload.kind} {workload.key} {addresses} in {where} {workload.labels or ''} {ports}".rstrip()
    for application in model.applications:
        yield brief(application)
    for value in (*model.services, *model.groups, *model.network_policies, *model.policies):
        yield brief(value)
    if model.exclusions:
        yield f"exclusions {brief(model.exclusions)}"
    if not model.options.ipblock_matches_pods:
        yield "ipBlock does not match pods"
    if not model.options.judge_hairpin:
        yield "hairpin is not judged"

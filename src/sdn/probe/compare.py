"""Whether three answers to one question agree; a disagreement is one sentence that holds all three reasons.

Evaluate and trace must be equal as values. The wire agrees when every packet did what one of the answers says, by the
rules that the answer names, and when every Backend that may be reached was reached.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

from sdn.model import (
    GATEWAY,
    NO_BACKEND,
    NO_PATH,
    OWN_ADDRESS,
    Answer,
    Disposition,
    Observation,
    Outcome,
    Protocol,
    Question,
)
from sdn.probe.questions import Listener

MANY = 8
"""Up to so many Backends every client of a Service must meet each of them; of more, all clients together must.

One client needs about n ln n connections to meet n of them, so 300 clients of 300 would need half a million.
"""

UNLOGGED = frozenset({GATEWAY, NO_PATH, NO_BACKEND, OWN_ADDRESS, ""})
"""Reasons that are no firewall rule, so that nothing in the kernel can log them."""

OUTCOMES = {
    Disposition.ALLOW: (Outcome.CONNECTED,),
    Disposition.DENY: (Outcome.TIMEOUT,),
    Disposition.REJECT: (Outcome.REJECTED,),
    Disposition.NO_ROUTE: (Outcome.UNREACHABLE,),
    # Some systems refuse a Service without backends with a port unreachable, others have no route to it.
    Disposition.NO_BACKEND: (Outcome.REJECTED, Outcome.REFUSED, Outcome.UNREACHABLE),
}


def responders(
    question: Question, answers: Collection[Answer], listens: Collection[Listener]
) -> frozenset[tuple[str, int]]:
    """Who must be met, as (workload key, port): the allowed Backends that listen."""
    protocol = question.flow.protocol
    return frozenset((a.backend, a.port) for a in answers if a.verdict.allowed and _listens(a, protocol, listens))


def compare(
    question: Question,
    evaluate: tuple[Answer, ...],
    trace: tuple[Answer, ...],
    observations: tuple[Observation, ...],
    listens: Collection[Listener],
) -> str:
    """Empty where all agree; `listens` is `questions.listening(placed)`, which tells "refused" from "allowed"."""
    if evaluate != trace:
        return _sentence(question, evaluate, trace, observations, "evaluate and trace differ")
    if not observations:
        return _sentence(
            question, evaluate, trace, observations, "not asked: the destination's own listener does not answer itself"
        )
    for observation in observations:
        wrong = [_contradiction(answer, observation, listens) for answer in evaluate]
        if all(wrong):
            return _sentence(question, evaluate, trace, observations, min(wrong, key=len), observation)
    wanted = responders(question, evaluate, listens)
    missed = wanted - _met(observations) if len(wanted) <= MANY else frozenset()
    if missed:
        return _sentence(question, evaluate, trace, observations, f"never reached: {_names(missed)}")
    return ""


def never_met(
    questions: Sequence[Question],
    evaluated: Sequence[tuple[Answer, ...]],
    observed: Sequence[tuple[Observation, ...]],
    listens: Collection[Listener],
) -> dict[int, str]:
    """Of Services with more than `MANY` Backends: those that all clients together never met, at the first question."""
    wanted: dict[object, set[tuple[str, int]]] = defaultdict(set)
    met: dict[object, set[tuple[str, int]]] = defaultdict(set)
    first: dict[object, int] = {}
    for index, (question, answers, seen) in enumerate(zip(questions, evaluated, observed, strict=True)):
        mine = responders(question, answers, listens) if len(answers) > MANY else frozenset()
        if len(mine) > MANY:
            key = virtual_of(question)
            first.setdefault(key, index)
            wanted[key] |= mine
            met[key] |= _met(seen)
    return {
        first[key]: f"{questions[first[key]].target}: no client ever reached {_names(wanted[key] - met[key])}"
        for key in wanted
        if wanted[key] - met[key]
    }


def together(
    questions: Sequence[Question], answers: Sequence[tuple[Answer, ...]], listens: Collection[Listener]
) -> Counter[tuple[str, str, int]]:
    """Of Services with more than `MANY` Backends: how many clients may meet them; who is refused meets nobody."""
    return Counter(
        virtual_of(question)
        for question, of_one in zip(questions, answers, strict=True)
        if len(of_one) > MANY and len(responders(question, of_one, listens)) > MANY
    )


def virtual_of(question: Question) -> tuple[str, str, int]:
    """The Service address and port that a question is about, whoever asks."""
    return question.flow.destination, question.flow.protocol, question.flow.port


def _met(observations: Iterable[Observation]) -> frozenset[tuple[str, int]]:
    return frozenset((observation.responder, observation.port) for observation in observations)


def _names(responders: Iterable[tuple[str, int]]) -> str:
    return ", ".join(_where(*responder) for responder in sorted(responders))


def _contradiction(answer: Answer, observation: Observation, listens: Collection[Listener]) -> str:
    """Why one packet cannot have had one answer; empty when it can."""
    verdict, outcome = answer.verdict, observation.outcome
    if verdict.allowed and outcome is Outcome.REFUSED:
        if _listens(answer, observation.flow.protocol, listens):
            return f"refused by {_where(answer.backend, answer.port)}, which listens"
    elif outcome not in OUTCOMES[verdict.disposition]:
        return f"{outcome} is not {verdict.disposition}"
    elif verdict.allowed and (observation.responder, observation.port) != (answer.backend, answer.port):
        return f"{_where(observation.responder, observation.port)} answered, not {_where(answer.backend, answer.port)}"
    return _rules_differ(answer, observation)


def _rules_differ(answer: Answer, observation: Observation) -> str:
    verdict, logged = answer.verdict, observation.rules
    wanted = [origin for origin in (verdict.egress, verdict.rule) if origin not in UNLOGGED]
    missing = [origin for origin in wanted if origin not in logged]
    if missing:
        return f'no firewall logged "{missing[0]}"'
    stopped = verdict.disposition in (Disposition.DENY, Disposition.REJECT)
    if stopped and wanted and not verdict.reply and logged[-1] != wanted[-1]:
        return f'"{logged[-1]}" was logged after "{wanted[-1]}"'
    return ""


def _listens(answer: Answer, protocol: Protocol, listens: Collection[Listener]) -> bool:
    return protocol is Protocol.ICMP or (answer.backend, protocol, answer.port) in listens


def _sentence(
    question: Question,
    evaluate: tuple[Answer, ...],
    trace: tuple[Answer, ...],
    observations: tuple[Observation, ...],
    why: str,
    observation: Observation | None = None,
) -> str:
    flow = question.flow
    service = flow.protocol if flow.protocol is Protocol.ICMP else f"{flow.port}/{flow.protocol}"
    told = [describe_answer(answer) for answer in evaluate], [describe_answer(answer) for answer in trace]
    shown = observations if observation is None else (observation,)
    wire = sorted({describe_observation(seen) for seen in shown})
    return (
        f"{flow.source} → {question.target or flow.destination} {service} (to {flow.destination}): {why}; "
        f"evaluate: {_joined(told[0])}; trace: {_joined(told[1])}; wire: {_joined(wire) or 'nothing sent'}"
    )


def describe_answer(answer: Answer) -> str:
    """`deny by ingress NetworkPolicy shop/db[0] (shop/db-0:5432)`."""
    verdict = answer.verdict
    by = f"{verdict.egress}, {verdict.rule}" if verdict.allowed and verdict.egress else verdict.rule
    where = f" ({_where(answer.backend, answer.port)})" if answer.backend else ""
    return f"{verdict.disposition} by {by}{where}"


def describe_observation(observation: Observation) -> str:
    """`connected to shop/db-0:5432 (logged: egress default allow, ingress default allow)`."""
    to = f" by {_where(observation.responder, observation.port)}" if observation.responder else ""
    logged = ", ".join(observation.rules) or "nothing"
    return f"{observation.outcome}{to} (logged: {logged})"


def _where(workload: str, port: int) -> str:
    return f"{workload or 'somebody unknown'}:{port}" if port else workload or "somebody unknown"


def _joined(parts: list[str]) -> str:
    return " | ".join(dict.fromkeys(parts))

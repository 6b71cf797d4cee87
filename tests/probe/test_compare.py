"""When three answers agree, and what the sentence says when they do not."""

from __future__ import annotations

import pytest

from sdn.model import (
    NO_BACKEND,
    NO_PATH,
    OWN_ADDRESS,
    UNKNOWN,
    Answer,
    Ask,
    Disposition,
    Flow,
    Observation,
    Outcome,
    Protocol,
    Question,
    Verdict,
)
from sdn.probe.compare import MANY, compare, never_met, responders, together

FLOW = Flow("shop/web", "10.244.1.2", Protocol.TCP, 5432)
QUESTION = Question(FLOW, "shop/db", Ask.LISTENING)
OUT, IN = "egress default allow", "ingress application db[0]"
STOP = "ingress NetworkPolicy shop/db isolates"
LISTENS = frozenset({("shop/db", Protocol.TCP, 5432), ("shop/db2", Protocol.TCP, 5432)})

ALLOW = Answer(Verdict(Disposition.ALLOW, IN, OUT), "shop/db", 5432)
ALLOW2 = Answer(Verdict(Disposition.ALLOW, IN, OUT), "shop/db2", 5432)
DENY2 = Answer(Verdict(Disposition.DENY, STOP, OUT), "shop/db2", 5432)
CLOSED = Answer(Verdict(Disposition.ALLOW, IN, OUT), "shop/db", 7)


def answer(disposition: Disposition, rule: str, egress: str = "") -> Answer:
    return Answer(Verdict(disposition, rule, egress), "shop/db", 5432)


def saw(outcome: Outcome, *rules: str, by: str = "", port: int = 0, flow: Flow = FLOW) -> Observation:
    return Observation(flow, outcome, by, port, rules)


MET = saw(Outcome.CONNECTED, OUT, IN, by="shop/db", port=5432)
MET2 = saw(Outcome.CONNECTED, OUT, IN, by="shop/db2", port=5432)

AGREE = {
    "allowed": ((ALLOW,), (MET,)),
    "allowed, nobody listens": ((CLOSED,), (saw(Outcome.REFUSED, OUT, IN),)),
    "own address logs nothing": (
        (answer(Disposition.ALLOW, OWN_ADDRESS),),
        (saw(Outcome.CONNECTED, by="shop/db", port=5432),),
    ),
    "denied at the destination": ((answer(Disposition.DENY, STOP, OUT),), (saw(Outcome.TIMEOUT, OUT, STOP),)),
    "denied at the source": ((answer(Disposition.DENY, "egress x[0]"),), (saw(Outcome.TIMEOUT, "egress x[0]"),)),
    "rejected": ((answer(Disposition.REJECT, STOP, OUT),), (saw(Outcome.REJECTED, OUT, STOP),)),
    "no route": ((answer(Disposition.NO_ROUTE, NO_PATH),), (saw(Outcome.UNREACHABLE),)),
    "no backend, refused": ((answer(Disposition.NO_BACKEND, NO_BACKEND),), (saw(Outcome.REFUSED),)),
    "no backend, no route": ((answer(Disposition.NO_BACKEND, NO_BACKEND),), (saw(Outcome.UNREACHABLE),)),
    "both backends": ((ALLOW, ALLOW2), (MET, MET2, MET)),
    "one backend denied": ((ALLOW, DENY2), (MET, saw(Outcome.TIMEOUT, OUT, STOP))),
    "one backend denied and not met": ((ALLOW, DENY2), (MET,)),
}

DISAGREE = {
    "silence is not allowed": ((ALLOW,), (saw(Outcome.TIMEOUT, OUT, IN),), "timeout is not allow"),
    "refused by a port that listens": ((ALLOW,), (saw(Outcome.REFUSED, OUT, IN),), "which listens"),
    "denied but connected": ((answer(Disposition.DENY, STOP, OUT),), (MET,), "connected is not deny"),
    "denied but rejected": (
        (answer(Disposition.DENY, STOP, OUT),),
        (saw(Outcome.REJECTED, OUT, STOP),),
        "rejected is not deny",
    ),
    "no route but silent": (
        (answer(Disposition.NO_ROUTE, NO_PATH),),
        (saw(Outcome.TIMEOUT),),
        "timeout is not no-route",
    ),
    "somebody else answered": ((ALLOW,), (MET2,), "shop/db2:5432 answered, not shop/db:5432"),
    "nobody known answered": ((ALLOW,), (saw(Outcome.CONNECTED, OUT, IN),), "somebody unknown answered"),
    "by another rule": (
        (ALLOW,),
        (saw(Outcome.CONNECTED, OUT, "ingress default allow", by="shop/db", port=5432),),
        f'no firewall logged "{IN}"',
    ),
    "past the egress firewall": (
        (ALLOW,),
        (saw(Outcome.CONNECTED, IN, by="shop/db", port=5432),),
        f'no firewall logged "{OUT}"',
    ),
    "silent, and nothing logged": (
        (answer(Disposition.DENY, STOP, OUT),),
        (saw(Outcome.TIMEOUT),),
        "no firewall logged",
    ),
    "stopped later than said": (
        (answer(Disposition.DENY, "egress x[0]"),),
        (saw(Outcome.TIMEOUT, "egress x[0]", STOP),),
        f'"{STOP}" was logged after "egress x[0]"',
    ),
    "an unknown endpoint must be logged": (
        (answer(Disposition.DENY, UNKNOWN),),
        (saw(Outcome.TIMEOUT),),
        "no firewall logged",
    ),
    "a backend that is never met": ((ALLOW, ALLOW2), (MET, MET), "never reached: shop/db2:5432"),
    "a denied backend that answers": ((ALLOW, DENY2), (MET, MET2), "connected is not deny"),
    "a dead listener": ((answer(Disposition.DENY, STOP, OUT),), (), "does not answer itself"),
}


@pytest.mark.parametrize(("answers", "observations"), AGREE.values(), ids=AGREE)
def test_agree(answers: tuple[Answer, ...], observations: tuple[Observation, ...]) -> None:
    assert compare(QUESTION, answers, answers, observations, LISTENS) == ""


@pytest.mark.parametrize(("answers", "observations", "why"), DISAGREE.values(), ids=DISAGREE)
def test_disagree(answers: tuple[Answer, ...], observations: tuple[Observation, ...], why: str) -> None:
    sentence = compare(QUESTION, answers, answers, observations, LISTENS)
    assert why in sentence
    assert "\n" not in sentence


def test_evaluate_and_trace_must_be_equal() -> None:
    denied = (answer(Disposition.DENY, STOP, OUT),)
    assert compare(QUESTION, (ALLOW,), denied, (MET,), LISTENS) == (
        "shop/web → shop/db 5432/tcp (to 10.244.1.2): evaluate and trace differ; "
        "evaluate: allow by egress default allow, ingress application db[0] (shop/db:5432); "
        "trace: deny by ingress NetworkPolicy shop/db isolates (shop/db:5432); "
        "wire: connected by shop/db:5432 (logged: egress default allow, ingress application db[0])"
    )


def test_echo_needs_no_listener() -> None:
    flow = Flow("shop/web", "10.244.1.2", Protocol.ICMP)
    echo = Answer(Verdict(Disposition.ALLOW, IN, OUT), "shop/db", 0)
    met = saw(Outcome.CONNECTED, OUT, IN, by="shop/db", flow=flow)
    assert compare(Question(flow, "shop/db", Ask.ECHO), (echo,), (echo,), (met,), LISTENS) == ""


def test_whom_a_service_must_meet() -> None:
    assert responders(QUESTION, (ALLOW, DENY2), LISTENS) == {("shop/db", 5432)}
    assert responders(QUESTION, (CLOSED,), LISTENS) == frozenset()


class TestManyBackends:
    """Of a Service with more Backends than `MANY`, all clients together must meet each."""

    COUNT = MANY + 2

    def ask(self, *met: range) -> tuple[dict[int, str], list[str]]:
        allow = Verdict(Disposition.ALLOW, "ingress default allow", "egress default allow")
        answers = tuple(Answer(allow, f"a/w-{number}", 80) for number in range(self.COUNT))
        listens = {(answer.backend, Protocol.TCP, 80) for answer in answers}
        flows = [Flow(f"a/c-{index}", "10.96.0.1", Protocol.TCP, 80) for index in range(len(met))]
        questions = [Question(flow, "a/web", Ask.SERVICE) for flow in flows]
        rules = (allow.egress, allow.rule)
        seen = [
            tuple(Observation(flow, Outcome.CONNECTED, f"a/w-{number}", 80, rules) for number in numbers)
            for flow, numbers in zip(flows, met, strict=True)
        ]
        each = [compare(q, answers, answers, one, listens) for q, one in zip(questions, seen, strict=True)]
        return never_met(questions, [answers] * len(met), seen, listens), each

    def test_together_they_met_all(self) -> None:
        assert self.ask(range(5), range(5, self.COUNT)) == ({}, ["", ""])

    def test_who_is_refused_does_not_help_to_meet_them(self) -> None:
        """Forty clients of which two may connect make as many tries as two would."""
        allow, deny = Verdict(Disposition.ALLOW, "a", "b"), Verdict(Disposition.DENY, "a", "b")
        listens = {(f"a/w-{number}", Protocol.TCP, 80) for number in range(self.COUNT)}
        flows = [Flow(f"a/c-{index}", "10.96.0.1", Protocol.TCP, 80) for index in range(40)]
        answers = [
            tuple(Answer(allow if index < 2 else deny, f"a/w-{number}", 80) for number in range(self.COUNT))
            for index in range(40)
        ]
        found = together([Question(flow, "a/web", Ask.SERVICE) for flow in flows], answers, listens)
        assert found == {("10.96.0.1", Protocol.TCP, 80): 2}

    def test_one_was_never_met(self) -> None:
        missing, each = self.ask(range(5), range(5, self.COUNT - 1))
        assert missing == {0: f"a/web: no client ever reached a/w-{self.COUNT - 1}:80"}
        assert each == ["", ""]

"""What reports are made of: words, folding, signs."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper
from itertools import product

import msgspec
import pytest
import report_samples as samples

from sdn.model import (
    NO_PATH,
    SPOOFED,
    Answer,
    Ask,
    Disposition,
    Flow,
    Observation,
    Outcome,
    Protocol,
    Question,
    Report,
    Result,
    Verdict,
)
from sdn.report import json, junit, text, words
from sdn.report.folding import Reach, between_workloads, groups, pairs
from sdn.report.matrix import MOST, SIGNS, matrix
from sdn.report.services import service_rows


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (Verdict(Disposition.ALLOW, "ingress a b[0]", "egress c"), "allowed by egress c and ingress a b[0]"),
        (Verdict(Disposition.ALLOW, "default: own address"), "allowed: own address"),
        (Verdict(Disposition.DENY, "egress a b[0]"), "denied by egress a b[0]"),
        (Verdict(Disposition.REJECT, "ingress a b[0]", "egress c"), "rejected by ingress a b[0]"),
        (Verdict(Disposition.DENY, SPOOFED), "denied: the source address is not the sender's own"),
        (Verdict(Disposition.NO_ROUTE, NO_PATH), "no route: no path between these networks"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_verdict(verdict: Verdict, sentence: str) -> None:
    assert words.verdict(verdict) == sentence


@pytest.mark.parametrize(
    ("flow", "written"),
    [
        (Flow("a/b", "10.0.0.1", Protocol.TCP, 80), "10.0.0.1:80/tcp"),
        (Flow("a/b", "fd00::1", Protocol.UDP, 53), "[fd00::1]:53/udp"),
        (Flow("a/b", "fd00::1", Protocol.ICMP), "fd00::1/icmp"),
    ],
)
def test_destination(flow: Flow, written: str) -> None:
    assert words.destination(flow) == written


@pytest.mark.parametrize(
    ("number", "plural", "said"),
    [
        (1, "switches", "1 switch"),
        (1, "policies", "1 policy"),
        (24310, "questions", "24,310 questions"),
        (0, "vms", "0 vms"),
    ],
)
def test_count(number: int, plural: str, said: str) -> None:
    assert words.count(number, plural) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-0.1, "0 s"), (59.9, "59 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days")],
)
def test_duration(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_equal_observations_are_counted() -> None:
    flow = Flow("a/b", "10.0.0.1", Protocol.TCP, 80)
    seen = (Observation(flow, Outcome.TIMEOUT),) * 3
    assert words.observations(seen) == ["no answer before the deadline; no rule logged it (3 times)"]


def names(report: Report) -> list[str]:
    return [group.name for group in groups(between_workloads(report))]


def test_equal_replicas_become_one_group() -> None:
    assert names(samples.good()) == ["shop/db-0", "shop/web (2)", "test/probe"]


def test_a_replica_that_differs_stays_on_its_own() -> None:
    assert names(samples.bad()) == ["shop/db-0", "shop/web-0", "shop/web-1", "test/probe"]


def reach(*asked: tuple[Ask, Disposition], wrong: str = "") -> Reach:
    """The cell of one pair that was asked these questions and got these verdicts."""
    results = []
    for ask, disposition in asked:
        flow = Flow("a/x", "10.0.0.1", Protocol.TCP, 80)
        answer = (Answer(Verdict(disposition, "rule")),)
        results.append(Result(Question(flow, "a/y", ask), answer, answer, disagreement=wrong))
    (cell,) = pairs(results, {"a/x": "a/x", "a/y": "a/y"}).values()
    return cell.reach


ALLOW, DENY, REJECT, NO_ROUTE = Disposition.ALLOW, Disposition.DENY, Disposition.REJECT, Disposition.NO_ROUTE


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param([(Ask.LISTENING, ALLOW), (Ask.ECHO, ALLOW)], Reach.ALL, id="all"),
        pytest.param([(Ask.LISTENING, ALLOW), (Ask.CLOSED, DENY)], Reach.PORTS, id="ports"),
        pytest.param([(Ask.LISTENING, DENY), (Ask.ECHO, ALLOW)], Reach.SOME, id="echo-only"),
        pytest.param([(Ask.LISTENING, ALLOW), (Ask.LISTENING, DENY), (Ask.ECHO, DENY)], Reach.SOME, id="one-of-two"),
        pytest.param([(Ask.CLOSED, ALLOW), (Ask.ECHO, DENY)], Reach.SOME, id="nothing-listens"),
        pytest.param([(Ask.LISTENING, DENY), (Ask.CLOSED, REJECT)], Reach.NOTHING, id="nothing"),
        pytest.param([(Ask.CLOSED, NO_ROUTE), (Ask.ECHO, NO_ROUTE)], Reach.NO_ROUTE, id="no-route"),
        pytest.param([(Ask.CLOSED, NO_ROUTE), (Ask.ECHO, DENY)], Reach.NOTHING, id="one-family-has-no-route"),
    ],
)
def test_reach(asked: list[tuple[Ask, Disposition]], expected: Reach) -> None:
    assert reach(*asked) == expected


def test_disagreement_outshouts_everything() -> None:
    assert reach((Ask.LISTENING, ALLOW), wrong="they differ") == Reach.WRONG


def many(namespaces: int, each: int) -> Report:
    """All pairs of a large lab with nothing but echo."""
    keys = [f"n{n}/w{w}x" for n in range(namespaces) for w in range(each)]
    allowed = (Answer(samples.ALLOWED),)
    results = tuple(
        Result(Question(Flow(a, "10.0.0.1", Protocol.ICMP), b, Ask.ECHO), allowed, allowed)
        for a, b in product(keys, repeat=2)
        if a != b
    )
    return Report("big", {}, (), results)


@pytest.mark.parametrize(
    ("namespaces", "each", "lines", "title"),
    [
        pytest.param(1, MOST, MOST + 5, "who reaches whom (rows ask, columns answer, all in n0)", id="all-shown"),
        pytest.param(2, MOST, 6, "who reaches whom, by namespace (rows ask, columns answer)", id="by-namespace"),
        pytest.param(MOST + 1, 1, 1, "no matrix of 41 namespaces: --format json has every answer", id="too-many"),
    ],
)
def test_matrix_stays_readable(namespaces: int, each: int, lines: int, title: str) -> None:
    shown = matrix(many(namespaces, each))
    assert (len(shown), shown[0].plain) == (lines, title)


def test_nothing_asked_draws_nothing() -> None:
    assert matrix(Report("empty", {}, (), ())) == []


def test_signs_fall_back_to_ascii() -> None:
    file = TextIOWrapper(BytesIO(), encoding="ascii", errors="replace")
    assert not text.can_draw(text.console(file))
    drawn = "\n".join(line.plain for line in matrix(samples.good(), unicode=False))
    assert not set(drawn) & (set(SIGNS.values()) - {"!"})


def test_no_colour_unless_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = StringIO()
    text.show(samples.bad(), text.console(file))
    assert "\x1b" not in file.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(file, "isatty", lambda: True)
    text.show(samples.bad(), text.console(file, width=80))
    assert "\x1b[3" not in file.getvalue()


def test_service_rows_say_what_was_not_reached() -> None:
    report = samples.good()
    rows = {row.service: row for row in service_rows(report)}
    assert rows["shop/web"].complete and rows["shop/web"].reached == {"shop/web-0", "shop/web-1"}
    unseen = tuple(Result(r.question, r.evaluate, r.trace) for r in report.results)
    assert not service_rows(Report("shop", {}, (), unseen))[1].complete


def test_json_can_be_read_back_as_what_it_documents() -> None:
    report = samples.bad()
    assert msgspec.json.decode(json.render(report), type=json.ReportDocument) == json.document(report)


def test_junit_survives_what_xml_cannot_hold() -> None:
    report = Report("shop", {}, (), (), warnings=("file\x00name",))
    assert "file\ufffdname" in junit.render(report)

"""A report as JUnit XML, for the test page of a CI system.

One testcase per (source, target): a person clicks on a pair, and thousands of questions stay readable. A pair fails
with every question on which the answers disagree; every failed `expect:` line is a testcase of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from xml.etree import ElementTree

from sdn.model import Ask, Report, Result
from sdn.report import words

# What XML 1.0 cannot hold, not even escaped.
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """What `sdn test --format junit` prints."""
    by_pair: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in report.results:
        by_pair[result.question.flow.source, result.question.target].append(result)
    failed = sum(any(result.disagreement for result in results) for results in by_pair.values())
    suite = ElementTree.Element(
        "testsuite",
        name=f"sdn test {report.lab}",
        tests=str(len(by_pair) + len(report.failed_expectations)),
        failures=str(failed + len(report.failed_expectations)),
        errors="0",
        skipped="0",
        time=f"{sum(timing.seconds for timing in report.timings):.3f}",
    )
    for (source, target), results in sorted(by_pair.items()):
        _pair(suite, source, target, results)
    for sentence in report.failed_expectations:
        case = ElementTree.SubElement(suite, "testcase", classname="expect", name=_legal(sentence))
        ElementTree.SubElement(case, "failure", message=_legal(sentence))
    output = [words.built(report), words.conclusion(report), *(f"warning: {text}" for text in report.warnings)]
    ElementTree.SubElement(suite, "system-out").text = _legal("\n".join(output))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _pair(suite: ElementTree.Element, source: str, target: str, results: list[Result]) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=_legal(source), name=_legal(f"{source} → {target}"))
    wrong = [result for result in results if result.disagreement]
    if wrong:
        message = f"{words.count(len(wrong), 'disagreements')} in {words.count(len(results), 'questions')}"
        failure = ElementTree.SubElement(case, "failure", message=message)
        failure.text = _legal("\n\n".join(map(_disagreement, wrong)))


def _disagreement(result: Result) -> str:
    lines = [words.contradiction(result)]
    said = words.three_answers(result, balanced=result.question.ask is Ask.SERVICE)
    lines += [f"{who}: {line}" for who, line in said]
    lines += [f"  {step.node}: {step.what}" + (f" [{step.rule}]" if step.rule else "") for step in result.steps]
    return "\n".join(lines)


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)

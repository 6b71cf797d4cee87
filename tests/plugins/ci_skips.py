"""A pytest plugin: under CI=true a test that is skipped for an unexpected reason fails the run.

A skip that nobody reads is a test that is gone. What a machine may lack is listed in `allowed_skips.txt` beside this
file, one shell pattern per line on the skip's reason; everything else has to run.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ALLOWED = Path(__file__).with_name("allowed_skips.txt")


def read_patterns(text: str) -> tuple[str, ...]:
    """The patterns of a list in which `#` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line)


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why it was skipped, without pytest's own "Skipped: "; empty if it was not skipped or is an expected failure."""
    if not report.skipped or hasattr(report, "wasxfail") or not isinstance(report.longrepr, tuple):
        return ""
    return report.longrepr[2].removeprefix("Skipped: ")


class Skips:
    """Collects skips where all reports pass: in the only process, or in xdist's controller."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self.patterns = patterns
        self.unexpected: dict[str, list[str]] = {}

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """Remember the test if its reason is none of the allowed ones."""
        reason = reason_of(report)
        if reason and not any(fnmatchcase(reason, pattern) for pattern in self.patterns):
            self.unexpected.setdefault(reason, []).append(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unexpected and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for reason, tests in sorted(self.unexpected.items()):
            terminalreporter.write_line(
                f"skipped in CI, which fails the run: {tests[0]} (and {len(tests) - 1} more): {reason}; make it run, "
                f"or allow the reason in {ALLOWED.name}",
                red=True,
            )


def pytest_configure(config: pytest.Config) -> None:
    """Only the process that sees every report counts, and only in CI."""
    if os.environ.get("CI") == "true" and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Skips(read_patterns(ALLOWED.read_text())), "sdn-ci-skips")

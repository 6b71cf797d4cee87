"""Who reaches whom, small enough to look at: replicas that are treated alike become one group, questions one sign.

Folding never hides a difference: a replica that reaches, or is reached by, anybody differently stays on its own.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from sdn.model import Ask, Disposition, Report, Result

# The endings that Kubernetes and we give to replicas: `-0`, and `-5d8f9c7b6d-x2x4z` of a Deployment's pods.
_REPLICA = re.compile(r"(-[0-9a-f]{8,10}-[0-9a-z]{5}|-\d+)$")


class Reach(StrEnum):
    """What the flows from one group to another have in common, for the legend."""

    ALL = "everything, any port and echo"
    PORTS = "exactly the ports it listens on"
    SOME = "only some of that"
    NOTHING = "nothing"
    NO_ROUTE = "no route between them"
    WRONG = "the answers disagree"


class Group(Struct, frozen=True):
    """Workloads shown as one: `name` is a key, or `namespace/name (3)` for three replicas."""

    name: str
    members: tuple[str, ...]


class Cell:
    """All that was asked from one group to another; allowed and not, listening ports apart from the rest."""

    __slots__ = ("listening", "rest", "routed", "wrong")

    def __init__(self) -> None:
        self.listening: set[bool] = set()
        self.rest: set[bool] = set()
        self.routed = False
        self.wrong = False

    def add(self, result: Result) -> None:
        """Count in one question, by the oracle's verdict."""
        given = [answer.verdict for answer in result.evaluate]
        side = self.listening if result.question.ask is Ask.LISTENING else self.rest
        side.update(verdict.allowed for verdict in given)
        self.routed |= any(verdict.disposition is not Disposition.NO_ROUTE for verdict in given)
        self.wrong |= bool(result.disagreement)

    @property
    def reach(self) -> Reach:
        """One word for all of it; disagreement outshouts everything."""
        if self.wrong:
            return Reach.WRONG
        if not self.routed:
            return Reach.NO_ROUTE
        everything = self.listening | self.rest
        if everything == {True}:
            return Reach.ALL
        if everything == {False}:
            return Reach.NOTHING
        return Reach.PORTS if self.listening == {True} and self.rest == {False} else Reach.SOME


Pairs = dict[tuple[str, str], Cell]
"""(source, destination) → what was asked between them; names of workloads, groups or namespaces."""


def between_workloads(report: Report) -> list[Result]:
    """The results from workload to workload: Services have a table of their own, and Hosts reach whoever is on them."""
    return [r for r in report.results if r.question.ask not in (Ask.SERVICE, Ask.HOST, Ask.EXPECT)]


def groups(results: Iterable[Result]) -> tuple[Group, ...]:
    """Workloads folded into groups of replicas with equal rows and columns, sorted by name."""
    facts: dict[tuple[str, str], set[object]] = defaultdict(set)
    for result in results:
        question = result.question
        verdicts = frozenset(answer.verdict.disposition for answer in result.evaluate)
        port = question.flow.port if question.ask is Ask.LISTENING else 0
        fact = (question.flow.protocol, question.flow.family, question.ask, port, verdicts, bool(result.disagreement))
        facts[question.flow.source, question.target].add(fact)
    alike: dict[tuple[str, object], list[str]] = defaultdict(list)
    for key, signature in _signatures(facts).items():
        alike[_REPLICA.sub("", key), signature].append(key)
    return tuple(sorted((_group(base, sorted(keys)) for (base, _), keys in alike.items()), key=lambda g: g.members))


def _signatures(facts: dict[tuple[str, str], set[object]]) -> dict[str, object]:
    """workload → everything about its row and column, with its own replicas named by their base alone."""
    sides: dict[str, set[object]] = defaultdict(set)
    for (source, target), found in facts.items():
        same = _REPLICA.sub("", source) == _REPLICA.sub("", target)
        for fact in found:
            sides[source].add(("to", "" if same else target, fact))
            sides[target].add(("from", "" if same else source, fact))
    return {key: frozenset(found) for key, found in sides.items()}


def _group(base: str, members: list[str]) -> Group:
    return Group(f"{base} ({len(members)})" if len(members) > 1 else members[0], tuple(members))


def pairs(results: Iterable[Result], names: dict[str, str]) -> Pairs:
    """The cells between whatever `names` maps workloads to."""
    found: Pairs = defaultdict(Cell)
    for result in results:
        question = result.question
        found[names[question.flow.source], names[question.target]].add(result)
    return dict(found)

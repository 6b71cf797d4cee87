"""One question for each workload of a benchmark's lab that policy allows, so that it must arrive: the lab really works.

Each app of `labs` may call the next one. Every workload asks, most across Hosts, and every workload is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from benchmarks.labs import PORT
from sdn.errors import LabError
from sdn.lab.client import Lab
from sdn.model import Ask, Flow, Outcome, Placed, Protocol, Question

_WORDS = 3


def ask_everybody(lab: Lab) -> int:
    """Ask them all at once; how many they were. LabError names those that got no answer."""
    questions = list(_questions(lab.placed()))
    said = lab.ask(questions).observations
    lost = [
        f"{question.flow.source} → {question.target}"
        for question, seen in zip(questions, said, strict=True)
        if [(one.outcome, one.responder) for one in seen] != [(Outcome.CONNECTED, question.target)]
    ]
    if lost:
        raise LabError(f"{len(lost)} of {len(questions)} got no answer: {', '.join(lost[:_WORDS])}")
    return len(questions)


def _questions(placed: Placed) -> Iterator[Question]:
    apps: dict[tuple[str, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for workload in placed.model.workloads:
        number = int(workload.labels["app"].removeprefix("app-"))
        apps[workload.application, workload.namespace][number].append(workload.key)
    for by_number in apps.values():
        for number, callers in by_number.items():
            called = by_number[(number + 1) % len(by_number)]
            for place, caller in enumerate(callers):
                target = called[place % len(called)]
                address = placed.endpoints[target].addresses[0]
                yield Question(Flow(caller, address, Protocol.TCP, PORT), target, Ask.LISTENING)

"""Labs for tests: real ones, with names of their own, gone when the test is.

Nothing here waits by the clock; `eventually` looks until something holds, or a deadline has passed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

from sdn.lab import client
from sdn.lab.suite import Answers, ask_flows
from sdn.model import Flow, Model, Placed, Result
from sdn.plan.desired import plan_placed
from sdn.plan.ids import namespace_of
from sdn.report.text import answered

ROOT = Path(__file__).parents[1]
TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yaml"))

AT_ONCE = 5
"""Labs side by side in one test: most of a lab's life is waiting for silence."""

T = TypeVar("T")
R = TypeVar("R")

_serial = count()


def new_name(stem: str) -> str:
    """A lab's name that no other test, run or machine-wide neighbour has."""
    return f"{stem}-{os.getpid()}-{next(_serial)}"


def eventually(holds: Callable[[], object], patience: float = 10.0) -> bool:
    """Whether it becomes true before `patience` seconds are over."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def side_by_side(work: Callable[[T], R], items: Iterable[T], most: int = AT_ONCE) -> list[R]:
    """The result of each, in order; they run in threads."""
    with ThreadPoolExecutor(most) as pool:
        return list(pool.map(work, items))


def three_answers(model: Model, flows: Sequence[Flow] | None = None) -> list[Result]:
    """Build a temporary lab and ask these flows all three ways; without flows, everything that `sdn test` asks."""
    with client.temporary(model) as lab:
        lab.built()
        return ask_all(lab) if flows is None else ask_flows(lab, lab.placed(), flows)


def ask_all(lab: client.Lab, say: client.Say = lambda _: None) -> list[Result]:
    """What `sdn test` asks, in a lab that is up; `say` hears that the lab has begun to ask."""
    answers = Answers(plan_placed(lab.placed()))
    observed = lab.ask(answers.questions, answers.evaluated, say)
    answers.work()
    return list(answers.results(observed))


def assert_placed(lab: client.Lab, placed: Placed) -> None:
    """The holder has placed and numbered everything as a test did beforehand."""
    theirs = lab.placed()
    for part in ("placement", "endpoints", "vnis", "zones", "marks", "slices"):
        assert getattr(theirs, part) == getattr(placed, part), part


def story(results: Iterable[Result]) -> str:
    """Everything about the results on which the three answers differ, as `sdn probe` would print it."""
    return "\n\n".join("\n".join(map(str, answered(result))) for result in results if result.disagreement)


@contextmanager
def up(model: Model) -> Iterator[client.Lab]:
    """A lab that stays up as long as the block."""
    info = client.up((), model, new_name(model.name))
    lab = client.connect(info.name)
    try:
        yield lab
    finally:
        lab.down()


def sdn(*arguments: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command line as a user runs it."""
    return subprocess.run(
        command(*arguments), env=env, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )


def command(*arguments: str | Path) -> list[str]:
    """What `sdn ARGUMENTS` is for whoever starts it by themselves."""
    return [sys.executable, "-m", "sdn.cli", *map(str, arguments)]


def entering(lab: client.Lab, where: str, *argv: str) -> list[str]:
    """The command that runs `argv` in a workload (`namespace/name`), Host or Switch of a lab."""
    netns = namespace_of(where) if "/" in where else where
    return [sys.executable, "-P", "-m", "sdn.kernel.enter", str(lab.pid), netns, *argv]


def inside(lab: client.Lab, where: str, *argv: str) -> str:
    """Run a command in a workload or node, and give what it prints; it must succeed."""
    done = subprocess.run(entering(lab, where, *argv), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(argv)} in {where}: {done.stderr}"
    return done.stdout

"""`tools/bench leaks`: nothing stays of labs that went, nothing grows in one that changes, and growth is an error."""

from __future__ import annotations

import json
import random
import sys
from math import inf
from pathlib import Path

import pytest

from test_bench import bench

sys.path.append(str(Path(__file__).parent.parent / "tools"))
from benchmarks import leaks_kernel, leaks_process
from benchmarks.leaks import Watched
from benchmarks.series import Series, Verdict

CASES = (("in one process", 4), ("by command", 2), ("of events", 40))


@pytest.mark.kernel
def test_nothing_grows() -> None:
    sizes = {"cycles": 4, "commands": 2, "events": 40, "tests": 1, "pods": 10}
    done = bench("leaks", *(f"--{name}={size}" for name, size in sizes.items()), "--format", "json")
    assert done.returncode == 0, done.stderr
    by_case = {row["case"]: row for row in json.loads(done.stdout)}
    for case, steps in CASES:
        assert by_case[f"leaks {case}: steps"]["value"] == steps
        slopes = [row for name, row in by_case.items() if name.startswith(f"leaks {case}: ") and name.endswith("slope")]
        assert len([row for row in slopes if row["peer"] == "allowed"]) >= 2
        assert by_case[f"leaks {case}: grows"]["value"] == "nothing"
    for name in ("descriptors", "sockets", "threads", "network namespaces"):
        assert name in by_case["leaks of events: flat"]["value"]
    assert by_case["leaks of events: objects of the holder, last"]["value"] > 10_000
    assert by_case["leaks by command: labs that still run, last"]["value"] == 0


def _series(values: list[float], allowed: float = 0.5, shared: bool = False, fewest: int = 0) -> Series:
    series = Series("lines", "", allowed, fewest, shared)
    for step, value in enumerate(values, 1):
        series.add(step, value)
    return series


NOISE = [0.0, 900, 0, 0, 400, 30, 0, 0, 0, 70] * 10


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        pytest.param([one + step for step, one in enumerate(NOISE)], Verdict.GROWS, id="a leak below noise"),
        pytest.param(NOISE, Verdict.FLAT, id="noise that goes again"),
        pytest.param([float(min(step, 15)) for step in range(100)], Verdict.FLAT, id="taken once"),
        pytest.param([100.0 - step for step in range(100)], Verdict.FLAT, id="less and less"),
        pytest.param([5.0] * 100, Verdict.FLAT, id="always the same"),
        pytest.param([float(step) for step in range(100)], Verdict.GROWS, id="one at each step"),
        pytest.param([0.4 * step for step in range(100)], Verdict.FLAT, id="less than is allowed"),
        pytest.param([1.0, 2.0], Verdict.UNKNOWN, id="too few to say"),
        pytest.param([1.0], Verdict.UNKNOWN, id="one alone"),
    ],
)
def test_verdicts(values: list[float], verdict: Verdict) -> None:
    assert _series(values).verdict is verdict


def test_what_is_too_noisy_is_neither_flat_nor_growing() -> None:
    dice = random.Random(1)
    found = _series([100 * dice.random() for _ in range(100)], allowed=0.01)
    assert found.verdict is Verdict.UNKNOWN and found.error > 0.01


def test_what_others_give_up_hides_growth() -> None:
    falling = [100.0 - step for step in range(100)]
    assert _series(falling, shared=True).verdict is Verdict.UNKNOWN
    assert _series([5.0] * 100, shared=True).verdict is Verdict.FLAT


def test_a_short_run_says_nothing_of_what_settles() -> None:
    growing = [float(step) for step in range(100)]
    assert _series(growing, fewest=101).verdict is Verdict.UNKNOWN
    assert _series(growing, fewest=100).verdict is Verdict.GROWS


def test_slope_and_its_error() -> None:
    few = _series([1.0, 2.0, 3.0])
    assert (few.first, few.last, few.slope, few.error) == (1.0, 3.0, 1.0, 0.0)
    assert _series([1.0, 2.0]).error == inf
    # By hand: the line through (1, 0), (2, 3), (3, 0) is level; squares of 6 are left of it, so it is sqrt(6 / 1 / 2).
    bent = _series([0.0, 3.0, 0.0])
    assert bent.slope == 0.0
    assert bent.error == pytest.approx(3**0.5)


def test_who_keeps_an_object_a_descriptor_or_a_thread_at_each_step_is_found() -> None:
    kept: list[object] = []
    case = Watched("test", 30, leaks_process.series("this process"), lambda _: None)
    for step in range(1, 31):
        kept.append((Path(__file__).open(), [step]))  # noqa: SIM115 - it leaks, as it shall
        case.sample(step, leaks_process.sample(_pid(), leaks_process.here()))
    assert any("descriptors of this process: each step adds 1 " in sentence for sentence in case.growing())
    assert len(kept) == 30


def _pid() -> int:
    return int(Path("/proc/self").readlink().name)


@pytest.mark.kernel
def test_the_kernels_objects_are_counted_by_kind() -> None:
    try:
        found = leaks_kernel.slabs()
    except PermissionError:
        pytest.skip("only root may read how many objects the kernel has")
    number, size = found["net_namespace"]
    assert number >= 1 and size > 1000

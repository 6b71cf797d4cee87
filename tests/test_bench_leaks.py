"""`tools/bench leaks`: nothing stays of labs that went, nothing grows in one that changes, and growth is an error."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from test_bench import bench

sys.path.append(str(Path(__file__).parent.parent / "tools"))
from benchmarks.series import Series


@pytest.mark.kernel
def test_nothing_grows() -> None:
    sizes = {"cycles": 10, "commands": 10, "events": 120, "tests": 1, "pods": 10}
    done = bench("leaks", *(f"--{name}={size}" for name, size in sizes.items()), "--format", "json")
    assert done.returncode == 0, done.stderr
    by_case = {row["case"]: row for row in json.loads(done.stdout)}
    for case, steps in (("in one process", 10), ("by command", 10), ("of events", 120)):
        assert by_case[f"leaks {case}: steps"]["value"] == steps
        slopes = [row for name, row in by_case.items() if name.startswith(f"leaks {case}: ") and name.endswith("slope")]
        assert len(slopes) > 2 and all(row["peer"] == "allowed" for row in slopes)


def _series(values: list[float], allowed: float = 0.5) -> Series:
    series = Series("lines", "", allowed)
    for step, value in enumerate(values, 1):
        series.add(step, value)
    return series


def test_a_leak_grows_through_noise() -> None:
    noise = [0, 900, 0, 0, 400, 30, 0, 0, 0, 70] * 10
    assert _series([one + step for step, one in enumerate(noise)]).grows
    assert not _series([float(one) for one in noise]).grows


def test_what_is_taken_once_is_no_leak() -> None:
    assert not _series([float(min(step, 15)) for step in range(100)]).grows
    assert not _series([100.0 - step for step in range(100)]).grows
    few = _series([1.0, 2.0, 3.0])
    assert (few.first, few.last, few.slope) == (1.0, 3.0, 1.0)

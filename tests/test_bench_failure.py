"""`tools/bench failure`: a Host loses its power, and all that it ran is elsewhere as it was."""

from __future__ import annotations

import json

import pytest

from test_bench import bench


@pytest.mark.kernel
def test_failure_as_json() -> None:
    done = bench("failure", "--workloads", "8", "--hosts", "4", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row["value"] for row in json.loads(done.stdout)}
    for what in ("workloads that were lost", "that run elsewhere", "with the addresses they had"):
        assert rows[f"failure: {what}"] == 8, what
    for what in ("answers that differ", "differences from the plan", "what could not be done"):
        assert rows[f"failure: {what}"] == 0, what
    assert rows["failure: forbidden packets that came"] == 0
    for stage in ("broken", "detected", "fenced", "placed", "programmed", "reachable"):
        assert rows[f"failure: stage {stage}"] > 0, stage
    assert rows["failure: questions asked"] > rows["failure: of those who were lost"]
    assert rows["failure: of those who were lost"] > rows["failure: of them permitted"] > 0

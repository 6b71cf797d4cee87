"""`tools/bench questions`: every question of a small lab is answered, and agrees; times stand beside their floors."""

from __future__ import annotations

import json

import pytest

from test_bench import bench


@pytest.mark.kernel
def test_questions_as_json() -> None:
    done = bench("questions", "--workloads", "6", "--flows", "200", "--repeat", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(done.stdout)}
    for case in ("sdn --help", "sdn trace, a file that was read before", "sdn test of Online Boutique, read before"):
        row = rows[f"questions: {case}"]
        assert row["peer"] == "import click" and row["value"] > 0 and row["ratio"] > 0
    assert rows["questions: 200 traces"]["peer"] == "evaluate"
    assert rows["questions: 200 traces, each second"]["value"] > 0
    # Six apps of one workload each ask each other on three ports; every other one is let in on the first.
    assert rows["questions: 90 probes"]["peer_value"] > 0
    assert rows["questions: 90 probes, of which are allowed"]["value"] == 18

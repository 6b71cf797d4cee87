"""`tools/bench migrate` and `enforce`: a few of each, of which nothing is left over."""

from __future__ import annotations

import json

import pytest

from test_bench import bench


@pytest.mark.kernel
def test_migrate_as_json() -> None:
    done = bench("migrate", "--migrations", "4", "--workloads", "3", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(done.stdout)}
    assert rows["migrate: live migrations"]["value"] == 4
    assert rows["migrate: connections"]["value"] == 24
    for what in ("broken connections", "forbidden datagrams that came", "duplicate datagrams that came"):
        assert rows[f"migrate: {what}"]["value"] == 0, what
    assert rows["migrate: datagrams that came"]["value"] > 0
    assert rows["migrate: differences from the plan at the end"]["value"] == 0
    gap = rows["migrate: gap, median"]
    assert gap["peer"] == "link moved" and gap["ratio"] > 0


@pytest.mark.kernel
def test_enforce_as_json() -> None:
    done = bench("enforce", "--pods", "20", "--hosts", "3", "--events", "2", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(done.stdout)}
    assert rows["enforce: differences from the plan at the end"]["value"] == 0
    for kind in ("label", "move", "remove", "add"):
        assert rows[f"enforce {kind}: event to enforced, median"]["value"] > 0

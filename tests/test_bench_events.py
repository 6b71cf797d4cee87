"""`tools/bench events`: every kind of event, of workloads and of what is written, and none of them planned anew."""

from __future__ import annotations

import json

from test_bench import bench


def test_events_as_json() -> None:
    done = bench("events", "--pods", "80", "--events", "100", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row for row in json.loads(done.stdout)}
    for kind in ("add", "remove", "move", "relabel", "policy", "service"):
        for share in ("median", "99th percentile"):
            assert rows[f"events 80 pods: {kind}, {share}"]["value"] > 0
    assert rows["events 80 pods: planned anew"]["value"] == 0

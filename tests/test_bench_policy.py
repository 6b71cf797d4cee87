"""`tools/bench policy`: each case runs, beside its floor."""

from __future__ import annotations

import json

from test_bench import bench


def test_policy_as_json() -> None:
    sizes = ("--namespaces", "20", "--everybody", "30", "--pods", "4", "--blocks", "9", "--policies", "20")
    done = bench("policy", *sizes, "--format", "json")
    assert done.returncode == 0, done.stderr
    by_case = {row["case"]: row for row in json.loads(done.stdout)}
    assert by_case["policy namespaces: what"]["value"].startswith("20 namespaces, 80 pods, 60 policies; 80 profiles")
    assert by_case["policy everybody: what"]["value"].startswith("1 namespaces, 30 pods, 30 policies")
    assert "lines with one range each" in by_case["policy outside: what"]["value"]
    for case in (
        "namespaces: compile",
        "namespaces: full reach",
        "namespaces: one label to its set deltas",
        "everybody: compile",
        "outside: reach, listed",
        "flows: 20,000 flows",
    ):
        row = by_case[f"policy {case}"]
        assert row["unit"] == "s" and row["peer"] == "floor" and row["value"] > 0 and row["peer_value"] > 0
        assert by_case[f"policy {case}, own time"]["unit"] == "s"
    assert by_case["policy namespaces: peak memory"]["ratio"] >= 1

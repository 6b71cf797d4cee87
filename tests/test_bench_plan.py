"""`tools/bench plan`: a cluster from its files to its plan and through events, and sites under one policy."""

from __future__ import annotations

import json

from test_bench import bench


def test_plan_as_json() -> None:
    sizes = {"hosts": 20, "apps": 20, "replicas": 3, "events": 40, "sites": 4}
    done = bench("plan", *(f"--{name}={size}" for name, size in sizes.items()), "--format", "json")
    assert done.returncode == 0, done.stderr
    by_case = {row["case"]: row for row in json.loads(done.stdout)}
    assert by_case["plan large: what"]["value"].startswith("20 Hosts, 60 pods, 20 policies, 20 services")
    assert by_case["plan sites: what"]["value"] == "20 Hosts, 80 pods, 1 policies, 0 services, 4 applications"
    for case in ("large", "sites"):
        assert by_case[f"plan {case}: load"]["peer"] == "json alone"
        for stage in ("place", "allocate", "compile", "plan"):
            assert by_case[f"plan {case}: {stage}"]["value"] > 0
        assert by_case[f"plan {case}: everything"]["peer_value"] > 0
        assert by_case[f"plan {case}: peak memory"]["ratio"] >= 1
        assert by_case[f"plan {case}: flows judged differently"]["value"] == 0, done.stderr
    assert by_case["plan large: against a tenth"]["peer_value"] > 0
    assert by_case["plan large: events"]["value"] > 0

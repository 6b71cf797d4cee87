"""`tools/bench place`: each case runs beside its floor, and what comes of it breaks no rule."""

from __future__ import annotations

import json

from test_bench import bench

SIZES = {"hosts": 60, "plain": 300, "pods": 300, "nodes": 20, "inside": 200, "vms": 160}
PLACED = ("plain", "affinity", "spread", "nodes", "datacentre")
MENDED = (("failure", "recover"), ("uneven", "repair"), ("packed", "repair"))


def test_place_as_json() -> None:
    done = bench("place", *(f"--{name}={size}" for name, size in SIZES.items()), "--format", "json")
    assert done.returncode == 0, done.stderr
    by_case = {row["case"]: row for row in json.loads(done.stdout)}
    for case, stage in (*((case, "place") for case in PLACED), *MENDED, ("file", "load")):
        row = by_case[f"place {case}: {stage}"]
        assert row["unit"] == "s" and row["peer"] == "floor" and row["value"] > 0 and row["peer_value"] > 0
        assert by_case[f"place {case}: peak memory"]["ratio"] >= 1
        assert by_case[f"place {case}: rules broken"]["value"] == 0, done.stderr
        if case != "file":
            assert by_case[f"place {case}: {stage}, count"]["value"] > 0

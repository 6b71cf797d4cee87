"""`tools/bench birth`: some workloads are born under fire, and hear what they may and nothing else."""

from __future__ import annotations

import json

import pytest

from test_bench import bench


@pytest.mark.kernel
def test_birth_as_json() -> None:
    done = bench("birth", "--workloads", "30", "--wave", "10", "--hosts", "3", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["case"]: row["value"] for row in json.loads(done.stdout)}
    assert rows["birth: workloads born"] == 30
    assert rows["birth: forbidden packets that came"] == 0
    assert rows["birth: differences from the plan at the end"] == 0
    assert rows["birth: heard from before they had a link"] > 0
    assert rows["birth: times the lab was stopped"] > 0
    assert rows["birth: permitted packets that came"] >= 60
    # The fire is real: what policy alone has kept away comes as soon as there is no policy.
    for kind in ("ingress denied", "egress denied"):
        assert rows[f"birth: without policies there came, {kind}"] > 0, kind
    for kind in ("spoofed", "no path"):
        assert rows[f"birth: without policies there came, {kind}"] == 0, kind

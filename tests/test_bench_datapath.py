"""`tools/bench datapath`: packets cross every kind of path, and each figure stands beside the one without firewall."""

from __future__ import annotations

import json
import shutil

import pytest

from test_bench import bench


@pytest.mark.kernel
def test_datapath_as_json() -> None:
    few = ("--entries", "10", "--entries", "300", "--linear", "0", "--blocks", "0", "--rounds", "1")
    some = [word for path in ("near", "far-lan", "service far") for word in ("--path", path)]
    done = bench("datapath", *few, *some, "--measure", "rtt", "--measure", "connection", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {(row["case"], row["peer"]): row for row in json.loads(done.stdout)}
    assert rows["datapath 300 entries: entries on host-1", None]["value"] >= 300
    for path in ("near", "far-lan"):
        for measure in ("rtt", "connection"):
            for case in ("no Services", "10 entries", "300 entries"):
                row = rows[f"datapath {path} {measure}: {case}", "no firewall"]
                assert row["unit"] == "us" and row["ratio"] > 0
                assert row["ratio"] == pytest.approx(row["value"] / row["peer_value"], rel=0.02)
    assert rows["datapath service far rtt: 300 entries", "10 entries"]["value"] > 0
    assert not any(case.startswith("datapath service far rtt: no") for case, _ in rows)


@pytest.mark.kernel
@pytest.mark.skipif(shutil.which("iperf3") is None, reason="iperf3 is not installed")
def test_streams_of_iperf() -> None:
    """Of 64 flows iperf3 tells much: a server to which nobody listens would stop."""
    few = ("--entries", "10", "--linear", "0", "--blocks", "0", "--rounds", "1", "--path", "near")
    done = bench("datapath", *few, "--measure", "flows", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {(row["case"], row["peer"]): row for row in json.loads(done.stdout)}
    rate, spent = (rows[f"datapath near flows: 10 entries{what}", "no firewall"] for what in ("", ", processor"))
    assert rate["unit"] == "Gbit/s" and rate["value"] > 0 and rate["ratio"] > 0
    assert spent["unit"] == "us/MiB" and spent["value"] > 0 and spent["ratio"] > 0

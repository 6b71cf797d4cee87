"""`sdn place`: tables, reasons, exit status, and the moves from where things run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli_reach import run

LAB = """\
lab: shop
underlay:
  hosts:
    - {name: h1, cpu: 4, memory: 8Gi}
    - {name: h2, cpu: 4, memory: 8Gi, labels: {disk: ssd}}
applications:
  shop:
    segments: {front: {subnets: [10.1.1.0/24]}}
    workloads:
      web: {replicas: 2, cpu: 1, memory: 1Gi}
      db: {cpu: 2, memory: 4Gi, node_selector: {disk: %s}}
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "lab.yaml"
    path.write_text(LAB % "ssd")
    return str(path)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    path = tmp_path / "bad.yaml"
    path.write_text(LAB % "tape")
    return str(path)


def test_the_table_says_what_is_used_and_free(good: str) -> None:
    status, out, _ = run("place", good)
    rows = [line.split() for line in out.splitlines()]
    assert (status, rows[1][0], rows[2][0]) == (0, "h1", "h2")
    assert rows[2][1:7] == ["3", "1", "5", "GiB", "3", "GiB"]
    assert out.splitlines()[-1] == "3 workloads on 2 hosts"


def test_json_has_everything_and_no_moves_where_nothing_runs(good: str) -> None:
    status, out, _ = run("place", good, "--format", "json")
    document = json.loads(out)
    assert status == 0
    assert document["placement"]["hosts"]["shop/db"] == "h2"
    assert (document["placement"]["nodes"], document["unschedulable"], document["moves"]) == ({}, [], [])


def test_what_fits_nowhere_is_explained_and_the_rest_is_placed(bad: str) -> None:
    status, out, _ = run("place", bad)
    assert status == 1
    assert "shop/db: 0 of 2 hosts fit: 2 lack label disk=tape" in out.splitlines()
    document = json.loads(run("place", bad, "--format", "json")[1])
    assert [each["workload"] for each in document["unschedulable"]] == ["shop/db"]
    assert sorted(document["placement"]["hosts"]) == ["shop/web-0", "shop/web-1"]


def test_explain_names_every_host_and_what_would_have_to_change(bad: str) -> None:
    status, out, _ = run("place", bad, "--explain", "db")
    assert status == 1
    assert out.splitlines()[1:3] == ["  h1   it lacks label disk=tape", "  h2   it lacks label disk=tape"]
    assert "  - label a Host or node disk=tape, or drop that from its selector" in out.splitlines()
    document = json.loads(run("place", bad, "--explain", "db", "--format", "json")[1])
    assert (document["fits"], [each["name"] for each in document["reasons"]]) == ([], ["h1", "h2"])


def test_explain_of_what_is_placed_says_where_and_the_scores(good: str) -> None:
    status, out, _ = run("place", good, "--explain", "shop/db")
    assert status == 0
    assert out.splitlines()[0].endswith("it runs on h2")
    assert out.splitlines()[1].split()[:2] == ["h2", "fits:"]


def test_moves_come_from_where_things_run(good: str) -> None:
    text = Path(good).read_text() + "running: {shop/db: h1, shop/web-0: h1, shop/web-1: h2}\n"
    Path(good).write_text(text)
    document = json.loads(run("place", good, "--format", "json")[1])
    assert [(move["workload"], move["source"], move["target"]) for move in document["moves"]] == [
        ("shop/db", "h1", "h2")
    ]
    assert "shop/db   h1 → h2" in run("place", good)[1]


def test_a_file_with_mistakes_is_2(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("lab: x\nunderlay: {hosts: [{name: h1, cpus: 4}]}\n")
    status, _, err = run("place", str(path))
    assert status == 2
    assert "cpus" in err


def test_what_a_failure_would_strand(good: str) -> None:
    """The database needs the one Host with a solid-state disk; the web servers fit anywhere."""
    status, out, _ = run("place", good, "--failures")
    lines = out.splitlines()
    assert (status, [line.split()[0] for line in lines[1:3]], lines[2].split()[2:]) == (1, ["h1", "h2"], ["shop/db"])
    reason = "0 of 2 hosts fit: 1 has failed, 1 lacks label disk=ssd"
    assert lines[3:] == [
        f"without h2, shop/db: {reason}",
        "1 of 2 hosts must not fail: h2",
        "1 of 4 slots are free (a slot is 2 CPU, 4 GiB)",
    ]
    document = json.loads(run("place", good, "--failures", "--format", "json")[1])
    assert (document["ready"], document["slots"], document["slot"]) == (False, 4, {"cpu": 2000, "memory": 4096})
    assert document["failures"][1] == {
        "host": "h2",
        "workloads": 2,
        "stranded": ["shop/db"],
        "reasons": [f"shop/db: {reason}"],
    }


def test_any_host_may_fail(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text((LAB % "ssd").replace(", node_selector: {disk: ssd}", ""))
    status, out, _ = run("place", str(path), "--failures")
    assert (status, out.splitlines()[-2]) == (0, "any one of 2 hosts may fail, and everything starts again")
    assert run("place", str(path), "--failures", "--explain", "db")[0] == 2

"""Scenarios on the wire: the same file and seed give the same bytes; what does not hold is told, with exit status 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labs import ROOT, new_name, sdn, side_by_side

pytestmark = pytest.mark.kernel

SHIPPED = ROOT / "topologies" / "scenario-failure.yaml"
LAB = """\
lab: NAME
underlay: {hosts: 3}
applications:
  a: {workloads: {web: {ports: [80/tcp], replicas: 2}, db: {ports: [80/tcp], host: host-1}}}
scenario:
  steps:
"""


POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"


def test_the_same_events_are_the_same_bytes_and_another_seed_is_another_story() -> None:
    arguments = [("7", "--format", "json"), ("7", "--format", "json"), ("2", "--format", "json"), ("7",)]
    first, again, other, text = side_by_side(lambda words: sdn("scenario", SHIPPED, "--seed", *words), arguments)
    assert [one.returncode for one in (first, again, other, text)] == [0, 0, 0, 0], first.stdout + other.stdout
    assert first.stdout == again.stdout != other.stdout
    events = [json.loads(line) for line in first.stdout.splitlines()]
    assert [one["event"] for one in events][:: len(events) - 1] == ["lab", "end"]
    assert {"fail", "heal", "label", "scale", "migrate", "rollout"} == {
        one["operation"]["type"] for one in events if one["event"] == "operation"
    }
    assert all(one["ok"] for one in events) and sum(one.get("questions", 0) for one in events) > 400
    assert "seconds" not in first.stdout and "detected" in text.stdout
    assert text.stdout.splitlines()[-1].split(maxsplit=3)[3] == "all of it was as it should be"


def run(tmp_path: Path, steps: str, *arguments: str) -> tuple[int, str, str]:
    file = tmp_path / "lab.yaml"
    file.write_text(LAB.replace("NAME", new_name("scenario")) + steps)
    done = sdn("scenario", file, *arguments)
    return done.returncode, done.stdout, done.stderr


def test_what_does_not_hold_is_told(tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    steps = """\
    - {at: 1s, migrate: {workload: db, host: host-2}}
    - {at: 1s, migrate: {workload: db, host: host-2}, refused: true}
    - {at: 2s, heal: host-1, refused: true, expect: [web → db 80/tcp: deny]}
"""
    status, output, _ = run(tmp_path, steps, "--log", str(log))
    assert status == 1
    events = [json.loads(line) for line in log.read_text().splitlines()]
    assert [one["ok"] for one in events] == [True, False, True, True, False, False]
    assert events[4]["said"][0] == "a/web-0 → a/db over IPv4 is allow by ingress default allow"
    assert "✗ migrate a/db host-2" in output and "2 of the events above are not as they should be" in output


def test_a_lab_that_is_up_stays_as_the_scenario_left_it(tmp_path: Path) -> None:
    name = new_name("stays")
    file = tmp_path / "lab.yaml"
    file.write_text(LAB.replace("NAME", name) + "    - {at: 0s, fail: {host: host-2}, test: true}\n")
    assert sdn("up", file).returncode == 0
    try:
        assert sdn("scenario", file, "--lab", name).returncode == 0
        status = sdn("status", name)
        assert status.returncode == 0 and "host-2 has failed; `sdn heal host-2` ends it" in status.stdout
        assert sdn("fail", "host", "host-2", "--lab", name).returncode == 1
        healed = json.loads(sdn("heal", "host-2", "--lab", name, "--format", "json").stdout)
        assert list(healed["stages"]) == ["mended", "heard", "read back", "readmitted"]
        grown = json.loads(sdn("scale", "a/web", "3", "--lab", name, "--format", "json").stdout)
        assert [one["workload"] for one in grown["moved"]] == ["a/web-2"]
        replaced = sdn("rollout", "a/web", "--max-unavailable", "2", "--lab", name)
        assert replaced.returncode == 0 and "a/web-2" in replaced.stdout
        assert sdn("status", name).returncode == 0
    finally:
        sdn("down", name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lab: a\napplications: {a: {workloads: {w: {}}}}\n", "lab.yaml:1:1: has no scenario; add"),
        (POD, "has no lab file, and so no scenario"),
        (LAB + "    - {at: 1s, fail: {host: host-9}}\n", 'lab.yaml:7:29: scenario.steps[0].fail.host: host "host-9"'),
    ],
)
def test_what_is_no_scenario(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(text.replace("NAME", "none"))
    done = sdn("scenario", file)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr

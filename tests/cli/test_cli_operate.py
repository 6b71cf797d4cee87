"""The verbs that have something happen to a running lab: what they print, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli_verbs import run

from labs import new_name, sdn

FILE = """\
lab: NAME
underlay: {hosts: 3}
applications:
  a:
    workloads:
      web: {ports: [80/tcp]}
      api: {ports: [80/tcp], replicas: 2}
      db: {ports: [5432/tcp], host: host-2}
policies:
  - {name: quarantine, tier: emergency, applies_to: [{labels: {quarantine: "true"}}],
     rules: [{action: deny, direction: ingress}, {action: deny, direction: egress}]}
"""


@pytest.mark.kernel
def test_a_lab_lives(tmp_path: Path) -> None:
    name, file = new_name("lives"), tmp_path / "lab.yaml"
    file.write_text(FILE.replace("NAME", name))
    assert sdn("up", file).returncode == 0
    try:
        here = json.loads(sdn("status", name, "--format", "json").stdout)["workloads"]["a/web"]["host"]
        there = next(host for host in ("host-1", "host-3") if host != here)
        moved = sdn("migrate", "web", there, "--lab", name)
        assert moved.returncode == 0, moved.stderr
        assert moved.stdout.splitlines()[1].split()[:3] == ["a/web", here, there]
        assert "permitted packets: " in moved.stdout and "; 0 forbidden ones arrived" in moved.stdout
        again = sdn("migrate", "web", there, "--lab", name)
        assert (again.returncode, again.stdout.splitlines()[-1]) == (0, f"{name}: nothing to do")
        refused = sdn("migrate", "db", "host-1", "--lab", name, "--format", "json")
        assert refused.returncode == 1
        assert json.loads(refused.stdout)["refused"] == [
            "a/db cannot go to host-1: it is fixed to host-2; remove its `host`"
        ]
        labelled = sdn("label", "api", "quarantine=true", "--lab", name, "--no-watch")
        assert labelled.returncode == 0 and "CHANGES OF" in labelled.stdout
        unheard = sdn("label", "api", "colour=red", "--lab", name, "--no-watch").stdout.splitlines()
        assert unheard == [
            "note: a/api has colour=red now; no policy, group or service that is in use follows that",
            f"{name}: no host has anything to change",
        ]
        same = sdn("label", "api", "colour=red", "--lab", name, "--no-watch").stdout.splitlines()
        assert same[0] == "note: a/api has colour=red already"
        drained = json.loads(sdn("drain", there, "--lab", name, "--format", "json").stdout)
        assert "a/web" in {one["workload"] for one in drained["moved"]}
        assert drained["watched"]["leaked"] == drained["watched"]["duplicated"] == 0
        assert sdn("status", name).returncode == 0
        placed = json.loads(sdn("status", name, "--format", "json").stdout)["workloads"]
        dry = json.loads(sdn("rebalance", "--dry-run", "--lab", name, "--format", "json").stdout)
        assert json.loads(sdn("status", name, "--format", "json").stdout)["workloads"] == placed
        done = json.loads(sdn("rebalance", "--lab", name, "--format", "json").stdout)
        assert [one["workload"] for one in done["moved"]] == [one["workload"] for one in dry["moved"]]
        assert sdn("rebalance", "--lab", name).stdout == f"{name}: nothing to do\n"
        for words in (["label", "nobody", "a=b"], ["migrate", "web", "nobody"], ["drain", "nobody"]):
            unknown = sdn(*words, "--lab", name)
            assert unknown.returncode == 2 and "nobody" in unknown.stderr
    finally:
        sdn("down", name)


def test_all_that_is_wrong_with_labels_is_told_at_once() -> None:
    status, _, error = run("label", "web", "a b=x", "tier=not one", "c=1", "c-")
    assert status == 2
    assert '"a b" is not a label key' in error and '"not one" is not a label value' in error and "'c-' speaks" in error


@pytest.mark.parametrize("text", ["quarantine", "=x", "-", "k="])
def test_what_is_no_label_is_refused(text: str) -> None:
    status, _, error = run("label", "web", "--", text)
    assert status == 2
    assert "write key=value to set, key- to remove" in error

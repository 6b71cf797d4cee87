"""`tools/bench`: it runs from nothing, and its JSON is what other tools may rely on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent.parent / "tools"))
from benchmarks import machine
from benchmarks.gone import seconds_until_gone

BENCH = Path(__file__).parent.parent / "tools/bench"
ENVIRONMENT = {**os.environ, "SDN_VENV": os.environ.get("SDN_VENV") or sys.prefix}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it as a user does, with the environment that these tests run in."""
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True, check=False, env=ENVIRONMENT)


@pytest.mark.kernel
def test_boot_as_json() -> None:
    done = bench("boot", "--pods", "10", "--repeat", "1", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert all(set(row) == {"case", "value", "unit", "peer", "peer_value", "ratio"} for row in rows)
    by_case = {(row["case"], row["peer"]): row for row in rows}
    for shape in ("flat", "l2"):
        for case in (f"boot {shape} 10: up", f"boot {shape} 10: down, all gone"):
            row = by_case[case, "floor"]
            assert row["unit"] == "ms/pod" and row["value"] > 0 and row["peer_value"] > 0
            assert row["ratio"] == pytest.approx(row["value"] / row["peer_value"], rel=0.02)
        assert "10 pods" in by_case[f"boot {shape} 10: what", None]["value"]


def test_unknown_name_lists_what_there_is() -> None:
    done = bench("boots")
    assert done.returncode == 2
    assert "No such command 'boots'" in done.stderr and "boot" in done.stderr


@pytest.mark.kernel
def test_who_cannot_tell_when_all_is_gone_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process that shall watch does not even start, nobody waits for it."""
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    with pytest.raises(RuntimeError, match=r"(?s)cannot tell when the kernel had finished:.*benchmarks"):
        seconds_until_gone(time.monotonic)


def test_who_is_there_all_the_time_harms_no_difference() -> None:
    others = machine.Others()
    for found, differing in (({"always", "goes"}, 0), ({"always"}, 1), ({"always", "comes"}, 2), ({"always"}, 2)):
        others.saw(set(map(Path, found)))
        assert others.count == differing


@pytest.mark.kernel
def test_namespaces_of_others_are_seen() -> None:
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo; read _"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        other, own = machine.namespace(str(process.pid)), machine.namespace("self")
        assert other != own and {other, own} <= machine.namespaces()
        process.communicate("")

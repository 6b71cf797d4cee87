"""`tools/bench all`: one that fails costs nobody else's rows, and whoever ends it ends its labs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from test_bench import BENCH

sys.path += [str(BENCH.parent), str(Path(__file__).parent / "scheduler")]  # as `tools/bench` has it
from benchmarks import everything
from benchmarks.__main__ import main, show
from benchmarks.rows import Row, compared, plain

from sdn.errors import LabError
from sdn.kernel import sandbox

SMALL = ("policy", "--namespaces=2", "--everybody=3", "--pods=2", "--blocks=2", "--policies=2")
LABS = ("leaks", "--cycles=0", "--commands=50", "--events=0")


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `tools/bench` sets it for what it starts."""
    tools = BENCH.parent
    folders = (tools, tools.parent / "tests", tools.parent / "tests/scheduler", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))


@pytest.mark.parametrize("command", everything.EVERY, ids=" ".join)
def test_all_asks_for_what_there_is(command: tuple[str, ...]) -> None:
    name, *options = command
    assert main.commands[name].make_context(name, [*options, "--format=lines"]).params


def test_every_benchmark_is_part_of_all() -> None:
    assert {command[0] for command in everything.EVERY} == set(main.commands) - {"all"}


def test_the_others_go_on() -> None:
    told: list[str] = []
    run = everything.Run(told.append, (SMALL, ("policy", "--pods=none"), SMALL))
    cases = [row.case for row in run.rows()]
    assert run.failed == ["tools/bench policy --pods=none"]
    assert cases.count("policy everybody: compile") == 2
    assert [case for case in cases if case.startswith("all:")] == [
        f"all: tools/bench {' '.join(SMALL)}",
        "all: tools/bench policy --pods=none",
        f"all: tools/bench {' '.join(SMALL)}",
        "all: together",
        "all: failed",
    ]
    assert any("ended with status 2" in sentence for sentence in told)


def test_what_was_measured_before_a_failure_is_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    def rows() -> Iterator[Row]:
        yield plain("first", 1)
        raise LabError("the second could not be measured")

    with pytest.raises(SystemExit) as ended:
        show(rows(), "json")
    said = capsys.readouterr()
    assert ended.value.code == 2 and said.err == "bench: the second could not be measured\n"
    assert [row["case"] for row in json.loads(said.out)] == ["first"]


def test_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    show(iter([plain("first", 1), compared("second", 4, "s", "floor", 2)]), "lines")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["case"], line["ratio"]) for line in lines] == [("first", None), ("second", 2.0)]


@pytest.mark.kernel
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_whoever_is_ended_leaves_no_lab(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks", *LABS, "--format=json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        _until(lambda: _lab_of(process.pid))
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Traceback" not in errors
    assert json.loads(output)[0]["case"] == "machine: cores"
    assert not _lab_of(process.pid)


@pytest.mark.kernel
def test_all_that_is_ended_ends_what_it_has_started() -> None:
    rows = everything.Run(lambda _: None, (LABS,)).rows()
    next(rows)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    _until(lambda: any(map(_lab_of, map(int, children))))
    rows.close()
    assert not any(map(_lab_of, map(int, children)))


def _lab_of(pid: int) -> bool:
    return any(lab.name == f"bench-leaks-{pid}" for lab in sandbox.labs())


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

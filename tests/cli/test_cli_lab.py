"""What the verbs about running labs print; the labs themselves are tested where they are built."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sdn.cli import doctor, sdn, status
from sdn.kernel.features import Feature
from sdn.lab.messages import Info
from sdn.plan.desired import prepare
from sdn.spec.load import load

HELLO = Path(__file__).parents[2] / "topologies" / "two-hosts.yaml"


def info(*drift: str) -> Info:
    return Info("two-hosts", 4711, 1000.0, "up", ("two-hosts.yaml",), {"hosts": 2, "pods": 2, "vms": 0}, drift)


def test_status_lists_workloads_and_says_that_all_is_well() -> None:
    placed = prepare(load([HELLO]).model).placed
    assert list(status.render(info(), placed, 1300.0)) == [
        "two-hosts: up for 5 min, pid 4711, from two-hosts.yaml",
        "  2 hosts, 2 pods",
        "",
        "  WORKLOAD       HOST     NODE   ADDRESSES",
        "  hello/client   host-1   -      10.1.1.2, fd00:1:1::2",
        "  hello/server   host-2   -      10.1.1.3, fd00:1:1::3",
        "",
        "the kernel is as planned",
    ]


def test_status_names_every_difference() -> None:
    placed = prepare(load([HELLO]).model).placed
    lines = list(status.render(info("host-1: no bridge br.4096", "host-1: no route"), placed, 1300.0))
    assert lines[-3:] == [
        "  host-1: no bridge br.4096",
        "  host-1: no route",
        "the kernel differs from the plan: 2 differences",
    ]


@pytest.mark.parametrize(
    ("ok", "required", "said"), [(True, True, "ok"), (False, True, "MISSING"), (False, False, "no")]
)
def test_doctor_tells_missing_from_optional(ok: bool, required: bool, said: str) -> None:
    assert doctor.sign(Feature("netem", ok, required, "")) == said


@pytest.mark.parametrize("verb", [("status",), ("down",), ("probe", "a", "b:80"), ("exec", "a", "--", "true")])
def test_a_lab_that_is_not_there_is_one_sentence(verb: tuple[str, ...]) -> None:
    name = ("no-such-lab",) if verb[0] in {"status", "down"} else ()
    option = ("--lab", "no-such-lab") if verb[0] in {"probe", "exec"} else ()
    done = CliRunner().invoke(sdn, [verb[0], *option, *verb[1:], *name])
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "no-such-lab" in done.stderr

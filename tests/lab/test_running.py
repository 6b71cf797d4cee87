"""A lab that is up, seen from inside the holder: what could not even be planned leaves no trace in what comes next."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sdn.errors import LabError
from sdn.kernel.driver import Driver
from sdn.lab.running import Running
from sdn.model import Application, Placement
from sdn.plan.desired import prepare
from worlds_build import model, segment, workload

LAN = Application("a", (segment("lan", "10.1.1.0/24", "fd00:1::/64"),))
LAB = model("planned", [LAN], [replace(workload(f"a/{name}", 1, "a/lan", ":80"), host="") for name in "xyz"])


def test_what_could_not_be_planned_is_not_half_planned() -> None:
    """The first of two moves can be planned and the second cannot; nothing of either is in the plan afterwards."""
    running = Running("planned", prepare(LAB), Driver())
    before = running.prepared
    hosts = before.placed.placement.hosts
    other = next(host for host in ("host-1", "host-2") if host != hosts["a/x"])
    with pytest.raises(KeyError, match="host-9"):
        running.move(LAB, Placement({**hosts, "a/x": other, "a/y": "host-9"}))
    assert running.prepared == before
    done = running.move(LAB, Placement(hosts))
    assert (done.changes, done.nodes, done.messages) == ({}, (), 0)
    assert running.prepared == before and not running.torn


def test_what_is_not_enforced_yet_is_not_told_as_what_is() -> None:
    """Others may ask at any time; until the kernel holds the change, the lab is what it was."""
    running = Running("planned", prepare(LAB), Driver())
    before = running.prepared
    seen = []

    def say(stage: str) -> None:
        seen.append((stage, running.prepared))
        raise LabError("nobody wants to hear it")

    with pytest.raises(LabError, match="nobody wants"):
        running.move(replace(LAB, workloads=LAB.workloads[1:]), before.placed.placement, say)
    assert seen == [("3 nodes change", before)]
    assert running.prepared == before and "failed half-way" in running.torn


def test_who_is_ready_for_a_change_makes_it_as_who_is_not() -> None:
    """And all who ask for what was before it are told that, however much has changed since."""
    ready, other = (Running("planned", prepare(LAB), Driver()) for _ in range(2))
    ready.follow()
    before = ready.prepared
    assert (ready.model, ready.placement) == (before.placed.model, before.placed.placement)
    assert ready.kept.made == 1
    again = ready.kept.place(LAB, before.placed.placement)
    for running in (ready, other):
        running.move(LAB, before.placed.placement)
        assert running.prepared == before
    assert again == before.placed.placement
    assert ready.kept.made == 1

"""What leaves is shut when a change returns, and gone when somebody asks; what could not be cleaned up is told."""

from __future__ import annotations

import threading
from functools import partial

import pytest
from inside import in_lab
from msgspec.structs import replace
from test_kernel_migrate import BEFORE, LAB, Talk

from sdn.errors import KernelError, LabError
from sdn.kernel.apply import apply
from sdn.kernel.driver import Driver
from sdn.kernel.leftovers import Leftovers
from sdn.kernel.namespaces import NamespaceWorker, names
from sdn.kernel.readback import drift
from sdn.kernel.rtnetlink import Netlink
from sdn.lab.running import Running
from sdn.plan.desired import prepare
from sdn.plan.ids import namespace_of, port_name

LEFT = prepare(replace(LAB, workloads=LAB.workloads[1:]), BEFORE.placed)
"""Without a/m, which was called and called others."""


def is_up(port: str) -> bool:
    """In the namespace of the calling thread."""
    with Netlink() as netlink:
        return netlink.runs(port)


@pytest.mark.kernel
@in_lab
def test_who_leaves_is_shut_at_once_and_gone_a_little_later() -> None:
    driver, port, namespace = Driver(), port_name("a/m"), namespace_of("a/m")
    driver.build(BEFORE.plan)
    driver.leftovers, gate = Leftovers(), threading.Event()
    driver.leftovers.add(partial(_pass, gate))
    with NamespaceWorker() as worker:
        talk = Talk(worker)
        apply(BEFORE.plan, LEFT.plan, driver)
        found = drift(LEFT.plan)
        assert namespace in names() and not worker.run("host-1", partial(is_up, port))
        assert found and all(namespace in line or port in line for line in found), found
        _, client, server = talk.open[0]
        server.settimeout(0.3)
        client.sendall(b"x")
        with pytest.raises(TimeoutError):
            server.recv(1)
        gate.set()
        driver.leftovers.finish()
        assert drift(LEFT.plan) == [] and namespace not in names()
        client.close()
        apply(LEFT.plan, BEFORE.plan, driver)
        driver.leftovers.finish()
        assert drift(BEFORE.plan) == []


def _pass(gate: threading.Event) -> None:
    assert gate.wait(20)


def test_what_could_not_be_cleaned_up_stops_the_next_change() -> None:
    running = Running("left", BEFORE, Driver())
    leftovers = running.driver.leftovers
    assert leftovers is not None

    def refuse() -> None:
        raise KernelError("the kernel keeps it\nand says more")

    leftovers.add(refuse)
    with pytest.raises(LabError, match=r"failed half-way \(the kernel keeps it\); `sdn down left`"):
        running.move(LEFT.placed.model, LEFT.placed.placement)
    assert running.prepared is BEFORE
    leftovers.finish()  # told once
    with pytest.raises(LabError, match="the kernel keeps it"):
        running.require_whole()

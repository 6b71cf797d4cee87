"""A lab that is taken apart: workloads first, tunnels next, and rules only where no link to a workload is left."""

from __future__ import annotations

import os
import signal
from functools import partial

import pytest
from inside import eventually, in_lab
from msgspec.structs import replace

from sdn.errors import KernelError
from sdn.kernel import processes
from sdn.kernel.driver import Driver
from sdn.kernel.ending import take_apart
from sdn.kernel.namespaces import RUN, NamespaceWorker, names, opened
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.syscalls import CLONE_NEWNET, setns
from sdn.model import Application, SegmentKind
from sdn.plan.desired import prepare
from sdn.plan.ids import namespace_of, port_name
from sdn.plan.state import Vxlan
from worlds_build import model, segment, workload

LAB = model(
    "ending",
    [
        Application("a", (segment("pods", "10.2.0.0/16", kind=SegmentKind.ROUTED),)),
        Application("b", (segment("lan", "10.1.1.0/24"),)),
    ],
    [
        replace(workload("a/x", 1, "a/pods"), command=("sleep", "600")),
        *(
            workload(key, host, at)
            for key, host, at in (("b/y", 1, "b/lan"), ("a/z", 2, "a/pods"), ("b/w", 2, "b/lan"))
        ),
    ],
)
PLAN = prepare(LAB).plan
HOSTS = ("host-1", "host-2")


class Look:
    """Into namespaces that have lost their names; nothing else holds them."""

    def __init__(self, worker: NamespaceWorker, held: dict[str, int]) -> None:
        self._worker = worker
        self._held = held

    def up(self, node: str, *links: str) -> list[str]:
        """Those of the links that are there and up."""
        return self._worker.run(None, partial(self._up, node, links))

    def _up(self, node: str, wanted: tuple[str, ...]) -> list[str]:
        setns(self._held[node], CLONE_NEWNET)
        with Netlink() as netlink:
            return [link.name for link in netlink.links() if link.name in wanted and link.up]

    def tables(self, node: str) -> list[str]:
        """Of nftables."""
        return self._worker.run(None, partial(self._tables, node))

    def _tables(self, node: str) -> list[str]:
        setns(self._held[node], CLONE_NEWNET)
        return processes.run(["nft", "list", "tables"]).stdout.split("\n")[:-1]


def named() -> list[str]:
    """Names that lead to a namespace; where they were mounted their files stay."""
    return [name for name in names() if os.path.ismount(RUN / name)]


def tunnels(node: str) -> list[str]:
    return [link.name for link in PLAN[node].links if isinstance(link, Vxlan)]


@pytest.mark.kernel
@in_lab
def test_rules_stay_where_somebody_holds_a_workload_and_its_link_is_shut() -> None:
    Driver().build(PLAN)
    sleeping = processes.spawn(["sleep", "600"])
    held_port, gone_port = port_name("a/x"), port_name("b/y")
    with NamespaceWorker() as worker, opened([*HOSTS, namespace_of("a/x")]) as held:
        look = Look(worker, held)
        assert all(look.tables(host) for host in HOSTS)
        assert look.up("host-1", held_port, gone_port) and set(look.up("host-1", *tunnels("host-1")))
        take_apart(PLAN, many=0)
        assert named() == []
        assert sleeping.wait(5) == 128 + signal.SIGKILL
        assert all(look.up(host, *tunnels(host)) == [] for host in HOSTS)
        assert look.up("host-1", held_port) == [], "whoever is held from outside has no link that is up"
        assert look.tables("host-1"), "rules went before a port"
        assert eventually(lambda: not look.up("host-1", gone_port)), "nobody holds it, so its link goes with it"
        assert look.tables("host-2") == []


@pytest.mark.kernel
@in_lab
def test_a_small_lab_is_left_as_it_is() -> None:
    Driver().build(PLAN)
    take_apart(PLAN)
    assert set(named()) >= {*HOSTS, namespace_of("a/x")}


@pytest.mark.kernel
@in_lab
def test_a_host_that_is_missing_is_told_before_anything_is_touched() -> None:
    Driver().build(PLAN)
    with pytest.raises(KernelError, match="host-9"):
        take_apart({**PLAN, "host-9": replace(PLAN["host-1"], name="host-9")}, many=0)
    assert set(named()) >= {*HOSTS}


def test_it_ends_nothing_outside_of_a_lab() -> None:
    from sdn.kernel.ending import _end_the_rest  # noqa: PLC0415  of no use to anybody else

    with pytest.raises(KernelError, match="outside of a lab"):
        _end_the_rest()
    assert os.getpid() != 1

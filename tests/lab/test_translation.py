"""A Host translates only if it has Services: what that spares, and what of it must stay when the last Service goes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from talkers import PORT, talking

from labs import inside, up
from sdn.kernel.skeleton import TRANSLATES
from sdn.lab import client
from sdn.model import Application, Model, SegmentKind, Service, ServicePort
from sdn.model.lifecycle import Migrate
from worlds_build import model, segment, workload

pytestmark = pytest.mark.kernel

NET = Application("a", (segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),))
WORKLOADS = [replace(workload("a/c", 1, "a/pods"), host=""), workload("a/s", 2, "a/pods", app="s")]
ADDRESSES = ("10.96.0.9", "fd00:10:96::9")
SERVICE = Service("a", "s", "a", {"app": "s"}, (ServicePort(90, PORT),), ADDRESSES)
NOBODY = replace(SERVICE, selector={"app": "nobody"})


def lab_of(*services: Service) -> Model:
    """A client on host-1 and a server on host-2; nobody is on host-3."""
    return model("translating", [NET], WORKLOADS, *services)


def translating(lab: client.Lab) -> set[str]:
    """The Hosts whose kernel shows every packet to translation."""
    hosts = [name for name, state in lab.plan().items() if state.role == "host"]
    return {host for host in hosts if TRANSLATES in inside(lab, host, "nft", "list", "ruleset")}


def test_only_where_a_service_leads_somewhere() -> None:
    with up(lab_of()) as lab:
        assert translating(lab) == set()
        for services in ((), (NOBODY,), (SERVICE,)):
            lab.apply(lab_of(*services))
            assert lab.status().drift == ()
            assert translating(lab) == ({"host-1", "host-2"} if SERVICE in services else set())
        inside(lab, "host-1", "nft", "delete", "chain", "inet", "sdn", "c_hairpin")
        assert any("c_hairpin" in sentence for sentence in lab.status().drift)


def test_a_connection_outlives_its_service_even_elsewhere() -> None:
    with up(lab_of(SERVICE)) as lab, talking(lab, ["a/c", "a/s"]) as talkers:
        assert translating(lab) == {"host-1", "host-2"}
        calls = [f"{ADDRESSES[0]}:90", f"{ADDRESSES[1]}:90"]
        assert talkers.call({"a/c": calls, "a/s": []}) == len(calls)
        lab.apply(lab_of())
        assert talkers.exchange() == []
        assert lab.status().drift == ()
        (moved,) = lab.operate(Migrate("a/c", "host-3")).moved
        assert moved.connections == len(calls)
        assert talkers.exchange() == []
        assert lab.status().drift == ()
        assert translating(lab) == {"host-1", "host-2", "host-3"}

"""Which Services a Host balances for whom, over which backends, and how the map of backends is numbered."""

from __future__ import annotations

import msgspec
import pytest

from sdn.model import Application, Placed, Placement, Protocol, Service, ServicePort
from sdn.plan.allocate import allocate
from sdn.plan.loadbalancer import LoadBalancerPlanner, host_loadbalancer
from sdn.plan.state import Backend, LoadBalancer, Virtual
from shuffled import Shuffler
from worlds_build import model, segment, workload

FRONT = Application("front", (segment("lan", "10.1.0.0/24", "fd00:1::/64"),), ("back",))
BACK = Application("back", (segment("lan", "10.2.0.0/24", "fd00:2::/64"), segment("old", "10.3.0.0/24")))
FAR = Application("far", (segment("lan", "10.4.0.0/24", "fd00:4::/64"),), ("back",))
WORKLOADS = [
    workload("shop/web", 1, "front/lan", "http:80", app="web", ip=("10.1.0.10", "fd00:1::10")),
    workload("shop/db-1", 2, "back/lan", "sql:5432", app="db", ip=("10.2.0.11", "fd00:2::11")),
    workload("shop/db-2", 3, "back/lan", "sql:5433", "sql:9/udp", app="db", ip=("10.2.0.12", "fd00:2::12")),
    workload("shop/db-3", 2, "back/old", app="db", ip=("10.3.0.13",)),
    workload("shop/fake", 2, "far/lan", "sql:1", app="db", ip=("10.4.0.14", "fd00:4::14")),
    workload("ops/fake", 2, "back/lan", "sql:1", app="db", ip=("10.2.0.15", "fd00:2::15")),
]
SQL = ServicePort(5000, "sql")


def service(name: str, *ports: ServicePort, at: int = 5, application: str = "back", **selector: str) -> Service:
    return Service("shop", name, application, selector, ports, (f"10.96.0.{at}", f"fd00:10:96::{at}"))


def world(*services: Service) -> Placed:
    lab = model("lab", [FRONT, BACK, FAR], WORKLOADS, *services)
    return allocate(lab, Placement({w.key: w.host for w in lab.workloads}))


def balancer(host: int, *services: Service) -> LoadBalancer:
    return host_loadbalancer(world(*services), f"host-{host}")


def backends(found: LoadBalancer, family: int = 4) -> dict[int, list[str]]:
    """Port → workload:port of its backends."""
    return {
        virtual.port: [f"{backend.workload}:{backend.port}" for backend in virtual.backends]
        for virtual in found.virtuals
        if (":" in virtual.address) == (family == 6)
    }


class TestVisibility:
    @pytest.mark.parametrize(
        ("host", "seen_by"),
        [
            pytest.param(1, ["front"], id="connected"),
            pytest.param(3, ["back"], id="its-own"),
            pytest.param(2, ["back", "far"], id="one-virtual-per-application-here"),
        ],
    )
    def test_marks(self, host: int, seen_by: list[str]) -> None:
        placed = world(service("db", SQL, app="db"))
        found = host_loadbalancer(placed, f"host-{host}")
        assert sorted({v.mark for v in found.virtuals}) == sorted(placed.marks[name] for name in seen_by)

    def test_connections_are_not_transitive(self) -> None:
        assert balancer(1, service("fake", SQL, application="far", app="db")).virtuals == ()
        assert balancer(3, service("fake", SQL, application="far", app="db")).virtuals != ()

    def test_a_headless_service_is_not_balanced(self) -> None:
        headless = msgspec.structs.replace(service("db", SQL, app="db"), addresses=())
        assert balancer(2, headless) == LoadBalancer()

    def test_a_host_without_endpoints_balances_nothing(self) -> None:
        assert LoadBalancerPlanner(world(service("db", SQL, app="db"))).host("host-9") == LoadBalancer()


class TestBackends:
    def test_named_target_is_each_backends_own(self) -> None:
        found = balancer(1, service("db", SQL, app="db"))
        assert backends(found) == {5000: ["shop/db-1:5432", "shop/db-2:5433"]}

    @pytest.mark.parametrize(
        ("port", "family", "expected"),
        [
            pytest.param(ServicePort(1, 77), 4, ["db-1:77", "db-2:77", "db-3:77"], id="numbers-need-no-listener"),
            pytest.param(ServicePort(1, 77), 6, ["db-1:77", "db-2:77"], id="only-who-has-the-family"),
            pytest.param(ServicePort(1, "sql", Protocol.UDP), 4, ["db-2:9"], id="protocol-must-agree"),
            pytest.param(ServicePort(1, "http"), 4, [], id="nobody-has-the-name"),
        ],
    )
    def test_target(self, port: ServicePort, family: int, expected: list[str]) -> None:
        found = balancer(1, service("db", port, app="db"))
        assert backends(found, family) == {1: [f"shop/{name}" for name in expected]}

    def test_an_empty_selector_matches_nothing(self) -> None:
        assert backends(balancer(1, service("none", SQL))) == {5000: []}

    def test_all_labels_must_match(self) -> None:
        assert backends(balancer(1, service("db", SQL, app="db", tier="x"))) == {5000: []}

    def test_sorted_by_address_then_port(self) -> None:
        (v4, _) = balancer(1, service("db", SQL, app="db")).virtuals
        assert v4.backends == (Backend("10.2.0.11", 5432, "shop/db-1"), Backend("10.2.0.12", 5433, "shop/db-2"))
        assert (v4.service, v4.protocol, v4.address) == ("shop/db", Protocol.TCP, "10.96.0.5")


class TestOrder:
    SERVICES = (
        service("db", SQL, ServicePort(5001, "sql"), ServicePort(5002, 80), app="db"),
        service("twin", SQL, at=6, app="db"),
        service("none", SQL, at=7),
    )

    def test_sorted_and_unique(self) -> None:
        keys = [(v.mark, v.address, v.protocol, v.port) for v in balancer(2, *self.SERVICES).virtuals]
        assert keys == sorted(set(keys))

    @pytest.mark.parametrize("seed", range(3))
    def test_order_of_input_never_shows(self, seed: int) -> None:
        placed = world(*self.SERVICES)
        other = LoadBalancerPlanner(Shuffler(seed).placed(placed))
        for number in (1, 2, 3):
            here = host_loadbalancer(placed, f"host-{number}")
            assert msgspec.msgpack.encode(here) == msgspec.msgpack.encode(other.host(f"host-{number}"))

    def test_no_backends_is_still_a_virtual(self) -> None:
        (v4, v6) = balancer(1, service("none", SQL, at=7)).virtuals
        assert v4 == Virtual(v4.mark, "10.96.0.7", Protocol.TCP, 5000, "shop/none", ())
        assert v6.address == "fd00:10:96::7"


class TestHairpin:
    def test_local_backends_only(self) -> None:
        placed = world(service("db", SQL, app="db"))
        zone = placed.zones["back"]
        assert host_loadbalancer(placed, "host-3").hairpin == (
            (zone, "10.2.0.12", "10.2.0.1", True),
            (zone, "fd00:2::12", "fd00:2::1", True),
        )
        assert host_loadbalancer(placed, "host-1").hairpin == ()

    def test_only_the_family_in_which_it_is_a_backend(self) -> None:
        only4 = msgspec.structs.replace(service("db", ServicePort(1, "sql"), app="db"), addresses=("10.96.0.5",))
        assert [address for _, address, _, _ in balancer(3, only4).hairpin] == ["10.2.0.12"]

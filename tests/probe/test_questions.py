"""Everybody is asked about, nobody twice, and only where the answer is certain."""

from __future__ import annotations

from collections import Counter

import msgspec

from sdn.model import (
    Application,
    Ask,
    Disposition,
    Endpoint,
    Expectation,
    Host,
    Kind,
    Model,
    Placed,
    Placement,
    Port,
    Protocol,
    Segment,
    Service,
    ServicePort,
    Underlay,
    Workload,
)
from sdn.probe.questions import closed_port, expectation_questions, listening, questions

ENDPOINTS = {
    "shop/db": ("10.1.0.3", "fd00:1::3"),
    "shop/web": ("10.1.0.2", "fd00:1::2"),
    "lab/x": ("10.1.0.2",),  # the same address as shop/web's, in another Application
    "lab/y": ("10.1.0.9",),
    "ops/mon": ("10.9.0.2",),
}
PORTS = {
    "shop/db": (Port(5432), Port(53, Protocol.UDP), Port(90, Protocol.SCTP)),
    "shop/web": (Port(7), Port(8, Protocol.UDP)),
    "ops/mon": (Port(9090),),
}


def world() -> Placed:
    names = ("lab", "ops", "shop")
    service = Service(
        "shop", "data", "shop", {}, (ServicePort(80, 8), ServicePort(53, 53)), ("10.96.0.1", "fd00:96::1")
    )
    headless = Service("shop", "none", "shop", {}, (ServicePort(80, 80),))
    model = Model(
        name="q",
        underlay=Underlay((Host("host-1"),)),
        applications=tuple(
            Application(name, (Segment("net", ("10.0.0.0/8",)),), ("shop",) if name == "ops" else ()) for name in names
        ),
        workloads=tuple(
            Workload(key.split("/")[0], key.split("/")[1], Kind.POD, key.split("/")[0], "net", ports=PORTS.get(key, ()))
            for key in sorted(ENDPOINTS)
        ),
        services=(service, headless),
        expectations=(
            Expectation("shop/web", "shop/db", Protocol.TCP, 5432, Disposition.ALLOW),
            Expectation("shop/web", "shop/data", Protocol.TCP, 80, Disposition.ALLOW, is_service=True),
            Expectation("shop/web", "10.1.0.3", Protocol.ICMP, 0, Disposition.ALLOW),
            Expectation("shop/web", "203.0.113.1", Protocol.TCP, 80, Disposition.NO_ROUTE),
            Expectation("lab/x", "shop/web", Protocol.TCP, 80, Disposition.NO_ROUTE),
        ),
    )
    endpoints = {
        key: Endpoint(key, key.split("/")[0], "net", "host-1", "", ENDPOINTS[key]) for key in sorted(ENDPOINTS)
    }
    return Placed(model, Placement({}), endpoints)


PLACED = world()
ASKED = questions(PLACED)


def asked(source: str, target: str) -> list[tuple[str, str, int]]:
    return [
        (q.flow.destination, str(q.flow.protocol), q.flow.port)
        for q in ASKED
        if q.flow.source == source and q.target == target
    ]


def test_every_port_one_closed_port_and_echo_in_each_family() -> None:
    for address in ENDPOINTS["shop/db"]:
        here = [(protocol, port) for to, protocol, port in asked("shop/web", "shop/db") if to == address]
        assert sorted(here) == [("icmp", 0), ("sctp", 90), ("tcp", 9), ("tcp", 5432), ("udp", 53)]


def test_the_closed_port_is_nobodys() -> None:
    assert closed_port(PLACED.model) == 9  # 7 is declared, 8 is where a Service leads; UDP's 8 does not count


def test_no_question_about_a_family_that_one_side_lacks() -> None:
    assert {to for to, _, _ in asked("ops/mon", "shop/db")} == {"10.1.0.3"}


def test_connections_hold_in_both_directions() -> None:
    assert len(asked("ops/mon", "shop/db")) == 5
    assert len(asked("shop/db", "ops/mon")) == 3


def test_between_unconnected_applications_one_port_and_echo() -> None:
    assert asked("lab/x", "shop/db") == [("10.1.0.3", "sctp", 90), ("10.1.0.3", "icmp", 0)]
    assert asked("shop/web", "lab/y") == [("10.1.0.9", "tcp", 9), ("10.1.0.9", "icmp", 0)]


def test_an_address_that_means_somebody_else_is_left_out() -> None:
    assert asked("shop/db", "lab/x") == []
    assert asked("shop/web", "lab/x") == []
    assert asked("lab/y", "shop/web") == []


def test_nobody_is_asked_about_itself() -> None:
    assert not [q for q in ASKED if q.flow.source == q.target]


def test_services_from_every_workload_of_their_application() -> None:
    assert asked("shop/web", "shop/data") == [
        (address, "tcp", port) for address in ("10.96.0.1", "fd00:96::1") for port in (80, 53)
    ]
    assert len(asked("shop/db", "shop/data")) == 4
    assert not [q for q in ASKED if q.ask is Ask.SERVICE and q.flow.source.startswith(("ops", "lab"))]


def test_hosts_about_the_workloads_on_them_and_one_elsewhere() -> None:
    assert [(q.target, q.flow.application) for q in ASKED if q.ask is Ask.HOST] == [
        (key, key.partition("/")[0]) for key in sorted(ENDPOINTS) for _ in ENDPOINTS[key]
    ]
    assert asked("host-1", "shop/db")[0] == ("10.1.0.3", "sctp", 90)  # the first on which it listens
    assert asked("host-1", "lab/y") == [("10.1.0.9", "icmp", 0)]
    db = msgspec.structs.replace(PLACED.endpoints["shop/db"], host="host-2")
    apart = msgspec.structs.replace(PLACED, endpoints=PLACED.endpoints | {"shop/db": db})
    found = {(q.flow.source, q.target) for q in questions(apart) if q.ask is Ask.HOST and q.flow.application == "shop"}
    assert found == {("host-1", "shop/web"), ("host-2", "shop/db"), ("host-1", "shop/db"), ("host-2", "shop/web")}


def test_no_question_twice() -> None:
    assert max(Counter(q.flow for q in ASKED).values()) == 1


def test_the_order_of_what_was_read_never_matters() -> None:
    model = PLACED.model
    turned = msgspec.structs.replace(model, applications=model.applications[::-1])
    assert questions(msgspec.structs.replace(PLACED, model=turned)) == ASKED


def test_who_listens() -> None:
    assert ("shop/db", Protocol.SCTP, 90) in listening(PLACED)
    assert len(listening(PLACED)) == 6


def test_expectations() -> None:
    found = [(line.destination, q.target, q.flow.destination) for line, q in expectation_questions(PLACED)]
    assert found == [
        ("shop/db", "shop/db", "10.1.0.3"),
        ("shop/db", "shop/db", "fd00:1::3"),
        ("shop/data", "shop/data", "10.96.0.1"),
        ("shop/data", "shop/data", "fd00:96::1"),
        ("10.1.0.3", "shop/db", "10.1.0.3"),
        ("203.0.113.1", "", "203.0.113.1"),
        ("shop/web", "shop/web", "10.1.0.2"),
    ]
    assert {q.ask for _, q in expectation_questions(PLACED)} == {Ask.EXPECT}

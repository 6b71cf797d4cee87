"""What a line of `expect:` stands for, pair by pair."""

from __future__ import annotations

import pytest

from sdn.model import Disposition, Expectation, Kind, Port, Protocol, Service, ServicePort, Workload
from sdn.spec.expect import Directory, Line, parse_line


def workload(namespace: str, name: str, owner: str = "", **more: object) -> Workload:
    made_by = ("Workload", owner) if owner else ("", "")
    fields = {"segment": "s", "ports": (Port(8080, Protocol.TCP, "http"),), **more}
    return Workload(namespace, name, Kind.POD, namespace, owner=made_by, **fields)  # type: ignore[arg-type]


WORKLOADS = (
    workload("shop", "web-0", "web"),
    workload("shop", "web-1", "web", ports=(Port(8081, Protocol.TCP, "http"),)),
    workload("shop", "db"),
    workload("copy", "db"),
    workload("copy", "cache"),
    workload("shop", "agent", host_network=True),
    workload("nodes", "node-0", "node", segment=""),
)
SERVICES = (Service("shop", "store", "shop", {}, (ServicePort(80, 8080, Protocol.TCP, "http"),)),)


def pairs(text: str) -> list[tuple[str, str, int]]:
    found = Directory(WORKLOADS, SERVICES).expectations(parse_line(text))
    return [(one.source, one.destination, one.port) for one in found]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a → b 80/tcp: allow", Line("a", "b", Protocol.TCP, 80, Disposition.ALLOW)),
        ("a -> b 80/tcp: allow", Line("a", "b", Protocol.TCP, 80, Disposition.ALLOW)),
        ("a→b 53/udp: deny", Line("a", "b", Protocol.UDP, 53, Disposition.DENY)),
        ("  n/a → n/b icmp : reject ", Line("n/a", "n/b", Protocol.ICMP, 0, Disposition.REJECT)),
        ("a → fd00::1 9/sctp: no-route", Line("a", "fd00::1", Protocol.SCTP, 9, Disposition.NO_ROUTE)),
        (
            "a → service:n/s http/tcp: no-backend",
            Line("a", "service:n/s", Protocol.TCP, "http", Disposition.NO_BACKEND),
        ),
    ],
)
def test_a_line_is_read(text: str, line: Line) -> None:
    assert parse_line(text) == line


@pytest.mark.parametrize(
    "text", ["", "a b 80/tcp: allow", "a → b: allow", "a → b 80/tcp", "a → b 80/tcp allow", "a → b 0/tcp: allow"]
)
def test_what_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it as|not a port"):
        parse_line(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web-0 → cache 80/tcp: deny", [("shop/web-0", "copy/cache", 80)]),
        ("web → shop/db 80/tcp: deny", [("shop/web-0", "shop/db", 80), ("shop/web-1", "shop/db", 80)]),
        ("cache → web http/tcp: deny", [("copy/cache", "shop/web-0", 8080), ("copy/cache", "shop/web-1", 8081)]),
        ("web → web icmp: allow", [("shop/web-0", "shop/web-1", 0), ("shop/web-1", "shop/web-0", 0)]),
        ("cache → cache icmp: allow", [("copy/cache", "copy/cache", 0)]),
        ("cache → 203.0.113.9 80/tcp: no-route", [("copy/cache", "203.0.113.9", 80)]),
        ("cache → service:store http/tcp: allow", [("copy/cache", "shop/store", 80)]),
        ("cache → service:shop/store 80/tcp: allow", [("copy/cache", "shop/store", 80)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_stand_for_workloads(text: str, expected: list[tuple[str, str, int]]) -> None:
    assert pairs(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("wbe → shop/db 80/tcp: deny", 'did you mean "web"'),
        ("db → web 80/tcp: deny", "write copy/db or shop/db"),
        ("other/web → cache 80/tcp: deny", "is not defined"),
        ("cache → store 80/tcp: deny", "write service:shop/store"),
        ("agent → cache 80/tcp: deny", "has no address of its own"),
        ("node-0 → cache 80/tcp: deny", "has no address of its own"),
        ("cache → service:stor 80/tcp: deny", 'did you mean "store"'),
        ("cache → service:store grpc/tcp: deny", "has no tcp port"),
        ("cache → 10.0.0.1 http/tcp: deny", "write the number"),
        ("cache → 224.0.0.1 80/tcp: no-route", "224.0.0.1 is multicast, which reaches nobody"),
    ],
)
def test_a_name_that_is_not_there_says_which_are(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pairs(text)


def test_an_expectation_carries_its_place() -> None:
    (one,) = Directory(WORKLOADS, SERVICES).expectations(parse_line("cache → service:store 80/tcp: deny"), "lab.yaml:7")
    assert one == Expectation("copy/cache", "shop/store", Protocol.TCP, 80, Disposition.DENY, True, "lab.yaml:7")

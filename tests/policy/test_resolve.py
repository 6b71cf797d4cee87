"""Names and destinations as people type them, and the sentence for each that cannot be understood."""

from __future__ import annotations

import pytest

from sdn.errors import SdnError
from sdn.model import Flow, Protocol, ServicePort
from sdn.policy.resolve import find_source, find_workload, parse_destination
from worlds_base import KUBE, SITE, kube, service, tiered
from worlds_build import build
from worlds_hosts import twins
from worlds_kubernetes import HOSTNET

LAB = build(
    kube(
        SITE,
        service("shop/db", "cluster", 11, ServicePort(80, 8080), app="db"),
        service("shop/dns", "cluster", 12, ServicePort(53, "dns", Protocol.UDP, name="dns"), app="db"),
        service("ops/dns", "cluster", 13, ServicePort(53, 53, Protocol.TCP, name="dns"), app="mon"),
        workloads=[*KUBE, HOSTNET],
    )
)
V4, V6 = LAB.endpoints["shop/db"].addresses
TCP, UDP, ICMP = Protocol.TCP, Protocol.UDP, Protocol.ICMP


@pytest.mark.parametrize(("text", "key"), [("shop/web", "shop/web"), ("db", "shop/db"), ("mon", "ops/mon")])
def test_find_workload(text: str, key: str) -> None:
    assert find_workload(LAB, text) == find_workload(LAB.model, text) == key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("web", "workload 'web' is ambiguous: write one of ops/web, shop/web"),
        ("shop/mon", "there is no workload 'shop/mon': did you mean ops/mon or shop/old or shop/db?"),
        ("dbb", "there is no workload 'dbb': did you mean db?"),
        (
            "zzzzzz",
            "there is no workload 'zzzzzz' "
            "(there are: ops/mon, ops/web, shop/agent, shop/api, shop/db, ... (7 in all))",
        ),
    ],
)
def test_a_workload_that_is_not_there(text: str, message: str) -> None:
    with pytest.raises(SdnError) as caught:
        find_workload(LAB, text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop/db:80/tcp", [(V4, TCP, 80), (V6, TCP, 80)]),
        ("db:80", [(V4, TCP, 80), (V6, TCP, 80)]),
        ("db:5432/UDP", [(V4, UDP, 5432), (V6, UDP, 5432)]),
        ("db:sql", [(V4, TCP, 5432), (V6, TCP, 5432)]),
        ("shop/db:http/tcp", [(V4, TCP, 8080), (V6, TCP, 8080)]),
        ("db:dns", [(V4, UDP, 53), (V6, UDP, 53)]),
        ("db/icmp", [(V4, ICMP, 0), (V6, ICMP, 0)]),
        ("10.0.0.1:80", [("10.0.0.1", TCP, 80)]),
        ("10.0.0.1/icmp", [("10.0.0.1", ICMP, 0)]),
        ("[fd00::1]:80/udp", [("fd00::1", UDP, 80)]),
        ("[FD00:0::1]/icmp", [("fd00::1", ICMP, 0)]),
        ("fd00::1/icmp", [("fd00::1", ICMP, 0)]),
        ("service:shop/site:80", [("10.96.0.10", TCP, 80), ("fd00:10:96::10", TCP, 80)]),
        ("shop/site:80/tcp", [("10.96.0.10", TCP, 80), ("fd00:10:96::10", TCP, 80)]),
        ("site", [("10.96.0.10", TCP, 80), ("fd00:10:96::10", TCP, 80)]),
        ("service:db:80", [("10.96.0.11", TCP, 80), ("fd00:10:96::11", TCP, 80)]),
        ("shop/dns:dns", [("10.96.0.12", UDP, 53), ("fd00:10:96::12", UDP, 53)]),
    ],
)
def test_destination(text: str, expected: list[tuple[str, Protocol, int]]) -> None:
    flows = parse_destination(LAB, "shop/web", text)
    assert [(flow.destination, flow.protocol, flow.port) for flow in flows] == expected
    assert {flow.source for flow in flows} == {"shop/web"}


def test_one_family() -> None:
    assert [flow.destination for flow in parse_destination(LAB, "shop/web", "db:80", family=6)] == [V6]


def test_families_are_those_of_both_ends_or_else_the_destinations() -> None:
    lab = build(tiered())
    assert [flow.family for flow in parse_destination(lab, "far/far-1", "app-1:80")] == [4]
    assert [flow.family for flow in parse_destination(lab, "far/far-1", "[fd00::1]:80")] == [6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dbb:80", "there is no workload or service 'dbb': did you mean db?"),
        ("service:sitee:80", "there is no service 'sitee': did you mean site?"),
        ("web:80", "workload 'web' is ambiguous: write one of ops/web, shop/web"),
        ("dns:53", "service 'dns' is ambiguous: write one of ops/dns, shop/dns"),
        ("db", "db: which port? write db:80/tcp or db/icmp"),
        ("fd00::1", "fd00::1: which port? write [fd00::1]:80/tcp or [fd00::1]/icmp"),
        ("db:80/icmp", "db:80/icmp: ICMP has no ports; write db/icmp"),
        ("db:70000", "db:70000: port 70000 does not exist; write one of 1 to 65535"),
        ("db:0", "db:0: port 0 does not exist; write one of 1 to 65535"),
        ("db:ssh", "db:ssh: shop/db has no port 'ssh' (its ports: dns/udp, http/tcp, sql/tcp)"),
        ("db:sql/udp", "db:sql/udp: shop/db has no port 'sql' (its ports: dns/udp, http/tcp, sql/tcp)"),
        ("db:80/tpc", "db:80/tpc: protocol 'tpc' is not known (there are: tcp, udp, sctp, icmp)"),
        ("mon:http", "mon:http: ops/mon has no port 'http' (its ports: none with a name)"),
        ("10.0.0.1:http", "10.0.0.1:http: an address gives its ports no names; write 'http' as a number"),
        ("agent:9100", "agent:9100: shop/agent has no address of its own; it shares its Host's network"),
        (
            "[ff02::1]:53/udp",
            "[ff02::1]:53/udp: ff02::1 is multicast, which reaches nobody; ask for the address of one workload",
        ),
        (
            "255.255.255.255:67/udp",
            "255.255.255.255:67/udp: 255.255.255.255 is broadcast, which reaches nobody; "
            "ask for the address of one workload",
        ),
        (
            "127.0.0.1:80",
            "127.0.0.1:80: 127.0.0.1 is the sender itself, whose packet meets no network; "
            "ask for the address of one workload",
        ),
        (
            "[fe80::1%eth0]:80",
            "[fe80::1%eth0]:80: fe80::1%eth0 names an interface, which only the sender has; "
            "leave out what follows the percent sign",
        ),
        (
            "[fd00::1:80",
            "[fd00::1:80: cannot be read as a destination; write NAME:PORT/PROTOCOL, ADDRESS:PORT/PROTOCOL, "
            "[IPV6]:PORT/PROTOCOL, service:NAME:PORT/PROTOCOL or NAME/icmp",
        ),
    ],
)
def test_a_destination_that_is_not_there(text: str, message: str) -> None:
    with pytest.raises(SdnError) as caught:
        parse_destination(LAB, "shop/web", text)
    assert str(caught.value) == message


def test_a_family_that_the_destination_lacks() -> None:
    with pytest.raises(SdnError, match=r"10\.0\.0\.1:80: has no IPv6 address; ask for the other family"):
        parse_destination(LAB, "shop/web", "10.0.0.1:80", family=6)


def test_a_source_that_can_send_nothing() -> None:
    with pytest.raises(SdnError, match="shop/agent: has no network of its own, so it can send nothing"):
        parse_destination(LAB, "shop/agent", "db:80")


TWINS = build(twins())


def test_a_source_is_a_workload_or_else_a_host() -> None:
    assert [find_source(TWINS, text) for text in ("vm", "red/vm", "host-2")] == ["red/vm", "red/vm", "host-2"]
    with pytest.raises(SdnError, match="there is no workload or host 'host-22': did you mean host-2"):
        find_source(TWINS, "host-22")


@pytest.mark.parametrize(
    ("text", "application", "addresses"),
    [
        ("vm:22", "red", ["10.1.1.20", "fd00:1:1::20"]),
        ("pod:22", "blue", ["10.1.1.20", "fd00:1:1::20"]),
        ("red/far:22", "red", ["10.1.1.30", "fd00:1:1::30"]),
    ],
)
def test_a_host_means_the_application_of_whom_it_names(text: str, application: str, addresses: list[str]) -> None:
    wanted = tuple(Flow("host-1", address, TCP, 22, application) for address in addresses)
    assert parse_destination(TWINS, "host-1", text) == wanted
    assert parse_destination(TWINS, "host-1", text, 6) == wanted[1:]


def test_a_host_means_whoever_on_itself_has_an_address() -> None:
    web = LAB.endpoints["shop/web"].addresses[0]
    assert parse_destination(LAB, "host-1", f"{web}:80") == (Flow("host-1", web, TCP, 80, "cluster"),)
    assert parse_destination(LAB, "host-1", "service:shop/dns")[0].application == "cluster"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "10.1.1.20:22",
            "10.1.1.20 is on host-1 the address of blue/pod and of red/vm; write the name of one of them",
        ),
        (
            "10.1.1.99/icmp",
            "10.1.1.99: no workload has this address, and a host is asked about workloads only; write the name of one",
        ),
    ],
)
def test_a_host_and_an_address_that_does_not_say_whom(text: str, message: str) -> None:
    with pytest.raises(SdnError) as caught:
        parse_destination(TWINS, "host-1", text)
    assert str(caught.value) == message

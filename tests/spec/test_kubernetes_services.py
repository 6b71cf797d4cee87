"""Services: their addresses, their families, and who must listen because of them."""

# ruff: noqa: E501 - golden texts are easier to compare in one line

from __future__ import annotations

from typing import Any

import pytest
from manifests import controller, good, parts, pods, thing, written

from sdn.model import Application, Port, Protocol, Segment, Service, ServicePort
from sdn.spec.parts import LabParts


def service(name: str, **spec: Any) -> dict[str, Any]:
    return thing("Service", name, {"selector": {"app": name}, "ports": [{"port": 80}], **spec})


def addresses(*items: dict[str, Any], lab: LabParts | None = None) -> dict[str, tuple[str, ...]]:
    return {one.name: one.addresses for one in good(written(*items), lab).services}


def test_a_service_with_kubernetes_defaults() -> None:
    ports = [
        {"port": 443, "targetPort": "https", "name": "https", "nodePort": 30443, "appProtocol": "https"},
        {"port": 53, "protocol": "UDP", "name": "dns", "targetPort": 5353},
        {"port": 80, "name": "http"},
    ]
    (found,) = good(written(service("web", ports=ports, type="LoadBalancer", sessionAffinity="None"))).services
    assert found == Service(
        namespace="default",
        name="web",
        application="cluster",
        selector={"app": "web"},
        ports=(
            ServicePort(53, 5353, Protocol.UDP, "dns"),
            ServicePort(80, 80, Protocol.TCP, "http"),
            ServicePort(443, "https", Protocol.TCP, "https"),
        ),
        addresses=("10.96.0.1",),
    )


FAMILIES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "default": ({}, ("10.96.0.1",)),
    "single": ({"ipFamilyPolicy": "SingleStack"}, ("10.96.0.1",)),
    "ipv6": ({"ipFamilies": ["IPv6"]}, ("fd00:10:96::1",)),
    "both": ({"ipFamilies": ["IPv6", "IPv4"]}, ("10.96.0.1", "fd00:10:96::1")),
    "prefer": ({"ipFamilyPolicy": "PreferDualStack"}, ("10.96.0.1", "fd00:10:96::1")),
    "require": ({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]}, ("10.96.0.1", "fd00:10:96::1")),
    "given": ({"clusterIP": "10.96.7.7"}, ("10.96.7.7",)),
    "given-both": (
        {"clusterIP": "fd00:10:96::9", "clusterIPs": ["fd00:10:96::9", "10.96.7.7"]},
        ("10.96.7.7", "fd00:10:96::9"),
    ),
    "given-one-of-two": (
        {"clusterIP": "10.96.7.7", "ipFamilyPolicy": "RequireDualStack"},
        ("10.96.7.7", "fd00:10:96::1"),
    ),
    "given-by-a-single-stack-cluster": (
        {"clusterIPs": ["10.96.7.7"], "ipFamilyPolicy": "PreferDualStack"},
        ("10.96.7.7",),
    ),
    "headless": ({"clusterIP": "None"}, ()),
    "headless-without-ports": ({"clusterIP": "None", "ports": []}, ()),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_addresses(name: str) -> None:
    spec, expected = FAMILIES[name]
    assert addresses(service("a", **spec)) == {"a": expected}


def test_addresses_follow_the_keys_and_go_round_given_ones() -> None:
    items = [service("c"), service("b", clusterIP="10.96.0.1"), service("a")]
    expected = {"a": ("10.96.0.2",), "b": ("10.96.0.1",), "c": ("10.96.0.3",)}
    assert addresses(*items) == addresses(*reversed(items)) == expected


def test_given_addresses_choose_the_range() -> None:
    found = good(written(service("a", clusterIP="10.43.0.10"), service("b", clusterIP="10.43.201.1"), service("c")))
    assert found.service_prefixes == ("10.43.0.0/16", "fd00:10:96::/112")
    assert [one.addresses for one in found.services] == [("10.43.0.10",), ("10.43.201.1",), ("10.43.0.1",)]


def test_an_address_outside_the_labs_range_is_replaced_with_a_warning() -> None:
    lab = LabParts(service_prefixes=("10.99.0.0/24",))
    found = good(written(service("a", clusterIP="10.43.0.10")), lab)
    assert found.services[0].addresses == ("10.99.0.1",)
    assert found.warnings == ["k.yaml:1: Service default/a: 10.43.0.10 is outside the ranges, another is used"]


def test_addresses_of_the_labs_services_are_left_alone() -> None:
    taken = Service("shop", "x", "shop", {}, (), ("10.96.0.1",))
    assert addresses(service("a"), lab=LabParts(services=[taken])) == {"a": ("10.96.0.2",)}


def test_an_external_name_is_skipped_with_a_warning() -> None:
    found = good(written(thing("Service", "a", {"type": "ExternalName", "externalName": "example.com"})))
    assert found.services == []
    assert found.warnings == ["k.yaml:1: Service default/a is an ExternalName and not used here"]


def test_somebody_listens_where_a_service_targets_a_number() -> None:
    pod = {"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "http"}]}]}
    ports = [
        {"port": 1, "targetPort": 80, "name": "a"},
        {"port": 2, "targetPort": 8080, "name": "b"},
        {"port": 3, "targetPort": "metrics", "name": "c"},
        {"port": 4, "targetPort": 53, "protocol": "UDP", "name": "d"},
    ]
    items = [controller("Deployment", "web", pod=pod), controller("Deployment", "other", pod={"containers": []})]
    found = pods(good(written(*items, service("web", ports=ports))))
    assert found["default/web-0"].ports == (Port(53, Protocol.UDP), Port(80, name="http"), Port(8080))
    assert found["default/other-0"].ports == ()


def test_a_service_of_another_namespace_or_without_selector_opens_nothing() -> None:
    away = thing("Service", "web", {"selector": {"app": "web"}, "ports": [{"port": 99}]}, namespace="away")
    bare = thing("Service", "bare", {"ports": [{"port": 98}]})
    found = pods(good(written(controller("Deployment", "web"), away, bare)))
    assert found["default/web-0"].ports == (Port(80),)


def test_pods_join_the_application_of_that_name_that_a_lab_has() -> None:
    own = Application("cluster", (Segment("front", ("10.7.0.0/24",)),))
    found = good(written(controller("Deployment", "web")), LabParts(applications=[own]))
    assert found.applications == []
    assert found.workloads[0].segment == "front"


MISTAKES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "unknown-field": (
        {"port": [{"port": 80}]},
        ['k.yaml:10:3: Service default/a: spec.port: this field is not known; did you mean "ports"?'],
    ),
    "unknown-port-field": (
        {"ports": [{"port": 80, "targetport": 8080}]},
        [
            'k.yaml:10:5: Service default/a: spec.ports[0].targetport: this field is not known; did you mean "targetPort"?'
        ],
    ),
    "port-70000": (
        {"ports": [{"port": 70000}]},
        ["k.yaml:9:11: Service default/a: spec.ports[0].port: 70000 is not a port; ports go from 1 to 65535"],
    ),
    "no-ports": (
        {"ports": []},
        ["k.yaml:6:3: Service default/a: spec: a Service needs at least one port; add ports, or clusterIP: None"],
    ),
    "quoted-number": (
        {"ports": [{"port": 80, "targetPort": "8080"}]},
        [
            'k.yaml:10:17: Service default/a: spec.ports[0].targetPort: "8080" is not a port name: at most 15 of a-z, 0-9 '
            "and single -, at least one letter; write the number without quotes"
        ],
    ),
    "ports-without-names": (
        {"ports": [{"port": 80}, {"port": 81, "name": "b"}]},
        ["k.yaml:9:5: Service default/a: spec.ports[0]: needs a name, for the Service has several ports; add one"],
    ),
    "port-twice": (
        {"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]},
        ["k.yaml:11:5: Service default/a: spec.ports[1]: port 80/tcp is given twice; keep one of them"],
    ),
    "type": (
        {"type": "Clusterip"},
        [
            'k.yaml:10:9: Service default/a: spec.type: "Clusterip" does not exist (there are: ClusterIP, NodePort, '
            'LoadBalancer, ExternalName); did you mean "ClusterIP"?'
        ],
    ),
    "family": (
        {"ipFamilies": ["ipv4"]},
        ['k.yaml:11:5: Service default/a: spec.ipFamilies[0]: "ipv4" does not exist (there are: IPv4, IPv6)'],
    ),
    "address": (
        {"clusterIP": "10.96.0"},
        ['k.yaml:10:14: Service default/a: spec.clusterIP: "10.96.0" is not an IP address; correct it, or write None'],
    ),
    "selector-number": (
        {"selector": {"app": 5}},
        ["k.yaml:7:10: Service default/a: spec.selector.app: must be text, not the number 5; put it in quotes"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name: str) -> None:
    spec, expected = MISTAKES[name]
    assert parts(written(service("a", **spec)))[1] == expected


def test_one_address_for_two_services_is_a_mistake() -> None:
    text = written(service("a", clusterIP="10.96.0.9"), service("b", clusterIP="10.96.0.9"))
    assert parts(text)[1] == [
        "k.yaml:17:3: Service default/b: spec: address 10.96.0.9 is that of Service default/a already; remove one"
    ]


def test_dual_stack_that_the_lab_cannot_give_is_a_mistake() -> None:
    lab = LabParts(service_prefixes=("10.99.0.0/24",))
    assert parts(written(service("a", ipFamilyPolicy="RequireDualStack")), lab)[1] == [
        "k.yaml:6:3: Service default/a: spec: no range for IPv6 addresses of Services; give the lab one, or ask for the "
        "other family"
    ]
    assert parts(written(service("a", ipFamilyPolicy="PreferDualStack")), lab)[1] == []
    tiny = LabParts(service_prefixes=("10.99.0.0/30",))
    assert parts(written(*(service(name) for name in "abcd")), tiny)[1] == [
        "k.yaml:36:3: Service default/d: spec: range 10.99.0.0/30 has no free address left; choose a wider one"
    ]

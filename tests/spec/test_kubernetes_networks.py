"""Namespaces with a network of their own: what a UserDefinedNetwork becomes, and whom it moves."""

# ruff: noqa: E501 - golden texts are easier to compare in one line

from __future__ import annotations

from pathlib import Path

import pytest
from manifests import controller, errors, good, pods, thing, written

from sdn.errors import SpecError
from sdn.model import Segment, SegmentKind
from sdn.spec.kubernetes.names import application_name
from sdn.spec.kubernetes.networks import LABEL
from sdn.spec.load import load

LAYER2 = "topology: Layer2\n  layer2: {role: Primary, subnets: [10.9.0.0/16, 'fd00:9::/64']}"
LAYER3 = "topology: Layer3\n  layer3: {role: Primary, subnets: [{cidr: 'fd00:9::/48', hostSubnet: 64}, {cidr: 10.9.0.0/16, hostSubnet: 24}]}"


def namespace(name: str, marked: bool = True, **labels: str) -> str:
    own = {**({LABEL: ""} if marked else {}), **labels}
    return written({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": own}}) + "---\n"


def udn(spec: str, home: str = "blue", name: str = "net") -> str:
    head = f"apiVersion: k8s.ovn.org/v1\nkind: UserDefinedNetwork\nmetadata: {{name: {name}, namespace: {home}}}\n"
    return f"{head}spec:\n  {spec}\n---\n"


def cluster_udn(spec: str, selector: str, name: str = "shared") -> str:
    head = f"apiVersion: k8s.ovn.org/v1\nkind: ClusterUserDefinedNetwork\nmetadata: {{name: {name}}}\n"
    inner = spec.replace("\n", "\n  ")
    return f"{head}spec:\n  namespaceSelector: {selector}\n  network:\n    {inner}\n---\n"


def web(home: str) -> str:
    service = thing("Service", "web", {"selector": {"app": "web"}, "ports": [{"port": 80}]}, namespace=home)
    deployment = controller("Deployment", "web")
    deployment["metadata"]["namespace"] = home
    return written(deployment, service) + "---\n"


def test_a_layer2_network_is_one_broadcast_domain_for_its_namespace() -> None:
    found = good(namespace("blue") + udn(LAYER2) + web("blue") + web("red"))
    applications = {one.name: one for one in found.applications}
    assert set(applications) == {"cluster", "blue-net"}
    assert applications["blue-net"].segments == (Segment("pods", ("10.9.0.0/16", "fd00:9::/64"), SegmentKind.L2),)
    assert applications["blue-net"].connects == ()
    homes = {key: (pod.application, pod.segment) for key, pod in pods(found).items()}
    assert homes == {"blue/web-0": ("blue-net", "pods"), "red/web-0": ("cluster", "pods")}
    assert {one.key: one.application for one in found.services} == {"blue/web": "blue-net", "red/web": "cluster"}
    assert found.where["application blue-net"].startswith("k.yaml:")
    assert found.warnings == []


def test_a_layer3_network_gives_every_host_a_part() -> None:
    found = good(namespace("blue") + udn(LAYER3) + web("blue"))
    (segment,) = next(one for one in found.applications if one.name == "blue-net").segments
    assert segment == Segment("pods", ("10.9.0.0/16", "fd00:9::/48"), SegmentKind.ROUTED, 24, 64)


def test_a_cluster_network_is_shared_by_the_namespaces_that_it_selects() -> None:
    selector = "{matchExpressions: [{key: tenant, operator: In, values: [a, b]}]}"
    text = namespace("one", tenant="a") + namespace("two", tenant="b") + namespace("three", marked=False, tenant="c")
    found = good(text + cluster_udn(LAYER2, selector) + web("one") + web("two") + web("three"))
    homes = {key: pod.application for key, pod in pods(found).items()}
    assert homes == {"one/web-0": "shared", "two/web-0": "shared", "three/web-0": "cluster"}


def test_networks_with_the_same_subnets_live_side_by_side(tmp_path: Path) -> None:
    text = "".join(namespace(home) + udn(LAYER3, home) + web(home) for home in ("blue", "green"))
    (tmp_path / "k.yaml").write_text(text)
    assert [one.name for one in load([tmp_path]).model.applications] == ["blue-net", "cluster", "green-net"]


def test_a_namespace_needs_the_label() -> None:
    found = good(namespace("blue", marked=False) + udn(LAYER2) + web("blue"))
    assert pods(found)["blue/web-0"].application == "cluster"
    assert found.warnings == [
        f"k.yaml:7: UserDefinedNetwork blue/net does not take effect in namespace blue, which lacks the label {LABEL}"
    ]


def test_the_label_alone_is_told() -> None:
    found = good(namespace("blue") + web("blue"))
    assert found.warnings == [
        f"namespace blue asks for a network of its own ({LABEL}), but none selects it; its Pods stay in the cluster's"
    ]


UNUSED = {
    "secondary": (
        udn(LAYER2.replace("Primary", "Secondary")),
        "UserDefinedNetwork blue/net has role Secondary and is not used here",
    ),
    "localnet": (
        cluster_udn("topology: Localnet\n  localnet: {role: Secondary}", "{}"),
        "ClusterUserDefinedNetwork shared is a Localnet network and not used here",
    ),
    "nobody": (cluster_udn(LAYER2, "{matchLabels: {a: b}}"), "ClusterUserDefinedNetwork shared selects no namespace"),
    "reserved": (
        namespace("blue") + udn(LAYER2.replace("subnets", "reservedSubnets: [10.9.1.0/24], subnets")),
        "UserDefinedNetwork blue/net: reservedSubnets is not used here",
    ),
}


@pytest.mark.parametrize("name", UNUSED)
def test_what_is_not_used_is_told(name: str) -> None:
    text, warning = UNUSED[name]
    (line,) = good(text).warnings
    assert line.split(": ", 1)[1] == warning


def test_host_network_pods_and_addresses_of_the_cluster_stay_behind() -> None:
    host = thing("Pod", "host", {"hostNetwork": True, "containers": []}, namespace="blue")
    own = thing("Pod", "own", {"containers": []}, namespace="blue", status={"podIP": "10.9.0.7"})
    default = thing("Pod", "other", {"containers": []}, namespace="blue", status={"podIP": "10.244.0.7"})
    found = good(namespace("blue") + udn(LAYER2) + written(host, own, default))
    assert {key: (pod.application, pod.ip) for key, pod in pods(found).items()} == {
        "blue/host": ("cluster", ()),
        "blue/own": ("blue-net", ("10.9.0.7",)),
        "blue/other": ("blue-net", ()),
    }
    assert found.warnings == ["1 addresses of running Pods do not fit 10.9.0.0/16 and fd00:9::/64, others are used"]


REFUSED = {
    "topology": (
        "topology: layer2",
        '5:13|spec.topology: "layer2" is no topology (there are: Layer2, Layer3); did you mean "Layer2"?',
    ),
    "no-layer": ("topology: Layer3", '5:3|spec: "layer3" is missing, for the topology is Layer3; add it'),
    "other-layer": (
        "topology: Layer2\n  layer2: {role: Primary, subnets: [10.0.0.0/8]}\n  layer3: {role: Primary}",
        "7:3|spec.layer3: does not belong to topology Layer2; write layer2 instead",
    ),
    "role": (
        "topology: Layer2\n  layer2: {role: Main}",
        '6:18|spec.layer2.role: "Main" is no role (there are: Primary, Secondary)',
    ),
    "subnets": (
        "topology: Layer2\n  layer2: {role: Primary}",
        '6:11|spec.layer2: "subnets" is missing, and a primary network needs one or two; add them',
    ),
    "two-of-a-family": (
        "topology: Layer2\n  layer2: {role: Primary, subnets: [10.0.0.0/16, 10.1.0.0/16]}",
        "6:50|spec.layer2.subnets[1]: 10.1.0.0/16 is a second IPv4 subnet beside 10.0.0.0/16; keep one",
    ),
    "host-subnet": (
        "topology: Layer3\n  layer3: {role: Primary, subnets: [{cidr: 10.0.0.0/16, hostSubnet: 16}]}",
        "6:69|spec.layer3.subnets[0].hostSubnet: 16 is no part of 10.0.0.0/16; write a length from 17 to 31",
    ),
    "unknown": (
        "topology: Layer2\n  layer2: {role: Primary, subnet: [10.0.0.0/16]}",
        '6:27|spec.layer2.subnet: this field is not known; did you mean "subnets"?',
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_has_its_place(name: str) -> None:
    spec, expected = REFUSED[name]
    place, _, message = expected.partition("|")
    assert errors(udn(spec))[:1] == [f"k.yaml:{place}: UserDefinedNetwork blue/net: {message}"]


def test_a_namespace_has_one_primary_network() -> None:
    text = namespace("blue") + cluster_udn(LAYER2, "{}") + udn(LAYER2)
    (line,) = errors(text)
    assert line.endswith(
        "UserDefinedNetwork blue/net: gives namespace blue a second primary network beside ClusterUserDefinedNetwork "
        "shared; keep one of them"
    )


SMALL = {
    "layer2": ("topology: Layer2\n  layer2: {role: Primary, subnets: [10.9.0.0/30, 'fd00:9::/64']}", "10.9.0.0/30", 1),
    "layer3": (
        "topology: Layer3\n  layer3: {role: Primary, subnets: [{cidr: 10.9.0.0/28, hostSubnet: 30}]}",
        "10.9.0.0/28",
        4,
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_network_has_room_for_its_pods(name: str, tmp_path: Path) -> None:
    spec, prefix, room = SMALL[name]
    own = controller("Deployment", "web", replicas=5)
    own["metadata"]["namespace"] = "blue"
    file = tmp_path / "k.yaml"
    file.write_text(namespace("blue") + udn(spec) + written(own))
    with pytest.raises(SpecError) as refused:
        load([file])
    assert str(refused.value) == (
        f"{file}:8: application blue-net: segment pods: {prefix} has room for {room}, not for 5 workloads; "
        "choose a larger subnet"
    )


def test_a_layer3_network_has_a_part_for_every_host(tmp_path: Path) -> None:
    own = controller("Deployment", "web", replicas=5)
    own["metadata"]["namespace"] = "blue"
    manifests, lab = tmp_path / "k.yaml", tmp_path / "lab.yaml"
    layer = "topology: Layer3\n  layer3: {role: Primary, subnets: [{cidr: 10.9.0.0/24, hostSubnet: 25}]}"
    manifests.write_text(namespace("blue") + udn(layer) + written(own))
    lab.write_text("lab: x\nunderlay: {hosts: 4}\nmanifests: [k.yaml]\n")
    with pytest.raises(SpecError) as refused:
        load([lab])
    assert str(refused.value) == (
        f"{manifests}:8: application blue-net: segment pods: 10.9.0.0/24 has 2 parts of /25, not one for each of 4 "
        "Hosts; cut it into parts of /26 or longer, or choose a larger subnet"
    )
    lab.write_text("lab: x\nunderlay: {hosts: 2}\nmanifests: [k.yaml]\n")
    assert len(load([lab]).model.workloads) == 5


def test_names_are_always_labels() -> None:
    assert application_name("", "a.b") == "a-b"
    long = application_name("n" * 40, "x" * 40)
    assert len(long) <= 63
    assert long != application_name("n" * 40, "x" * 41)

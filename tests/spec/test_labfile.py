"""The lab file's fields become the model's, its defaults are as documented, and one mistake never hides another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from textwrap import dedent
from typing import Any

import msgspec
import pytest
import yaml

from sdn.errors import Problem, SpecError
from sdn.model import (
    Action,
    Direction,
    Heartbeat,
    IPBlock,
    Kind,
    LabelSelector,
    Link,
    Model,
    Operator,
    Options,
    Peer,
    Policy,
    Port,
    PortRange,
    Protocol,
    Requirement,
    Role,
    Rule,
    Segment,
    SegmentKind,
    Selector,
    Service,
    ServicePort,
    Switch,
    Taint,
    Toleration,
    Workload,
)
from sdn.spec.labfile import text
from sdn.spec.load import load

Load = Callable[[str], Model]
TOPOLOGIES = Path(__file__).parents[2] / "topologies"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Reads the text of a lab file, without its first line `lab: test`."""
    monkeypatch.chdir(tmp_path)

    def read(body: str) -> Model:
        Path("lab.yaml").write_text("lab: test\n" + dedent(body))
        return load([Path("lab.yaml")]).model

    return read


def problems(lab: Load, body: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        lab(body)
    return list(caught.value.problems)


def by_key(model: Model) -> dict[str, Workload]:
    return {one.key: one for one in model.workloads}


# --- underlay


def test_counts_make_a_fabric(lab: Load) -> None:
    underlay = lab("underlay: {hosts: 3, leaves: 2, spines: 2, mtu: 1500, family: ipv6}").underlay
    assert [host.name for host in underlay.hosts] == ["host-1", "host-2", "host-3"]
    assert [switch.name for switch in underlay.switches] == ["leaf-1", "leaf-2", "spine-1", "spine-2"]
    cables = {(link.a, link.b) for link in underlay.links}
    assert {("host-1", "leaf-1"), ("host-2", "leaf-2"), ("host-3", "leaf-1")} < cables
    assert len(cables) == 3 + 4
    assert {link.mtu for link in underlay.links} == {1500}
    assert underlay.family == 6
    assert underlay.hosts[0].labels["topology.kubernetes.io/zone"] == "leaf-1"


def test_a_host_may_name_its_leaf_and_have_several_uplinks(lab: Load) -> None:
    underlay = lab("underlay: {hosts: [{name: a}, {name: b, leaf: leaf-3}], leaves: 3, spines: 1, uplinks: 2}").underlay
    assert {(link.a, link.b) for link in underlay.links if link.a in "ab"} == {
        ("a", "leaf-1"),
        ("a", "leaf-2"),
        ("b", "leaf-3"),
        ("b", "leaf-1"),
    }


def test_hosts_alike_and_their_capacity(lab: Load) -> None:
    body = """
        underlay:
          hosts: {count: 2, cpu: 16, memory: 64Gi, pods: 9, labels: {ssd: "yes"}, taints: [{key: gpu, value: "1"}]}
    """
    host = lab(body).underlay.hosts[1]
    assert (host.name, host.cpu, host.memory, host.pods) == ("host-2", 16_000, 65_536, 9)
    assert host.labels["ssd"] == "yes"
    assert host.taints == (Taint("gpu", "1"),)


def test_a_drawn_underlay_is_built_as_drawn(lab: Load) -> None:
    body = """
        underlay:
          hosts: [{name: a}, {name: b}]
          switches: [{name: s, role: border}]
          links:
            - {a: s, b: a, bandwidth: 10Gbit, loss: 1%, delay: 5ms}
            - {a: b, b: s, mtu: 1500}
            - {a: b, b: s, mtu: 1400}
    """
    underlay = lab(body).underlay
    assert underlay.switches == (Switch("s", Role.BORDER),)
    assert underlay.links == (
        Link("a", "s", 0, 9000, 10_000, 1, 5),
        Link("b", "s", 0, 1400),
        Link("b", "s", 1, 1500),
    )


def test_without_underlay_there_is_one_that_is_large_enough(lab: Load) -> None:
    assert len(lab("applications: {shop: {workloads: {web: {replicas: 500}}}}").underlay.hosts) >= 5


# --- applications


def test_replicas_are_counted_from_zero_and_one_alone_has_the_plain_name(lab: Load) -> None:
    model = lab("applications: {shop: {workloads: {web: {replicas: 2}, db: {}, off: {replicas: 0}}}}")
    assert list(by_key(model)) == ["shop/db", "shop/web-0", "shop/web-1"]
    assert by_key(model)["shop/web-0"].owner == ("Workload", "web")
    assert by_key(model)["shop/db"].owner == ("", "")
    assert [one.name for one in model.namespaces] == ["shop"]
    assert model.namespaces[0].labels == {"kubernetes.io/metadata.name": "shop"}


def test_every_field_of_a_workload(lab: Load) -> None:
    body = """
        underlay: {hosts: [{name: rack-1}]}
        applications:
          shop:
            namespace_labels: {env: prod}
            segments: {web: {subnets: ["fd00:1::/64", 10.1.1.0/24]}}
            workloads:
              web:
                kind: vm
                labels: {app: web}
                ports: [http=80/tcp, 53/udp, 22]
                cpu: 500m
                memory: 1Gi
                node_selector: {ssd: "yes"}
                tolerations: [{operator: Exists}, {key: gpu, value: "1", effect: NoSchedule}]
                spread: topology.kubernetes.io/zone
                host: rack-1
                ip: ["fd00:1::9", 10.1.1.9]
                command: [sleep, infinity]
    """
    model = lab(body)
    assert model.workloads == (
        Workload(
            namespace="shop",
            name="web",
            kind=Kind.VM,
            application="shop",
            segment="web",
            labels={"app": "web"},
            ports=(Port(22), Port(53, Protocol.UDP), Port(80, Protocol.TCP, "http")),
            cpu=500,
            memory=1024,
            selector={"ssd": "yes"},
            tolerations=(Toleration(exists=True), Toleration("gpu", "1", False, "NoSchedule")),
            spread="topology.kubernetes.io/zone",
            host="rack-1",
            ip=("10.1.1.9", "fd00:1::9"),
            command=("sleep", "infinity"),
        ),
    )
    assert model.applications[0].segments == (Segment("web", ("10.1.1.0/24", "fd00:1::/64")),)
    assert model.namespaces[0].labels == {"env": "prod", "kubernetes.io/metadata.name": "shop"}


def test_an_application_without_segments_gets_a_network_of_its_own(lab: Load) -> None:
    body = """
        applications:
          explicit: {segments: {a: {subnets: [10.128.0.0/24, "fd00:128::/64"]}, b: {}, c: {kind: routed}}}
          one: {connects: [two]}
          two: {workloads: {many: {replicas: 300}}}
    """
    explicit, one, two = lab(body).applications
    assert explicit.segments[1:] == (
        Segment("b", ("10.128.1.0/24", "fd00:128:1::/64")),
        Segment("c", ("10.129.0.0/16", "fd00:128:2::/48"), SegmentKind.ROUTED),
    )
    assert one.segments == (Segment("default", ("10.130.0.0/24", "fd00:128:3::/64")),)
    assert two.segments == (Segment("default", ("10.130.4.0/22", "fd00:128:4::/64")),)


def test_nodes_are_vms_and_have_an_endpoint_only_where_they_ask_for_one(lab: Load) -> None:
    body = """
        nodes:
          plain: {replicas: 2, cpu: 8, pods: 20, taints: [{key: gpu, effect: NoExecute}]}
          seen: {application: shop}
        applications: {shop: {workloads: {web: {host: plain-0}}}}
        underlay: {hosts: 1}
    """
    workloads = by_key(lab(body))
    plain, seen = workloads["nodes/plain-0"], workloads["nodes/seen"]
    assert (plain.kind, plain.is_node, plain.application, plain.segment) == (Kind.VM, True, "", "")
    assert (plain.cpu, plain.memory, plain.pods) == (8_000, 8_192, 20)
    assert plain.taints == (("gpu", "", "NoExecute"),)
    assert plain.labels == {"kubernetes.io/hostname": "plain-0"}
    assert (seen.application, seen.segment) == ("shop", "default")


def test_services_get_addresses_of_the_versions_that_their_application_has(lab: Load) -> None:
    body = """
        applications:
          dual: {services: {a: {ports: ["80:http/tcp", 53/udp], selector: {app: a}}, b: {ports: [80], selector: {}}}}
          four:
            segments: {only: {subnets: [10.1.1.0/24]}}
            services:
              auto: {ports: ["web=80:8080"], selector: {}}
              none: {ports: [80], selector: {}, address: none}
              mine: {ports: [80], selector: {}, address: [10.96.128.1]}
    """
    services = {one.key: one for one in lab(body).services}
    ports = (ServicePort(53, 53, Protocol.UDP), ServicePort(80, "http"))
    assert services["dual/a"] == Service("dual", "a", "dual", {"app": "a"}, ports, ("10.96.128.0", "fd00:10:96::8000"))
    assert services["dual/b"].addresses == ("10.96.128.2", "fd00:10:96::8001")
    assert services["four/auto"].addresses == ("10.96.128.3",)
    assert services["four/auto"].ports == (ServicePort(80, 8080, Protocol.TCP, "web"),)
    assert services["four/none"].addresses == ()
    assert services["four/mine"].addresses == ("10.96.128.1",)


def test_a_thousand_endpoints_take_ten_lines(lab: Load) -> None:
    body = """
        underlay: {hosts: 20, leaves: 4}
        applications:
          shop:
            segments: {pods: {kind: routed, subnets: [10.244.0.0/16]}}
            workloads:
              web: {replicas: 600, labels: {app: web}, ports: [80]}
              db: {replicas: 400, labels: {app: db}}
    """
    assert len(lab(body).workloads) == 1000


# --- policies


def test_every_field_of_a_policy(lab: Load) -> None:
    body = """
        applications: {shop: {workloads: {web: {}}}}
        policies:
          - name: all
            tier: emergency
            priority: 5
            stateless: true
            applies_to:
              - labels: {b: "2", a: "1"}
                expressions: [{key: env, operator: NotIn, values: [dev]}]
                namespace_labels: {env: prod}
                namespaces: [shop]
                applications: [shop]
                segments: [default]
                kind: pod
                name: web-*
            rules:
              - action: pass
                direction: ingress
                from: [{labels: {}}, {address: 203.0.113.0/24, except: [203.0.113.128/25]}, {address: "fd00::1"}]
                ports: [80, 8000-8100/udp, http/tcp, sctp, icmp]
              - {action: reject, direction: egress, to: [{name: db}]}
    """
    selector = Selector(
        labels=LabelSelector((("a", "1"), ("b", "2")), (Requirement("env", Operator.NOT_IN, ("dev",)),)),
        namespace_labels=LabelSelector((("env", "prod"),)),
        namespaces=("shop",),
        applications=("shop",),
        segments=("default",),
        kind=Kind.POD,
        name="web-*",
    )
    peers = (
        Peer(ip_block=IPBlock("203.0.113.0/24", ("203.0.113.128/25",))),
        Peer(ip_block=IPBlock("fd00::1/128")),
        Peer(selector=Selector(labels=LabelSelector())),
    )
    ports = (
        PortRange(Protocol.ICMP),
        PortRange(Protocol.SCTP),
        PortRange(Protocol.TCP, "http"),
        PortRange(Protocol.TCP, 80),
        PortRange(Protocol.UDP, 8000, 8100),
    )
    rules = (
        Rule(Action.PASS, Direction.INGRESS, peers, ports),
        Rule(Action.REJECT, Direction.EGRESS, (Peer(selector=Selector(name="db")),)),
    )
    assert lab(body).policies == (Policy("all", "emergency", rules, (selector,), 5, stateless=True),)


def test_an_inline_network_policy_belongs_to_the_only_application(lab: Load) -> None:
    body = """
        applications: {shop: {workloads: {web: {labels: {app: web}}}}}
        options: {ipblock_matches_pods: false, judge_hairpin: false}
        network_policies:
          - metadata: {name: web}
            spec: {podSelector: {matchLabels: {app: web}}, egress: [{ports: [{port: 53, protocol: UDP}]}]}
    """
    model = lab(body)
    (policy,) = model.network_policies
    assert (policy.namespace, policy.name) == ("shop", "web")
    assert policy.directions == (Direction.INGRESS, Direction.EGRESS)
    assert policy.egress[0].ports == (PortRange(Protocol.UDP, 53),)
    assert model.options == Options(ipblock_matches_pods=False, judge_hairpin=False)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", None),
        ("{}", Heartbeat(1000, 5)),
        ("{interval: 200ms}", Heartbeat(200, 5)),
        ("{interval: 2s, fail: 3}", Heartbeat(2000, 3)),
    ],
)
def test_hosts_are_watched_where_the_lab_asks_for_it(lab: Load, written: str, expected: Heartbeat | None) -> None:
    assert lab(f"options: {{judge_hairpin: false, heartbeat: {written}}}").options == Options(
        judge_hairpin=False, heartbeat=expected
    )


# --- with manifests


POD = """
apiVersion: v1
kind: Pod
metadata: {name: cart, namespace: legacy}
spec: {containers: [{ports: [{containerPort: 80}]}]}
"""


def test_a_lab_connects_to_and_expects_of_what_manifests_define(lab: Load) -> None:
    Path("old.yaml").write_text(POD)
    body = """
        manifests: [old.yaml]
        applications: {shop: {connects: [cluster], workloads: {web: {}}}}
        policies: [{name: keep, applies_to: [{applications: [cluster], segments: [pods]}], rules: [
          {action: allow, direction: ingress}]}]
        expect: [web → cart 80/tcp: allow]
    """
    model = lab(body)
    assert list(by_key(model)) == ["legacy/cart", "shop/web"]
    assert [(one.source, one.destination) for one in model.expectations] == [("shop/web", "legacy/cart")]


def test_a_broken_manifest_is_not_blamed_on_the_expectations(lab: Load) -> None:
    Path("old.yaml").write_text(POD.replace("80", "80000"))
    found = problems(lab, "manifests: [old.yaml]\napplications: {a: {}}\nexpect: [cart → cart icmp: allow, x]")
    assert [(one.file, one.line) for one in found] == [("lab.yaml", 4), ("old.yaml", 5)]


# --- mistakes


def test_one_mistake_does_not_hide_the_next(lab: Load) -> None:
    body = """
        applications:
          shop:
            segments: {a: {}, b: {}}
            workloads:
              good: {segment: c}
              bad: {segment: 5}
        policies:
          - 5
          - {name: one, rules: [{action: allow}, {action: allow, direction: egress, from: [{name: x}]}]}
          - {name: two, applies_to: [{segments: [c]}], rules: [{action: deny, direction: ingress}]}
        expect: [gone → good 80/tcp: allow]
    """
    found = problems(lab, body)
    assert [(one.line, one.column) for one in found] == [(7, 23), (8, 22), (10, 5), (11, 25), (11, 77), (12, 42)]
    assert "policies[two].applies_to[0].segments[0]" in found[-1].message


@pytest.mark.parametrize("field", ["applications", "underlay", "nodes", "policies", "expect", "options", "manifests"])
def test_a_field_without_a_value_counts_as_left_out(lab: Load, field: str) -> None:
    assert lab(f"{field}:\n").name == "test"


def test_where_says_the_line_of_everything_that_has_a_name(tmp_path: Path) -> None:
    loaded = load([TOPOLOGIES / "three-tier.yaml"])
    named = {f"workload {one.key}" for one in loaded.model.workloads}
    named |= {f"service {one.key}" for one in loaded.model.services}
    named |= {f"policy {one.name}" for one in loaded.model.policies}
    named |= {f"application {one.name}" for one in loaded.model.applications}
    assert named <= loaded.where.keys()
    lines = (TOPOLOGIES / "three-tier.yaml").read_text().splitlines()
    file, _, line = loaded.where["workload shop/web-1"].rpartition(":")
    assert Path(file).name == "three-tier.yaml"
    assert lines[int(line) - 1].strip().startswith("web: {kind: vm, segment: web, replicas: 2")


# --- order


def reversed_everywhere(data: Any, key: str = "") -> Any:
    """The same lab written backwards; only the order of rules and of a command's arguments means something."""
    if isinstance(data, dict):
        return {name: reversed_everywhere(one, name) for name, one in reversed(data.items())}
    if isinstance(data, list):
        items = [reversed_everywhere(one) for one in data]
        return items if key in ("rules", "command") else items[::-1]
    return data


@pytest.mark.parametrize("name", ["two-hosts", "three-tier", "online-boutique", "policy-languages"])
def test_the_order_of_the_file_never_matters(name: str, tmp_path: Path) -> None:
    written = TOPOLOGIES / f"{name}.yaml"
    if (TOPOLOGIES / name).is_dir():
        copytree(TOPOLOGIES / name, tmp_path / name)
    backwards = tmp_path / "backwards.yaml"
    backwards.write_text(yaml.safe_dump(reversed_everywhere(yaml.safe_load(written.read_text())), sort_keys=False))
    assert values(load([written]).model) == values(load([backwards]).model)


def values(model: Model) -> bytes:
    """A model as bytes, without the lines of its expectations and the order that those give."""
    claims = sorted((msgspec.structs.replace(one, at="") for one in model.expectations), key=repr)
    return msgspec.json.encode(msgspec.structs.replace(model, expectations=tuple(claims)))


# --- texts


@pytest.mark.parametrize(
    ("read", "written", "value"),
    [
        (text.cpu, 2, 2000),
        (text.cpu, 0.5, 500),
        (text.cpu, "1.5", 1500),
        (text.cpu, "100m", 100),
        (text.memory, "64Mi", 64),
        (text.memory, "1Gi", 1024),
        (text.memory, "1G", 954),
        (text.memory, "1Ki", 1),
        (text.bandwidth, "10Gbit", 10_000),
        (text.bandwidth, "100 Mbit", 100),
        (text.loss, "1%", 1),
        (text.delay, "2s", 2000),
        (text.block, "10.0.0.1", "10.0.0.1/32"),
        (text.subnet, "fd00:0:0::/64", "fd00::/64"),
        (text.address, "fd00:0:0::1", "fd00::1"),
    ],
)
def test_a_text_becomes_its_value(read: Callable[[Any], Any], written: Any, value: Any) -> None:
    assert read(written) == value


@pytest.mark.parametrize(
    ("read", "written"),
    [
        (text.cpu, -1),
        (text.cpu, "1e3"),
        (text.cpu, True),
        (text.memory, 64),
        (text.memory, "64MB"),
        (text.loss, "101%"),
        (text.delay, "1.5ms"),
        (text.block, "10.0.0.1/24"),
        (text.subnet, "fe80::%eth0/64"),
        (text.address, "10.0.0.1/32"),
        (text.workload_port, "80/icmp"),
        (text.workload_port, "65536"),
        (text.workload_port, "٣"),
        (text.service_port, "80:"),
        (text.rule_port, "8-"),
        (text.rule_port, ""),
        (text.rule_port, None),
    ],
)
def test_a_text_that_means_nothing_is_refused(read: Callable[[Any], Any], written: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(written)

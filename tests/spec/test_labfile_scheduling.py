"""What a lab file tells the scheduler becomes the model's words, one field at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from sdn.model import (
    HOSTNAME,
    NODE_NAME,
    Admission,
    Affinity,
    Constraints,
    HostState,
    Image,
    ImageGate,
    LabelSelector,
    Model,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    Operator,
    Placement,
    PlacementRule,
    PodTerm,
    Pool,
    Requirement,
    Reserve,
    Resources,
    Scheduling,
    Selector,
    Separation,
    Severity,
    Together,
    TopologySpread,
    Volume,
    Weighted,
    Workload,
)
from sdn.spec.load import load

Load = Callable[[str], Model]


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Reads the text of a lab file, without its first line `lab: test`."""
    monkeypatch.chdir(tmp_path)

    def read(body: str) -> Model:
        Path("lab.yaml").write_text("lab: test\n" + dedent(body))
        return load([Path("lab.yaml")]).model

    return read


def web(lab: Load, fields: str, more: str = "") -> Workload:
    """A workload with these fields."""
    body = "applications:\n  shop:\n    workloads:\n      web:\n        cpu: 4\n        memory: 8Gi\n"
    model = lab(body + indent(dedent(fields).strip("\n"), " " * 8) + "\n      db: {replicas: 2}\n" + dedent(more))
    return next(one for one in model.workloads if one.key == "shop/web")


# --- hosts


def test_a_host_has_its_overcommitment_numa_nodes_and_state(lab: Load) -> None:
    (host,) = lab(
        """
        underlay:
          hosts:
            - {name: h, cpu: 9, memory: 10Gi, overcommit: {cpu: 200%, memory: 120%}, numa: 2, state: maintenance}
        """
    ).underlay.hosts
    assert (host.cpu_overcommit, host.memory_overcommit, host.state) == (200, 120, HostState.MAINTENANCE)
    assert host.numa == ((4500, 5120), (4500, 5120))


def test_equal_numa_nodes_share_what_is_left_over_and_unequal_ones_are_written_out(lab: Load) -> None:
    (host,) = lab("underlay: {hosts: {count: 1, cpu: 1, memory: 1001Mi, numa: 3}}").underlay.hosts
    assert host.numa == ((334, 334), (333, 334), (333, 333))
    written = "{count: 1, cpu: 3, memory: 3Gi, numa: [{cpu: 1, memory: 2Gi}, {cpu: 2, memory: 1Gi}]}"
    assert lab(f"underlay: {{hosts: {written}}}").underlay.hosts[0].numa == ((1000, 2048), (2000, 1024))


def test_racks_and_zones_are_equal_blocks_and_own_labels_are_stronger(lab: Load) -> None:
    hosts = lab("underlay: {hosts: {count: 5, racks: 3, zones: 2}}").underlay.hosts
    assert [host.labels["rack"] for host in hosts] == ["rack-1", "rack-1", "rack-2", "rack-2", "rack-3"]
    zones = [host.labels["topology.kubernetes.io/zone"] for host in hosts]
    assert zones == ["zone-1", "zone-1", "zone-1", "zone-2", "zone-2"]
    (host,) = lab("underlay: {hosts: {count: 1, racks: 1, labels: {rack: own}}}").underlay.hosts
    assert host.labels["rack"] == "own"


# --- workloads

SPEAKS: dict[str, tuple[str, Scheduling]] = {
    "nothing": ("", Scheduling()),
    "number": ("priority: 7", Scheduling(priority=7)),
    "class": ("priority: gold", Scheduling(priority=1000, preempts=False)),
    "class-that-preempts-here": ("priority: gold\npreempts: true", Scheduling(priority=1000)),
    "system-class": ("priority: system-cluster-critical", Scheduling(priority=2_000_000_000)),
    "pool": ("pool: top", Scheduling(pool="top")),
    "numa": ("numa: 2", Scheduling(numa=2)),
    "volumes": ("volumes: [data, cache, data]", Scheduling(volumes=("cache", "data"))),
    "images": ('images: ["web:1"]', Scheduling(images=("web:1",))),
    "after-all-replicas": ("after: [db]", Scheduling(after=("shop/db-0", "shop/db-1"))),
    "after-one": ("after: [shop/db-1]", Scheduling(after=("shop/db-1",))),
    "reservation": (
        "resources: {reservation: {cpu: 2, memory: 1Gi}, limit: {cpu: 3}}",
        Scheduling(resources=Resources(cpu_reservation=2000, memory_reservation=1024, cpu_limit=3000)),
    ),
    "demand": ("demand: {cpu: 500m, memory: 1Gi}", Scheduling(cpu_demand=500, memory_demand=1024)),
    "demand-of-one": ("demand: {cpu: 0}", Scheduling(cpu_demand=0)),
    "shares-in-words": (
        "resources: {shares: high}",
        Scheduling(resources=Resources(cpu_shares=2000, memory_shares=2000)),
    ),
    "shares": (
        "resources: {shares: {cpu: 3}}",
        Scheduling(resources=Resources(cpu_shares=3, memory_shares=1000)),
    ),
    "spread": (
        "topology_spread: [{topologyKey: rack, maxSkew: 2, minDomains: 3, labelSelector: {matchLabels: {a: b}}}]",
        Scheduling(spread=(TopologySpread("rack", 2, LabelSelector((("a", "b"),)), True, 3),)),
    ),
    "spread-wish": (
        "topology_spread: [{topologyKey: rack, whenUnsatisfiable: ScheduleAnyway, labelSelector: {}}]",
        Scheduling(spread=(TopologySpread("rack", selector=LabelSelector(), required=False),)),
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_a_workload_says_it(name: str, lab: Load) -> None:
    fields, expected = SPEAKS[name]
    more = """
        priority_classes: {gold: {value: 1000, preempts: false}, silver: 5}
        scheduling: {pools: {top: {}}, volumes: {data: [host-1], cache: [host-2]}}
    """
    assert web(lab, fields, more).scheduling == expected


def test_a_default_class_is_for_those_that_say_nothing(lab: Load) -> None:
    classes = "priority_classes: {usual: {value: 3, preempts: false, default: true}}"
    assert web(lab, "", classes).scheduling == Scheduling(priority=3, preempts=False)
    assert web(lab, "priority: 0", classes).scheduling == Scheduling()


def test_sensitivity_and_tenant_are_labels(lab: Load) -> None:
    found = web(lab, "labels: {z: y}\nsensitivity: high\ntenant: acme")
    assert found.labels == {"sensitivity": "high", "tenant": "acme", "z": "y"}


def test_affinity_is_read_in_kubernetes_own_words(lab: Load) -> None:
    found = web(
        lab,
        """
        labels: {app: web, version: v1}
        affinity:
          nodeAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
              nodeSelectorTerms:
                - matchExpressions: [{key: cores, operator: Gt, values: ["8"]}, {key: gpu, operator: DoesNotExist}]
                - matchFields: [{key: metadata.name, operator: NotIn, values: [host-1]}]
                - {}
            preferredDuringSchedulingIgnoredDuringExecution:
              - {weight: 5, preference: {matchExpressions: [{key: rack, operator: In, values: [a, b]}]}}
          podAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
              - {topologyKey: rack, labelSelector: {matchLabels: {app: db}}, namespaces: [two, one]}
            preferredDuringSchedulingIgnoredDuringExecution:
              - {weight: 9, podAffinityTerm: {topologyKey: zone, namespaceSelector: {}}}
          podAntiAffinity:
            requiredDuringSchedulingIgnoredDuringExecution:
              - {topologyKey: kubernetes.io/hostname, labelSelector: {}, matchLabelKeys: [version, absent]}
            preferredDuringSchedulingIgnoredDuringExecution:
              - {weight: 100, podAffinityTerm: {topologyKey: rack, labelSelector: {}, mismatchLabelKeys: [version]}}
        """,
    ).scheduling.affinity
    version = Requirement("version", Operator.IN, ("v1",))
    assert found == Affinity(
        nodes=(
            NodeTerm(
                (
                    NodeRequirement("cores", NodeOperator.GT, ("8",)),
                    NodeRequirement("gpu", NodeOperator.DOES_NOT_EXIST),
                )
            ),
            NodeTerm((NodeRequirement(NODE_NAME, NodeOperator.NOT_IN, ("host-1",)),)),
            NodeTerm(),
        ),
        near=(PodTerm("rack", LabelSelector((("app", "db"),)), ("one", "two")),),
        apart=(PodTerm(HOSTNAME, LabelSelector((), (version,))),),
        wishes=(
            Weighted(5, node=NodeTerm((NodeRequirement("rack", NodeOperator.IN, ("a", "b")),))),
            Weighted(9, pods=PodTerm("zone", None, (), LabelSelector())),
        ),
        apart_wishes=(
            Weighted(
                100,
                pods=PodTerm("rack", LabelSelector((), (Requirement("version", Operator.NOT_IN, ("v1",)),))),
            ),
        ),
    )


def test_replicas_share_one_answer_and_nodes_have_one_too(lab: Load) -> None:
    model = lab(
        """
        nodes: {node: {priority: 3, resources: {reservation: {cpu: 1}}}}
        applications: {shop: {workloads: {web: {replicas: 3, priority: 8}}}}
        """
    )
    node, *replicas = model.workloads
    assert node.scheduling == Scheduling(priority=3, resources=Resources(cpu_reservation=1000))
    assert {id(one.scheduling) for one in replicas} == {id(replicas[0].scheduling)}


# --- the whole lab


def test_everything_that_holds_for_the_whole_lab(lab: Load) -> None:
    found = lab(
        """
        underlay: {hosts: 4}
        applications: {shop: {workloads: {web: {}, db: {replicas: 2}}}}
        scheduling:
          pools:
            small: {parent: big, reservation: {memory: 4Gi}, limit: {cpu: 8}, expandable: false}
            big: {}
          rules:
            - {name: b, must: apart, workloads: {labels: {a: b}}, within: rack}
            - {name: a, should: not_on, workloads: {workloads: [shop/db]}, hosts: [host-2, host-1]}
            - {name: c, must: on, workloads: {applications: [shop]}, hosts: {labels: {disk: ssd}}}
          separate: [{label: tenant, within: vm}, {label: sensitivity}]
          volumes: {data: [host-2, host-1]}
          images: {"web:1": {signed: true, severity: low}}
          gate: {scanned: true, severity: medium}
          admission: {reserve: dedicated, failures: 1, dedicated: [host-4]}
        """
    ).constraints
    assert found == Constraints(
        pools=(
            Pool("big"),
            Pool("small", "big", Resources(memory_reservation=4096, cpu_limit=8000), expandable=False),
        ),
        rules=(
            PlacementRule(
                "a",
                Together.NOT_ON,
                Selector(keys=("shop/db-0", "shop/db-1")),
                host_names=("host-1", "host-2"),
                must=False,
            ),
            PlacementRule("b", Together.APART, Selector(labels=LabelSelector((("a", "b"),))), topology="rack"),
            PlacementRule("c", Together.ON, Selector(applications=("shop",)), hosts={"disk": "ssd"}),
        ),
        separations=(Separation("sensitivity"), Separation("tenant", "vm")),
        volumes=(Volume("data", ("host-1", "host-2")),),
        images=(Image("web:1", signed=True, severity=Severity.LOW),),
        gate=ImageGate(scanned=True, severity=Severity.MEDIUM),
        admission=Admission(1, Reserve.DEDICATED, 0, ("host-4",)),
    )


def test_where_things_run_now(lab: Load) -> None:
    body = """
        underlay: {hosts: 3}
        nodes: {node: {replicas: 2}}
        applications: {shop: {workloads: {web: {replicas: 2}, api: {}, db: {kind: vm}}}}
        running: {nodes/node-0: host-2, shop/web: node-0, shop/api: node-1, shop/db: host-3}
    """
    assert lab(body).running == Placement(
        hosts={"nodes/node-0": "host-2", "shop/db": "host-3", "shop/web-0": "host-2", "shop/web-1": "host-2"},
        nodes={"shop/api": "nodes/node-1", "shop/web-0": "nodes/node-0", "shop/web-1": "nodes/node-0"},
    )
    assert lab(body.replace("running", "# running")).running is None

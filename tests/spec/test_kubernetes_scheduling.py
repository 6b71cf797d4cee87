"""What Kubernetes objects tell the scheduler: requests, priorities, nodes, bindings, volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from manifests import errors, good, pods, thing, written

from sdn.errors import SpecError
from sdn.model import (
    HOSTNAME,
    NODE_NAME,
    Affinity,
    Effect,
    Host,
    Kind,
    LabelSelector,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    Placement,
    PodTerm,
    Resources,
    Taint,
    TopologySpread,
    Underlay,
    Volume,
    Workload,
)
from sdn.scheduler import place
from sdn.spec.load import load
from sdn.spec.parts import LabParts

Item = dict[str, Any]


def pod(name: str = "a", status: Item | None = None, owner: tuple[str, str] | None = None, **spec: Any) -> Item:
    return thing("Pod", name, {"containers": [{"name": "c"}], **spec}, status=status, owner=owner)


def only(*items: Item) -> Workload:
    return pods(good(written(*items)))["default/a"]


def cluster(kind: str, name: str, api: str = "v1", **fields: Any) -> Item:
    labels = fields.pop("labels", {})
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels}, **fields}


def node(name: str, **fields: Any) -> Item:
    return cluster("Node", name, **{"status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "30"}}, **fields})


def container(cpu: str | None = None, limit: str | None = None, **more: Any) -> Item:
    resources = {"requests": {"cpu": cpu} if cpu else {}, "limits": {"cpu": limit} if limit else {}}
    return {"name": "c", "resources": resources, **more}


# --- how much

SIDECAR = {"restartPolicy": "Always"}

REQUESTS: dict[str, tuple[Item, int]] = {
    "sum of containers": ({"containers": [container("1"), container("2")]}, 3000),
    "a limit is a request": ({"containers": [container(None, "2")]}, 2000),
    "a request of nothing is none": ({"containers": [container("0", "2")]}, 0),
    "the largest init container": (
        {"containers": [container("1")], "initContainers": [container("3"), container("2")]},
        3000,
    ),
    "containers beat init containers": (
        {"containers": [container("5")], "initContainers": [container("3"), container("2")]},
        5000,
    ),
    "sidecars stay": (
        {"containers": [container("1")], "initContainers": [container("2", **SIDECAR), container("3", **SIDECAR)]},
        6000,
    ),
    "an init container beside the sidecars before it": (
        {
            "containers": [container("1")],
            "initContainers": [container("2", **SIDECAR), container("4"), container("1", **SIDECAR)],
        },
        6000,
    ),
    "overhead on top": ({"containers": [container("1")], "overhead": {"cpu": "250m"}}, 1250),
    "the Pod's own": ({"containers": [container("1")], "resources": {"requests": {"cpu": "7"}}}, 7000),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_pod_asks_for_what_kubernetes_counts(name: str) -> None:
    spec, expected = REQUESTS[name]
    assert only(pod(**spec)).cpu == expected


LIMITS: dict[str, tuple[Item, Resources | None]] = {
    "none": ({"containers": [container("1")]}, None),
    "of every container": ({"containers": [container("1", "2"), container("1", "3")]}, Resources(cpu_limit=5000)),
    "one without": ({"containers": [container("1", "2"), container("1")]}, None),
    "of a sidecar, too": (
        {"containers": [container("1", "2")], "initContainers": [container("1", "3", **SIDECAR)]},
        Resources(cpu_limit=5000),
    ),
    "not of init containers": (
        {"containers": [container("1", "2")], "initContainers": [container("1")]},
        Resources(cpu_limit=2000),
    ),
    "the Pod's own": (
        {"containers": [container("1")], "resources": {"limits": {"cpu": "7"}}},
        Resources(cpu_limit=7000),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_pod_is_limited_where_everything_in_it_is(name: str) -> None:
    spec, expected = LIMITS[name]
    assert only(pod(**spec)).scheduling.resources == expected


# --- who goes first


def priority(name: str, value: int, **fields: Any) -> Item:
    return cluster("PriorityClass", name, "scheduling.k8s.io/v1", value=value, **fields)


PRIORITIES: dict[str, tuple[list[Item], Item, tuple[int, bool]]] = {
    "none": ([], {}, (0, True)),
    "by name": ([priority("gold", 9)], {"priorityClassName": "gold"}, (9, True)),
    "that never preempts": (
        [priority("gold", 9, preemptionPolicy="Never")],
        {"priorityClassName": "gold"},
        (9, False),
    ),
    "the default": ([priority("usual", 3, globalDefault=True)], {}, (3, True)),
    "the lowest default": ([priority(f"p{n}", n, globalDefault=True) for n in (5, 4)], {}, (4, True)),
    "of every cluster": ([], {"priorityClassName": "system-node-critical"}, (2_000_001_000, True)),
    "as a running Pod has it": (
        [],
        {"priorityClassName": "gone", "priority": 8, "preemptionPolicy": "Never"},
        (8, False),
    ),
}


@pytest.mark.parametrize("name", PRIORITIES)
def test_a_pod_has_the_priority_of_its_class(name: str) -> None:
    classes, spec, expected = PRIORITIES[name]
    found = only(*classes, pod(**spec)).scheduling
    assert (found.priority, found.preempts) == expected


def test_a_class_that_nobody_defines_is_told() -> None:
    found = good(written(priority("gold", 9), pod(priorityClassName="glod")))
    assert found.warnings == [
        'k.yaml:15: Pod default/a: there is no PriorityClass "glod"; its Pods get none; did you mean "gold"?'
    ]
    assert found.workloads[0].scheduling.priority == 0


# --- beside whom


def test_every_spread_constraint_counts_and_the_first_also_spreads_owners() -> None:
    spread = [
        {"topologyKey": "zone", "maxSkew": 2, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}},
        {"topologyKey": HOSTNAME, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {"a": "b"}}},
    ]
    found = only(pod(topologySpreadConstraints=spread))
    assert found.spread == "zone"
    assert found.scheduling.spread == (
        TopologySpread("zone", 2, LabelSelector(), required=False),
        TopologySpread(HOSTNAME, 1, LabelSelector((("a", "b"),))),
    )


def test_affinity_and_images_are_taken_over() -> None:
    term = {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": {"app": "a"}}}
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1.example.com"]}]}
    affinity = {
        "podAntiAffinity": {required: [term]},
        "nodeAffinity": {required: {"nodeSelectorTerms": [by_name]}},
    }
    images = [{"name": "c", "image": "web:2"}, {"name": "d", "image": "web:1"}]
    found = only(pod(affinity=affinity, containers=images, initContainers=[{"name": "i", "image": "init"}])).scheduling
    assert found.affinity == Affinity(
        nodes=(NodeTerm((NodeRequirement(NODE_NAME, NodeOperator.IN, ("n1-example-com",)),)),),
        apart=(PodTerm(HOSTNAME, LabelSelector((("app", "a"),))),),
    )
    assert found.images == ("init", "web:1", "web:2")


def test_a_misspelt_affinity_is_a_mistake() -> None:
    text = written(pod(affinity={"podAntiAffinty": {}, "nodeAffinity": {"preferred": []}}))
    assert errors(text) == [
        "k.yaml:9:5: Pod default/a: spec.affinity.podAntiAffinty: this field is not known; did you mean "
        '"podAntiAffinity"?',
        "k.yaml:11:7: Pod default/a: spec.affinity.nodeAffinity.preferred: this field is not known "
        "(there are: preferredDuringSchedulingIgnoredDuringExecution, requiredDuringSchedulingIgnoredDuringExecution)",
    ]


# --- where

MASTER = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def test_nodes_become_hosts() -> None:
    items = [
        node("n1.example.com", labels={"disk": "ssd"}, spec={"taints": [MASTER], "unschedulable": True}),
        node("n2", status={"capacity": {"cpu": "2", "memory": "1Gi"}}),
    ]
    found = good(written(*items)).underlay
    assert found is not None
    assert found.hosts == (
        Host(
            "n1-example-com",
            4000,
            8192,
            30,
            {HOSTNAME: "n1.example.com", "disk": "ssd"},
            (
                Taint("node-role.kubernetes.io/control-plane"),
                Taint("node.kubernetes.io/unschedulable", "", Effect.NO_SCHEDULE),
            ),
        ),
        Host("n2", 2000, 1024, 110, {HOSTNAME: "n2"}),
    )
    assert {(link.a, link.b) for link in found.links} >= {("leaf-1", "n1-example-com"), ("leaf-2", "n2")}


def test_a_taint_of_no_known_effect_is_a_mistake() -> None:
    text = written(node("n", spec={"taints": [{"key": "k", "effect": "NoShedule"}]}))
    assert errors(text) == [
        'k.yaml:14:13: Node n: spec.taints[0].effect: "NoShedule" does not exist '
        '(there are: NoSchedule, PreferNoSchedule, NoExecute); did you mean "NoSchedule"?'
    ]


def test_nodes_are_told_where_a_lab_has_hosts() -> None:
    found = good(written(node("n")), LabParts(underlay=Underlay((Host("h"),))))
    assert found.warnings == ["not used here, for the lab has hosts or nodes of its own: Node (1)"]


RUNNING = {"phase": "Running"}

BINDINGS: dict[str, tuple[Item, str, str | None]] = {
    "running": (pod(nodeName="n.x", status=RUNNING), "", "n-x"),
    "bound and not started": (pod(nodeName="n.x", status={"phase": "Pending"}), "", "n-x"),
    "written by a person": (pod(nodeName="n.x"), "n-x", None),
    "of a DaemonSet": (pod(nodeName="n.x", status=RUNNING, owner=("DaemonSet", "d")), "n-x", "n-x"),
    "the node's own": (pod(nodeName="n.x", status=RUNNING, owner=("Node", "n.x")), "n-x", "n-x"),
    "on a node that is not there": (pod(nodeName="m", status=RUNNING), "", None),
}


@pytest.mark.parametrize("name", BINDINGS)
def test_where_a_scheduler_put_a_pod_it_runs_but_is_not_fixed(name: str) -> None:
    item, fixed, runs = BINDINGS[name]
    found = good(written(node("n.x"), item))
    assert pods(found)["default/a"].host == fixed
    assert found.running == ({} if runs is None else {"default/a": runs})


def test_a_loaded_cluster_says_where_it_runs(tmp_path: Path) -> None:
    file = tmp_path / "k.yaml"
    file.write_text(written(node("n1"), node("n2"), pod(nodeName="n2", status=RUNNING)))
    model = load([file]).model
    assert model.running == Placement({"default/a": "n2"})
    assert place(model).hosts == {"default/a": "n2"}


def test_daemonsets_heed_affinity_and_run_on_cordoned_nodes() -> None:
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}
    spec = {"containers": [{"name": "c"}], "affinity": {"nodeAffinity": {required: terms}}}
    template = {"metadata": {"labels": {"app": "d"}}, "spec": spec}
    daemon = thing("DaemonSet", "d", {"selector": {"matchLabels": {"app": "d"}}, "template": template})
    nodes = [node("n1", labels={"disk": ""}, spec={"unschedulable": True}), node("n2")]
    assert [one.host for one in good(written(daemon, *nodes)).workloads] == ["n1"]


# --- storage


def volume(name: str, values: list[str], claim: str = "", key: str = "disk") -> Item:
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": values}]}]
    reference = {"claimRef": {"namespace": "default", "name": claim}} if claim else {}
    spec = {"local": {"path": "/x"}, "nodeAffinity": {"required": {"nodeSelectorTerms": terms}}, **reference}
    return cluster("PersistentVolume", name, spec=spec)


def claim(name: str, volume: str = "") -> Item:
    return cluster("PersistentVolumeClaim", name, spec={"volumeName": volume} if volume else {})


def using(name: str) -> Item:
    return pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": name}}, {"name": "e", "emptyDir": {}}])


NODES = [node(f"n{n}", labels={"disk": f"d{n}"}) for n in (1, 2, 3)]

TIES: dict[str, list[Item]] = {
    "the claim names the volume": [volume("pv", ["d1", "d3"]), claim("data", "pv")],
    "the volume names the claim": [volume("pv", ["d1", "d3"], "data")],
}


@pytest.mark.parametrize("name", TIES)
def test_a_bound_local_volume_ties_a_pod_to_its_hosts(name: str) -> None:
    found = good(written(*NODES, *TIES[name], using("data")))
    assert found.constraints.volumes == (Volume("pv", ("n1", "n3")),)
    assert found.workloads[0].scheduling.volumes == ("pv",)


def test_what_is_not_bound_or_usable_everywhere_ties_nobody() -> None:
    network = cluster("PersistentVolume", "nfs", spec={"claimRef": {"namespace": "default", "name": "data"}})
    for items in ([claim("data")], [network, claim("data", "nfs")], [claim("data", "elsewhere")]):
        found = good(written(*NODES, *items, using("data")))
        assert (found.constraints.volumes, found.workloads[0].scheduling.volumes) == ((), ())


def test_a_volume_for_nodes_that_are_not_here_is_told_and_ties_nobody() -> None:
    found = good(written(*NODES, volume("pv", ["d9"], "data"), using("data")))
    assert found.constraints.volumes == (Volume("pv", ("n1", "n2", "n3")),)
    assert [line.split(": ", 1)[1] for line in found.warnings] == [
        "PersistentVolume pv: nodeAffinity is not used here, for no Host here is meant"
    ]
    vm = Workload("nodes", "vm", Kind.VM, "", "", is_node=True)
    lab = LabParts(underlay=Underlay((Host("h1", labels={"disk": "d1"}), Host("h2"))), workloads=[vm])
    beside = good(written(volume("pv", ["d1"], "data"), using("data")), lab)
    assert beside.constraints.volumes == (Volume("pv", ("h1", "h2")),)
    assert "for the nodes are VMs, which move" in beside.warnings[0]


def test_each_pod_of_a_statefulset_has_a_claim_of_its_own() -> None:
    template = {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c"}]}}
    spec = {"selector": {"matchLabels": {"app": "db"}}, "template": template, "replicas": 2}
    item = thing("StatefulSet", "db", {**spec, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]})
    bound = [volume(f"pv{n}", [f"d{n}"], f"data-db-{n - 1}") for n in (1, 2)]
    found = pods(good(written(*NODES, *bound, item)))
    assert {key: one.scheduling.volumes for key, one in found.items()} == {
        "default/db-0": ("pv1",),
        "default/db-1": ("pv2",),
    }


# --- generated Hosts


def test_generated_hosts_have_what_affinity_requires() -> None:
    required = "requiredDuringSchedulingIgnoredDuringExecution"

    def needs(*expressions: Item) -> Item:
        return {"nodeAffinity": {required: {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}}}

    apart = [{"topologyKey": key, "labelSelector": {"matchLabels": {"a": "b"}}} for key in (HOSTNAME, "rack")]
    items = [
        pod(
            "with",
            affinity=needs({"key": "gpu", "operator": "Exists"}, {"key": "n", "operator": "Gt", "values": ["7"]}),
        ),
        pod("without", affinity=needs({"key": "gpu", "operator": "DoesNotExist"})),
        pod("arm", affinity=needs({"key": "kubernetes.io/arch", "operator": "NotIn", "values": ["amd64"]})),
    ]
    for number in range(5):
        items.append(pod(f"apart-{number}", affinity={"podAntiAffinity": {required: apart}}))
        items[-1]["metadata"]["labels"] = {"a": "b"}
    found = good(written(*items)).underlay
    assert found is not None
    assert len(found.hosts) == 5
    assert {host.labels["rack"] for host in found.hosts} == {f"leaf-{number}" for number in range(1, 6)}
    assert [host for host in found.hosts if "gpu" not in host.labels]
    assert {host.labels.get("n") for host in found.hosts if "gpu" in host.labels} == {"8"}
    assert [host for host in found.hosts if "kubernetes.io/arch" not in host.labels]


# --- beside a lab file


def test_a_lab_and_manifests_know_each_others_priorities(tmp_path: Path) -> None:
    (tmp_path / "k.yaml").write_text(written(priority("gold", 9), pod(priorityClassName="silver")))
    body = "applications: {shop: {workloads: {web: {priority: NAME, after: [default/a]}}}}\nmanifests: [k.yaml]\n"
    file = tmp_path / "lab.yaml"
    file.write_text("lab: test\npriority_classes: {silver: 5}\n" + body.replace("NAME", "gold"))
    found = {one.key: one.scheduling for one in load([file]).model.workloads}
    assert (found["shop/web"].priority, found["default/a"].priority) == (9, 5)
    assert found["shop/web"].after == ("default/a",)
    file.write_text("lab: test\n" + body.replace("NAME", "bronze").replace("default/a", "default/b"))
    with pytest.raises(SpecError, match='priority class "bronze" is not defined'):
        load([file])

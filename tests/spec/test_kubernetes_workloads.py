"""Which Pods there are, what they listen on and ask for, and the Hosts that are made for them."""

from __future__ import annotations

from typing import Any

import pytest
from manifests import controller, errors, good, parts, pods, thing, written

from sdn.model import (
    HOSTNAME,
    Host,
    Kind,
    Port,
    Protocol,
    Scheduling,
    SegmentKind,
    Taint,
    Toleration,
    TopologySpread,
    Underlay,
    Workload,
)
from sdn.spec.kubernetes.fields import quantity, rounded_up
from sdn.spec.parts import LabParts

JOB = {"template": {"metadata": {"labels": {"app": "j"}}, "spec": {"containers": [{"name": "c"}]}}}

COUNTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "deployment": (controller("Deployment", "a"), ["a-0"]),
    "deployment-3": (controller("Deployment", "a", replicas=3), ["a-0", "a-1", "a-2"]),
    "deployment-0": (controller("Deployment", "a", replicas=0), []),
    "replicas-null": (controller("Deployment", "a", replicas=None), ["a-0"]),
    "statefulset": (controller("StatefulSet", "a", replicas=2, serviceName="a"), ["a-0", "a-1"]),
    "statefulset-from-5": (controller("StatefulSet", "a", replicas=2, ordinals={"start": 5}), ["a-5", "a-6"]),
    "replicaset": (controller("ReplicaSet", "a", replicas=1), ["a-0"]),
    "daemonset": (controller("DaemonSet", "a"), ["a-0", "a-1", "a-2"]),
    "job": (thing("Job", "a", JOB), ["a-0"]),
    "job-parallel": (thing("Job", "a", {**JOB, "parallelism": 3, "completions": 9}), ["a-0", "a-1", "a-2"]),
    "job-fewer-completions": (thing("Job", "a", {**JOB, "parallelism": 3, "completions": 2}), ["a-0", "a-1"]),
    "job-suspended": (thing("Job", "a", {**JOB, "suspend": True}), []),
    "job-complete": (thing("Job", "a", JOB, status={"conditions": [{"type": "Complete", "status": "True"}]}), []),
    "cronjob": (thing("CronJob", "a", {"schedule": "* * * * *", "jobTemplate": {"spec": JOB}}), ["a-0"]),
    "pod": (thing("Pod", "a", {"containers": [{"name": "c"}]}), ["a"]),
    "pod-succeeded": (thing("Pod", "a", {"containers": []}, status={"phase": "Succeeded"}), []),
    "pod-failed": (thing("Pod", "a", {"containers": []}, status={"phase": "Failed"}), []),
}


@pytest.mark.parametrize("name", COUNTS)
def test_how_many_pods_an_object_makes(name: str) -> None:
    item, expected = COUNTS[name]
    assert sorted(pods(good(written(item)))) == [f"default/{pod}" for pod in expected]


def test_a_pod_has_everything_that_its_template_says() -> None:
    pod = {
        "containers": [
            {
                "name": "a",
                "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
                "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
            },
            {"name": "b", "resources": {"limits": {"cpu": 0.5, "memory": "1G"}}},
        ],
        "initContainers": [
            {"name": "once", "ports": [{"containerPort": 1}], "resources": {"requests": {"cpu": "8"}}},
            {"name": "sidecar", "restartPolicy": "Always", "ports": [{"containerPort": 15001}]},
        ],
        "nodeSelector": {"disk": "ssd"},
        "nodeName": "worker-7",
        "tolerations": [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}, {"key": "a", "value": "b"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"},
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"},
        ],
        "hostNetwork": False,
    }
    assert pods(good(written(controller("Deployment", "web", pod=pod))))["default/web-0"] == Workload(
        namespace="default",
        name="web-0",
        kind=Kind.POD,
        application="cluster",
        segment="pods",
        labels={"app": "web"},
        owner=("Deployment", "web"),
        ports=(Port(53, Protocol.UDP), Port(80, Protocol.TCP, "http"), Port(15001)),
        cpu=8000,  # while the init container runs alone
        memory=64 + 954,
        selector={"disk": "ssd"},
        tolerations=(Toleration("gpu", "", True, "NoSchedule"), Toleration("a", "b")),
        spread="topology.kubernetes.io/zone",
        scheduling=Scheduling(spread=(TopologySpread("topology.kubernetes.io/zone"), TopologySpread(HOSTNAME))),
    )


def test_a_name_stands_for_the_first_port_that_carries_it() -> None:
    containers = [
        {"name": "a", "ports": [{"containerPort": 90, "name": "http"}, {"containerPort": 90, "name": "web"}]},
        {"name": "b", "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 80}]},
    ]
    found = pods(good(written(thing("Pod", "a", {"containers": containers}))))["default/a"]
    assert found.ports == (Port(80), Port(90, name="http"), Port(90, name="web"))


def test_statefulset_and_job_pods_carry_the_labels_that_kubernetes_adds() -> None:
    found = pods(good(written(controller("StatefulSet", "db"), thing("Job", "once", JOB))))
    assert found["default/db-0"].labels == {
        "app": "db",
        "apps.kubernetes.io/pod-index": "0",
        "statefulset.kubernetes.io/pod-name": "db-0",
    }
    assert found["default/once-0"].labels["batch.kubernetes.io/job-name"] == "once"


QUANTITIES = [
    ("100m", "0.001", 100),
    ("0.5", "0.001", 500),
    (2, "0.001", 2000),
    (0.25, "0.001", 250),
    ("1n", "0.001", 1),
    ("64Mi", str(2**20), 64),
    ("1Gi", str(2**20), 1024),
    ("1G", str(2**20), 954),
    ("1e9", str(2**20), 954),
    ("128974848", str(2**20), 123),
]


@pytest.mark.parametrize(("text", "unit", "value"), QUANTITIES, ids=[str(row[0]) for row in QUANTITIES])
def test_quantities_are_rounded_up(text: Any, unit: str, value: int) -> None:
    assert rounded_up(quantity(text), quantity(unit)) == value


@pytest.mark.parametrize("text", ["", "-1", "1 Gi", "1gi", "Mi", True, None, [], "1e", "0x10", "٣"])
def test_what_is_no_quantity_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="is not a quantity; write for example 100m"):
        quantity(text)


def listed(*items: dict[str, Any]) -> str:
    return written({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(items)})


def running(name: str, owner: tuple[str, str], **labels: str) -> dict[str, Any]:
    status = {"phase": "Running", "podIP": "10.244.1.7", "podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00:10:244:1::7"}]}
    spec = {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}], "nodeName": "worker-1"}
    return thing("Pod", name, spec, owner=owner, labels=labels, status=status)


def test_pods_that_are_there_are_not_made_again() -> None:
    """Through the ReplicaSet between, and without it; a Job of a CronJob alike."""
    replica_set = controller("ReplicaSet", "web-5d4f", replicas=3)
    replica_set["metadata"]["ownerReferences"] = [{"kind": "Deployment", "name": "web"}]
    found = good(
        listed(
            running("web-5d4f-abcde", ("ReplicaSet", "web-5d4f"), app="web"),
            controller("Deployment", "web", replicas=3),
            replica_set,
            controller("Deployment", "api", replicas=2),
            running("api-77c9-xyz12", ("ReplicaSet", "api-77c9"), app="api"),
            thing("CronJob", "tick", {"jobTemplate": {"spec": JOB}}),
            running("tick-28000000-q", ("Job", "tick-28000000")),
            controller("Deployment", "idle"),
        )
    )
    assert {key: pod.owner for key, pod in pods(found).items()} == {
        "default/web-5d4f-abcde": ("Deployment", "web"),
        "default/api-77c9-xyz12": ("Deployment", "api"),
        "default/tick-28000000-q": ("CronJob", "tick"),
        "default/idle-0": ("Deployment", "idle"),
    }
    assert pods(found)["default/web-5d4f-abcde"].ip == ("10.244.1.7", "fd00:10:244:1::7")
    assert pods(found)["default/web-5d4f-abcde"].host == ""


def test_a_finished_pod_still_mans_its_job() -> None:
    done = thing("Pod", "once-x", {"containers": []}, owner=("Job", "once"), status={"phase": "Succeeded"})
    assert pods(good(listed(thing("Job", "once", JOB), done))) == {}


def test_items_of_a_pod_list_need_no_kind() -> None:
    item = thing("Pod", "a", {"containers": []})
    del item["kind"], item["apiVersion"]
    assert list(pods(good(written({"apiVersion": "v1", "kind": "PodList", "items": [item]})))) == ["default/a"]


def test_addresses_of_running_pods_choose_the_range() -> None:
    first = running("a", ("Node", "n"))
    first["status"]["podIPs"] = [{"ip": "10.42.3.9"}]
    found = good(listed(first))
    assert found.applications[0].segments[0].subnets == ("10.42.0.0/16", "fd00:10:244::/48")
    assert pods(found)["default/a"].ip == ("10.42.3.9",)


def test_addresses_that_fit_no_range_are_dropped_with_a_warning() -> None:
    items = [running(name, ("Node", "n")) for name in "ab"]
    items[0]["status"]["podIPs"], items[1]["status"]["podIPs"] = [{"ip": "10.42.3.9"}], [{"ip": "172.20.1.1"}]
    found = good(listed(*items))
    assert all(pod.ip == () for pod in found.workloads)
    assert found.warnings == [
        "2 addresses of running Pods do not fit 10.244.0.0/16 and fd00:10:244::/48, others are used"
    ]


def test_the_flat_network_is_one_routed_segment_that_all_namespaces_share() -> None:
    found = good(written(controller("Deployment", "a"), thing("Pod", "b", {"containers": []}, namespace="other")))
    (application,) = found.applications
    assert (application.name, [segment.name for segment in application.segments]) == ("cluster", ["pods"])
    assert application.segments[0].kind is SegmentKind.ROUTED
    assert application.segments[0].subnets == ("10.244.0.0/16", "fd00:10:244::/48")
    assert {(pod.application, pod.segment) for pod in found.workloads} == {("cluster", "pods")}


def test_more_pods_than_a_small_range_holds_get_a_larger_one() -> None:
    found = good(written(controller("Deployment", "a", replicas=40_001)))
    assert found.applications[0].segments[0].subnets == ("10.128.0.0/9", "fd00:10:244::/48")
    assert found.underlay is not None
    assert len(found.underlay.hosts) == 401


def test_every_mentioned_namespace_exists_with_its_name_as_label() -> None:
    text = written(
        thing("Namespace", "shop", labels={"team": "a"}),
        thing("Pod", "a", {"containers": []}, namespace="shop"),
        thing("NetworkPolicy", "p", {"podSelector": {}}, namespace="elsewhere"),
    )
    assert [(one.name, one.labels) for one in good(text).namespaces] == [
        ("elsewhere", {"kubernetes.io/metadata.name": "elsewhere"}),
        ("shop", {"kubernetes.io/metadata.name": "shop", "team": "a"}),
    ]


def test_daemonsets_run_where_their_selector_and_tolerations_admit() -> None:
    hosts = (
        Host("h1", labels={"disk": "ssd"}),
        Host("h2"),
        Host("h3", labels={"disk": "ssd"}, taints=(Taint("gpu"),)),
        Host("h4", labels={"disk": "ssd"}, taints=(Taint("soft", effect="PreferNoSchedule"),)),  # type: ignore[arg-type]
    )
    pod = {"containers": [{"name": "c"}], "nodeSelector": {"disk": "ssd"}}
    found = good(written(controller("DaemonSet", "agent", pod=pod)), LabParts(underlay=Underlay(hosts)))
    assert {key: one.host for key, one in pods(found).items()} == {"default/agent-0": "h1", "default/agent-1": "h4"}
    everywhere = {**pod, "tolerations": [{"operator": "Exists"}]}
    found = good(written(controller("DaemonSet", "agent", pod=everywhere)), LabParts(underlay=Underlay(hosts)))
    assert sorted(one.host for one in found.workloads) == ["h1", "h3", "h4"]


def test_two_controllers_of_one_name_make_different_pods() -> None:
    found = good(written(controller("Deployment", "a"), controller("StatefulSet", "a")))
    assert sorted(pods(found)) == ["default/a-0", "default/a-deployment-0"]


def test_a_pod_and_a_controller_that_claim_one_name_are_a_mistake() -> None:
    text = written(thing("Pod", "a-0", {"containers": []}), controller("Deployment", "a"))
    assert errors(text) == [
        "k.yaml:8:1: Deployment default/a: makes a Pod default/a-0, but k.yaml:1 does already; rename one of them"
    ]


def test_other_kinds_are_named_once() -> None:
    others = [thing("ServiceAccount", name) for name in "abc"] + [thing("Secret", "s")]
    foreign = {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "k"}, "spec": {"x": 1}}
    found = good(written(*others, foreign))
    assert found.warnings == ["not used here: Secret (1), Service of serving.knative.dev/v1 (1), ServiceAccount (3)"]


def test_the_later_of_two_equal_identities_counts_and_both_places_are_named() -> None:
    same, changed = controller("Deployment", "b"), controller("Deployment", "a", replicas=2)
    found = good(written(controller("Deployment", "a"), same, changed, same))
    assert sorted(pods(found)) == ["default/a-0", "default/a-1", "default/b-0"]
    assert found.warnings == [
        "k.yaml:1: Deployment default/a is replaced by k.yaml:37; the later one counts",
        "k.yaml:19: Deployment default/b is repeated at k.yaml:56; the later one counts",
    ]
    assert found.where["workload default/a-1"] == "k.yaml:37"


def test_a_field_that_looks_misspelt_is_a_warning_in_a_pod_spec() -> None:
    item = controller("Deployment", "a", replica=3)
    item["spec"]["template"]["spec"]["hostnetwork"] = True
    found, problems = parts(written(item))
    assert problems == []
    assert [line.split(": ", 1)[1] for line in found.warnings] == [
        'Deployment default/a: spec.template.spec.hostnetwork is not used here; did you mean "hostNetwork"?',
        'Deployment default/a: spec.replica is not used here; did you mean "replicas"?',
    ]


def test_the_default_underlay_is_large_enough() -> None:
    """30 % more than asked for, at most 100 Pods a Host, and two leaves."""
    big = {"containers": [{"name": "c", "resources": {"requests": {"cpu": "4", "memory": "1Gi"}}}]}
    found = good(written(controller("Deployment", "a", replicas=30, pod=big)))
    assert found.underlay is not None
    assert len(found.underlay.hosts) == 10  # 120 CPU and 30 % more, 16 a Host
    assert [switch.name for switch in found.underlay.switches] == ["leaf-1", "leaf-2", "spine-1", "spine-2"]
    host = found.underlay.hosts[0]
    assert (host.name, host.cpu, host.memory, host.pods) == ("host-1", 16_000, 65_536, 110)
    assert host.labels["topology.kubernetes.io/zone"] == "leaf-1"
    links = {(link.a, link.b) for link in found.underlay.links}
    assert {("host-1", "leaf-1"), ("host-2", "leaf-2"), ("leaf-1", "spine-1"), ("leaf-2", "spine-2")} <= links
    assert len(links) == 10 + 4


def test_the_default_underlay_satisfies_node_selectors() -> None:
    items = [
        controller("Deployment", f"a{number}", pod={"containers": [], "nodeSelector": {"pool": f"p{number}"}})
        for number in range(5)
    ]
    found = good(written(*items))
    assert found.underlay is not None
    assert {host.labels["pool"] for host in found.underlay.hosts} == {f"p{number}" for number in range(5)}


def test_the_order_of_objects_does_not_matter() -> None:
    items = [controller("Deployment", name, replicas=2) for name in "abc"]
    items += [thing("Service", name, {"selector": {"app": name}, "ports": [{"port": 80}]}) for name in "abc"]
    one, other = good(written(*items)), good(written(*reversed(items)))
    assert sorted(one.workloads, key=lambda w: w.key) == sorted(other.workloads, key=lambda w: w.key)
    assert (one.services, one.underlay) == (other.services, other.underlay)

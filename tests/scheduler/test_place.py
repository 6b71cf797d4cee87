"""Placement: what repels, what attracts, what stays, and what the user is told when nothing fits."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdn.errors import UnschedulableError
from sdn.model import (
    Effect,
    Host,
    Kind,
    Model,
    Placement,
    Taint,
    Toleration,
    Underlay,
    Workload,
)
from sdn.scheduler import Cluster, place

GPU = Taint("gpu", "yes")


def host(name: str, **fields: object) -> Host:
    return msgspec.structs.replace(Host(name, cpu=4000, memory=8192, pods=10), **fields)


def pod(name: str, owner: str = "", **fields: object) -> Workload:
    base = Workload("shop", name, Kind.POD, "shop", "pods", owner=("Deployment", owner) if owner else ("", ""))
    return msgspec.structs.replace(base, **fields)


def node(name: str, **fields: object) -> Workload:
    base = Workload("nodes", name, Kind.VM, "", "", cpu=2000, memory=2048, is_node=True, pods=5)
    return msgspec.structs.replace(base, **fields)


def model(hosts: Sequence[Host], workloads: Sequence[Workload]) -> Model:
    return Model("lab", Underlay(tuple(hosts)), (), tuple(workloads))


def placed(hosts: Sequence[Host], *workloads: Workload, previous: Placement | None = None) -> dict[str, str]:
    """Workload name → Host, or `node@Host`."""
    result = place(model(hosts, workloads), previous)
    return {
        key.partition("/")[2]: (result.nodes[key].partition("/")[2] + "@" if key in result.nodes else "") + where
        for key, where in result.hosts.items()
    }


def refusal(hosts: Sequence[Host], *workloads: Workload) -> str:
    with pytest.raises(UnschedulableError) as error:
        place(model(hosts, workloads))
    return str(error.value)


THREE = [host("h1"), host("h2"), host("h3")]


@pytest.mark.parametrize(
    ("hosts", "workload", "where"),
    [
        pytest.param(THREE, pod("a"), "h1", id="tie-by-name"),
        pytest.param([host("h1", memory=512), host("h2")], pod("a", memory=1024), "h2", id="memory"),
        pytest.param([host("h1", cpu=500), host("h2")], pod("a", cpu=1000), "h2", id="cpu"),
        pytest.param([host("h1", pods=0), host("h2")], pod("a"), "h2", id="pod-count"),
        pytest.param([host("h1"), host("h2", memory=16384)], pod("a", memory=4096), "h2", id="least-loaded"),
        pytest.param(
            [host("h1"), host("h2", labels={"disk": "ssd"})], pod("a", selector={"disk": "ssd"}), "h2", id="label"
        ),
        pytest.param(THREE, pod("a", selector={"kubernetes.io/hostname": "h2"}), "h2", id="hostname-label"),
        pytest.param(THREE, pod("a", selector={"beta.kubernetes.io/os": "linux"}), "h1", id="os-label"),
        pytest.param([host("h1", taints=(GPU,)), host("h2")], pod("a"), "h2", id="no-schedule"),
        pytest.param(
            [host("h1", taints=(Taint("x", "", Effect.NO_EXECUTE),)), host("h2")], pod("a"), "h2", id="no-execute"
        ),
        pytest.param(
            [host("h1", taints=(Taint("x", "", Effect.PREFER_NO_SCHEDULE),)), host("h2", cpu=2000)],
            pod("a", cpu=1000),
            "h2",
            id="prefer-no-schedule-beats-load",
        ),
        pytest.param(
            [host("h1", taints=(Taint("x", "", Effect.PREFER_NO_SCHEDULE),))], pod("a"), "h1", id="prefer-is-no-ban"
        ),
        pytest.param([host("h1", taints=(GPU,))], pod("a", tolerations=(Toleration("gpu", "yes"),)), "h1", id="equal"),
        pytest.param(
            [host("h1", taints=(GPU,))], pod("a", tolerations=(Toleration("gpu", exists=True),)), "h1", id="exists"
        ),
        pytest.param([host("h1", taints=(GPU,))], pod("a", tolerations=(Toleration(exists=True),)), "h1", id="any-key"),
        pytest.param(
            [host("h1", taints=(GPU,)), host("h2")],
            pod("a", tolerations=(Toleration("gpu", "no"), Toleration("gpu", "yes", effect="NoExecute"), Toleration())),
            "h2",
            id="tolerations-that-do-not-match",
        ),
        pytest.param(THREE, pod("a", host="h3"), "h3", id="pinned"),
    ],
)
def test_where_one_goes(hosts: Sequence[Host], workload: Workload, where: str) -> None:
    assert placed(hosts, workload) == {"a": where}


def test_replicas_are_spread_over_hosts_even_where_one_host_is_far_larger() -> None:
    hosts = [host("h1", memory=65536), host("h2"), host("h3")]
    where = placed(hosts, *(pod(f"a{i}", "a", memory=256) for i in range(6)))
    assert Counter(where.values()) == {"h1": 2, "h2": 2, "h3": 2}


def test_replicas_are_spread_over_a_label_first_and_then_over_its_hosts() -> None:
    hosts = [host(f"h{i}", labels={"zone": zone}) for i, zone in enumerate("aaab")]
    where = placed(hosts, *(pod(f"a{i}", "a", spread="zone") for i in range(4)))
    assert sorted(where.values()) == ["h0", "h1", "h3", "h3"]


def test_replicas_of_different_owners_do_not_repel_each_other() -> None:
    where = placed([host("h1"), host("h2", cpu=200)], pod("a", "a", cpu=100), pod("b", "b", cpu=100))
    assert where == {"a": "h1", "b": "h1"}


def test_pods_go_into_nodes_and_nodes_onto_hosts() -> None:
    where = placed(THREE[:2], node("n1"), node("n2"), pod("a", "a"), pod("b", "a"), pod("c", "a"))
    assert where == {"n1": "h1", "n2": "h2", "a": "n1@h1", "b": "n2@h2", "c": "n1@h1"}


def test_replicas_in_nodes_are_spread_over_hosts_before_nodes() -> None:
    nodes = [node("n1", host="h1"), node("n2", host="h1"), node("n3", host="h2")]
    where = placed(THREE[:2], *nodes, *(pod(f"a{i}", "a") for i in range(4)))
    assert [where[f"a{i}"] for i in range(4)] == ["n1@h1", "n3@h2", "n2@h1", "n3@h2"]


def test_spread_label_of_a_node_falls_back_to_that_of_its_host() -> None:
    hosts = [host("h1", labels={"zone": "a"}), host("h2", labels={"zone": "b"})]
    nodes = [node("n1", host="h1"), node("n2", host="h1"), node("n3", host="h2")]
    where = placed(hosts, *nodes, *(pod(f"a{i}", "a", spread="zone") for i in range(2)))
    assert [where[f"a{i}"] for i in range(2)] == ["n1@h1", "n3@h2"]


@pytest.mark.parametrize(
    ("pin", "where"),
    [("n2", "n2@h2"), ("nodes/n2", "n2@h2"), ("h2", "h2")],
    ids=["node-by-name", "node-by-key", "host-directly"],
)
def test_pod_pinned_where_there_are_nodes(pin: str, where: str) -> None:
    assert placed(THREE[:2], node("n1"), node("n2"), pod("a", host=pin))["a"] == where


def test_node_has_its_own_labels_taints_and_room() -> None:
    nodes = [node("n1", taints=(("gpu", "yes", "NoSchedule"),), labels={"k": "v"}), node("n2", pods=1)]
    where = placed(
        THREE,
        *nodes,
        pod("a"),
        pod("b", selector={"k": "v"}, tolerations=(Toleration("gpu", exists=True),)),
    )
    assert (where["a"][:2], where["b"][:2]) == ("n2", "n1")
    assert refusal(THREE, *nodes, pod("a"), pod("b"), pod("c", cpu=3000)).splitlines() == [
        "shop/b: 0 of 2 nodes fit: 1 has taint gpu=yes:NoSchedule, 1 may not run more than 1 workloads",
        "shop/c: 0 of 2 nodes fit: 1 has taint gpu=yes:NoSchedule, 1 too little CPU (needs 3)",
    ]


def test_large_before_small_so_that_both_fit() -> None:
    small = [pod(f"a{i}", memory=3072) for i in range(2)]
    where = placed(THREE[:2], *small, pod("z", memory=8192))
    assert where == {"a0": "h2", "a1": "h2", "z": "h1"}


@pytest.mark.parametrize(
    ("hosts", "workloads", "text"),
    [
        pytest.param(
            [host("h1", taints=(GPU,)), host("h2", memory=2048), host("h3", memory=1024)],
            [pod("vm-7", memory=4096)],
            "shop/vm-7: 0 of 3 hosts fit: 2 too little memory (needs 4 GiB), 1 has taint gpu=yes:NoSchedule",
            id="several-reasons",
        ),
        pytest.param(
            [host("h1"), host("h2")],
            [pod("a", selector={"zone": "a"}), pod("b", cpu=4500)],
            "shop/a: 0 of 2 hosts fit: 2 lack label zone=a\nshop/b: 0 of 2 hosts fit: 2 too little CPU (needs 4500m)",
            id="all-workloads-at-once",
        ),
        pytest.param(
            [host("h1", pods=1)],
            [pod("a", "x"), pod("b", "x"), pod("c", "x")],
            "shop/b: 0 of 1 hosts fit: 1 may not run more than 1 workloads\n"
            "shop/c: 0 of 1 hosts fit: 1 may not run more than 1 workloads",
            id="replicas-that-are-left-over",
        ),
        pytest.param(
            THREE,
            [pod("a", host="h9")],
            'shop/a: "h9" is neither a Host nor a node that takes Pods (there are: h1, h2, h3)',
            id="pinned-to-nobody",
        ),
        pytest.param(
            THREE,
            [pod("a", host="h2", memory=9000)],
            "shop/a: 0 of 1 hosts fit: 1 too little memory (needs 9000 MiB)",
            id="pinned-to-a-full-host",
        ),
        pytest.param(
            [],
            [pod("a")],
            "shop/a: 0 of 0 hosts fit: there is neither a Host nor a node; add one to the underlay",
            id="no-host",
        ),
    ],
)
def test_what_the_user_is_told(hosts: Sequence[Host], workloads: Sequence[Workload], text: str) -> None:
    assert refusal(hosts, *workloads) == text


def test_what_runs_stays_although_another_place_is_better_now() -> None:
    previous = Placement({"shop/a": "h3", "shop/b": "h3"})
    where = placed(THREE, pod("a", "x"), pod("b", "x"), pod("c", "x"), previous=previous)
    assert where == {"a": "h3", "b": "h3", "c": "h1"}


@pytest.mark.parametrize(
    ("there", "workload", "stays"),
    [
        pytest.param(host("h2", taints=(GPU,)), pod("a"), True, id="no-schedule-evicts-nobody"),
        pytest.param(host("h2", taints=(Taint("x", "", Effect.NO_EXECUTE),)), pod("a"), False, id="no-execute-does"),
        pytest.param(host("h2", memory=10), pod("a", memory=20), False, id="no-room-any-more"),
        pytest.param(host("h2"), pod("a", host="h1"), False, id="pinned-elsewhere-now"),
        pytest.param(host("h3"), pod("a"), False, id="host-is-gone"),
    ],
)
def test_who_stays(there: Host, workload: Workload, stays: bool) -> None:
    where = placed([host("h1"), there], workload, previous=Placement({"shop/a": "h2"}))
    assert where["a"] == ("h2" if stays else "h1")


def test_pods_follow_their_node() -> None:
    previous = Placement({"nodes/n1": "h1", "shop/a": "h1"}, {"shop/a": "nodes/n1"})
    where = placed(THREE, node("n1", host="h2"), node("n2"), pod("a"), previous=previous)
    assert where["n1"] == "h2"
    assert where["a"] in {"n1@h2", "n2@h1"}


requests = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([0, 100, 700]), st.sampled_from([0, 512, 2048])), max_size=25
)


@given(requests, st.randoms())
def test_order_of_the_input_never_matters_and_a_second_run_moves_nobody(
    items: list[tuple[str, int, int]], shuffler: random.Random
) -> None:
    workloads = [pod(f"p{i:02}", owner, cpu=cpu, memory=memory) for i, (owner, cpu, memory) in enumerate(items)]
    hosts = [host(f"h{i}", cpu=20000, memory=60000, pods=30) for i in range(4)]
    expected = place(model(hosts, workloads))
    assert place(model(hosts, workloads), expected) == expected
    shuffler.shuffle(workloads)
    shuffler.shuffle(hosts)
    assert place(model(hosts, workloads)) == expected


@given(requests)
def test_replicas_of_equal_size_are_spread_evenly(items: list[tuple[str, int, int]]) -> None:
    workloads = [pod(f"p{i:02}", owner) for i, (owner, _, _) in enumerate(items)]
    result = place(model([host(f"h{i}", pods=30) for i in range(3)], workloads))
    for owner in "abc":
        used = Counter(result.hosts[w.key] for w in workloads if w.owner[1] == owner)
        counts = [used[f"h{i}"] for i in range(3)]
        assert max(counts) - min(counts) <= 1


shapes = st.tuples(
    st.sampled_from(["", "a", "b"]),
    st.sampled_from([0, 100, 700]),
    st.sampled_from([0, 512]),
    st.sampled_from(["", "zone"]),
    st.sampled_from([(), (Toleration(exists=True),)]),
)


def naive(hosts: Sequence[Host], workloads: Sequence[Workload]) -> dict[str, str]:
    """Score every Host for every workload, in the order in which `place` binds them."""
    cluster = Cluster(model(hosts, workloads))
    groups: dict[object, list[Workload]] = {}
    for w in sorted(workloads, key=lambda w: w.key):
        groups.setdefault((w.owner, w.cpu, w.memory, w.spread, w.tolerations), []).append(w)
    for w in (w for g in sorted(groups.values(), key=lambda g: (-g[0].memory, -g[0].cpu, g[0].key)) for w in g):
        fitting = [target for target in cluster.hosts if not cluster.blocked(w, target)]
        cluster.bind(w, min(fitting, key=lambda target: cluster.cost(w, target)))
    return cluster.placement().hosts


@settings(deadline=None)
@given(st.lists(shapes, max_size=30), st.permutations("aabb"))
def test_shortcuts_give_what_scoring_everything_gives(
    items: list[tuple[str, int, int, str, tuple[Toleration, ...]]], zones: list[str]
) -> None:
    taints = [(), (), (Taint("x", "", Effect.PREFER_NO_SCHEDULE),), (GPU,)]
    hosts = [
        host(f"h{i}", cpu=9000 + 1000 * i, memory=60000, pods=30, labels={"zone": zone}, taints=taints[i])
        for i, zone in enumerate(zones)
    ]
    workloads = [
        pod(f"p{i:02}", owner, cpu=cpu, memory=memory, spread=spread, tolerations=tolerations)
        for i, (owner, cpu, memory, spread, tolerations) in enumerate(items)
    ]
    assert place(model(hosts, workloads)).hosts == naive(hosts, workloads)


def test_a_thousand_pods_on_two_hundred_hosts_take_less_than_a_second() -> None:
    hosts = [host(f"h{i:03}") for i in range(200)]
    workloads = [pod(f"p{i}", f"owner{i % 50}", cpu=100, memory=64) for i in range(1000)]
    start = time.perf_counter()
    place(model(hosts, workloads))
    assert time.perf_counter() - start < 1

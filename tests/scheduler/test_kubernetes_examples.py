"""The examples of Kubernetes' documentation on scheduling, in our words: where the newcomer may go, given what runs.

Sources: kubernetes.io/docs/concepts/scheduling-eviction, the pages topology-spread-constraints, assign-pod-node,
taint-and-toleration and pod-priority-preemption (v1.31).
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest
from checker import check
from msgspec.structs import replace
from scheduler_words import apart, at, host, lab, near, pod, spread, term

from sdn.errors import UnschedulableError
from sdn.model import (
    HOSTNAME,
    Affinity,
    Effect,
    Host,
    Model,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    PodTerm,
    Taint,
    Toleration,
    Workload,
)
from sdn.scheduler import place

FOUR = [host("h1", zone="a"), host("h2", zone="a"), host("h3", zone="b"), host("h4", zone="b")]
FIVE = [*FOUR, host("h5", zone="c")]
THREE = [host("h1", zone="a"), host("h2", zone="b"), host("h3", zone="c")]
BY_ZONE, BY_HOST = spread("foo"), spread("foo", HOSTNAME)
NOT_C = Affinity(nodes=(NodeTerm((NodeRequirement("zone", NodeOperator.NOT_IN, ("c",)),)),))


class Example(NamedTuple):
    """`running` is where everybody is, `allowed` the Hosts that the Pod `x` may come to; none means it is refused."""

    name: str
    hosts: list[Host]
    running: str
    new: Workload
    allowed: str
    others: dict[str, Workload] = {}  # noqa: RUF012  # never changed


def foos(running: str) -> list[Workload]:
    """A Pod with the label app=foo for each name."""
    return [pod(part.partition(":")[0], "foo") for part in running.split()]


SPREAD = [
    Example("one-constraint", FOUR, "a:h1 b:h2 c:h3", pod("x", "foo", spread=(BY_ZONE,)), "h3 h4"),
    Example("two-constraints", FOUR, "a:h1 b:h2 c:h3", pod("x", "foo", spread=(BY_ZONE, BY_HOST)), "h4"),
    Example(
        "two-constraints-that-contradict",
        FOUR[:3],
        "a:h1 b:h1 c:h2 d:h3 e:h3",
        pod("x", "foo", spread=(BY_ZONE, BY_HOST)),
        "",
    ),
    Example(
        "relaxed-by-a-larger-skew",
        FOUR[:3],
        "a:h1 b:h1 c:h2 d:h3 e:h3",
        pod("x", "foo", spread=(BY_ZONE, spread("foo", HOSTNAME, 2))),
        "h3",
    ),
    Example(
        "relaxed-by-a-wish",
        FOUR[:3],
        "a:h1 b:h1 c:h2 d:h3 e:h3",
        pod("x", "foo", spread=(replace(BY_ZONE, required=False), BY_HOST)),
        "h2",
    ),
    Example("an-empty-zone-counts", FIVE, "a:h1 b:h2 c:h3", pod("x", "foo", spread=(BY_ZONE,)), "h5"),
    Example(
        "a-zone-that-node-affinity-excludes-does-not",
        FIVE,
        "a:h1 b:h2 c:h3",
        pod("x", "foo", spread=(BY_ZONE,), affinity=NOT_C),
        "h3 h4",
    ),
    Example(
        "a-zone-that-the-node-selector-excludes-does-not",
        FIVE,
        "a:h1 b:h2 c:h3",
        pod("x", "foo", spread=(BY_ZONE,), selector={"zone": "a"}),
        "h1 h2",
    ),
    Example("two-two-one", THREE, "a:h1 b:h1 c:h2 d:h2 e:h3", pod("x", "foo", spread=(BY_ZONE,)), "h3"),
    Example(
        "two-two-one-with-skew-two",
        THREE,
        "a:h1 b:h1 c:h2 d:h2 e:h3",
        pod("x", "foo", spread=(spread("foo", skew=2),)),
        "h1 h2 h3",
    ),
    Example(
        "too-few-domains-count-from-zero",
        THREE,
        "a:h1 b:h1 c:h2 d:h2 e:h3 f:h3",
        pod("x", "foo", spread=(spread("foo", skew=2, min_domains=5),)),
        "",
    ),
    Example(
        "enough-domains",
        THREE,
        "a:h1 b:h1 c:h2 d:h2 e:h3 f:h3",
        pod("x", "foo", spread=(spread("foo", skew=2, min_domains=3),)),
        "h1 h2 h3",
    ),
    Example(
        "a-host-without-the-label-is-no-place",
        [FOUR[0], host("h9")],
        "a:h1 b:h1",
        pod("x", "foo", spread=(BY_ZONE,)),
        "h1",
    ),
    Example(
        "a-pod-that-its-own-selector-does-not-match-is-not-counted",
        FOUR,
        "a:h1 b:h3 c:h3",
        pod("x", "bar", spread=(BY_ZONE,)),
        "h1 h2 h3 h4",
    ),
    Example(
        "pods-of-other-labels-do-not-count",
        FOUR,
        "a:h1 b:h1 c:h1",
        pod("x", "foo", spread=(BY_ZONE,)),
        "h1 h2 h3 h4",
        {name: pod(name, "bar") for name in "abc"},
    ),
]

AFFINITY = [
    Example("same-zone-as", FOUR, "a:h1", pod("x", "bar", affinity=near("foo")), "h1 h2"),
    Example("not-in-the-zone-of", FOUR, "a:h1", pod("x", "bar", affinity=apart("foo", topology="zone")), "h3 h4"),
    Example(
        "anti-affinity-is-symmetric",
        FOUR,
        "a:h1",
        pod("x", "bar"),
        "h3 h4",
        {"a": pod("a", "foo", affinity=apart("bar", topology="zone"))},
    ),
    Example(
        "affinity-is-not-symmetric",
        FOUR,
        "a:h1 b:h2",
        pod("x", "bar"),
        "h1 h2 h3 h4",
        {"a": pod("a", "foo", affinity=near("bar")), "b": pod("b", "bar")},
    ),
    Example("nobody-to-be-near-to", FOUR, "a:h1", pod("x", "bar", affinity=near("baz")), ""),
    Example("the-first-of-a-series", FOUR, "a:h1", pod("x", "bar", affinity=near("bar")), "h1 h2 h3 h4"),
    Example("the-second-of-a-series", FOUR, "a:h1", pod("x", "foo", affinity=near("foo")), "h1 h2"),
    Example(
        "near-and-apart-together",
        FOUR,
        "a:h1",
        pod("x", "bar", affinity=Affinity(near=(term("foo", "zone"),), apart=(term("foo"),))),
        "h2",
    ),
    Example(
        "another-namespace-is-not-meant",
        FOUR,
        "a:h1",
        pod("x", "bar", affinity=Affinity(apart=(term("foo", "zone", namespaces=("elsewhere",)),))),
        "h1 h2 h3 h4",
    ),
    Example(
        "no-selector-matches-nobody",
        FOUR,
        "a:h1",
        pod("x", "bar", affinity=Affinity(apart=(PodTerm("zone"),))),
        "h1 h2 h3 h4",
    ),
]

KEY1 = (Taint("key1", "value1"), Taint("key1", "value1", Effect.NO_EXECUTE))
TAINTED = [host("h1", taints=(*KEY1, Taint("key2", "value2")))]
TWO_OF_THREE = tuple(Toleration("key1", "value1", effect=effect) for effect in ("NoSchedule", "NoExecute"))
TAINTS = [
    Example("two-of-three-tolerated", TAINTED, "", pod("x", tolerations=TWO_OF_THREE), ""),
    Example(
        "all-tolerated",
        TAINTED,
        "",
        pod("x", tolerations=(*TWO_OF_THREE, Toleration("key2", exists=True))),
        "h1",
    ),
    Example("everything-tolerated", TAINTED, "", pod("x", tolerations=(Toleration(exists=True),)), "h1"),
    Example("two-of-three-and-already-there", TAINTED, "x:h1", pod("x", tolerations=TWO_OF_THREE), "h1"),
    Example(
        "no-execute-sends-away",
        [host("h1", taints=KEY1), host("h2")],
        "x:h1",
        pod("x", tolerations=TWO_OF_THREE[:1]),
        "h2",
    ),
]

EXAMPLES = [*SPREAD, *AFFINITY, *TAINTS]


def model_of(example: Example) -> Model:
    """All that runs, and the newcomer. What runs is pinned, or it would make room, as in Kubernetes it never does."""
    there = [example.others.get(w.name, w) for w in foos(example.running) if w.name != "x"]
    running = at(example.running).hosts
    return lab(example.hosts, [*(replace(w, host=running[w.key]) for w in there), example.new])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_newcomer_goes_where_the_documentation_says(example: Example) -> None:
    model, running = model_of(example), at(example.running)
    if not example.allowed:
        with pytest.raises(UnschedulableError, match="shop/x: "):
            place(model, running)
        return
    assert place(model, running).hosts["shop/x"] in example.allowed.split()


@pytest.mark.parametrize("example", [e for e in EXAMPLES if "x:" not in e.running], ids=lambda example: example.name)
def test_each_allowed_host_is_taken_when_only_it_has_room(example: Example) -> None:
    """So "allowed" is neither too narrow nor too wide."""
    for one in example.hosts:
        hosts = [replace(other, cpu=1 if other is one else 0) for other in example.hosts]
        model = model_of(example._replace(hosts=hosts, new=replace(example.new, cpu=1)))
        if one.name in example.allowed.split():
            assert place(model, at(example.running)).hosts["shop/x"] == one.name
        else:
            with pytest.raises(UnschedulableError, match="shop/x: "):
                place(model, at(example.running))


def test_a_cache_beside_each_web_server() -> None:
    """Three Hosts, three caches apart from each other, three web servers apart and each near a cache."""
    caches = [pod(f"cache-{n}", "cache", affinity=apart("cache")) for n in range(3)]
    beside = Affinity(near=(term("cache"),), apart=(term("web"),))
    webs = [pod(f"web-{n}", "web", affinity=beside) for n in range(3)]
    model = lab(THREE, [*caches, *webs])
    placement = place(model)
    assert check(model, placement) == []
    assert Counter(placement.hosts.values()) == {"h1": 2, "h2": 2, "h3": 2}


def test_a_fourth_cache_has_no_host() -> None:
    caches = [pod(f"cache-{n}", "cache", affinity=apart("cache")) for n in range(4)]
    with pytest.raises(UnschedulableError) as refused:
        place(lab(THREE, caches))
    assert len(refused.value.reasons) == 1


def test_who_must_be_near_waits_for_its_company() -> None:
    """A pending Pod is tried again when another has been bound, whatever was tried first."""
    large = pod("a", "bar", memory=4096, affinity=near("foo"))
    model = lab(FOUR, [large, pod("z", "foo", memory=64)])
    assert check(model, place(model)) == []


ONE = [host("h1", cpu=1000)]
TWO = [host("h1", cpu=1000, zone="a"), host("h2", cpu=1000, zone="b")]


def refused(model: Model, running: str) -> set[str]:
    """The names of those that find no place."""
    with pytest.raises(UnschedulableError) as error:
        place(model, at(running))
    return {reason.partition(":")[0].rpartition("/")[2] for reason in error.value.reasons}


@pytest.mark.parametrize(
    ("x", "loser"),
    [
        pytest.param(pod("x", cpu=1000, priority=10), "low", id="higher-evicts-lower"),
        pytest.param(pod("x", cpu=1000, priority=1), "x", id="equal-does-not"),
        pytest.param(pod("x", cpu=1000, priority=10, preempts=False), "x", id="policy-never"),
        pytest.param(pod("x", cpu=2000, priority=10), "x", id="nobody-is-evicted-for-nothing"),
        pytest.param(
            pod("x", cpu=1000, priority=10, affinity=near("low", topology=HOSTNAME)),
            "x",
            id="nobody-is-evicted-whom-the-newcomer-must-be-near-to",
        ),
    ],
)
def test_who_gives_way(x: Workload, loser: str) -> None:
    assert refused(lab(ONE, [pod("low", "low", cpu=1000, priority=1), x]), "low:h1") == {loser}


def test_the_lowest_gives_way() -> None:
    low = [pod("low", cpu=1000, priority=1), pod("mid", cpu=1000, priority=5)]
    assert refused(lab(TWO, [*low, pod("x", cpu=1000, priority=10)]), "low:h1 mid:h2") == {"low"}


def test_as_few_as_possible_give_way() -> None:
    low = [pod("a", cpu=500), pod("b", cpu=500), pod("c", cpu=1000)]
    assert refused(lab(TWO, [*low, pod("x", cpu=1000, priority=10)]), "a:h1 b:h1 c:h2") == {"c"}


def test_who_gives_way_goes_where_there_is_room() -> None:
    new = pod("x", cpu=1000, priority=10, selector={"zone": "a"})
    placement = place(lab(TWO, [pod("low", cpu=1000), new]), at("low:h1"))
    assert placement.hosts == {"shop/low": "h2", "shop/x": "h1"}

"""Each rule by itself: what is already bound, who comes, and where he may go; what each answer says."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sdn.errors import UnschedulableError
from sdn.model import (
    HOSTNAME,
    WORKER,
    Admission,
    Affinity,
    Constraints,
    Effect,
    Host,
    HostState,
    Image,
    ImageGate,
    Kind,
    LabelSelector,
    Model,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    Placement,
    PlacementRule,
    PodTerm,
    Pool,
    Reserve,
    Resources,
    Scheduling,
    Selector,
    Separation,
    Severity,
    Taint,
    Together,
    Toleration,
    TopologySpread,
    Underlay,
    Volume,
    Weighted,
    Workload,
)
from sdn.scheduler import Cluster, place, schedule

RACK = "rack"
NONE = Constraints()
H1 = Host("h1", cpu=4000, memory=8192, pods=10, labels={RACK: "a"})
H2 = Host("h2", cpu=4000, memory=8192, pods=10, labels={RACK: "b"})
H3 = Host("h3", cpu=4000, memory=8192, pods=10, labels={RACK: "b"})
BARE = Host("h4", cpu=4000, memory=8192, pods=10)


def vm(name: str, app: str = "", *, node: bool = False, **fields: object) -> Workload:
    labels = {"app": app} if app else {}
    base = Workload("t", name, Kind.VM, "t", "net", labels, cpu=1000, memory=1024, is_node=node)
    return replace(base, **fields)


def pod(name: str, app: str = "", **fields: object) -> Workload:
    return replace(Workload("t", name, Kind.POD, "t", "net", {"app": app} if app else {}), **fields)


def asks(**fields: object) -> Scheduling:
    return replace(Scheduling(), **fields)


def app(name: str) -> LabelSelector:
    return LabelSelector((("app", name),))


def near(name: str, topology: str = HOSTNAME) -> Scheduling:
    return Scheduling(affinity=Affinity(near=(PodTerm(topology, app(name)),)))


def apart(name: str, topology: str = HOSTNAME) -> Scheduling:
    return Scheduling(affinity=Affinity(apart=(PodTerm(topology, app(name)),)))


def spread(skew: int, least: int = 1) -> Scheduling:
    return Scheduling(spread=(TopologySpread(RACK, skew, app("a"), min_domains=least),))


def wants(operator: NodeOperator, *values: str) -> Scheduling:
    return Scheduling(affinity=Affinity(nodes=(NodeTerm((NodeRequirement(RACK, operator, values),)),)))


def rule(kind: Together, **fields: object) -> Constraints:
    return Constraints(rules=(replace(PlacementRule("r", kind, Selector(labels=app("a"))), **fields),))


def fitting(hosts: tuple[Host, ...], who: Workload, bound: list[tuple[Workload, str]], rules: Constraints) -> list[str]:
    """Where `who` may be bound; `bound` is what is there already."""
    model = Model("lab", Underlay(hosts), (), (who, *(each for each, _ in bound)), constraints=rules)
    cluster = Cluster(model)
    for workload, name in bound:
        target = cluster.target(name)
        assert target
        cluster.bind(workload, target)
    return [target.id for target in cluster.targets_of(who) if cluster.blocked(who, target) is None]


THREE = (H1, H2, H3)
SECRET = {"level": "secret"}
LEVEL = Constraints(separations=(Separation("level"),))
LEVEL_VM = Constraints(separations=(Separation("level", "vm"),))
TWO_NUMA = replace(H1, numa=((2000, 4096), (2000, 4096)))
OVER = replace(H1, memory_overcommit=150)
SILVER = Pool("silver", "gold", Resources(cpu_limit=1500))
GOLD = Pool("gold", "", Resources(cpu_reservation=2000, memory_reservation=4096), expandable=False)


@pytest.mark.parametrize(
    ("hosts", "who", "bound", "rules", "where"),
    [
        pytest.param(THREE, vm("x", scheduling=near("a")), [(vm("y", "a"), "h2")], NONE, ["h2"], id="near-host"),
        pytest.param(
            THREE, vm("x", scheduling=near("a", RACK)), [(vm("y", "a"), "h2")], NONE, ["h2", "h3"], id="near-rack"
        ),
        pytest.param(THREE, vm("x", scheduling=near("a")), [], NONE, [], id="near-nobody"),
        pytest.param(THREE, vm("x", "a", scheduling=near("a")), [], NONE, ["h1", "h2", "h3"], id="near-itself-starts"),
        pytest.param(
            THREE, vm("x", "a", scheduling=near("a")), [(vm("y", "a"), "h2")], NONE, ["h2"], id="near-itself-joins"
        ),
        pytest.param((BARE, H1), vm("x", "a", scheduling=near("a", RACK)), [], NONE, ["h1"], id="near-needs-the-label"),
        pytest.param(
            THREE, vm("x", scheduling=apart("a")), [(vm("y", "a"), "h2")], NONE, ["h1", "h3"], id="apart-host"
        ),
        pytest.param(
            THREE, vm("x", scheduling=apart("a", RACK)), [(vm("y", "a"), "h2")], NONE, ["h1"], id="apart-rack"
        ),
        pytest.param(
            THREE, vm("x", "a"), [(vm("y", scheduling=apart("a")), "h2")], NONE, ["h1", "h3"], id="apart-symmetric"
        ),
        pytest.param(
            (BARE, H1),
            vm("x", scheduling=apart("a", RACK)),
            [(vm("y", "a"), "h4")],
            NONE,
            ["h1", "h4"],
            id="apart-no-label",
        ),
        pytest.param(
            THREE,
            vm("x", scheduling=apart("a")),
            [(replace(vm("y", "a"), namespace="u"), "h2")],
            NONE,
            ["h1", "h2", "h3"],
            id="apart-own-namespace",
        ),
        pytest.param(THREE, vm("x", "a", scheduling=spread(1)), [(vm("y", "a"), "h2")], NONE, ["h1"], id="spread"),
        pytest.param(
            THREE,
            vm("x", "a", scheduling=spread(2)),
            [(vm("y", "a"), "h2")],
            NONE,
            ["h1", "h2", "h3"],
            id="spread-skew",
        ),
        pytest.param(
            THREE,
            vm("x", scheduling=spread(1)),
            [(vm("y", "a"), "h2")],
            NONE,
            ["h1", "h2", "h3"],
            id="spread-does-not-count-itself",
        ),
        pytest.param(
            (H2, H3), vm("x", "a", scheduling=spread(1, 2)), [(vm("y", "a"), "h2")], NONE, [], id="spread-min-domains"
        ),
        pytest.param((H2, BARE), vm("x", "a", scheduling=spread(1)), [], NONE, ["h2"], id="spread-needs-the-label"),
        pytest.param(
            (replace(H1, state=HostState.FAILED), H2, H3),
            vm("x", "a", scheduling=spread(1)),
            [(vm("y", "a"), "h2")],
            NONE,
            ["h2", "h3"],
            id="spread-not-over-failed-hosts",
        ),
        pytest.param(
            (*THREE, BARE),
            vm("x", scheduling=wants(NodeOperator.NOT_IN, "a")),
            [],
            NONE,
            ["h2", "h3", "h4"],
            id="node-affinity-not-in",
        ),
        pytest.param(
            THREE, vm("x", scheduling=wants(NodeOperator.GT, "1")), [], NONE, [], id="node-affinity-no-number"
        ),
        pytest.param((replace(H1, state=HostState.MAINTENANCE), H2), vm("x"), [], NONE, ["h2"], id="maintenance"),
        pytest.param((replace(H1, state=HostState.FAILED), H2), vm("x"), [], NONE, ["h2"], id="failed"),
        pytest.param(
            THREE,
            vm("x", labels=SECRET),
            [(vm("y"), "h1"), (vm("z", labels=SECRET), "h2")],
            LEVEL,
            ["h2", "h3"],
            id="levels-by-host",
        ),
        pytest.param(THREE, vm("x"), [(vm("z", labels=SECRET), "h2")], LEVEL, ["h1", "h3"], id="no-level-is-a-level"),
        pytest.param(
            THREE,
            vm("x", node=True),
            [(vm("z", labels=SECRET), "h2")],
            LEVEL,
            ["h1", "h2", "h3"],
            id="empty-node-has-no-level",
        ),
        pytest.param(
            (H1,),
            pod("x"),
            [(vm("n", node=True), "h1"), (vm("m", node=True), "h1"), (pod("y", labels=SECRET), "t/n")],
            LEVEL,
            [],
            id="levels-look-below-the-node",
        ),
        pytest.param(
            (H1,),
            pod("x"),
            [(vm("n", node=True), "h1"), (vm("m", node=True), "h1"), (pod("y", labels=SECRET), "t/n")],
            LEVEL_VM,
            ["t/m"],
            id="levels-by-vm",
        ),
        pytest.param(
            (H1,), pod("x"), [(vm("n", node=True, labels=SECRET), "h1")], LEVEL_VM, [], id="node-with-a-level"
        ),
        pytest.param((H1,), vm("x", "a"), [(vm("y", "a"), "h1")], rule(Together.APART), [], id="rule-apart"),
        pytest.param(
            THREE,
            vm("x", "a"),
            [(vm("y", "a"), "h2")],
            rule(Together.APART, topology=RACK),
            ["h1"],
            id="rule-apart-rack",
        ),
        pytest.param(THREE, vm("x", "a"), [(vm("y", "a"), "h2")], rule(Together.TOGETHER), ["h2"], id="rule-together"),
        pytest.param(THREE, vm("x", "a"), [], rule(Together.ON, hosts={RACK: "b"}), ["h2", "h3"], id="rule-on"),
        pytest.param(
            THREE, vm("x", "a"), [], rule(Together.NOT_ON, host_names=("h1",)), ["h2", "h3"], id="rule-not-on"
        ),
        pytest.param(THREE, vm("x", "a"), [], rule(Together.ON), [], id="rule-on-nothing"),
        pytest.param(
            THREE,
            vm("x", "a"),
            [(vm("y", "a"), "h2")],
            rule(Together.APART, must=False),
            ["h1", "h2", "h3"],
            id="rule-should",
        ),
        pytest.param(
            (TWO_NUMA,),
            vm("x", cpu=1500, scheduling=asks(numa=1)),
            [(vm("y", cpu=1500, scheduling=asks(numa=1)), "h1"), (vm("z", cpu=900, scheduling=asks(numa=1)), "h1")],
            NONE,
            [],
            id="numa-full",
        ),
        pytest.param(
            (TWO_NUMA,),
            vm("x", cpu=1500),
            [(vm("y", cpu=1500, scheduling=asks(numa=1)), "h1"), (vm("z", cpu=900, scheduling=asks(numa=1)), "h1")],
            NONE,
            ["h1"],
            id="numa-does-not-care",
        ),
        pytest.param((TWO_NUMA,), vm("x", cpu=3000, scheduling=asks(numa=2)), [], NONE, ["h1"], id="numa-two"),
        pytest.param((OVER,), vm("x", memory=10000), [], NONE, ["h1"], id="over-commit"),
        pytest.param((OVER,), vm("x", memory=13000), [], NONE, [], id="over-commit-has-a-limit"),
        pytest.param(
            (OVER,),
            vm("x", memory=5000, scheduling=asks(resources=Resources(memory_reservation=5000))),
            [(vm("y", memory=5000, scheduling=asks(resources=Resources(memory_reservation=4000))), "h1")],
            NONE,
            [],
            id="reservations-are-not-over-committed",
        ),
        pytest.param(
            (OVER,),
            pod("x", memory=5000),
            [(vm("n", node=True, memory=9000), "h1"), (pod("y", memory=4000), "t/n")],
            NONE,
            [],
            id="pods-of-an-over-committed-node-are-guaranteed",
        ),
        pytest.param(
            THREE,
            vm("x", cpu=1500, scheduling=asks(pool="gold")),
            [(vm("y", scheduling=asks(pool="gold")), "h2")],
            Constraints(pools=(GOLD,)),
            [],
            id="pool-is-full",
        ),
        pytest.param(
            THREE,
            vm("x", scheduling=asks(pool="silver")),
            [(vm("y", scheduling=asks(pool="gold")), "h2")],
            Constraints(pools=(GOLD, SILVER)),
            ["h1", "h2", "h3"],
            id="pool-expands",
        ),
        pytest.param(
            THREE,
            vm("x", scheduling=asks(pool="silver")),
            [(vm("y", scheduling=asks(pool="silver")), "h2")],
            Constraints(pools=(GOLD, SILVER)),
            [],
            id="pool-limit",
        ),
        pytest.param(
            THREE,
            vm("x", scheduling=asks(volumes=("v",))),
            [],
            Constraints(volumes=(Volume("v", ("h1", "h3")),)),
            ["h1", "h3"],
            id="volume",
        ),
        pytest.param(
            THREE,
            vm("x", scheduling=asks(images=("i",))),
            [],
            Constraints(gate=ImageGate(signed=True)),
            [],
            id="image-unknown",
        ),
        pytest.param(
            (H1,),
            vm("x", scheduling=asks(images=("i",))),
            [],
            Constraints(images=(Image("i", True, True, Severity.LOW),), gate=ImageGate(True, True, Severity.LOW)),
            ["h1"],
            id="image-passes",
        ),
        pytest.param(
            (H1,),
            vm("x", scheduling=asks(images=("i",))),
            [],
            Constraints(images=(Image("i", True, True, Severity.HIGH),), gate=ImageGate(severity=Severity.LOW)),
            [],
            id="image-flaw",
        ),
        pytest.param(
            THREE,
            vm("x", cpu=4000),
            [(vm("y", cpu=4000), "h2")],
            Constraints(admission=Admission(1)),
            ["h1", "h3"],
            id="slots-left",
        ),
        pytest.param(
            (H1, H2),
            vm("x", cpu=4000),
            [(vm("y", cpu=4000), "h2")],
            Constraints(admission=Admission(1)),
            [],
            id="slots-used-up",
        ),
        pytest.param(
            (H1, H2),
            vm("x"),
            [(vm("y", cpu=4000), "h2")],
            Constraints(admission=Admission(1, Reserve.PERCENTAGE)),
            [],
            id="percentage-of-the-largest",
        ),
        pytest.param(
            (H1, H2),
            vm("x"),
            [(vm("y", cpu=4000), "h2")],
            Constraints(admission=Admission(1, Reserve.PERCENTAGE, 25)),
            ["h1"],
            id="percentage-written",
        ),
        pytest.param(
            THREE,
            vm("x"),
            [],
            Constraints(admission=Admission(1, Reserve.DEDICATED, 0, ("h1",))),
            ["h2", "h3"],
            id="dedicated",
        ),
        pytest.param(
            (H1, replace(H2, state=HostState.FAILED)),
            vm("x"),
            [],
            Constraints(admission=Admission(1, Reserve.DEDICATED, 0, ("h1",))),
            ["h1"],
            id="dedicated-after-a-failure",
        ),
        pytest.param(
            (H1, replace(H2, labels={WORKER: ""})),
            pod("x"),
            [(vm("n", node=True), "h1")],
            NONE,
            ["t/n", "h2"],
            id="worker-host",
        ),
        pytest.param(
            (H1,),
            pod("x", selector={RACK: "a"}),
            [(vm("n", node=True), "h1")],
            NONE,
            ["t/n"],
            id="node-has-labels-of-its-host",
        ),
    ],
)
def test_where_one_may_go(
    hosts: tuple[Host, ...], who: Workload, bound: list[tuple[Workload, str]], rules: Constraints, where: list[str]
) -> None:
    assert fitting(hosts, who, bound, rules) == where


def lab(hosts: tuple[Host, ...], *workloads: Workload, rules: Constraints = NONE) -> Model:
    return Model("lab", Underlay(hosts), (), workloads, constraints=rules)


def test_a_node_takes_its_pods_only_where_they_may_be() -> None:
    """The level of a Pod, its volume and its rack come along with the VM."""
    node, other = vm("n", node=True), vm("o", labels={"level": "public"})
    inside = pod("p", labels=SECRET, selector={RACK: "b"}, scheduling=asks(volumes=("v",)))
    rules = replace(LEVEL, volumes=(Volume("v", ("h1", "h3")),))
    model = lab((H1, H2, H3, BARE), node, other, inside, rules=rules)
    cluster = Cluster.of(model, Placement({"t/n": "h3", "t/o": "h2", "t/p": "h3"}, {"t/p": "t/n"}))
    cluster.unbind("t/n")
    why = {host.name: cluster.blocked(node, host) for host in cluster.hosts}
    assert {name for name, reason in why.items() if reason is None} == {"h3"}
    assert "Pod t/p" in str(why["h1"]) and "Pod t/p" in str(why["h2"])
    cluster.bind(node, cluster.hosts[0])
    assert cluster.violations() == [
        "t/p on t/n: lacks label rack=b",
    ]


def test_wishes_draw_and_repel_but_never_refuse() -> None:
    wish = Weighted(10, pods=PodTerm(RACK, app("a")))
    drawn = vm("x", scheduling=Scheduling(affinity=Affinity(wishes=(wish,))))
    repelled = vm("w", scheduling=Scheduling(affinity=Affinity(apart_wishes=(wish,))))
    where = place(lab(THREE, vm("y", "a", host="h2"), drawn, repelled)).hosts
    assert (where["t/x"] in {"h2", "h3"}, where["t/w"]) == (True, "h1")
    assert set(place(lab((H2,), vm("y", "a"), repelled)).hosts.values()) == {"h2"}


def test_levels_leave_hosts_to_one_another() -> None:
    """Spread evenly, the first level would take every Host and the second none."""
    pods = [
        pod(f"{level}{i}", labels={"level": level}, owner=("Deployment", level)) for level in "ab" for i in range(8)
    ]
    where = place(lab(THREE, *pods, rules=LEVEL)).hosts
    assert not {where[w.key] for w in pods[:8]} & {where[w.key] for w in pods[8:]}


def test_higher_priority_evicts_the_fewest_and_lowest() -> None:
    low = [vm(f"low{i}", cpu=2000, scheduling=asks(priority=i)) for i in range(4)]
    high = vm("high", cpu=2000, scheduling=asks(priority=10))
    before = Placement({"t/low0": "h1", "t/low1": "h1", "t/low2": "h2", "t/low3": "h2"})
    outcome = schedule(lab((H1, H2), *low, high), before)
    assert [key for key, _ in outcome.refused] == ["t/low0"]
    assert outcome.placement.hosts == {
        "t/high": "h1",
        "t/low1": "h1",
        "t/low2": "h2",
        "t/low3": "h2",
    }


def test_who_does_not_preempt_waits() -> None:
    high = vm("high", cpu=4000, scheduling=asks(priority=10, preempts=False))
    outcome = schedule(lab((H1,), vm("low"), high), Placement({"t/low": "h1"}))
    assert [key for key, _ in outcome.refused] == ["t/high"]


def test_one_is_moved_out_of_the_way_before_anybody_is_evicted() -> None:
    small, large = vm("small"), vm("large", cpu=4000, scheduling=asks(priority=5))
    where = schedule(lab((H1, replace(H2, cpu=2000)), small, large), Placement({"t/small": "h1"}))
    assert (where.refused, where.placement.hosts) == ((), {"t/large": "h1", "t/small": "h2"})


def test_pods_restart_with_their_node() -> None:
    node, inside = vm("n", node=True), pod("p")
    failed = replace(H1, state=HostState.FAILED)
    before = Placement({"t/n": "h1", "t/p": "h1"}, {"t/p": "t/n"})
    assert place(lab((failed, H2), node, inside), before) == Placement({"t/n": "h2", "t/p": "h2"}, {"t/p": "t/n"})


def test_a_host_in_maintenance_is_emptied() -> None:
    before = Placement({"t/x": "h1"})
    assert place(lab((replace(H1, state=HostState.MAINTENANCE), H2), vm("x")), before).hosts == {"t/x": "h2"}


def test_what_runs_according_to_the_model_stays() -> None:
    model = replace(lab((H1, H2), vm("x")), running=Placement({"t/x": "h2"}))
    assert place(model).hosts == {"t/x": "h2"}


def test_taints_keep_away_who_comes_and_no_execute_drives_out() -> None:
    tolerant = vm("t", tolerations=(Toleration("k", exists=True),))
    hosts = (replace(H1, taints=(Taint("k", "", Effect.NO_EXECUTE),)), H2)
    before = Placement({"t/x": "h1", "t/t": "h1"})
    assert place(lab(hosts, vm("x"), tolerant), before).hosts == {"t/x": "h2", "t/t": "h1"}


def test_the_refusal_counts_reasons_and_says_what_would_help() -> None:
    model = lab((H1, replace(H2, state=HostState.MAINTENANCE)), vm("x", memory=9000, scheduling=asks(volumes=())))
    with pytest.raises(UnschedulableError) as error:
        place(model)
    assert str(error.value) == "t/x: 0 of 2 hosts fit: 1 is in maintenance, 1 too little memory (needs 9000 MiB)"
    told = Cluster(model).explain(model.workloads[0])
    assert told.changes == ("ask for less memory than 9000 MiB, or free or add some",)

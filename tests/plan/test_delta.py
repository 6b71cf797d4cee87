"""The difference of two plans: complete, empty for equal ones, closed at every instant, and readable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdn.model import (
    Action,
    Application,
    Direction,
    Host,
    Kind,
    LabelSelector,
    Link,
    Model,
    NetworkPolicy,
    Protocol,
    Segment,
    SegmentKind,
    Service,
    ServicePort,
    Switch,
    Underlay,
    Workload,
)
from sdn.model import Port as Listening
from sdn.plan.delta import Change, Changes, Op, apply_delta, delta
from sdn.plan.desired import prepare
from sdn.plan.parts import TABLE, Element, Part, Role
from sdn.plan.state import (
    AddressSet,
    Backend,
    Bridge,
    Chain,
    Dispatch,
    Fdb,
    Firewall,
    FirewallRule,
    Interface,
    LoadBalancer,
    MarkRule,
    Neighbour,
    Nexthop,
    NodeState,
    Plan,
    Port,
    ProfileChain,
    Route,
    Sink,
    Veth,
    Virtual,
    Vxlan,
)

NAMES = st.sampled_from("abcd")
ADDRESSES = st.sampled_from(["10.1.1.2", "10.1.1.3", "fd00::2"])
SMALL = st.integers(1, 2)


def things(part: Part, strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """Distinct things of one part, sorted as plans sort them."""
    row = TABLE[part]
    return st.lists(strategy, unique_by=row.identity, max_size=4).map(lambda found: tuple(sorted(found, key=row.order)))


def _set(name: str, family: int, elements: set[tuple[int, str]]) -> AddressSet:
    return AddressSet(name, family, tuple(sorted(elements)))


firewalls = st.builds(
    Firewall,
    chains=things(
        Part.CHAIN,
        st.builds(
            Chain, NAMES, st.lists(st.builds(FirewallRule, NAMES, st.sampled_from(Action)), max_size=2).map(tuple)
        ),
    ),
    profiles=things(
        Part.PROFILE, st.builds(ProfileChain, NAMES, st.just(Direction.INGRESS), st.just(()), st.sampled_from("xy"))
    ),
    sets=things(Part.SET, st.builds(_set, NAMES, st.sampled_from([4, 6]), st.sets(st.tuples(SMALL, ADDRESSES)))),
    egress=things(Part.EGRESS, st.builds(Dispatch, SMALL, ADDRESSES, NAMES)),
    ingress=things(Part.INGRESS, st.builds(Dispatch, SMALL, ADDRESSES, NAMES)),
)
balancers = st.builds(
    LoadBalancer,
    virtuals=things(
        Part.VIRTUAL,
        st.builds(
            Virtual,
            SMALL,
            ADDRESSES,
            st.just(Protocol.TCP),
            SMALL,
            NAMES,
            st.lists(st.builds(Backend, ADDRESSES, SMALL, NAMES), max_size=2).map(tuple),
        ),
    ),
    hairpin=st.dictionaries(st.tuples(SMALL, ADDRESSES), st.tuples(ADDRESSES, st.booleans()), max_size=3).map(
        lambda found: tuple(sorted((*key, *more) for key, more in found.items()))
    ),
)
links = (
    st.builds(Bridge, NAMES, NAMES, NAMES, SMALL, st.just(()))
    | st.builds(Vxlan, NAMES, NAMES, NAMES, SMALL, SMALL, NAMES)
    | st.builds(Sink, NAMES, NAMES, NAMES, SMALL)
)
ports = st.builds(Port, NAMES, NAMES, NAMES, NAMES, SMALL, SMALL, SMALL, st.just(()), st.just(()))
veths = st.builds(Veth, st.integers(0, 12).map(lambda i: f"up{i}"), NAMES, NAMES, NAMES, NAMES, SMALL)
routes = st.builds(
    Route, SMALL, NAMES, st.lists(st.builds(Nexthop, NAMES), max_size=2).map(tuple), st.just("unicast"), SMALL
)


def node(name: str) -> st.SearchStrategy[NodeState]:
    return st.builds(
        NodeState,
        name=st.just(name),
        role=st.sampled_from(["host", "leaf"]),
        loopback=st.sampled_from([("192.168.0.1",), ("192.168.0.2",), ("192.168.0.1", "fd00::1")]),
        uplinks=things(Part.UPLINK, veths),
        links=things(Part.LINK, links),
        interfaces=things(Part.INTERFACE, st.builds(Interface, NAMES, SMALL, SMALL)),
        ports=things(Part.PORT, ports),
        routes=things(Part.ROUTE, routes),
        rules=things(Part.RULE, st.builds(MarkRule, SMALL, SMALL, st.sampled_from([4, 6]))),
        neighbours=things(Part.NEIGHBOUR, st.builds(Neighbour, NAMES, ADDRESSES, NAMES)),
        fdb=things(Part.FDB, st.builds(Fdb, NAMES, NAMES, NAMES)),
        firewall=st.none() | firewalls,
        loadbalancer=st.none() | balancers,
    )


plans: st.SearchStrategy[Plan] = st.fixed_dictionaries(
    {}, optional={name: node(name) for name in ("h1", "h2", "s1")}
).map(lambda plan: dict(sorted(plan.items())))


@settings(max_examples=100, deadline=None)
@given(plans, plans)
def test_applying_the_difference_gives_the_other_plan(actual: Plan, desired: Plan) -> None:
    changes = delta(actual, desired)
    assert apply_delta(actual, changes) == desired
    assert list(apply_delta(actual, changes)) == list(desired)
    assert bool(changes) == (actual != desired)
    assert apply_delta(desired, delta(desired, actual)) == actual


@settings(max_examples=100, deadline=None)
@given(plans, plans)
def test_every_order_is_closed_and_every_change_has_its_line(actual: Plan, desired: Plan) -> None:
    order = list(Part)
    for changes in delta(actual, desired).nodes.values():
        leaving = [c for c in changes if c.op is Op.REMOVE and c.part is Part.PORT]
        made = [c for c in changes if c.op is not Op.REMOVE]
        gone = [c for c in changes if c.op is Op.REMOVE and c.part is not Part.PORT]
        assert list(changes) == [*leaving, *made, *gone]
        assert [order.index(c.part) for c in made] == sorted(order.index(c.part) for c in made)
        assert [order.index(c.part) for c in gone] == sorted((order.index(c.part) for c in gone), reverse=True)
        lines = [c.text for c in changes]
        assert all(line.startswith(f"{c.node}: {c.op} {c.part}") for line, c in zip(lines, changes, strict=True))


def test_rules_come_before_links_and_leave_after_them() -> None:
    order = list(Part)
    rules = (Part.SET, Part.ELEMENT, Part.CHAIN, Part.PROFILE, Part.EGRESS, Part.INGRESS, Part.VIRTUAL, Part.INTERFACE)
    assert all(order.index(rule) < order.index(Part.LINK) < order.index(Part.PORT) for rule in rules)
    assert order.index(Part.ELEMENT) < order.index(Part.CHAIN) < order.index(Part.PROFILE) < order.index(Part.EGRESS)


HOST = NodeState("h1", "host", ("192.168.0.1",), firewall=Firewall(), loadbalancer=LoadBalancer())


def changed(**fields: Any) -> NodeState:
    return msgspec.structs.replace(HOST, **fields)


def firewall(**fields: Any) -> NodeState:
    return changed(firewall=Firewall(**fields))


WEB = AddressSet("g_web4", 4, ((1, "10.1.1.2"), (1, "10.1.1.3")))


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        pytest.param({}, {"h1": HOST}, "h1: add node: host with 0 ports, 0 links, 0 routes", id="node"),
        pytest.param({"h1": HOST}, {"h1": changed(role="leaf")}, "h1: change node: host → leaf", id="role"),
        pytest.param(
            {"h1": changed(routes=(Route(7, "10.1.0.0/24", (Nexthop("vx.1"),)),))},
            {"h1": changed(routes=(Route(7, "10.1.0.0/24", (Nexthop("vx.2", "10.0.0.1", True),)),))},
            "h1: change route 10.1.0.0/24 table 7: dev vx.1 → via 10.0.0.1 dev vx.2 onlink",
            id="route",
        ),
        pytest.param(
            {"h1": HOST},
            {"h1": changed(routes=(Route(7, "0.0.0.0/0", kind="unreachable", metric=9),))},
            "h1: add route 0.0.0.0/0 table 7 metric 9: unreachable",
            id="unreachable",
        ),
        pytest.param(
            {"h1": changed(fdb=(Fdb("vx.1", "02:00:00:00:00:02", "192.168.0.2"),))},
            {"h1": changed(fdb=(Fdb("vx.1", "02:00:00:00:00:02", "192.168.0.3"),))},
            "h1: change fdb 02:00:00:00:00:02 dev vx.1: dst 192.168.0.2 → dst 192.168.0.3",
            id="moved-workload",
        ),
        pytest.param(
            {"h1": firewall(sets=(WEB,))},
            {"h1": firewall(sets=(msgspec.structs.replace(WEB, elements=WEB.elements[:1]),))},
            "h1: remove element 10.1.1.3 zone 1 in set g_web4",
            id="one-element-and-not-the-set",
        ),
        pytest.param(
            {"h1": firewall(egress=(Dispatch(1, "10.1.1.2", "p_a"),))},
            {"h1": firewall(egress=(Dispatch(1, "10.1.1.2", "p_b"),))},
            "h1: change egress 10.1.1.2 zone 1: p_a → p_b",
            id="dispatch",
        ),
        pytest.param(
            {"h1": HOST},
            {
                "h1": changed(
                    loadbalancer=LoadBalancer(
                        (Virtual(1, "10.96.0.1", Protocol.TCP, 80, "shop/web", (Backend("10.1.1.2", 80, "shop/w"),)),)
                    )
                )
            },
            "h1: add virtual shop/web 10.96.0.1 80/tcp mark 1: shop/w at 10.1.1.2:80",
            id="virtual",
        ),
        pytest.param({"h1": changed(firewall=None)}, {"h1": HOST}, "h1: add firewall", id="firewall-at-all"),
    ],
)
def test_a_change_is_one_line(before: Plan, after: Plan, text: str) -> None:
    assert delta(before, after).text == text
    assert len(delta(before, after)) == 1


def test_changes_are_counted_by_part() -> None:
    before = firewall(sets=(WEB,), egress=(Dispatch(1, "10.1.1.2", "p_a"),))
    after = firewall(
        sets=(msgspec.structs.replace(WEB, elements=((1, "10.1.1.4"),)),), egress=(Dispatch(1, "10.1.1.2", "p_b"),)
    )
    assert delta({"h1": before}, {"h1": after}).counts == {"element": (1, 0, 2), "egress": (0, 1, 0)}
    assert Changes().counts == {}


def test_equal_plans_have_no_changes() -> None:
    assert delta({"h1": HOST}, {"h1": HOST}) == Changes()
    assert not delta({}, {})


def test_sets_that_did_not_change_are_not_looked_into() -> None:
    large = AddressSet("g_all4", 4, tuple((1, f"10.0.{i >> 8}.{i & 255}") for i in range(20_000)))
    before = {"h1": firewall(sets=(large, WEB))}
    after = {"h1": firewall(sets=(large, msgspec.structs.replace(WEB, elements=())))}
    assert [c.before for c in delta(before, after)] == [
        Element("g_web4", 4, 1, "10.1.1.3"),
        Element("g_web4", 4, 1, "10.1.1.2"),
    ]


def test_flood_entries_of_the_zero_mac_live_side_by_side() -> None:
    flood = tuple(Fdb("vx.1", "00:00:00:00:00:00", f"192.168.0.{i}") for i in (2, 3))
    (change,) = delta({"h1": changed(fdb=flood)}, {"h1": changed(fdb=flood[:1])})
    assert (change.op, change.before) == (Op.REMOVE, flood[1])


def test_role_is_all_that_changes_of_a_node() -> None:
    (change,) = delta({"h1": HOST}, {"h1": changed(role="leaf")})
    assert change == Change("h1", Part.NODE, Op.CHANGE, Role("host"), Role("leaf"))


def lab(*names: str, connects: bool = False, isolated: bool = False, hosts: int = 3) -> Model:
    """A real lab: each name is a VM of `shop` and a Pod of `pods`, with a Service and, if asked, a policy."""
    shop = Application("shop", (Segment("web", ("10.1.1.0/24", "fd00:1::/64")),), ("pods",) if connects else ())
    flat = Application("pods", (Segment("pods", ("10.244.0.0/16",), SegmentKind.ROUTED),))
    workloads = [Workload("shop", n, Kind.VM, "shop", "web", {"app": n}, ports=(Listening(80),)) for n in names]
    workloads += [Workload("pods", n, Kind.POD, "pods", "pods", {"app": n}, ports=(Listening(80),)) for n in names]
    service = Service("pods", "web", "pods", {"app": "b"}, (ServicePort(80, 80),), ("10.96.0.1",))
    policy = NetworkPolicy("pods", "deny", LabelSelector((("app", "a"),)), (Direction.INGRESS,))
    return Model(
        "lab",
        Underlay(
            tuple(Host(f"h{i}") for i in range(hosts)),
            (Switch("l0"),),
            tuple(Link(f"h{i}", "l0") for i in range(hosts)),
        ),
        (flat, shop),
        tuple(sorted(workloads, key=lambda w: w.key)),
        services=(service,),
        network_policies=(policy,) if isolated else (),
    )


STEPS: dict[str, Callable[[], Model]] = {
    "nothing": lab,
    "one": lambda: lab("a"),
    "two": lambda: lab("a", "b"),
    "the-other": lambda: lab("b"),
    "isolated": lambda: lab("a", "b", isolated=True),
    "connected": lambda: lab("a", "b", "c", connects=True),
    "another-host": lambda: lab("a", "b", hosts=4),
}


@pytest.mark.parametrize("target", STEPS)
@pytest.mark.parametrize("source", STEPS)
def test_real_plans_from_each_state_to_each_other(source: str, target: str) -> None:
    before = prepare(STEPS[source]())
    after = prepare(STEPS[target](), before.placed)
    assert apply_delta(before.plan, delta(before.plan, after.plan)) == after.plan
    if source == target:
        assert not delta(before.plan, after.plan)


def test_one_more_workload_adds_its_ports_and_removes_nothing() -> None:
    before = prepare(lab("a", "b"))
    changes = delta(before.plan, prepare(lab("a", "b", "c"), before.placed).plan)
    added = [c.after.workload for c in changes if isinstance(c.after, Port) and c.op is Op.ADD]
    assert sorted(added) == ["pods/c", "shop/c"]
    assert not any(change.op is Op.REMOVE for change in changes)

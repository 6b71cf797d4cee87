"""One event after another: always what planning the whole lab anew says, on the same Hosts, byte for byte."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from live_events import WRITING, Events
from sdn.errors import SdnError
from sdn.model import Application, Placed, Placement, PortRange, Segment, SegmentKind, Service, ServicePort
from sdn.plan.allocate import allocate
from sdn.plan.desired import plan_placed, prepare
from sdn.plan.live import LivePlan
from sdn.plan.overlay import MANY_PEERS
from sdn.plan.parts import Part
from sdn.plan.state import NodeState
from strategies_world import world
from worlds_build import BOTH, build, labelled, leaf_spine, model, netpol, pods, rule, spaces, tcp, workload


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_random_events_in_random_worlds(seed: int, steps: int) -> None:
    events = Events(seed, world(seed))
    for _ in range(steps):
        events.step()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_several_events_at_once(seed: int, number: int) -> None:
    events = Events(seed, world(seed))
    for _ in range(3):
        events.several(number)


def test_several_events_at_once_need_no_planning_anew_either() -> None:
    replanned = 0
    for seed in range(20):
        events = Events(seed, world(seed))
        events.several(3)
        replanned += events.keeping.replanned
    assert replanned < 10


def test_what_people_write_needs_no_planning_anew() -> None:
    done: Counter[str] = Counter()
    for seed in range(15):
        events = Events(seed, world(seed))
        for _ in range(8):
            events.step(WRITING)
        done += events.done
        assert events.keeping.replanned == events.lazy.replanned == 0
    assert all(done[kind] > 15 for kind in WRITING)
    assert done["empty"] < sum(done[kind] for kind in WRITING) / 2


def test_most_events_need_no_planning_anew() -> None:
    done: Counter[str] = Counter()
    for seed in range(25):
        events = Events(seed, world(seed))
        for _ in range(8):
            events.step()
        done += events.done
        done["replanned"] += events.keeping.replanned
    assert done["replanned"] < sum(done[kind] for kind in ("add", "remove", "stop", "move", "relabel")) / 5
    assert done["empty"] > 0


@pytest.mark.parametrize("seed", range(2))
def test_a_segment_that_grows_until_its_members_are_told_of_each_other_and_shrinks_again(seed: int) -> None:
    events = Events(seed, crowded("10.1.0.0/26", SegmentKind.L2))
    sizes = set()
    for kinds in 30 * [("add",)] + 25 * [("remove", "remove", "move")]:
        events.step(kinds)
        sizes.add(len(events.prepared.placed.endpoints))
    assert MANY_PEERS in sizes
    assert len(events.prepared.placed.endpoints) < MANY_PEERS < max(sizes)
    assert events.keeping.replanned < 5  # addresses that are taken from who had them


@pytest.mark.parametrize("seed", range(3))
def test_hosts_that_outgrow_their_slices_until_there_are_none_left(seed: int) -> None:
    events = Events(seed, crowded("10.1.0.0/26", SegmentKind.ROUTED, slice4=28))
    owned = Counter[int]()
    for kinds in 60 * [("add",)] + 40 * [("add", "move", "remove")]:
        events.step(kinds)
        owned.update(len(prefixes) for prefixes in events.prepared.placed.slices.values())
    assert owned[2] > 0
    assert events.done["refused"] > 0
    assert events.keeping.replanned < 10


def crowded(subnet: str, kind: SegmentKind, slice4: int = 0) -> Placed:
    """Three Hosts, one Segment, and a policy about some of its members."""
    applications = [Application("a", (Segment("s0", (subnet,), kind, slice4),))]
    first = workload("n1/w0", 1, "a/s0", a="x")
    return build(model("crowded", applications, [first], netpol("n1/p", labelled(), ingress=[rule(pods(a="x"))])))


@pytest.mark.parametrize("seed", range(2))
def test_a_dozen_hosts_and_applications_that_some_of_them_share(seed: int) -> None:
    events = Events(seed, wide())
    for _ in range(40):
        events.step()
    assert events.keeping.replanned < 6  # addresses that are taken from who had them


def wide() -> Placed:
    """Twelve Hosts, five Applications of both kinds of which three are joined, everybody's labels in policies."""
    applications = [
        Application(
            name,
            (
                Segment("s0", (f"10.{number}.0.0/26", f"fd00:{number}::/64")),
                Segment("s1", (f"10.{number}.1.0/24",), SegmentKind.ROUTED),
            ),
            connects,
        )
        for number, (name, connects) in enumerate([("a", ("b",)), ("b", ("c",)), ("c", ()), ("d", ()), ("e", ())])
    ]
    there = [
        workload(f"n{1 + n % 2}/v{n}", 1, f"{'abcde'[n % 5]}/s{n % 2}", "http:80", a="xyz"[n % 3], b="x")
        for n in range(40)
    ]
    policies = [
        netpol("n1/p", labelled(a="x"), ingress=[rule(pods(a="y"), tcp(80))], egress=[rule(spaces(), tcp(80))]),
        netpol(
            "n2/q", labelled(), BOTH, ingress=[rule(pods(a="z"))], egress=[rule(pods(a="z"), PortRange(port="http"))]
        ),
    ]
    services = [
        Service(f"n{1 + n % 2}", f"s{n}", "abcde"[n], {"a": "x"}, (ServicePort(80, "http"),), (f"10.96.0.{n}",))
        for n in range(5)
    ]
    lab = replace(model("wide", applications, there, *policies, *services), underlay=leaf_spine(12))
    hosts = {w.key: f"host-{1 + n % 12}" for n, w in enumerate(lab.workloads)}
    return allocate(lab, Placement(hosts))


class TestOneEvent:
    def lab(self) -> LivePlan:
        applications = [Application("a", (Segment("s0", ("10.1.0.0/24",)), Segment("s1", ("10.2.0.0/24",))))]
        policy = netpol("n1/p", labelled(app="db"), ingress=[rule(pods(app="web"), tcp(80))])
        there = [workload("n1/db", 1, "a/s0", app="db"), workload("n1/api", 2, "a/s0", app="api")]
        return LivePlan(prepare(model("lab", applications, there, policy)))

    def test_the_first_of_a_group_brings_a_rule_and_the_last_takes_it_along(self) -> None:
        live = self.lab()
        before = live.plan
        came = live.relabel("n1/api", {"app": "web"})
        assert came.hosts == ("host-1",)
        assert rules(came.after["host-1"]) == rules(before["host-1"]) + 1
        live.relabel("n1/api", {"app": "api"})
        assert live.plan == before
        assert live.replanned == 0

    def test_one_more_of_a_group_is_an_element_and_no_rule(self) -> None:
        live = self.lab()
        live.add(workload("n1/web", 3, "a/s0", app="web"), "host-3")
        changes = live.relabel("n1/api", {"app": "web"})
        (turns,) = changes.turns().values()
        assert [(part, old) for part, old, _ in turns] == [(Part.ELEMENT, None)]
        assert changes.hosts == ("host-1",)

    def test_a_policy_touches_whom_it_selects_and_leaves_no_trace(self) -> None:
        live = self.lab()
        placed, before = live.placed, live.plan
        more = netpol("n1/q", labelled(app="api"), ingress=[rule(pods(app="db"), tcp(81))])
        policies = (*placed.model.network_policies, more)
        assert live.become(replace(placed.model, network_policies=policies), placed.placement).hosts == ("host-2",)
        assert live.become(placed.model, placed.placement).hosts == ("host-2",)
        assert live.plan == before
        assert live.replanned == 0

    def test_a_service_is_told_to_the_hosts_of_its_application(self) -> None:
        live = self.lab()
        placed, before = live.placed, live.plan
        service = Service("n1", "api", "a", {"app": "api"}, (ServicePort(80, 8080),), ("10.96.0.9",))
        came = live.become(replace(placed.model, services=(service,)), placed.placement)
        assert came.hosts == ("host-1", "host-2")
        assert {part for turns in came.turns().values() for part, _, _ in turns} == {Part.VIRTUAL, Part.HAIRPIN}
        balancers = [live.plan[host].loadbalancer for host in came.hosts]
        assert balancers[0] is not None and balancers[1] is not None
        assert balancers[0].virtuals is balancers[1].virtuals
        assert live.become(placed.model, placed.placement).hosts == came.hosts
        assert live.plan == before
        assert live.replanned == 0

    def test_a_label_that_no_policy_reads_touches_nobody(self) -> None:
        assert not self.lab().relabel("n1/api", {"app": "api", "hash": "1"})

    def test_what_is_not_there_and_what_is_there_twice(self) -> None:
        live = self.lab()
        with pytest.raises(SdnError, match="there is no workload n1/nobody"):
            live.remove("n1/nobody")
        with pytest.raises(SdnError, match="there is no host host-9"):
            live.move("n1/db", "host-9")
        with pytest.raises(SdnError, match="n1/db: is in the lab already"):
            live.add(workload("n1/db", 1, "a/s0"), "host-1")

    def test_an_address_that_somebody_fixed_is_taken_from_who_was_given_it(self) -> None:
        live = self.lab()
        taken = live.placed.endpoints["n1/db"].addresses
        live.add(workload("n1/new", 3, "a/s0", ip=taken), "host-3")
        assert live.replanned == 1
        assert live.placed.endpoints["n1/new"].addresses == taken
        assert live.plan == plan_placed(live.placed).plan

    def test_it_becomes_any_other_lab(self) -> None:
        live = self.lab()
        placed = live.placed
        other = replace(placed.model, network_policies=())
        changes = live.become(other, placed.placement)
        assert changes.after == {name: live.plan[name] for name in changes.hosts}
        assert live.plan == plan_placed(allocate(other, placed.placement, placed)).plan


def rules(state: NodeState) -> int:
    assert state.firewall is not None
    return sum(len(chain.rules) for chain in state.firewall.chains)

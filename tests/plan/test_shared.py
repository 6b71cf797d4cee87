"""What Hosts see of each other is one value for all of them, and each Host's own is put in its place."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sdn.model import Application, Host, Kind, Model, Placement, Segment, SegmentKind, Underlay, Workload
from sdn.plan.allocate import allocate
from sdn.plan.desired import plan_placed
from sdn.plan.overlay import LAST, TABLES, slice_metric
from sdn.plan.shared import joined, spliced
from sdn.plan.state import Neighbour
from sdn.spec.underlay import leaf_spine

ENTRIES = st.sets(st.builds(Neighbour, st.sampled_from("abc"), st.sampled_from("1234"), st.just("mac")))


@given(ENTRIES, ENTRIES, ENTRIES)
def test_spliced_is_sorting_what_is_left(shared: set[Neighbour], without: set[Neighbour], own: set[Neighbour]) -> None:
    own -= shared
    assert spliced(tuple(sorted(shared)), without, own) == tuple(sorted((shared - without) | own))


@given(st.lists(ENTRIES))
def test_joined_is_sorting_all_of_them_once(parts: list[set[Neighbour]]) -> None:
    assert joined(tuple(sorted(part)) for part in parts) == tuple(sorted(set().union(*parts)))


def _lab(kind: SegmentKind, number: int) -> Model:
    """One workload on each Host."""
    hosts = [Host(f"host-{index:02}") for index in range(number)]
    pods = tuple(Workload("app", f"pod-{index:02}", Kind.POD, "app", "net") for index in range(number))
    underlay: Underlay = leaf_spine(hosts, 2, 2)
    return Model("shared", underlay, (Application("app", (Segment("net", ("10.0.0.0/8",), kind),)),), pods)


def test_hosts_refer_to_the_same_entries_of_others() -> None:
    number = 20
    for kind in SegmentKind:
        model = _lab(kind, number)
        hosts = [host.name for host in model.underlay.hosts]
        placement = Placement({w.key: host for w, host in zip(model.workloads, hosts, strict=True)})
        plan = plan_placed(allocate(model, placement)).plan
        for part in ("fdb", "neighbours", "routes"):
            entries = [one for host in hosts for one in getattr(plan[host], part) if _is_remote(one)]
            assert len(entries) >= number * (number - 1)
            assert len({id(one) for one in entries}) == len(set(entries)) < 3 * number, (kind, part)


def _is_remote(one: object) -> bool:
    """Of the overlay, and not of the Host's own port, gateway or uplinks."""
    text = str(one)
    return ("vx." in text or "br." in text) and "kind='local'" not in text


def test_routes_to_slices_share_no_metric() -> None:
    """Linux compares each new IPv4 route with all of its device and metric, so one for all would be quadratic."""
    model = _lab(SegmentKind.ROUTED, 40)
    hosts = [host.name for host in model.underlay.hosts]
    placement = Placement({w.key: host for w, host in zip(model.workloads, hosts, strict=True)})
    plan = plan_placed(allocate(model, placement)).plan
    routes = [one for one in plan[hosts[0]].routes if one.table > TABLES and any(hop.via for hop in one.nexthops)]
    assert len(routes) == len({route.metric for route in routes}) == len(hosts) - 1
    assert all(0 < route.metric < LAST for route in routes)


def test_a_metric_is_of_the_prefix_alone_so_that_a_new_owner_replaces_the_route() -> None:
    """One of a single address is none at all: there the workload's own Host has another route, which must win."""
    assert slice_metric("10.0.1.0/26") == slice_metric("10.0.1.0/26") != slice_metric("10.0.1.64/26")
    assert slice_metric("10.0.1.7/32") == slice_metric("fd00::/64") == 0

"""The underlay's routes, walked hop by hop with longest prefix match: they arrive, by every branch, and shortest."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from ipaddress import ip_address, ip_network
from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from sdn.errors import SdnError
from sdn.model import Host, HostState, Link, Role, Switch, Underlay
from sdn.plan.fabric import Fabric, fabric
from sdn.plan.state import UPLINK_ROUTES, Route
from sdn.plan.topology import cut_off, link_local


def underlay(*cables: str, hosts: int = 0, family: int = 4) -> Underlay:
    """From `h1-l1`: names that begin with h are Hosts; a cable that is given twice is a second one."""
    pairs = sorted(tuple(sorted(cable.split("-"))) for cable in cables)
    nodes = {node for pair in pairs for node in pair} | {f"h{i}" for i in range(1, hosts + 1)}
    links = tuple(Link(a, b, pairs[:i].count((a, b))) for i, (a, b) in enumerate(pairs))
    return Underlay(
        tuple(Host(n) for n in sorted(nodes) if n.startswith("h")),
        tuple(Switch(n) for n in sorted(nodes) if not n.startswith("h")),
        links,
        family,
    )


def leaf_spine(hosts: int, leaves: int, spines: int, uplinks: int = 1) -> list[str]:
    """Host i hangs on `uplinks` leaves in a row."""
    up = [f"h{i}-l{(i + k) % leaves}" for i in range(hosts) for k in range(uplinks)]
    return up + [f"l{j}-s{k}" for j in range(leaves) for k in range(spines)]


def lookup(routes: Iterable[Route], address: str) -> Route:
    """Longest prefix match, as slow and obvious as can be."""
    matching = [r for r in routes if ip_address(address) in ip_network(r.prefix)]
    return max(matching, key=lambda r: ip_network(r.prefix).prefixlen)


def walks(built: Fabric, source: str, destination: str, limit: int) -> list[list[str]]:
    """Every way a packet can go, over each device of each ECMP route."""
    if source == destination:
        return [[source]]
    assert limit, f"a loop on the way to {destination}"
    route = lookup(built.routes[source], built.loopback[destination])
    found = []
    for hop in route.nexthops:
        veth = next(v for v in built.uplinks[source] if v.name == hop.dev)
        far = next(v for v in built.uplinks[veth.peer_node] if v.name == veth.peer_name)
        six = ":" in built.space
        via = link_local(far.mac) if six else built.loopback[veth.peer_node]
        assert (hop.via, hop.onlink) == (via, not six)
        found += [[source, *rest] for rest in walks(built, veth.peer_node, destination, limit - 1)]
    return found


def check_everything(lab: Underlay) -> Fabric:
    """All pairs: every branch arrives, all are shortest, and none of the shortest is missing."""
    built = fabric(lab)
    graph: nx.MultiGraph[str] = nx.MultiGraph()
    graph.add_nodes_from(built.loopback)
    graph.add_edges_from((link.a, link.b) for link in lab.links)
    hosts = {host.name for host in lab.hosts}
    for source in built.loopback:
        for destination in built.loopback:
            passable = graph.subgraph([n for n in graph if n not in hosts or n in (source, destination)])
            if source == destination or not nx.has_path(passable, source, destination):
                continue
            expected = {tuple(p) for p in nx.all_shortest_paths(passable, source, destination)}
            found = walks(built, source, destination, len(graph))
            assert {tuple(walk) for walk in found} == expected
            assert tuple(built.path(source, destination)) in expected
    check_cables(built)
    return built


def check_cables(built: Fabric) -> None:
    """Both ends of a cable know each other, and every next hop has its permanent neighbour."""
    ends = {(node, v.name): v for node, veths in built.uplinks.items() for v in veths}
    for (node, name), veth in ends.items():
        other = ends[veth.peer_node, veth.peer_name]
        assert (other.peer_node, other.peer_name, other.mtu) == (node, name, veth.mtu)
    for node, routes in built.routes.items():
        known = {(n.dev, n.address): n.mac for n in built.neighbours[node]}
        for hop in (hop for route in routes for hop in route.nexthops):
            veth = ends[node, hop.dev]
            assert known[hop.dev, hop.via] == ends[veth.peer_node, veth.peer_name].mac
    assert len(set(built.loopback.values())) == len(built.loopback)
    assert all(list(routes) == sorted(set(routes)) for routes in built.routes.values())


GRAPHS = {
    "leaf-spine": leaf_spine(6, 3, 2),
    "dual-homed-leaf-spine": leaf_spine(6, 3, 2, uplinks=2),
    "one-leaf": ["h1-l1", "h2-l1", "h3-l1"],
    "ring": ["l1-l2", "l2-l3", "l3-l4", "l4-l5", "l1-l5", "h1-l1", "h2-l2", "h3-l3", "h4-l4", "h5-l5"],
    "even-ring": ["l1-l2", "l2-l3", "l3-l4", "l1-l4", "h1-l1", "h2-l3", "h3-l3"],
    "dual-homed-and-single": ["h1-l1", "h1-l2", "h2-l1", "h2-l2", "h3-l1", "h4-l2", "l1-s1", "l2-s1"],
    "a-host-would-be-the-shortcut": ["h1-l1", "h2-l3", "h9-l1", "h9-l3", "l1-l2", "l2-l3"],
    "two-parallel-links": ["h1-l1", "h1-l1", "l1-s1", "l1-s1", "s1-l2", "h2-l2"],
    "two-hosts-on-one-cable": ["h1-h2"],
    "two-hosts-on-two-cables": ["h1-h2", "h1-h2"],
    "host-on-a-host-and-a-leaf": ["h1-h2", "h1-l1", "h2-l1", "h3-l1"],
}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("cables", GRAPHS.values(), ids=GRAPHS)
def test_every_pair_arrives_over_every_shortest_path(cables: list[str], family: int) -> None:
    check_everything(underlay(*cables, family=family))


@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3), st.lists(st.integers(0, 5), max_size=6))
def test_random_graphs(cables: set[tuple[int, int]], homes: list[int]) -> None:
    switches = {f"l{min(a, b)}-l{max(a, b)}" for a, b in cables if a != b} | {f"l{i}-l{i + 1}" for i in range(5)}
    racks = {f"h{i // 2}-l{home}" for i, home in enumerate(homes)}
    check_everything(underlay(*switches, *racks))


def test_addresses_are_legible() -> None:
    built = fabric(underlay(*leaf_spine(4, 2, 1)))
    assert built.space == "192.168.0.0/16"
    assert built.loopback == {
        "h0": "192.168.1.1",
        "h1": "192.168.2.1",
        "h2": "192.168.1.2",
        "h3": "192.168.2.2",
        "l0": "192.168.0.1",
        "l1": "192.168.0.2",
        "s0": "192.168.0.3",
    }
    six = fabric(underlay(*leaf_spine(4, 2, 1), family=6))
    assert (six.loopback["l0"], six.loopback["h3"]) == ("fd00:192:168::1", "fd00:192:168:2::2")


def test_link_local_address_of_a_mac() -> None:
    assert link_local("02:5d:00:00:00:01") == "fe80::5d:ff:fe00:1"


def test_host_with_one_leaf_has_one_route_and_a_switch_one_per_rack() -> None:
    built = fabric(underlay(*leaf_spine(40, 4, 2)))
    (only,) = built.routes["h0"]
    assert (only.table, only.prefix) == (UPLINK_ROUTES, "192.168.0.0/16")
    assert [hop.via for hop in only.nexthops] == [built.loopback["l0"]]
    # 4 racks, 4 leaves and the other spine
    assert len(built.routes["s0"]) == 9


def test_host_with_two_leaves_has_a_default_and_what_differs_from_it() -> None:
    built = fabric(underlay("h1-l1", "h1-l2", "h2-l1", "h2-l2", "h3-l3", "l1-s1", "l2-s1", "l3-s1"))
    assert {r.prefix: len(r.nexthops) for r in built.routes["h1"]} == {
        "192.168.0.0/16": 2,
        f"{built.loopback['l1']}/32": 1,
        f"{built.loopback['l2']}/32": 1,
    }


def test_uplinks_are_named_in_order_of_their_peers_and_carry_what_the_link_has() -> None:
    links = (Link("h1", "l1", mtu=1500, bandwidth=10_000, loss=1, delay=2), Link("h1", "l1", 1), Link("h1", "k1"))
    lab = Underlay((Host("h1"),), (Switch("k1"), Switch("l1")), links)
    uplinks = fabric(lab).uplinks["h1"]
    assert [(v.name, v.peer_node, v.peer_name, v.alias) for v in uplinks] == [
        ("up0", "k1", "up0", "to k1"),
        ("up1", "l1", "up0", "to l1"),
        ("up2", "l1", "up1", "to l1"),
    ]
    assert (uplinks[1].mtu, uplinks[1].bandwidth, uplinks[1].loss, uplinks[1].delay) == (1500, 10_000, 1, 2)


def test_order_of_the_input_never_matters() -> None:
    lab = underlay(*leaf_spine(6, 3, 2, uplinks=2))
    turned = Underlay(lab.hosts[::-1], lab.switches[::-1], lab.links[::-1])
    assert fabric(turned) == fabric(lab)
    assert list(fabric(turned).routes) == list(fabric(lab).routes)


@pytest.mark.parametrize(
    ("lab", "text"),
    [
        pytest.param(
            underlay("h1-l1", "h2-l2"),
            "the underlay falls apart: h2 cannot reach h1; "
            "add links between Switches (a Host does not forward for others)",
            id="two-islands",
        ),
        pytest.param(
            underlay("h1-h2", "h2-h3"),
            "the underlay falls apart: h3 cannot reach h1; "
            "add links between Switches (a Host does not forward for others)",
            id="a-host-in-between",
        ),
        pytest.param(
            underlay(hosts=2),
            "the underlay falls apart: h2 cannot reach h1; "
            "add links between Switches (a Host does not forward for others)",
            id="no-links",
        ),
        pytest.param(
            Underlay((Host("h1"),), (), (Link("h1", "l9"),)),
            'link h1 – l9: "l9" is neither a Host nor a Switch; add it or drop it',
            id="unknown-node",
        ),
    ],
)
def test_what_cannot_work_is_one_sentence(lab: Underlay, text: str) -> None:
    with pytest.raises(SdnError) as error:
        fabric(lab)
    assert str(error.value) == text


def test_one_host_needs_no_link() -> None:
    built = fabric(underlay(hosts=1))
    assert (built.loopback, built.routes, built.path("h1", "h1")) == ({"h1": "192.168.0.1"}, {"h1": ()}, ["h1"])


def test_switch_without_links_harms_nobody_but_has_no_path() -> None:
    lab = underlay("h1-l1", "h2-l1")
    built = fabric(Underlay(lab.hosts, (*lab.switches, Switch("l9")), lab.links))
    assert built.path("h1", "h2") == ["h1", "l1", "h2"]
    with pytest.raises(SdnError, match="no route from h1 to l9"):
        built.path("h1", "l9")


@pytest.mark.parametrize(
    ("leaves", "hosts", "space"),
    [(200, 5000, "192.168.0.0/16"), (300, 600, "172.16.0.0/12"), (1, 5000, "192.168.0.0/16")],
    ids=["large", "more-leaves-than-24s", "one-huge-rack"],
)
def test_large_fabrics_stay_small_and_quick(leaves: int, hosts: int, space: str) -> None:
    lab = Underlay(
        tuple(Host(f"h{i}") for i in range(hosts)),
        tuple(Switch(f"l{i}") for i in range(leaves)) + tuple(Switch(f"s{i}", Role.SPINE) for i in range(4)),
        tuple(Link(f"h{i}", f"l{i % leaves}") for i in range(hosts))
        + tuple(Link(f"l{i}", f"s{k}") for i in range(leaves) for k in range(4)),
    )
    start = time.perf_counter()
    built = fabric(lab)
    assert time.perf_counter() - start < 4
    assert built.space == space
    assert all(len(built.routes[host.name]) == 1 for host in lab.hosts)
    assert max(len(routes) for routes in built.routes.values()) <= 2 * leaves + 3 + hosts // leaves + 1
    assert len(built.path("h0", f"h{hosts - 1}")) == (5 if leaves > 1 else 3)


FAILING = [*leaf_spine(hosts=5, leaves=3, spines=2, uplinks=2), "h9-l0", "h8-l1", "h8-h7", "h7-l2"]


@given(data=st.data(), family=st.sampled_from([4, 6]))
def test_what_has_failed_is_led_around(data: st.DataObject, family: int) -> None:
    whole = underlay(*FAILING, family=family)
    broken = failing(whole, data.draw(st.sets(st.sampled_from(sorted(names_of(whole))), max_size=5)))
    broken = replace(broken, isolated=cut_off(broken))
    gone = {host.name for host in broken.hosts if host.state is HostState.FAILED} | {*broken.isolated}
    hosts = tuple(replace(h, state=HostState.FAILED if h.name in gone else h.state) for h in broken.hosts)
    broken = replace(broken, hosts=hosts)
    before, built = fabric(whole), fabric(broken)
    assert built.loopback == before.loopback
    assert [v.name for veths in built.uplinks.values() for v in veths] == [
        v.name for veths in before.uplinks.values() for v in veths
    ]
    there = sorted({host.name for host in hosts} - gone)
    graph: nx.Graph[str] = nx.Graph((link.a, link.b) for link in broken.links if works(broken, link))
    for source in there:
        for destination in there:
            for way in walks(built, source, destination, 20):
                assert all(graph.has_edge(*pair) for pair in pairwise(way))
    for node, neighbours in built.neighbours.items():
        devices = {v.name: v.peer_node for v in built.uplinks[node]}
        assert {devices[n.dev] for n in neighbours} == ({*graph[node]} if node in graph else set())


def names_of(whole: Underlay) -> set[str]:
    return (
        {f"{link.a}:{link.b}" for link in whole.links}
        | {h.name for h in whole.hosts}
        | {s.name for s in whole.switches}
    )


def failing(whole: Underlay, names: Collection[str]) -> Underlay:
    return replace(
        whole,
        hosts=tuple(replace(h, state=HostState.FAILED if h.name in names else h.state) for h in whole.hosts),
        switches=tuple(replace(s, failed=s.name in names) for s in whole.switches),
        links=tuple(replace(link, failed=f"{link.a}:{link.b}" in names) for link in whole.links),
    )


def works(broken: Underlay, link: Link) -> bool:
    dead = {s.name for s in broken.switches if s.failed}
    dead |= {h.name for h in broken.hosts if h.state is HostState.FAILED and h.name not in broken.isolated}
    return not link.failed and not dead & {link.a, link.b}


def test_a_leaf_without_power_cuts_off_its_hosts_and_a_spine_nobody() -> None:
    whole = underlay(*leaf_spine(hosts=5, leaves=2, spines=2))
    assert cut_off(whole) == ()
    assert cut_off(failing(whole, {"s0"})) == ()
    assert cut_off(failing(whole, {"l1"})) == ("h1", "h3")
    assert cut_off(failing(whole, {"h2"})) == ()
    assert cut_off(failing(whole, {"h4:l0"})) == ("h4",)
    with pytest.raises(SdnError, match="falls apart"):
        fabric(failing(whole, {"l1"}))

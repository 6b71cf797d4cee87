"""Live migration: workloads go to another Host while they run, and nobody notices but by a short silence."""

from __future__ import annotations

import json
import operator

import pytest
from msgspec.structs import replace
from talkers import PORT, talking
from test_apply import arrived, flooded

from labs import ask_all, eventually, inside, story, up
from sdn.lab import client
from sdn.model import Application, Direction, Kind, Placement, SegmentKind, Selector, Service, ServicePort, Workload
from sdn.model.lifecycle import Drain, Migrate
from worlds_build import INGRESS, act, model, segment, tier, udp, workload

pytestmark = pytest.mark.kernel

NET = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
PLACES = {"a/m": 1, "a/near": 1, "a/there": 2, "a/far": 3, "a/r": 1, "a/beside": 1, "a/at": 2, "a/off": 3}
"""`m` and `r` move from host-1 to host-2, in the bridged and in the routed Segment; the others stay."""

BRIDGED = ("a/m", "a/near", "a/there", "a/far")


def free(key: str) -> Workload:
    """A workload that no file fixes to a Host; each is behind a Service of its own."""
    one = workload(key, 1, "a/lan" if key in BRIDGED else "a/pods", ":80", app=key.split("/")[1])
    return replace(one, host="")


def service(number: int, app: str) -> Service:
    """Port 90 of an address in each family, led to the talker of one workload."""
    addresses = (f"10.96.0.{number}", f"fd00:10:96::{number}")
    return Service("a", app, "a", {"app": app}, (ServicePort(90, PORT),), addresses)


SERVICES = {key: service(number, key.split("/")[1]) for number, key in enumerate(PLACES, 10)}
LAB = replace(
    model("moving", [NET], [free(key) for key in PLACES], *SERVICES.values()),
    running=Placement({key: f"host-{number}" for key, number in PLACES.items()}),
)


def everybody(lab: client.Lab) -> dict[str, list[str]]:
    """Each calls each other, in both families, directly and through its Service."""
    addresses = {key: list(endpoint.addresses) for key, endpoint in lab.placed().endpoints.items()}
    return {
        key: [
            target
            for other in addresses
            if other != key and ("a/m" in (key, other) or "a/r" in (key, other))
            for target in (
                *(f"{address}:{PORT}" for address in addresses[other]),
                *(f"{address}:90" for address in SERVICES[other].addresses),
            )
        ]
        for key in addresses
    }


ROUNDS = (("a/m", 2), ("a/r", 2), ("a/m", 3), ("a/r", 1), ("a/m", 1))
"""To where a partner is, to where none is of the same Segment, and home; two of them together on host-2 in between."""


def test_open_connections_survive_there_and_back() -> None:
    with up(LAB) as lab:
        before = lab.plan()
        with talking(lab, list(PLACES)) as talkers:
            assert talkers.call(everybody(lab)) == 104
            assert talkers.exchange() == []
            for key, number in ROUNDS:
                done = lab.operate(Migrate(key, f"host-{number}"))
                (moved,) = done.moved
                assert talkers.exchange() == [], (key, number)
                assert lab.status().drift == (), (key, number)
                assert 0 < moved.gap < done.enforced and moved.connections >= 52
        assert lab.plan() == before
        assert story(ask_all(lab)) == ""


def groups(lab: client.Lab, key: str) -> dict[str, list[str]]:
    """The multicast groups to which a workload knows the way, and how."""
    known = json.loads(inside(lab, key, "ip", "-j", "-6", "neigh", "show", "nud", "all"))
    return {one["dst"]: one["state"] for one in known if one["dst"].startswith("ff")}


def test_who_has_moved_can_ask_for_neighbours_as_long_as_it_lives() -> None:
    """Neighbour discovery asks through a group; were that to age like a neighbour, it would fail after 8 s."""
    several = model("asking", [NET], [free("a/m"), free("a/far")])
    with up(replace(several, running=Placement({"a/m": "host-1", "a/far": "host-3"}))) as lab:
        far = lab.placed().endpoints["a/far"].addresses[1]
        inside(lab, "a/m", "ping", "-c1", far)
        asked = f"ff02::1:ff00:{far.rpartition(':')[2]}"
        assert groups(lab, "a/m")[asked] == ["NOARP"]
        for target in ("host-2", "host-1"):
            lab.operate(Migrate("a/m", target))
            inside(lab, "a/m", "ip", "neigh", "del", far, "dev", "eth0")
            inside(lab, "a/m", "ping", "-c1", far)
            assert groups(lab, "a/m")[asked] == ["NOARP"]


NODE = replace(workload("a/node", 1, "a/lan", ":80", kind=Kind.VM), host="", is_node=True, cpu=4000, memory=8192)
INSIDE = [replace(workload(f"a/in-{n}", 1, "a/pods" if n % 2 else "a/lan", ":80"), host="") for n in range(4)]
BESIDE = [
    replace(workload("a/off", 3, "a/pods", ":80"), kind=Kind.VM),
    replace(workload("a/far", 2, "a/lan", ":80"), kind=Kind.VM),
]
WITH_NODE = replace(
    model(
        "nested", [NET], [NODE, *INSIDE, workload("a/off", 3, "a/pods", ":80"), workload("a/far", 2, "a/lan", ":80")]
    ),
    running=Placement(
        {"a/node": "host-1", **{one.key: "host-1" for one in INSIDE}}, {one.key: "a/node" for one in INSIDE}
    ),
)


def test_a_node_takes_its_pods_along() -> None:
    keys = [one.key for one in WITH_NODE.workloads]
    with up(WITH_NODE) as lab:
        assert set(lab.placed().placement.nodes) == {one.key for one in INSIDE}
        addresses = {key: endpoint.addresses for key, endpoint in lab.placed().endpoints.items()}
        with talking(lab, keys) as talkers:
            talkers.call(
                {key: [f"{a}:{PORT}" for other in keys if other != key for a in addresses[other]] for key in keys}
            )
            for target in ("host-2", "host-3", "host-1"):
                (moved,) = lab.operate(Migrate("a/node", target)).moved
                assert talkers.exchange() == [], target
                assert lab.status().drift == ()
                assert {lab.placed().endpoints[one.key].host for one in INSIDE} == {target}
                assert moved.connections >= 60
        assert story(ask_all(lab)) == ""


SHUT = replace(LAB, policies=(tier("application/s", act("deny", INGRESS, Selector(name="far"), udp(4009))),))


def test_a_workload_that_has_shut_its_own_link_is_moved_all_the_same() -> None:
    """Who is root in a workload is nobody to keep its Host from being emptied."""
    shut = model("shut", [NET], [free("a/m"), free("a/near")])
    with up(replace(shut, running=Placement({"a/m": "host-1", "a/near": "host-1"}))) as lab:
        inside(lab, "a/m", "ip", "link", "set", "eth0", "down")
        assert lab.operate(Drain("host-1")).refused == ()
        assert "host-1" not in lab.placed().placement.hosts.values()
        inside(lab, "a/m", "ip", "link", "set", "eth0", "up")
        inside(lab, "a/m", "ping", "-c9", "-i0.2", "-W1", "10.1.1.1")  # one answer is enough


def test_who_is_judged_without_memory_is_so_where_both_ends_meet() -> None:
    """Each end's Host knows what is not remembered at that end; where one Host has both, it must know both."""
    rules = (act("allow", Direction.EGRESS), act("allow", INGRESS))
    stateless = replace(tier("application/s", *rules, to=[Selector(name="m")]), stateless=True)
    pair = [free("a/m"), free("a/there")]
    lab_with = model("forgets", [NET], pair, SERVICES["a/m"], SERVICES["a/there"], stateless)
    lab_with = replace(lab_with, running=Placement({"a/m": "host-1", "a/there": "host-2"}))
    with up(lab_with) as lab, talking(lab, ["a/m", "a/there"]) as talkers:
        addresses = {key: endpoint.addresses for key, endpoint in lab.placed().endpoints.items()}
        others = {"a/m": "a/there", "a/there": "a/m"}
        calls = {
            key: [f"{one}:{PORT}" for one in addresses[other]] + [f"{one}:90" for one in SERVICES[other].addresses]
            for key, other in others.items()
        }
        assert talkers.call(calls) == 8
        assert lab.operate(Migrate("a/m", "host-2")).moved
        assert talkers.exchange() == []
        closed = replace(stateless, rules=(rules[0], act("deny", INGRESS)))
        lab.apply(replace(lab_with, policies=(closed,)))
        assert sum(broken.count(";") + 1 for broken in talkers.exchange()) == 8


def test_nothing_forbidden_arrives_while_it_moves() -> None:
    with up(SHUT) as lab:
        addresses = {key: endpoint.addresses for key, endpoint in lab.placed().endpoints.items()}
        with flooded(lab, "a/far", *addresses["a/m"], *addresses["a/r"]):
            for key, number in ROUNDS * 2:
                assert lab.operate(Migrate(key, f"host-{number}")).moved
            assert [arrived(lab, key) for key in ("a/m", "a/r")] == [0, 0]
            for key, number in ROUNDS:
                done = lab.operate(Migrate(key, f"host-{number}"), watch=True)
                assert (done.leaked, done.duplicated) == (0, 0) and done.sent > done.lost
        before = [arrived(lab, key) for key in ("a/m", "a/r")]
        with flooded(lab, "a/far", *addresses["a/m"], *addresses["a/r"]):
            lab.apply(LAB)
            assert eventually(lambda: all(map(operator.lt, before, [arrived(lab, key) for key in ("a/m", "a/r")])))

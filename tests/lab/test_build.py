"""What was built is what was planned, read back from the kernel; and it carries packets over every kind of cable."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from labs import TOPOLOGIES, ask_all, inside, side_by_side, story, up
from sdn.kernel import features
from sdn.lab import client
from sdn.lab.messages import Info
from sdn.lab.suite import ask_flows
from sdn.model import Application, Flow, Host, Link, Model, Protocol, SegmentKind, Underlay, Workload
from sdn.plan.delta import delta
from sdn.plan.desired import prepare
from sdn.spec.load import load
from strategies_world import world
from worlds_build import INGRESS, act, model, segment, tcp, tier, workload

pytestmark = pytest.mark.kernel

LAN = Application("a", (segment("lan", "10.1.1.0/24", "fd00:1::/64"),))
BOTH = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
DENY_81 = tier("application/t", act("deny", INGRESS, tcp(81)))


def described(one: Model) -> Info:
    """Build it, and read everything back."""
    with client.temporary(one) as lab:
        lab.built()
        return lab.status()


def changed(one: Model, **link: int) -> Model:
    """The same lab on other cables."""
    underlay = replace(one.underlay, links=tuple(replace(cable, **link) for cable in one.underlay.links))
    return replace(one, underlay=underlay)


def mixed(count: int, *where: str) -> list[Workload]:
    """Workloads over three Hosts and these segments, each listening on two ports."""
    return [workload(f"a/w{n}", 1 + n % 3, where[n // 3 % len(where)], ":80", ":81") for n in range(count)]


SMALL = model("small", [BOTH], mixed(6, "a/lan", "a/pods"), DENY_81)


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.stem)
def test_a_shipped_lab_is_built_as_planned(path: Path) -> None:
    info = described(load([path]).model)
    assert info.drift == ()
    assert info.warnings == ()


def test_random_labs_are_built_as_planned() -> None:
    seeds = range(200, 210)
    found = side_by_side(lambda seed: described(world(seed).model).drift, seeds)
    assert {seed: drift for seed, drift in zip(seeds, found, strict=True) if drift} == {}


def test_the_same_lab_twice_is_the_same_kernel() -> None:
    """Nothing differs between two plans of one model, and a second build of it gives the same nodes, to the byte."""
    plan = prepare(SMALL).plan
    assert not delta(plan, prepare(SMALL).plan)
    assert delta(plan, {})

    def pictures(one: Model) -> list[str]:
        with up(one) as lab:
            return [inside(lab, node, "sh", "-c", PICTURE) for node in plan]

    first, second = side_by_side(pictures, [SMALL, SMALL])
    assert first == second
    assert all(len(picture) > 500 for picture in first)


PICTURE = "; ".join(
    [
        "ip -o addr | sed 's/ *valid_lft.*//'",
        "ip rule",
        "ip -6 rule",
        "ip route show table all proto 93",
        "ip -6 route show table all proto 93",
        "ip neigh show nud permanent | sort",
        "bridge fdb | grep -v -e 33:33 -e 'master .* permanent' | sort",
        "nft -s list ruleset",
    ]
)
"""Everything about a node that we configured, by the tools that everybody knows.

Left out are multicast groups, and the address that the kernel throws dice for at a bridged port's outer end.
"""


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(replace(SMALL, underlay=replace(SMALL.underlay, family=6)), id="ipv6-underlay"),
        pytest.param(changed(SMALL, mtu=1600), id="mtu-1600"),
        pytest.param(changed(SMALL, mtu=1500), id="mtu-1500"),
        pytest.param(changed(SMALL, bandwidth=50), id="bandwidth"),
        pytest.param(changed(SMALL, loss=5), id="loss"),
        pytest.param(model("crowd", [LAN], mixed(24, "a/lan"), DENY_81), id="24-in-one-l2-segment"),
        pytest.param(model("spread", [BOTH], mixed(18, "a/pods"), DENY_81), id="routed-segment-on-every-host"),
    ],
)
def test_a_kind_of_network(one: Model) -> None:
    with up(one) as lab:
        info = lab.status()
        assert (info.drift, info.warnings) == ((), ())
        assert story(ask_all(lab)) == ""


def netem() -> bool:
    return next(one.ok for one in features.features() if one.name == "netem")


def test_delay_is_there_or_its_absence_is_said() -> None:
    with up(changed(SMALL, delay=2)) as lab:
        warnings = lab.status().warnings
        if netem():
            assert warnings == ()
        else:
            assert "its delay of 2 ms is left out, netem is not in this kernel" in warnings[0]
        assert story(ask_all(lab)) == ""


def test_large_packets_fit_or_are_fragmented_by_whoever_sends_them() -> None:
    """The tunnel's own header must fit into the underlay's MTU beside a workload's largest packet."""
    with up(changed(SMALL, mtu=1600)) as lab:
        size = int(inside(lab, "a/w0", "cat", "/sys/class/net/eth0/mtu"))
        for target in ("a/w1", "a/w4"):
            for address in lab.placed().endpoints[target].addresses:
                header = 48 if ":" in address else 28
                command = ["ping", "-M", "do", "-c", "1", "-W", "5", "-s", str(size - header), address]
                assert "1 received" in inside(lab, "a/w0", *command)


def test_one_host_without_any_cable() -> None:
    alone = Underlay((Host("host-1"),))
    pods = [replace(one, host="host-1") for one in mixed(4, "a/lan", "a/pods")]
    one = replace(model("alone", [BOTH], pods, DENY_81), underlay=alone)
    with up(one) as lab:
        assert lab.status().drift == ()
        assert story(ask_all(lab)) == ""


def test_hosts_on_a_cable_without_switch() -> None:
    pair = Underlay((Host("host-1"), Host("host-2")), links=(Link("host-1", "host-2"), Link("host-1", "host-2", 1)))
    pods = [replace(one, host=f"host-{1 + n % 2}") for n, one in enumerate(mixed(4, "a/lan", "a/pods"))]
    one = replace(model("pair", [BOTH], pods, DENY_81), underlay=pair)
    with up(one) as lab:
        assert lab.status().drift == ()
        assert story(ask_all(lab)) == ""


def test_commands_of_workloads_run_in_them_and_end_with_the_lab() -> None:
    serving = ("python3", "-m", "http.server", "80", "--bind", "10.1.1.10")
    web = replace(workload("a/web", 1, "a/lan", ":80", ip=("10.1.1.10", "fd00:1::10")), command=serving)
    with up(model("served", [LAN], [web, workload("a/client", 2, "a/lan")])) as lab:
        pids = inside(lab, "a/web", "pgrep", "-f", "http.server").split()
        (result,) = ask_flows(lab, lab.placed(), [Flow("a/client", "10.1.1.10", Protocol.TCP, 80)])
        assert story([result]) == ""
        assert len(pids) == 1

"""Break the kernel behind sdn's back, and be told: `sdn test` names the pairs, `sdn status` names what was changed.

If one of these passes in silence, no agreement of the three answers means anything.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from labs import ask_all, entering, inside, sdn, story, up
from sdn.errors import ProbeError
from sdn.lab import client
from sdn.lab.suite import ask_flows
from sdn.model import Application, Flow, Protocol, SegmentKind, Selector, Service, ServicePort
from worlds_build import INGRESS, act, model, segment, tcp, tier, workload

pytestmark = pytest.mark.kernel

NETWORK = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
WORKLOADS = [
    workload("a/x", 1, "a/lan", ":80", role="x"),
    workload("a/y", 1, "a/lan", ":80", role="y"),
    workload("a/z", 2, "a/lan", ":80", role="z"),
    workload("a/p", 1, "a/pods", ":80", role="p"),
    workload("a/q", 2, "a/pods", ":80", role="q"),
]
DENIED = tier("application/t", act("deny", INGRESS, Selector(name="x"), tcp(80)), to=[Selector(name="y")])
"""One pair of one Host and one segment is not allowed to talk: what a bridge without a firewall would let through."""
BALANCED = Service("a", "s", "a", {"role": "z"}, (ServicePort(8080, 80),), ("10.96.0.9", "fd00:10:96::9"))
ORIGIN = "ingress application t[0]"

ON_HOST_1 = {"a/x", "a/y", "a/p"}

Asked = tuple[str, str, int, str, int]
"""(source, target, family, protocol, port)"""


@pytest.fixture
def lab() -> Iterator[client.Lab]:
    with up(model("victim", [NETWORK], WORKLOADS, DENIED, BALANCED)) as running:
        yield running


class Sabotage(NamedTuple):
    """What is done to host-1, which questions must fail, which others may, and what `sdn status` must say."""

    act: Callable[[client.Lab], list[str]]
    caught: set[Asked]
    possible: Callable[[Asked], bool]
    drift: str


def shell(text: str) -> Callable[[client.Lab], list[str]]:
    """A command in which `{a/z}` is the IPv4 address and `{mac a/z}` the MAC of a workload."""

    def filled(lab: client.Lab) -> list[str]:
        done = text
        for key, endpoint in lab.placed().endpoints.items():
            done = done.replace(f"{{{key}}}", endpoint.addresses[0]).replace(f"{{mac {key}}}", endpoint.mac)
        return ["sh", "-ec", done]

    return filled


def rule_removed(lab: client.Lab) -> list[str]:
    """The IPv4 half of the only denial."""
    listed = json.loads(inside(lab, "host-1", "nft", "-j", "-a", "list", "table", "inet", "sdn"))["nftables"]
    rules = [entry["rule"] for entry in listed if entry.get("rule", {}).get("comment") == ORIGIN]
    found = next(rule for rule in rules if '"ip"' in json.dumps(rule))
    return ["nft", "delete", "rule", "inet", "sdn", found["chain"], "handle", str(found["handle"])]


def element_removed(lab: client.Lab) -> list[str]:
    """The IPv6 address of the one who is denied."""
    firewall = lab.plan()["host-1"].firewall
    assert firewall is not None
    (found,) = [one for one in firewall.sets if one.family == 6]
    ((zone, address),) = found.elements
    return ["nft", "delete", "element", "inet", "sdn", found.name, f"{{ {zone} . {address} }}"]


def service_led_elsewhere(lab: client.Lab) -> list[str]:
    """The only Backend of the only Service becomes another one."""
    backends = "inet sdn backends4_tcp"
    listed = inside(lab, "host-1", "nft", "list", "map", *backends.split())
    key = listed.partition("elements = {")[2].partition(" : ")[0].strip()
    other = lab.placed().endpoints["a/y"].addresses[0]
    replaced = f"delete element {backends} {{ {key} }}; add element {backends} {{ {key} : {other} . 80 }}"
    return ["nft", replaced]


def touches(*workloads: str) -> Callable[[Asked], bool]:
    """Questions of which one of these is a part."""
    return lambda asked: bool({asked[0], asked[1]} & set(workloads))


SABOTAGE = {
    "one-rule-removed": Sabotage(
        rule_removed,
        {("a/x", "a/y", 4, "tcp", 80)},
        lambda asked: asked == ("a/x", "a/y", 4, "tcp", 80),
        f'comment "{ORIGIN}" is missing',
    ),
    "one-set-element-removed": Sabotage(
        element_removed,
        {("a/x", "a/y", 6, "tcp", 80)},
        lambda asked: asked == ("a/x", "a/y", 6, "tcp", 80),
        "host-1: nft element of ",
    ),
    "no-firewall-on-the-bridge-ipv4": Sabotage(
        shell("sysctl -qw net.bridge.bridge-nf-call-iptables=0"),
        {("a/x", "a/y", 4, "tcp", 80), ("a/y", "a/x", 4, "tcp", 80)},
        lambda asked: asked[2] == 4,
        "host-1: sysctl net.bridge.bridge-nf-call-iptables is 0, should be 1",
    ),
    "no-firewall-on-the-bridge-ipv6": Sabotage(
        shell("sysctl -qw net.bridge.bridge-nf-call-ip6tables=0"),
        {("a/x", "a/y", 6, "tcp", 80), ("a/y", "a/x", 6, "tcp", 80)},
        lambda asked: asked[2] == 6,
        "host-1: sysctl net.bridge.bridge-nf-call-ip6tables is 0, should be 1",
    ),
    "one-fdb-entry-removed": Sabotage(
        shell("set -- $(bridge fdb | grep '{mac a/z}.* dst'); bridge fdb del {mac a/z} dev $3 dst $5 self"),
        {("a/x", "a/z", 4, "tcp", 80), ("a/x", "a/z", 6, "tcp", 80), ("a/x", "a/s", 4, "tcp", 8080)},
        touches("a/z", "a/s"),
        "host-1: fdb ",
    ),
    "an-extra-rule-that-drops": Sabotage(
        shell("nft insert rule inet sdn c_egress ip daddr {a/z} tcp dport 80 drop"),
        {("a/x", "a/z", 4, "tcp", 80), ("a/p", "a/z", 4, "tcp", 80), ("a/x", "a/s", 4, "tcp", 8080)},
        lambda asked: asked[2:4] == (4, "tcp") and asked[1] in {"a/z", "a/s"},
        "drop is not planned",
    ),
    "another-table-that-drops": Sabotage(
        shell(
            "nft add table inet other; nft 'add chain inet other c {type filter hook forward priority 99;}';"
            "nft add rule inet other c ip protocol udp drop; nft add rule inet other c ip daddr {a/z} icmp type 8 drop"
        ),
        {("a/x", "a/z", 4, "icmp", 0)},
        lambda asked: asked[1] == "a/z" and asked[2:4] == (4, "icmp"),
        "host-1: nft ",
    ),
    "the-right-outcome-by-the-wrong-rule": Sabotage(
        shell("nft insert rule inet sdn c_ingress ip saddr {a/x} ip daddr {a/y} tcp dport 80 drop"),
        {("a/x", "a/y", 4, "tcp", 80)},
        lambda asked: asked == ("a/x", "a/y", 4, "tcp", 80),
        "drop is not planned",
    ),
    "one-workload-forgotten-by-the-dispatch": Sabotage(
        shell("nft delete element inet sdn egress4 '{ 1 . {a/x} }'"),
        {("a/x", "a/z", 4, "tcp", 80), ("a/x", "a/y", 4, "icmp", 0)},
        lambda asked: asked[0] == "a/x" and asked[2] == 4,
        "host-1: nft ",
    ),
    "one-workload-that-its-host-may-not-reach": Sabotage(
        shell("nft delete element inet sdn own4 '{ 1 . {a/x} }'"),
        {("host-1", "a/x", 4, "tcp", 80)},
        lambda asked: asked == ("host-1", "a/x", 4, "tcp", 80),
        "host-1: nft ",
    ),
    "a-host-that-reaches-beyond-itself": Sabotage(
        shell("nft insert rule inet sdn c_host meta mark 1 accept"),
        {("host-1", "a/q", 4, "tcp", 80), ("host-1", "a/q", 6, "tcp", 80)},
        lambda asked: asked[0] == "host-1",
        "accept is not planned",
    ),
    "one-route-removed": Sabotage(
        shell("ip -6 route del $(ip -6 route show table all proto 93 | grep 'dev vx.*via\\|via.*dev vx')"),
        {("a/p", "a/q", 6, "tcp", 80)},
        lambda asked: asked[2] == 6 and bool({asked[0], asked[1]} & {"a/q"}),
        "host-1: route fd00:2:",
    ),
    "a-service-leads-elsewhere": Sabotage(
        service_led_elsewhere,
        {("a/p", "a/s", 4, "tcp", 8080)},
        lambda asked: asked[1] == "a/s" and asked[2] == 4,
        "host-1: nft ",
    ),
}


def failed(report: str) -> set[Asked]:
    """What the answers disagree on."""
    return {
        (one["source"], one["target"], one["family"], one["protocol"], one["port"])
        for one in json.loads(report)["results"]
        if one["disagreement"]
    }


@pytest.mark.parametrize("name", SABOTAGE)
def test_it_is_noticed(name: str, lab: client.Lab) -> None:
    sabotage = SABOTAGE[name]
    inside(lab, "host-1", *sabotage.act(lab))
    tested = sdn("test", "--lab", lab.name, "--format", "json")
    assert (tested.returncode, tested.stderr) == (1, "")
    found = failed(tested.stdout)
    assert found >= sabotage.caught
    assert {asked for asked in found if not sabotage.possible(asked)} == set()
    status = sdn("status", lab.name)
    assert status.returncode == 1
    assert sabotage.drift in status.stdout
    assert "the kernel differs from the plan" in status.stdout


def test_what_came_by_a_tunnel_does_not_leave_by_one(lab: client.Lab) -> None:
    """A Host whose routes lead a workload's packets back must not pass on what no rule there has judged."""
    back = (
        "set -- $(ip route show table all proto 93 | grep 'via.*dev vx' | grep -o 'via.*table [0-9]*' | head -1);"
        "ip route replace {a/p}/32 $* onlink; nft reset counters > /dev/null"
    )
    inside(lab, "host-1", *shell(back)(lab))
    inside(lab, "a/q", *shell("ping -c 1 -W 1 {a/p} > /dev/null || true")(lab))
    dropped = inside(lab, "host-1", "nft", "list", "chain", "inet", "sdn", "c_away")
    assert "counter packets 1 bytes 84 log prefix" in dropped, dropped


def test_an_element_that_is_missing_is_named_and_no_other(lab: client.Lab) -> None:
    """The first of several in a map: the next is listed otherwise without it, and is as planned all the same."""
    listed = inside(lab, "host-1", "nft", "list", "map", "inet", "sdn", "ingress4").partition("elements = {")[2]
    first = listed.partition(",")[0].partition("}")[0].strip()
    inside(lab, "host-1", "nft", f"delete element inet sdn ingress4 {{ {first.partition(' : ')[0]} }}")
    assert lab.status().drift == (f"host-1: nft element of ingress4: {first} is missing",)
    inside(lab, "host-1", "nft", f"add element inet sdn ingress4 {{ {first} }}")
    assert lab.status().drift == ()


def test_what_a_person_reads(lab: client.Lab) -> None:
    """And what was repaired is as planned again."""
    x, y = (lab.placed().endpoints[key].addresses[0] for key in ("a/x", "a/y"))
    added = f"insert rule inet sdn c_ingress ip saddr {x} ip daddr {y} tcp dport 80 accept"
    handle = inside(lab, "host-1", "nft", "-e", "-a", added).partition("# handle ")[2].split()[0]
    broken = sdn("test", "--lab", lab.name)
    assert broken.returncode == 1
    assert f"a/x → a/y 80/tcp (to {y})" in broken.stdout
    assert f"denied by {ORIGIN}" in broken.stdout
    assert broken.stdout.splitlines()[-1].endswith("1 disagreement")
    inside(lab, "host-1", "nft", "delete", "rule", "inet", "sdn", "c_ingress", "handle", handle)
    assert sdn("status", lab.name).returncode == 0
    assert story(ask_all(lab)) == ""


TAKEN = "import socket as s, sys; a = s.socket(s.AF_INET6); a.bind(('::', 80)); print(1, flush=True); sys.stdin.read()"
"""A port on which a process sits without listening."""


def test_a_dead_listener_is_never_called_denied() -> None:
    """No workload may ask it and it does not answer itself: silence would have two explanations. Its Host may ask."""
    nobody = tier("application/t", act("deny", INGRESS, tcp(80)), to=[Selector(name="y")])
    with up(model("victim", [NETWORK], WORKLOADS, nobody)) as lab:
        command = entering(lab, "a/y", sys.executable, "-c", TAKEN)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as taken:
            assert taken.stdout is not None
            assert taken.stdout.readline() == "1\n"
            for address in lab.placed().endpoints["a/y"].addresses:
                with pytest.raises(ProbeError, match="a/y does not even answer itself, so its silence proves nothing"):
                    ask_flows(lab, lab.placed(), [Flow("a/x", address, Protocol.TCP, 80)])
            tested = sdn("test", "--lab", lab.name, "--format", "json")
            taken.communicate("")
        assert tested.returncode == 1
        assert failed(tested.stdout) == {("host-1", "a/y", family, "tcp", 80) for family in (4, 6)}
        assert "refused by a/y:80, which listens" in tested.stdout
        assert story(ask_all(lab)) == "", "the port is free again"


def test_a_workload_cannot_take_the_firewall_away(lab: client.Lab) -> None:
    """It is root in its own namespace, and the rules are not there."""
    inside(lab, "a/x", "nft", "flush", "ruleset")
    inside(lab, "a/x", "nft", "add table inet sdn; add chain inet sdn c_egress; flush table inet sdn")
    inside(lab, "a/x", "sysctl", "-qw", "net.ipv4.ip_forward=1")
    inside(lab, "a/y", "sh", "-ec", "nft flush ruleset; ip neigh flush all nud reachable")
    assert Protocol.TCP in {one.question.flow.protocol for one in ask_all(lab)}
    assert story(ask_all(lab)) == ""

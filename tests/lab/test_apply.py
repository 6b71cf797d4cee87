"""A running lab becomes another model: what comes of it is what a fresh build makes, and nothing is open in between."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from labs import ask_all, entering, eventually, inside, new_name, sdn, story, up
from sdn.errors import LabError
from sdn.lab import client
from sdn.lab.messages import Applied
from sdn.model import (
    Application,
    LabelSelector,
    Model,
    Options,
    PortRange,
    Protocol,
    SegmentKind,
    Selector,
    Service,
    ServicePort,
    Workload,
)
from sdn.plan.ids import namespace_of
from strategies_world import world
from worlds_build import EGRESS, INGRESS, act, leaf_spine, model, segment, tcp, tier, workload

pytestmark = pytest.mark.kernel

ONE = Application(
    "a",
    (
        segment("lan", "10.1.1.0/24", "fd00:1::/64"),
        segment("pods", "10.2.0.0/16", "fd00:2::/48", kind=SegmentKind.ROUTED),
    ),
)
OTHER = Application("b", (segment("lan", "10.3.1.0/24", "fd00:3::/64"),))
WORKLOADS = [
    workload("a/x", 1, "a/lan", ":80", role="x"),
    workload("a/y", 1, "a/lan", ":80", ip=("10.1.1.20", "fd00:1::20"), role="y"),
    workload("a/z", 2, "a/lan", ":80", role="z"),
    workload("a/p", 1, "a/pods", ":80", role="p"),
    workload("a/q", 2, "a/pods", ":80", role="q"),
    workload("b/o", 1, "b/lan", ":80", role="o"),
]
DENY = tier("application/t", act("deny", INGRESS, Selector(name="x"), tcp(80)), to=[Selector(name="y")])
CHANGED = tier(
    "application/t",
    act("reject", INGRESS, Selector(name="z"), tcp(80)),
    act("deny", EGRESS, Selector(name="q")),
    to=[Selector(name="y"), Selector(name="p")],
)
BALANCED = Service("a", "s", "a", {"role": "z"}, (ServicePort(8080, 80),), ("10.96.0.9", "fd00:10:96::9"))


def lab_of(
    *more: Workload, without: tuple[str, ...] = (), applications: tuple[Application, ...] = (ONE, OTHER)
) -> Model:
    """The lab that all of them start from, with more workloads or without some."""
    kept = [one for one in WORKLOADS if one.key not in without]
    return model("changing", applications, [*kept, *more], DENY, BALANCED)


def altered(key: str, **fields: object) -> Model:
    """With one workload that is different."""
    (one,) = (one for one in WORKLOADS if one.key == key)
    return lab_of(replace(one, **fields), without=(key,))


BASE = lab_of()
NEW = (workload("a/new", 3, "a/lan", ":80", role="z"), workload("a/fresh", 3, "a/pods", ":80"))
STATES = {
    "workloads-added": lab_of(*NEW),
    "workloads-removed": lab_of(without=("a/z", "a/q")),
    "relabelled": altered("a/y", labels={"role": "z"}),
    "listens-to-nobody": altered("a/q", ports=()),
    "moved-in-its-segment": altered("a/z", host="host-3"),
    "moved-in-a-routed-segment": altered("a/p", host="host-3"),
    "to-another-segment": altered("a/q", segment="lan"),
    "other-address": altered("a/y", ip=("10.1.1.99", "fd00:1::99")),
    "policy-added": replace(BASE, policies=(*BASE.policies, replace(CHANGED, name="u"))),
    "policy-changed": replace(BASE, policies=(CHANGED,)),
    "policy-stateless": replace(BASE, policies=(replace(DENY, stateless=True), replace(CHANGED, name="u"))),
    "policy-removed": replace(BASE, policies=()),
    "service-added": replace(BASE, services=(*BASE.services, replace(BALANCED, name="t", addresses=("10.96.0.8",)))),
    "service-without-backends": replace(BASE, services=(replace(BALANCED, selector={"role": "nobody"}),)),
    "service-with-more-backends": replace(BASE, services=(replace(BALANCED, selector={}),)),
    "segment-added": lab_of(
        workload("a/n", 2, "a/third", ":80"),
        applications=(replace(ONE, segments=(*ONE.segments, segment("third", "10.5.1.0/24"))), OTHER),
    ),
    "applications-connected": lab_of(applications=(replace(ONE, connects=("b",)), OTHER)),
    "many-peers": lab_of(*(workload(f"a/k{n}", 1 + n % 3, "a/lan") for n in range(14))),
    "host-added": replace(lab_of(*NEW), underlay=leaf_spine(4)),
    "other-mtu": replace(
        BASE, underlay=replace(BASE.underlay, links=tuple(replace(link, mtu=1400) for link in BASE.underlay.links))
    ),
    "lossy-cables": replace(
        BASE, underlay=replace(BASE.underlay, links=tuple(replace(link, loss=1) for link in BASE.underlay.links))
    ),
    "ipv6-underlay": replace(BASE, underlay=replace(BASE.underlay, family=6)),
    "hairpin-not-judged": replace(BASE, options=Options(judge_hairpin=False)),
    "nobody-left": model("changing", [ONE, OTHER], []),
}
ASKED = {
    "relabelled",
    "moved-in-its-segment",
    "moved-in-a-routed-segment",
    "service-with-more-backends",
    "segment-added",
    "applications-connected",
    "host-added",
    "other-mtu",
}
"""Asking costs seconds; the others are as planned, which the plan's own tests hold against evaluate."""


@pytest.fixture(scope="module")
def lab() -> Iterator[client.Lab]:
    """One lab that is changed there and back."""
    with up(BASE) as running:
        yield running


def follows(lab: client.Lab, wanted: Model) -> Applied:
    """Apply it; afterwards the kernel is what a fresh build of the same Placed makes, and a second time is nothing."""
    done = lab.apply(wanted)
    placed = lab.placed()
    assert placed.model == wanted
    assert lab.status().drift == ()
    assert nothing(lab.apply(wanted))
    names = {namespace_of(key) for key in placed.endpoints} | set(lab.plan())
    assert set(inside(lab, "host-1", "ls", "/run/netns").split()) - {"sdn.scratch"} == names
    return done


def nothing(done: Applied) -> bool:
    """Whether nothing was changed or sent."""
    return (done.changes, done.nodes, done.messages, done.commands) == ({}, (), 0, 0)


@pytest.mark.parametrize("name", STATES)
def test_there_and_back(name: str, lab: client.Lab) -> None:
    before = lab.plan()
    follows(lab, STATES[name])
    if name in ASKED:
        assert story(ask_all(lab)) == ""
    follows(lab, BASE)
    assert lab.plan() == before


def test_one_then_both_then_the_other(lab: client.Lab) -> None:
    """Not a palindrome: what the first brought must go while what the second brought stays."""
    first, second = DENY, replace(CHANGED, name="u")
    for policies in ((first,), (first, second), (second,), ()):
        follows(lab, replace(BASE, policies=policies))
        if policies == (second,):
            assert story(ask_all(lab)) == ""
    for names in ((NEW[0],), NEW, (NEW[1],)):
        follows(lab, lab_of(*names))
    follows(lab, BASE)


def test_random_labs_become_one_another() -> None:
    """Labs that have nothing in common, not even the underlay's family."""
    with up(world(200).model) as lab:
        for seed in range(201, 209):
            wanted = world(seed).model
            lab.apply(wanted)
            assert lab.status().drift == (), seed
            assert nothing(lab.apply(wanted)), seed
        assert story(ask_all(lab)) == ""


def test_a_change_touches_only_whom_it_concerns(lab: client.Lab) -> None:
    assert lab.apply(replace(BASE, policies=())).nodes == ("host-1",)
    assert lab.apply(BASE).nodes == ("host-1",)
    done = lab.apply(altered("a/q", ports=()))
    assert (done.changes, done.nodes, done.messages) == ({"port": (0, 1, 0)}, (), 0)
    lab.apply(BASE)


def test_what_cannot_be_is_refused_before_anything_is_touched(lab: client.Lab) -> None:
    with pytest.raises(LabError, match="a/huge"):
        lab.apply(lab_of(replace(workload("a/huge", 1, "a/lan"), memory=10**9)))
    assert lab.placed().model == BASE
    assert lab.status().drift == ()


FILE = """\
lab: NAME
underlay: {hosts: 2}
applications:
  a:
    workloads:
      web: {ports: [80/tcp], host: host-1}
      db: {ports: [5432/tcp], host: host-2}
"""
POLICY = """\
policies:
  - {name: db, applies_to: [{name: db}], rules: [{action: deny, direction: ingress, ports: [5432/tcp]}]}
"""


def test_the_verbs(tmp_path: Path) -> None:
    name, file = new_name("verbs"), tmp_path / "lab.yaml"
    file.write_text(FILE.replace("NAME", name))
    assert sdn("up", file).returncode == 0
    try:
        planned = sdn("plan", file)
        assert (planned.returncode, planned.stdout) == (0, f"{name} is what it is asked to be: nothing to change\n")
        file.write_text(FILE.replace("NAME", name) + POLICY)
        planned = sdn("plan", file)
        assert planned.returncode == 1
        assert "host-2: change ingress 10." in planned.stdout
        assert f"{name} would make " in planned.stdout
        applied = sdn("apply", file)
        assert applied.returncode == 0
        assert f"{name} made " in applied.stdout and " on 1 node: host-2\nenforced in " in applied.stdout
        assert sdn("plan", file, "--format", "json").returncode == 0
        assert sdn("apply", file).stdout == f"{name} was what it is asked to be: nothing was sent\n"
        assert sdn("apply", file, "--cut-established").stdout.endswith("to be: nothing was sent\n")
        assert sdn("test", "--lab", name).returncode == 0
        assert sdn("status", name).returncode == 0
        other = tmp_path / "other.yaml"
        other.write_text(FILE.replace("NAME", "another"))
        refused = sdn("apply", other)
        assert refused.returncode == 2
        assert "no lab is called 'another'" in refused.stderr
    finally:
        sdn("down", name)


def running(lab: client.Lab, word: str) -> list[str]:
    """The command lines of the lab in which a word stands."""
    listed = inside(lab, "host-1", "ps", "-eo", "args").splitlines()
    return [line for line in listed if word in line and not line.startswith("ps")]


def test_processes_stay_with_a_workload_that_moves_and_end_with_one_that_leaves() -> None:
    def commanded(host: int, seconds: str) -> Model:
        return model("busy", [ONE], [replace(workload("a/w", host, "a/lan"), command=("sleep", seconds))])

    with up(commanded(1, "901")) as lab:
        lab.apply(commanded(2, "901"))
        assert running(lab, "sleep") == ["sleep 901"]
        lab.apply(commanded(2, "902"))
        assert eventually(lambda: running(lab, "sleep") == ["sleep 902"])
        lab.apply(model("busy", [ONE], []))
        assert eventually(lambda: not running(lab, "sleep"))
        assert lab.status().drift == ()


def test_a_change_that_fails_half_way_is_told_and_not_built_upon() -> None:
    with up(BASE) as lab:
        inside(lab, "host-1", "nft", "flush", "ruleset")
        with pytest.raises(Exception, match="nft refused"):
            lab.apply(replace(BASE, policies=()))
        assert lab.placed().model == BASE
        status = lab.status()
        assert status.drift
        assert any("failed half-way" in warning for warning in status.warnings)
        with pytest.raises(LabError, match=r"failed half-way .*; `sdn down .* build it anew"):
            lab.apply(BASE)


_FLOOD = """
import socket, sys, threading
over = []
threading.Thread(target=lambda: over.append(sys.stdin.read()), daemon=True).start()
families = {one: socket.AF_INET6 if ":" in one else socket.AF_INET for one in sys.argv[1:]}
socks = [(socket.socket(family, socket.SOCK_DGRAM), one) for one, family in families.items()]
print("ready", flush=True)
while not over:
    for sock, target in socks:
        try:
            sock.sendto(b"x", (target, 4009))
        except OSError:
            pass
"""


@contextmanager
def flooded(lab: client.Lab, sender: str, *targets: str) -> Iterator[None]:
    """While one workload sends datagrams to addresses as fast as it can."""
    command = entering(lab, sender, sys.executable, "-c", _FLOOD, *targets)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sending:
        assert sending.stdout is not None
        assert sending.stdout.readline() == "ready\n"
        yield
        sending.communicate("")


def arrived(lab: client.Lab, key: str) -> int:
    """Datagrams that came to a workload in which nobody listens, and nothing else makes this number grow."""
    text = inside(lab, key, "sh", "-c", "cat /proc/net/snmp /proc/net/snmp6")
    rows = [line.split() for line in text.splitlines()]
    heads = [row for row in rows if row[0] == "Udp:"]
    four = int(heads[1][heads[0].index("NoPorts")])
    return four + next(int(row[1]) for row in rows if row[0] == "Udp6NoPorts")


UDP = PortRange(Protocol.UDP, 4009, 4009)
BY_NAME = tier("application/n", act("deny", INGRESS, Selector(name="x"), UDP))
BY_LABEL = tier("environment/l", act("reject", INGRESS, Selector(labels=LabelSelector((("role", "x"),))), UDP))
OPEN = replace(BASE, policies=())
"""From x nobody may hear, said in two ways."""
SHUT = [
    replace(BASE, policies=(BY_NAME,)),
    replace(BASE, policies=(BY_LABEL,)),
    replace(lab_of(*NEW), policies=(BY_LABEL, BY_NAME)),
    replace(altered("a/z", labels={"role": "y"}, host="host-3"), policies=(BY_NAME,)),
    replace(lab_of(applications=(replace(ONE, connects=("b",)), OTHER)), policies=(BY_LABEL,)),
    replace(lab_of(without=("a/q",)), policies=(BY_LABEL,)),
    replace(BASE, policies=(BY_NAME,), services=()),
]


def test_nothing_forbidden_arrives_while_rules_change_hands() -> None:
    with up(SHUT[0]) as lab:
        targets = [a for key in ("a/y", "a/z", "a/p") for a in lab.placed().endpoints[key].addresses]
        watched = ("a/y", "a/z", "a/p")
        with flooded(lab, "a/x", *targets):
            for wanted in (*SHUT, *reversed(SHUT)):
                lab.apply(wanted)
            assert {key: arrived(lab, key) for key in watched} == dict.fromkeys(watched, 0)
            lab.apply(OPEN)
            assert all(eventually(partial(arrived, lab, key)) for key in watched)
            lab.apply(SHUT[1])
            closed = {key: arrived(lab, key) for key in watched}
            lab.apply(SHUT[0])
            assert {key: arrived(lab, key) for key in watched} == closed


TO_THE_BORN = tier("application/b", act("deny", EGRESS, Selector(labels=LabelSelector((("role", "born"),))), UDP))


def test_a_workload_is_born_under_fire() -> None:
    """What forbids it is on the sender's Host, which learns of the new address like everybody else."""
    born = [
        workload("a/n", 1, "a/lan", ip=("10.1.1.77", "fd00:1::77"), role="born"),
        workload("a/m", 3, "a/pods", ip=("10.2.3.77", "fd00:2::77"), role="born"),
        workload("a/l", 3, "a/lan", ip=("10.1.1.78", "fd00:1::78"), role="born"),
    ]
    without, full = (replace(lab_of(*more), policies=(TO_THE_BORN,)) for more in ((), born))
    with up(without) as lab, flooded(lab, "a/x", *(address for one in born for address in one.ip)):
        for _ in range(4):
            lab.apply(full)
            assert [arrived(lab, one.key) for one in born] == [0, 0, 0]
            lab.apply(without)
        lab.apply(replace(full, policies=()))
        assert all(eventually(partial(arrived, lab, one.key)) for one in born)


_ANSWER = """
import socket
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 4009))
print("ready", flush=True)
sock.sendto(b"yes", sock.recvfrom(99)[1])
"""
_ASK = """
import socket, sys
for target in sys.argv[1:]:
    sock = socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("", 4010))
    sock.sendto(b"x", (target, 4009))
    sock.settimeout(float(5))
    print(sock.recv(99) if HEAR else "sent")
"""


@pytest.mark.parametrize(
    ("where", "host", "family"), [("a/pods", 1, 4), ("a/pods", 2, 6), ("a/lan", 1, 6), ("a/lan", 2, 4)]
)
def test_nobody_inherits_the_connections_of_an_address(where: str, host: int, family: int) -> None:
    """x may talk to the one and not to the other, who gets its address and its place."""
    address = ("10.1.1.50", "fd00:1::50")
    deny = tier("application/t", act("deny", INGRESS, Selector(name="x"), UDP), to=[Selector(name="heir")])
    x = workload("a/x", 1, where)
    one, heir = (workload(f"a/{name}", host, "a/lan", ip=address) for name in ("one", "heir"))
    with up(model("heirs", [ONE], [x, one], deny)) as lab:
        target = address[family == 6]
        command = entering(lab, "a/one", sys.executable, "-c", _ANSWER)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as answering:
            assert answering.stdout is not None
            assert answering.stdout.readline() == "ready\n"
            inside(lab, "a/x", sys.executable, "-c", _ASK.replace("HEAR", "True"), target)
        lab.apply(model("heirs", [ONE], [x, heir], deny))
        inside(lab, "a/x", sys.executable, "-c", _ASK.replace("HEAR", "False"), target)
        assert arrived(lab, "a/heir") == 0
        lab.apply(model("heirs", [ONE], [x, heir]))
        inside(lab, "a/x", sys.executable, "-c", _ASK.replace("HEAR", "False"), target)
        assert eventually(lambda: arrived(lab, "a/heir"))

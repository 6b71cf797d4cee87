"""Three workloads around one router whose firewall does something else for each port: built for real, then asked.

Runs in a sandbox; prints what the engine observed as {name: [[outcome, responder, port, rules], ...]}.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sdn.kernel.namespaces import create, enter
from sdn.kernel.settle import settle
from sdn.model import (
    Application,
    Ask,
    Endpoint,
    Flow,
    Host,
    Kind,
    Model,
    Placed,
    Placement,
    Port,
    Protocol,
    Question,
    Segment,
    Service,
    ServicePort,
    Underlay,
    Workload,
)
from sdn.model.flow import Answer, Disposition, Verdict
from sdn.probe.engine import Engine

NAMES = {"lab/a": "a", "lab/b": "b", "lab/c": "c", "host-1": "host-1"}
ADDRESSES = {key: (f"10.244.{n}.2", f"fd00:10:244:{n}::2") for n, key in enumerate(("lab/a", "lab/b", "lab/c"))}
SERVICE = ("10.96.0.1", "fd00:10:96::1")
TCP, UDP, SCTP, ICMP = Protocol
LISTENS = [(TCP, 80), (TCP, 81), (TCP, 82), (TCP, 85), (TCP, 89), (TCP, 8000), (TCP, 7001), (UDP, 53), (UDP, 54)]
LISTENS += [(UDP, 55), (UDP, 8000), (SCTP, 90), (SCTP, 91), (SCTP, 92), (SCTP, 8000)]

MANY = ("tcp timeout 4", "udp connected 4", "udp rejected 4", "tcp connected 6", "tcp refused 6")
"""Asked so often that several batches are sent, some of which the kernel interrupts because of an earlier packet."""

FIREWALL = """
table inet sdn {
  chain c_nat {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 10.244.1.2 tcp dport 85 dnat ip to 10.244.2.2
    ip6 daddr fd00:10:244:1::2 tcp dport 85 dnat ip6 to fd00:10:244:2::2
    ip daddr 10.96.0.1 tcp dport 80 dnat ip to numgen random mod 2 map { 0 : 10.244.1.2, 1 : 10.244.2.2 }
    ip6 daddr fd00:10:96::1 tcp dport 80 dnat ip6 to numgen random mod 2 map {
      0 : fd00:10:244:1::2, 1 : fd00:10:244:2::2 }
    ip daddr 10.96.0.1 udp dport 53 dnat ip to numgen random mod 2 map { 0 : 10.244.1.2, 1 : 10.244.2.2 }
    ip daddr 10.96.0.1 tcp dport 89 dnat ip to numgen random mod 2 map { 0 : 10.244.1.2, 1 : 10.244.2.2 }
  }
  chain c_forward {
    type filter hook forward priority filter; policy drop;
    th dport 8000 numgen random mod 10 < 3 drop
    th sport 8000 numgen random mod 10 < 3 drop
    ct state established,related accept
    ct state invalid drop
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    log group 7 prefix "egress default allow"
    th dport { 54, 81, 91, 7001 } log group 7 prefix "ingress test deny[0]" drop
    ip daddr 10.244.1.2 tcp dport 89 log group 7 prefix "ingress test deny[1]" drop
    th dport { 55, 82, 92 } log group 7 prefix "ingress test reject[0]" reject with icmpx admin-prohibited
    meta l4proto { icmp, icmpv6 } ip daddr 10.244.2.2 log group 7 prefix "ingress test deny[0]" drop
    meta l4proto { icmp, icmpv6 } ip6 daddr fd00:10:244:2::2 log group 7 prefix "ingress test reject[0]" reject
    log group 7 prefix "ingress default allow" accept
  }
}
"""


def shell(*command: str, text: str = "") -> None:
    subprocess.run(command, input=text, text=True, check=True)


def in_thread(work: Callable[[], None]) -> None:
    """The main thread never moves between namespaces."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def build() -> None:
    """Namespaces, cables and the firewall."""
    in_thread(lambda: create(NAMES.values()))
    for name in NAMES.values():
        # A router whose link-local address is still being checked for duplicates cannot ask for its neighbours.
        checks = ["net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0"]
        shell("ip", "netns", "exec", name, "sysctl", "-qw", *checks)
    lines = []
    for n, (key, (v4, v6)) in enumerate(ADDRESSES.items()):
        name = NAMES[key]
        shell("ip", "-n", "host-1", "link", "add", f"to-{name}", "type", "veth", "peer", "eth0", "netns", name)
        lines += [f"addr add 10.244.{n}.1/24 dev to-{name}", f"addr add fd00:10:244:{n}::1/64 dev to-{name} nodad"]
        lines += [f"link set to-{name} up"]
        inside = [f"addr add {v4}/24 dev eth0", f"addr add {v6}/64 dev eth0 nodad", "link set eth0 up"]
        inside += [f"route add default via 10.244.{n}.1", f"route add default via fd00:10:244:{n}::1"]
        shell("ip", "-n", name, "-batch", "-", text="\n".join(inside))
    lines += ["route add unreachable default", "route add unreachable ::/0"]
    shell("ip", "-n", "host-1", "-batch", "-", text="\n".join(lines))
    shell("ip", "netns", "exec", "host-1", "nft", "-f", "-", text=FIREWALL)
    for knob in ("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.icmp_ratemask=0"):
        shell("ip", "netns", "exec", "host-1", "sysctl", "-qw", knob)
    shell("ip", "netns", "exec", "host-1", "sysctl", "-qw", "net.ipv6.icmp.ratelimit=0")
    in_thread(running)


def running() -> None:
    """Until a new link really runs, IPv6 has no route over it."""
    settle("host-1", [f"to-{NAMES[key]}" for key in ADDRESSES])
    for key, own in ADDRESSES.items():
        settle(NAMES[key], ["eth0"], own)


def placed() -> Placed:
    """The same in the words of the model; nothing is planned from it."""
    subnets = ("10.244.0.0/16", "fd00:10:244::/48")
    ports = tuple(Port(number, protocol) for protocol, number in LISTENS)
    model = Model(
        name="probe-test",
        underlay=Underlay(hosts=(Host("host-1"),)),
        applications=(Application("lab", (Segment("net", subnets),)),),
        workloads=tuple(Workload("lab", NAMES[key], Kind.POD, "lab", "net", ports=ports) for key in ADDRESSES),
        services=(Service("lab", "web", "lab", {}, (ServicePort(80, 80), ServicePort(53, 53, UDP)), SERVICE),),
    )
    endpoints = {key: Endpoint(key, "lab", "net", "host-1", "", both) for key, both in ADDRESSES.items()}
    return Placed(model, Placement(dict.fromkeys(ADDRESSES, "host-1")), endpoints)


def questions() -> dict[str, Question]:
    """Named by what must come of them."""
    found = {}
    for family in (4, 6):
        b, c = (ADDRESSES[key][family == 6] for key in ("lab/b", "lab/c"))
        nowhere = "10.99.0.1" if family == 4 else "fd00:99::1"
        nobody = "10.244.0.77" if family == 4 else "fd00:10:244:0::77"
        cases = {
            "tcp connected": (b, TCP, 80),
            "tcp timeout": (b, TCP, 81),
            "tcp rejected": (b, TCP, 82),
            "tcp refused": (b, TCP, 83),
            "tcp wrong-backend": (b, TCP, 85),
            "tcp lossy": (b, TCP, 8000),
            "tcp dead": (b, TCP, 7001),
            "tcp unreachable": (nowhere, TCP, 80),
            "tcp nobody": (nobody, TCP, 80),
            "udp connected": (b, UDP, 53),
            "udp timeout": (b, UDP, 54),
            "udp rejected": (b, UDP, 55),
            "udp refused": (b, UDP, 56),
            "udp lossy": (b, UDP, 8000),
            "udp unreachable": (nowhere, UDP, 53),
            "sctp connected": (b, SCTP, 90),
            "sctp timeout": (b, SCTP, 91),
            "sctp rejected": (b, SCTP, 92),
            "sctp refused": (b, SCTP, 93),
            "sctp lossy": (b, SCTP, 8000),
            "icmp connected": (b, ICMP, 0),
            "icmp stopped": (c, ICMP, 0),
            "icmp unreachable": (nowhere, ICMP, 0),
        }
        for name, (address, protocol, port) in cases.items():
            target = {b: "lab/b", c: "lab/c"}.get(address, "")
            found[f"{name} {family}"] = Question(Flow("lab/a", address, protocol, port), target, Ask.EXPECT)
        for name, protocol, port in (("service tcp", TCP, 80), ("service half", TCP, 89), ("service udp", UDP, 53)):
            if family == 4 or name == "service tcp":
                flow = Flow("lab/a", SERVICE[family == 6], protocol, port)
                found[f"{name} {family}"] = Question(flow, "lab/web", Ask.SERVICE)
    return found


def answers(name: str, question: Question) -> tuple[Answer, ...]:
    """What decides whom a Service's question looks for; nothing for others."""
    if not name.startswith("service"):
        return ()
    allow, deny = Verdict(Disposition.ALLOW, "ingress default allow"), Verdict(Disposition.DENY, "ingress test deny[1]")
    first = deny if "half" in name else allow
    return Answer(first, "lab/b", question.flow.port), Answer(allow, "lab/c", question.flow.port)


def occupy() -> socket.socket:
    """A port that looks taken and where nobody listens: a listener that died."""
    kept = []

    def bind() -> None:
        enter("b")
        sock = socket.socket(socket.AF_INET6)
        sock.bind(("::", 7001))
        kept.append(sock)

    in_thread(bind)
    return kept[0]


def main() -> None:
    build()
    taken = occupy()
    asked = questions()
    engine = Engine(placed(), NAMES.__getitem__, ["host-1"])
    engine.listen()
    try:
        seen = engine.ask(list(asked.values()), [answers(name, question) for name, question in asked.items()])
        again = engine.ask([asked["tcp connected 4"]] * 3)
        many = engine.ask([asked[name] for name in MANY] * 150)
        lossy = engine.ask([asked["tcp lossy 4"], asked["tcp lossy 6"]] * 30)
    finally:
        engine.close()
        taken.close()
    shown = dict(zip(asked, seen, strict=True))
    for index, name in enumerate(MANY):
        shown[f"150 of {name}"] = tuple({one: None for (one,) in many[index :: len(MANY)]})
    shown |= {"again": tuple(one for (one,) in again), "lossy": tuple(one for (one,) in lossy)}
    print(json.dumps({k: [[o.outcome, o.responder, o.port, o.rules] for o in v] for k, v in shown.items()}))


if __name__ == "__main__":
    main()

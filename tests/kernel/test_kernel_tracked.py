"""Connections as another Host must know them: read from the kernel, written back, and equal."""

from __future__ import annotations

import socket

import pytest
from inside import in_lab, namespaces

from sdn.kernel import links, routing
from sdn.kernel.conntrack import Changes, Conntrack, touches
from sdn.kernel.libnft import Nft
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.tracked import Tracked, Tuple

TCP, UDP, ICMP = 6, 17, 1
CALL = Tuple(TCP, "10.0.0.2", "10.96.0.9", (40000, 80))
LED = Tracked(7, CALL, Tuple(TCP, "10.0.0.3", "10.0.0.2", (8080, 40000)))
RULES = """
table inet t {
  chain pre { type nat hook output priority -100; ip daddr 10.96.0.9 tcp dport 80 dnat to 127.0.0.1:8080; }
  chain post { type filter hook output priority 0; ct state established accept; }
}
"""


def test_only_the_clients_host_translates() -> None:
    assert LED.translated and LED.client == "10.0.0.2" and LED.server == "10.0.0.3"
    assert LED.plain.original == Tuple(TCP, "10.0.0.2", "10.0.0.3", (40000, 8080))
    assert LED.plain.reply == LED.reply and not LED.plain.translated
    assert LED.plain.plain == LED.plain
    assert touches(LED, frozenset({(7, "10.96.0.9")})) and not touches(LED, frozenset({(8, "10.0.0.2")}))


@pytest.mark.parametrize(
    ("request_", "reply"), [((9, 8 << 8), (9, 0)), ((9, 128 << 8), (9, 129 << 8)), ((9, 13 << 8), (9, 14 << 8))]
)
def test_an_echo_is_answered_under_the_same_number(request_: tuple[int, int], reply: tuple[int, int]) -> None:
    six = request_[1] >> 8 == 128
    here, there = ("fd00::1", "fd00::2") if six else ("10.0.0.1", "10.0.0.2")
    one = Tuple(58 if six else ICMP, here, there, request_)
    assert one.inverse == Tuple(one.protocol, there, here, reply)
    assert one.inverse.inverse == one


def _talk() -> tuple[socket.socket, ...]:
    """A connection through a translation, a plain one over IPv6, and an unanswered datagram, all from here to here."""
    with Nft() as nft, Netlink() as netlink:
        nft.run(RULES)
        netlink.send([routing.address(1, "10.0.0.2/32")])
    servers = [socket.create_server(("127.0.0.1", 8080)), socket.create_server(("::1", 81), family=socket.AF_INET6)]
    clients = [socket.create_connection(("10.96.0.9", 80)), socket.create_connection(("::1", 81))]
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagram.sendto(b"x", ("10.0.0.2", 9))
    return (*servers, *clients, datagram)


def _facts(one: Tracked) -> tuple[object, ...]:
    return one.zone, one.original, one.reply, one.status & 0x0E, one.mark


@pytest.mark.kernel
@in_lab
def test_what_is_carried_to_another_host_is_the_same_there() -> None:
    worker = namespaces("one", "two")
    worker.run("one", lambda: Netlink().send([routing.route("10.96.0.0/16", [routing.Hop(links.IFF_UP)])]))
    kept = worker.run("one", _talk)
    here, there = worker.run("one", Conntrack), worker.run("two", Conntrack)
    owned = frozenset((0, address) for address in ("127.0.0.1", "10.0.0.2", "::1"))
    worker.run("two", lambda: Nft().run(RULES))
    found = here.of(owned)
    assert sorted(one.translated for one in found if one.original.protocol == TCP) == [False, True], found
    assert all(one.settled for one in found if one.original.protocol == TCP)
    there.carry(found)
    there.carry(found)
    carried = there.of(owned)
    assert sorted(map(_facts, carried), key=str) == sorted(map(_facts, found), key=str)
    (led,) = (one for one in carried if one.translated)
    assert led.settled and led.timeout > 0
    there.exchange([(led, led.plain)])
    now = there.now(led.plain)
    assert now is not None and now.reply == led.reply and there.now(led) is None
    there.exchange([(led.plain, led)])
    assert there.now(led) is not None
    there.drop(found)
    assert there.of(owned) == []
    assert len(kept) == 5


@pytest.mark.kernel
@in_lab
def test_changes_are_heard() -> None:
    worker = namespaces("one")
    worker.run("one", lambda: Netlink().send([routing.route("10.96.0.0/16", [routing.Hop(links.IFF_UP)])]))
    changes = worker.run("one", Changes)
    kept = worker.run("one", _talk)
    heard, whole = changes.drain()
    assert whole and {one.original.protocol for one in heard} == {TCP, UDP}, heard
    assert changes.drain() == ([], True)
    changes.close()
    assert kept

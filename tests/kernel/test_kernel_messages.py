"""Encoding without a kernel: sizes, padding, and the price of a message."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.errors import ExistsError, KernelError, NotFoundError, PrivilegeError
from sdn.kernel import links, messages, one_user, qdisc, routing
from sdn.kernel.messages import Message
from sdn.kernel.node import Indexes, bridge_link, tunnel_link, workload
from sdn.kernel.owned import ALIAS_LIMIT, alias, name_of
from sdn.kernel.refusal import refusal
from sdn.kernel.routing import NEWADDR
from sdn.plan.state import Bridge, Port, Vxlan

MAC = "02:00:00:00:00:01"


@given(st.lists(st.tuples(st.integers(1, 200), st.binary(max_size=40))))
def test_attributes_come_back(given_: list[tuple[int, bytes]]) -> None:
    data = b"".join(messages.raw(kind, value) for kind, value in given_)
    assert len(data) % 4 == 0
    back = [(kind, bytes(value)) for kind, value in messages.attribute_list(memoryview(data))]
    assert back == given_


@given(st.integers(1, 200), st.integers(0, 255), st.integers(0, 2**32 - 1), st.text(max_size=20))
def test_words_and_text_are_aligned(kind: int, small: int, large: int, text: str) -> None:
    for data in (messages.u8(kind, small), messages.u32(kind, large), messages.be16(kind, small)):
        assert len(data) == 8
    assert len(messages.text(kind, text)) % 4 == 0
    assert len(messages.nest(kind, messages.text(kind, text))) % 4 == 0


def test_truncated_attributes_end_the_list() -> None:
    assert list(messages.attribute_list(memoryview(b"\x02\x00\x01\x00abcd"))) == []


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        pytest.param("10.1.0.0/16", (b"\x0a\x01\x00\x00", 16), id="ipv4"),
        pytest.param("10.1.0.1", (b"\x0a\x01\x00\x01", 32), id="ipv4-host"),
        pytest.param("fd00::/8", (b"\xfd" + bytes(15), 8), id="ipv6"),
        pytest.param("::1", (bytes(15) + b"\x01", 128), id="ipv6-host"),
    ],
)
def test_prefixes(prefix: str, expected: tuple[bytes, int]) -> None:
    assert messages.split_prefix(prefix) == expected


def test_a_wrong_address_is_named() -> None:
    with pytest.raises(ValueError, match=r"'10\.1\.0' is not an IP address"):
        messages.packed("10.1.0")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            lambda: links.veth(links.Device("p1", 5, MAC, 1450), links.Device("eth0", 2, MAC, 1450, 9)), id="veth"
        ),
        pytest.param(lambda: links.vxlan(links.Device("vx1", 5, MAC, 1450), 77, "192.168.0.1"), id="vxlan"),
        pytest.param(lambda: links.set_link(5, master=4, alias="sdn:shop/web-1", link_local=False), id="set"),
        pytest.param(lambda: routing.address(2, "10.244.0.5/24"), id="address"),
        pytest.param(lambda: routing.route("10.7.0.0/16", [routing.Hop(11, "10.1.1.9", True)]), id="route"),
        pytest.param(lambda: routing.neighbour(11, "10.1.1.5", MAC), id="neighbour"),
        pytest.param(lambda: routing.fdb(11, MAC, dst="192.168.0.2"), id="fdb"),
    ],
)
def test_a_message_costs_microseconds(make: Callable[[], Message]) -> None:
    def microseconds() -> float:
        begin = time.thread_time()
        for _ in range(500):
            make()
        return (time.thread_time() - begin) / 500 * 1e6

    # The best of several, since other processes share the caches; 6 is the aim, pyroute2 needs 239.
    assert min(microseconds() for _ in range(5)) < 30


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        pytest.param(17, "", ExistsError, id="exists"),
        pytest.param(19, "", NotFoundError, id="gone"),
        pytest.param(1, "", PrivilegeError, id="forbidden"),
        pytest.param(95, "Unknown device type", PrivilegeError, id="no-such-kind"),
        pytest.param(2, "Specified qdisc kind is unknown.", PrivilegeError, id="no-such-queue"),
        pytest.param(22, "Invalid prefix for given prefix length", KernelError, id="other"),
    ],
)
def test_refusals(code: int, words: str, kind: type[KernelError]) -> None:
    error = refusal(code, "create veth p1", words)
    assert type(error) is kind
    assert str(error).startswith("cannot create veth p1: ")
    assert words.rstrip(".") in str(error)


def test_aliases_carry_the_mark_and_fit() -> None:
    assert name_of(alias("shop/web-1")) == "shop/web-1"
    assert name_of("something else") is None
    assert len(alias("ü" * 300).encode()) <= ALIAS_LIMIT


def test_removals_tolerate_what_is_gone() -> None:
    gone = [
        links.delete_link("p1"),
        routing.address(2, "10.0.0.1/24", remove=True),
        routing.delete_route("10.0.0.0/8"),
        routing.rule(4, routing.Rule(1, 2), remove=True),
        routing.neighbour(2, "10.0.0.1", remove=True),
        routing.fdb(2, MAC, remove=True),
        qdisc.remove(2),
    ]
    assert all(message.tolerate for message in gone)


def test_the_filter_jumps_only_forwards_and_inside_itself() -> None:
    code = one_user.program(0xC000003E, (105, 106))
    assert len(code) == 8 * 7
    for at in range(7):
        kind, when_true, when_false = (
            int.from_bytes(code[at * 8 : at * 8 + 2], "little"),
            *code[at * 8 + 2 : at * 8 + 4],
        )
        if kind == 0x15:
            assert at + 1 + max(when_true, when_false) < 7


def test_links_are_up_before_they_have_addresses() -> None:
    """Otherwise the kernel drops an IPv6 address where it finds no memory at once: one in 300 Hosts."""
    addresses = ("10.1.1.2/24", "fd00::2/64")
    port = Port("shop/web", "shop.web", "web.0", "02:00:00:00:00:01", 1450, 1, 1, addresses, ())
    bridge = Bridge("br.1", "02:00:00:00:00:02", "shop/s", 1450, addresses)
    tunnel = Vxlan("vx.1", "02:00:00:00:00:03", "shop/s", 1450, 1, "192.168.0.1", "", addresses)
    for made in (workload(port), bridge_link(bridge, Indexes()), tunnel_link(tunnel, Indexes())):
        sent = list(made)
        up = max(place for place, one in enumerate(sent) if one.what.endswith(" up"))
        assert [one.type for one in sent[up + 1 :]] == [NEWADDR] * len(addresses)
        assert NEWADDR not in {one.type for one in sent[:up]}

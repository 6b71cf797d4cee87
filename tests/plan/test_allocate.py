"""Numbers and addresses: derived from sorted names, kept when something is added, refused in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address, ip_network

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.errors import SdnError
from sdn.model import (
    Application,
    Host,
    Kind,
    Model,
    Placed,
    Placement,
    Segment,
    SegmentKind,
    Underlay,
    Workload,
)
from sdn.plan.addresses import Subnet, text_of, value_of
from sdn.plan.allocate import allocate, connected_sets, number_zones
from sdn.plan.ids import mac_of
from sdn.plan.slices import slice_length


def app(name: str, *segments: Segment, connects: tuple[str, ...] = ()) -> Application:
    return Application(name, segments or (Segment("web", ("10.1.1.0/24",)),), connects)


def vm(name: str, application: str = "shop", segment: str = "web", **fields: object) -> Workload:
    base = Workload(application, name, Kind.VM, application, segment)
    return msgspec.structs.replace(base, **fields)


def model(applications: Sequence[Application], workloads: Sequence[Workload], hosts: int = 3) -> Model:
    underlay = Underlay(tuple(Host(f"host-{i}") for i in range(1, hosts + 1)))
    return Model("lab", underlay, tuple(applications), tuple(workloads))


def round_robin(lab: Model) -> Placement:
    names = [host.name for host in lab.underlay.hosts]
    keys = sorted(w.key for w in lab.workloads)
    return Placement({key: names[i % len(names)] for i, key in enumerate(keys)})


def allocated(lab: Model, previous: Placed | None = None) -> Placed:
    return allocate(lab, round_robin(lab), previous)


def addresses(placed: Placed) -> dict[str, tuple[str, ...]]:
    return {key.partition("/")[2]: endpoint.addresses for key, endpoint in placed.endpoints.items()}


ROUTED = Segment("pods", ("10.244.0.0/16", "fd00:244::/48"), SegmentKind.ROUTED)


@given(st.integers(0, 2**128 - 1))
def test_ipv6_text_is_the_canonical_one(value: int) -> None:
    for shorter in (value, value >> 64 << 64, value & 0xFFFF_0000_0000_FFFF, value & ~0xFFFF, value & 0xFFFF):
        text = text_of(shorter, 6)
        assert (ip_address(text), IPv6Address(text).exploded) == (
            IPv6Address(shorter),
            IPv6Address(shorter).exploded,
        )
        assert text == str(IPv6Address(shorter))


@given(st.integers(0, 2**32 - 1))
def test_ipv4_text_is_the_canonical_one(value: int) -> None:
    assert value_of(text_of(value, 4)) == (value, 4)


@given(st.integers(0, 2**128 - 1))
def test_addresses_are_read_in_any_spelling(value: int) -> None:
    for shorter in (value, value & ~0xFFFF, value & 0xFFFF_0000_FFFF):
        address = IPv6Address(shorter)
        assert {value_of(str(address)), value_of(address.exploded)} == {(shorter, 6)}


@pytest.mark.parametrize("text", ["", "10.1.1", "10.1.1.256", "fd00::12345", "fd00::0x1", "fd00::g", "1:2:3", ":::1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        value_of(text)


def test_l2_addresses_follow_the_names_from_the_second_on() -> None:
    lab = model([app("shop", Segment("web", ("fd00:1::/64", "10.1.1.0/24")))], [vm("b"), vm("a")])
    placed = allocated(lab)
    assert addresses(placed) == {"a": ("10.1.1.2", "fd00:1::2"), "b": ("10.1.1.3", "fd00:1::3")}
    assert list(placed.endpoints) == ["shop/a", "shop/b"]
    assert placed.endpoints["shop/a"].mac == mac_of("shop/a")
    assert placed.slices == {}


def test_small_subnet_leaves_out_network_gateway_and_broadcast() -> None:
    segment = Segment("web", ("10.1.1.0/29",))
    placed = allocated(model([app("shop", segment)], [vm(f"w{i}") for i in range(5)]))
    assert [a for (a,) in addresses(placed).values()] == [f"10.1.1.{i}" for i in range(2, 7)]
    with pytest.raises(SdnError) as error:
        allocated(model([app("shop", segment)], [vm(f"w{i}") for i in range(6)]))
    assert str(error.value) == (
        "segment shop/web: 10.1.1.0/29 has room for 5 workloads and 6 need an address; give it a larger subnet"
    )


def test_workloads_without_an_interface_get_no_endpoint() -> None:
    workloads = [vm("node", segment="", is_node=True), vm("agent", host_network=True), vm("web")]
    assert list(allocated(model([app("shop")], workloads)).endpoints) == ["shop/web"]


def test_routed_addresses_come_from_the_slice_of_the_host() -> None:
    lab = model([app("shop", ROUTED)], [vm(name, segment="pods") for name in "abcd"])
    placed = allocated(lab)
    assert placed.slices == {
        ("shop", "pods", "host-1"): ("10.244.0.0/24", "fd00:244::/64"),
        ("shop", "pods", "host-2"): ("10.244.1.0/24", "fd00:244:0:1::/64"),
        ("shop", "pods", "host-3"): ("10.244.2.0/24", "fd00:244:0:2::/64"),
    }
    assert addresses(placed) == {
        "a": ("10.244.0.2", "fd00:244::2"),
        "b": ("10.244.1.2", "fd00:244:0:1::2"),
        "c": ("10.244.2.2", "fd00:244:0:2::2"),
        "d": ("10.244.0.3", "fd00:244::3"),
    }


def test_slice_of_a_host_does_not_depend_on_who_has_members() -> None:
    lab = model([app("shop", ROUTED)], [vm("a", segment="pods")])
    placed = allocate(lab, Placement({"shop/a": "host-3"}))
    assert placed.slices == {("shop", "pods", "host-3"): ("10.244.2.0/24", "fd00:244:0:2::/64")}


def test_host_that_outgrows_its_slice_gets_a_spare_one() -> None:
    segment = msgspec.structs.replace(ROUTED, subnets=("10.244.0.0/24",), slice4=29)
    lab = model([app("shop", segment)], [vm(f"p{i:02}", segment="pods") for i in range(12)])
    placed = allocate(lab, Placement({w.key: "host-1" for w in lab.workloads}))
    assert placed.slices == {("shop", "pods", "host-1"): ("10.244.0.0/29", "10.244.0.24/29", "10.244.0.32/29")}
    assert len({a for (a,) in addresses(placed).values()}) == 12


def test_routed_segment_that_is_too_small_says_who_lacks_what() -> None:
    segment = msgspec.structs.replace(ROUTED, subnets=("10.244.0.0/28",))
    with pytest.raises(SdnError) as error:
        allocated(model([app("shop", segment)], [vm(f"p{i}", segment="pods") for i in range(5)]))
    assert str(error.value) == (
        "segment shop/pods: host-2 runs 2 of its 5 workloads and has no address left (it owns 10.244.0.4/30, "
        "and no slice of 10.244.0.0/28 is free); give it a larger subnet or smaller slices"
    )


@pytest.mark.parametrize(
    ("subnet", "wanted", "hosts", "pods", "length"),
    [
        pytest.param("10.244.0.0/16", 0, 3, 256, 24, id="kubernetes-default"),
        pytest.param("10.244.0.0/16", 0, 256, 256, 24, id="as-many-as-fit"),
        pytest.param("10.244.0.0/16", 0, 257, 256, 25, id="one-more-needs-smaller-ones"),
        pytest.param("10.0.0.0/8", 0, 5000, 256, 24, id="large"),
        pytest.param("10.1.0.0/24", 0, 4, 20, 27, id="as-small-as-the-pods-allow"),
        pytest.param("10.1.0.0/24", 0, 1, 256, 24, id="one-host-owns-all"),
        pytest.param("10.244.0.0/16", 22, 3, 256, 22, id="given"),
        pytest.param("fd00::/48", 0, 5000, 256, 64, id="ipv6"),
        pytest.param("fd00::/64", 0, 5000, 256, 80, id="ipv6-below-64"),
        pytest.param("fd00::/112", 0, 300, 256, 121, id="ipv6-tight"),
    ],
)
def test_slice_length(subnet: str, wanted: int, hosts: int, pods: int, length: int) -> None:
    assert slice_length(Subnet.parse(subnet), wanted, hosts, pods) == length


@pytest.mark.parametrize(("subnet", "wanted", "hosts"), [("10.0.0.0/30", 0, 2), ("10.0.0.0/24", 16, 2)])
def test_slices_that_cannot_be(subnet: str, wanted: int, hosts: int) -> None:
    with pytest.raises(SdnError, match=r"cannot be cut into /\d+ slices for 2 hosts; give it a larger subnet"):
        slice_length(Subnet.parse(subnet), wanted, hosts, 100)


def test_fixed_addresses_are_honoured_and_nobody_else_gets_them() -> None:
    segment = Segment("web", ("10.1.1.0/24", "fd00:1::/64"))
    lab = model([app("shop", segment)], [vm("a"), vm("b", ip=("10.1.1.2",)), vm("c", ip=("fd00:1::2", "10.1.1.9"))])
    assert addresses(allocated(lab)) == {
        "a": ("10.1.1.3", "fd00:1::3"),
        "b": ("10.1.1.2", "fd00:1::4"),
        "c": ("10.1.1.9", "fd00:1::2"),
    }


def test_every_bad_fixed_address_is_named_at_once() -> None:
    bad = {"a": ("10.9.9.9",), "b": ("10.1.1.1",), "c": ("10.1.1.7",), "d": ("10.1.1.7",), "e": ("fd00::5",)}
    with pytest.raises(SdnError) as error:
        allocated(model([app("shop")], [vm(name, ip=ip) for name, ip in bad.items()]))
    assert str(error.value).splitlines() == [
        "shop/a: address 10.9.9.9 is outside of segment shop/web (10.1.1.0/24); choose one inside",
        "shop/b: address 10.1.1.1 is reserved in 10.1.1.0/24 for the network or its gateway; "
        "choose one from 10.1.1.2 to 10.1.1.254",
        "shop/d: address 10.1.1.7 is also that of shop/c; change one of them",
        "shop/e: address fd00::5 is outside of segment shop/web (10.1.1.0/24); choose one inside",
    ]


def test_unknown_segment_is_named_with_those_there_are() -> None:
    with pytest.raises(SdnError, match=r"shop/a: segment shop/wbe is not defined \(there are: shop/web\)"):
        allocated(model([app("shop")], [vm("a", segment="wbe")]))


def test_numbers_follow_the_names() -> None:
    two = (Segment("b", ("10.1.0.0/24",)), Segment("a", ("10.2.0.0/24",)))
    placed = allocated(model([app("blue", *two), app("amber")], []))
    assert placed.vnis == {("amber", "web"): 4096, ("blue", "a"): 4097, ("blue", "b"): 4098}
    assert placed.marks == {"amber": 1, "blue": 2}
    assert placed.zones == {"amber": 1, "blue": 2}


def test_connected_applications_share_a_zone_also_through_others() -> None:
    applications = [app("a", connects=("b",)), app("b"), app("c", connects=("b",)), app("d")]
    assert connected_sets(applications) == [("a", "b", "c"), ("d",)]
    assert number_zones(applications, {}) == {"a": 1, "b": 1, "c": 1, "d": 2}


@pytest.mark.parametrize(
    ("connects", "previous", "zones"),
    [
        pytest.param({}, {"a": 1, "b": 1}, {"a": 1, "b": 2}, id="split-keeps-one"),
        pytest.param({"a": ("b",)}, {"a": 1, "b": 2}, {"a": 1, "b": 1}, id="joined-takes-the-first"),
        pytest.param({}, {"b": 1}, {"a": 2, "b": 1}, id="new-one-takes-a-free-number"),
        pytest.param({"a": ("b",)}, {"b": 7}, {"a": 7, "b": 7}, id="joining-an-old-one"),
    ],
)
def test_zones_keep_their_numbers(
    connects: dict[str, tuple[str, ...]], previous: dict[str, int], zones: dict[str, int]
) -> None:
    applications = [app(name, connects=connects.get(name, ())) for name in "ab"]
    assert number_zones(applications, previous) == zones


def test_too_many_applications_are_refused() -> None:
    with pytest.raises(SdnError, match="65536 times a conntrack zone is more than the 65535 there are"):
        number_zones([app(f"a{i}") for i in range(65536)], {})


def test_adding_keeps_what_was_there() -> None:
    before = allocated(model([app("shop", ROUTED), app("zoo")], [vm("m", segment="pods"), vm("z", "zoo")]))
    grown = model(
        [app("bar"), app("shop", ROUTED), app("zoo")],
        [vm("a", segment="pods"), vm("m", segment="pods"), vm("y", "zoo"), vm("z", "zoo")],
        hosts=4,
    )
    after = allocated(grown, before)
    for key, endpoint in before.endpoints.items():
        assert after.endpoints[key].addresses == endpoint.addresses
    for old, new in ((before.vnis, after.vnis), (before.marks, after.marks), (before.zones, after.zones)):
        assert set(old.items()) <= set(new.items())
    assert after.vnis["bar", "web"] not in before.vnis.values()


def test_moved_workload_takes_its_address_along_and_nobody_gets_it() -> None:
    lab = model([app("shop", ROUTED)], [vm("a", segment="pods"), vm("b", segment="pods")])
    before = allocate(lab, Placement({"shop/a": "host-1", "shop/b": "host-2"}))
    after = allocate(lab, Placement({"shop/a": "host-2", "shop/b": "host-1"}), before)
    assert addresses(after) == addresses(before)
    assert after.endpoints["shop/a"].host == "host-2"
    assert after.slices == before.slices


def test_new_host_in_front_leaves_the_slices_of_the_others() -> None:
    lab = model([app("shop", ROUTED)], [vm("a", segment="pods")])
    before = allocated(lab)
    hosts = (Host("host-0"), *lab.underlay.hosts)
    grown = msgspec.structs.replace(lab, underlay=Underlay(hosts), workloads=(*lab.workloads, vm("b", segment="pods")))
    after = allocate(grown, Placement({"shop/a": "host-1", "shop/b": "host-0"}), before)
    assert after.slices["shop", "pods", "host-1"] == before.slices["shop", "pods", "host-1"]
    assert after.slices["shop", "pods", "host-0"] == ("10.244.4.0/24", "fd00:244:0:4::/64")


def test_new_fixed_address_beats_a_previous_one() -> None:
    before = allocated(model([app("shop")], [vm("a")]))
    after = allocated(model([app("shop")], [vm("a"), vm("b", ip=("10.1.1.2",))]), before)
    assert addresses(after) == {"a": ("10.1.1.3",), "b": ("10.1.1.2",)}


@given(st.sets(st.integers(0, 60), max_size=25), st.sets(st.integers(0, 60), max_size=25), st.randoms())
def test_any_growth_keeps_addresses_unique_inside_and_independent_of_order(
    first: set[int], second: set[int], random: object
) -> None:
    def lab(numbers: set[int]) -> Model:
        workloads = [vm(f"p{i}", segment="pods") for i in numbers] + [vm(f"v{i}") for i in numbers]
        random.shuffle(workloads)  # type: ignore[attr-defined]
        return model([app("shop", ROUTED, Segment("web", ("10.1.1.0/24",)))], workloads)

    before = allocated(lab(first))
    assert msgspec.structs.replace(allocated(lab(first)), model=before.model) == before
    after = allocated(lab(second), before)
    assert allocate(after.model, after.placement, after) == after
    seen = [a for endpoint in after.endpoints.values() for a in endpoint.addresses]
    assert len(seen) == len(set(seen))
    for key in before.endpoints.keys() & after.endpoints.keys():
        assert before.endpoints[key].addresses == after.endpoints[key].addresses
    for endpoint in after.endpoints.values():
        parts = after.slices.get(("shop", endpoint.segment, endpoint.host), ("10.1.1.0/24",))
        if endpoint.workload not in before.endpoints:
            assert all(any(ip_address(a) in ip_network(p) for p in parts) for a in endpoint.addresses)

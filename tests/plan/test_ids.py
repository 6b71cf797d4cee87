"""Derived names: legible, short enough for the kernel, and never silently the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.errors import SdnError
from sdn.plan.ids import (
    NAME_LIMIT,
    NAMESPACE_LIMIT,
    bridge_name,
    check_unique,
    mac_of,
    namespace_of,
    port_name,
    uplink_name,
    vxlan_name,
)


@pytest.mark.parametrize(
    ("key", "stem"),
    [
        pytest.param("shop/web", "web", id="short"),
        pytest.param("shop/web-1", "web-1", id="short-replica"),
        pytest.param("shop/frontend-12", "front-12", id="replica-number-survives"),
        pytest.param("shop/cart-7d8f9c-x2kd9", "ca-x2kd9", id="pod-suffix-survives"),
        pytest.param("shop/productcatalog", "productc", id="long-without-number"),
        pytest.param("shop/my.app v2", "my-app-v2"[:5] + "-v2", id="sanitised"),
        pytest.param("shop/..", "w", id="nothing-left"),
    ],
)
def test_port_name_keeps_what_a_person_recognises(key: str, stem: str) -> None:
    assert re.fullmatch(re.escape(stem) + r"\.[0-9a-f]{6}", port_name(key))


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_port_name_is_legal_for_the_kernel(namespace: str, name: str) -> None:
    assert re.fullmatch(rf"[A-Za-z0-9_.-]{{1,{NAME_LIMIT}}}", port_name(f"{namespace}/{name}"))
    assert not port_name(f"{namespace}/{name}").startswith("-")


def test_names_of_devices_fit_up_to_the_largest_number() -> None:
    assert bridge_name(4096) == "br.4096"
    assert vxlan_name(2**24 - 1) == "vx.16777215"
    assert uplink_name(0) == "up0"
    assert len(vxlan_name(2**24 - 1)) <= NAME_LIMIT


def test_mac_is_locally_administered_unicast_and_differs() -> None:
    macs = {mac_of(f"shop/web-{i}") for i in range(1000)}
    assert len(macs) == 1000
    assert all(re.fullmatch(r"02(:[0-9a-f]{2}){5}", mac) for mac in macs)


def test_namespace_is_legible_and_bounded() -> None:
    assert namespace_of("shop/web-1") == "shop.web-1"
    long = [namespace_of("n" * 63 + "/" + "p" * 250 + tail) for tail in ("a", "b")]
    assert all(len(name) <= NAMESPACE_LIMIT for name in long)
    assert long[0] != long[1]


def test_same_workload_twice_is_no_clash() -> None:
    check_unique("interface name", "host-1", [("a", "x"), ("a", "x"), ("b", "y")])


def test_clashes_name_both_owners_and_a_next_step() -> None:
    with pytest.raises(SdnError) as error:
        check_unique("interface name", "host-1", [("web.1", "shop/a"), ("web.1", "shop/b"), ("z", "shop/c")])
    assert str(error.value) == (
        'host-1: "shop/a" and "shop/b" would both get the interface name web.1; rename one of them or move it'
    )

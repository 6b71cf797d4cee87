"""Ports and address blocks in their canonical forms: neighbours joined, nothing that cannot match."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.model import IPBlock, PortRange, Protocol
from sdn.policy.compiler_blocks import Blocks
from sdn.policy.compiler_ranges import Ranges, merge
from sdn.policy.compiler_rules import port_matches
from worlds_build import ECHO, tcp, udp

TCP, UDP, ICMP = Protocol.TCP, Protocol.UDP, Protocol.ICMP


@pytest.mark.parametrize(
    ("written", "merged"),
    [
        pytest.param([], (), id="none"),
        pytest.param([(80, 80)], ((80, 80),), id="one"),
        pytest.param([(80, 80), (82, 82)], ((80, 80), (82, 82)), id="a-gap"),
        pytest.param([(81, 90), (80, 80)], ((80, 90),), id="adjacent"),
        pytest.param([(80, 90), (85, 95)], ((80, 95),), id="overlapping"),
        pytest.param([(80, 99), (85, 90)], ((80, 99),), id="inside"),
        pytest.param([(80, 80), (80, 80)], ((80, 80),), id="twice"),
        pytest.param([(90, 80)], (), id="ends-before-it-starts"),
        pytest.param([(65535, 65535), (1, 65534)], ((1, 65535),), id="all"),
    ],
)
def test_merge(written: list[tuple[int, int]], merged: Ranges) -> None:
    assert merge(written) == merged


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=8))
def test_merge_keeps_every_port_and_adds_none(written: list[tuple[int, int]]) -> None:
    merged = merge(written)
    ports = {port for first, last in written for port in range(first, last + 1)}
    assert {port for first, last in merged for port in range(first, last + 1)} == ports
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(merged))


@pytest.mark.parametrize(
    ("written", "matches", "names"),
    [
        pytest.param([tcp(80), tcp(81), udp(80)], {TCP: ((80, 81),), UDP: ((80, 80),)}, [], id="per-protocol"),
        pytest.param([tcp(8000, 8010)], {TCP: ((8000, 8010),)}, [], id="range-is-inclusive"),
        pytest.param([tcp(80), tcp()], {TCP: ()}, [], id="no-port-is-the-whole-protocol"),
        pytest.param([ECHO], {ICMP: ()}, [], id="echo"),
        pytest.param([tcp("http")], {TCP: ((80, 80), (8080, 8080))}, [(TCP, "http")], id="own-name"),
        pytest.param([udp("http")], {}, [(UDP, "http")], id="own-name-of-another-protocol"),
        pytest.param([tcp("x"), tcp(5)], {TCP: ((5, 5),)}, [(TCP, "x")], id="unknown-name-leaves-the-number"),
        pytest.param([tcp("http"), tcp()], {TCP: ()}, [], id="whole-protocol-holds-the-name"),
    ],
)
def test_port_matches(
    written: list[PortRange], matches: dict[Protocol, Ranges], names: list[tuple[Protocol, str]]
) -> None:
    assert port_matches(written, {(TCP, "http"): [80, 8080]}) == (matches, names)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        pytest.param(IPBlock("10.0.0.0/8"), IPBlock("10.0.0.0/8"), id="plain"),
        pytest.param(IPBlock("10.0.0.5/8"), IPBlock("10.0.0.0/8"), id="host-bits"),
        pytest.param(IPBlock("FD00:0::/16"), IPBlock("fd00::/16"), id="ipv6-spelling"),
        pytest.param(
            IPBlock("10.0.0.0/8", ("10.3.0.0/16", "10.2.0.0/16", "10.2.9.0/24")),
            IPBlock("10.0.0.0/8", ("10.2.0.0/15",)),
            id="excepts-sorted-and-merged",
        ),
        pytest.param(IPBlock("10.0.0.0/8", ("11.0.0.0/8", "fd00::/8")), IPBlock("10.0.0.0/8"), id="excepts-elsewhere"),
        pytest.param(IPBlock("10.0.0.0/8", ("0.0.0.0/0",)), None, id="an-except-around-it"),
        pytest.param(IPBlock("10.0.0.0/31", ("10.0.0.0/32", "10.0.0.1/32")), None, id="excepts-fill-it"),
    ],
)
def test_block(written: IPBlock, normal: IPBlock | None) -> None:
    assert Blocks([]).normal(written, spare_workloads=False) == normal


@pytest.mark.parametrize(
    ("cidr", "normal"),
    [
        pytest.param("10.0.0.0/24", IPBlock("10.0.0.0/24", ("10.0.0.0/32", "10.0.0.2/31", "10.0.0.255/32")), id="some"),
        pytest.param("10.0.0.2/31", None, id="only-workloads"),
        pytest.param("10.0.1.0/24", IPBlock("10.0.1.0/24"), id="none"),
        pytest.param("::/0", IPBlock("::/0", ("fd00::1/128",)), id="ipv6"),
    ],
)
def test_block_that_spares_workloads(cidr: str, normal: IPBlock | None) -> None:
    blocks = Blocks(["10.0.0.255", "10.0.0.3", "fd00::1", "10.0.0.0", "10.0.0.2", "10.0.0.2"])
    assert blocks.normal(IPBlock(cidr), spare_workloads=True) == normal
    assert blocks.normal(IPBlock(cidr), spare_workloads=False) == IPBlock(cidr)

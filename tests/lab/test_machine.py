"""The machine's own network is the same before, during and after everything that a lab does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labs import ROOT, ask_all, eventually, inside, new_name, sdn, story, up
from sdn.kernel import machine
from sdn.spec.load import load

pytestmark = pytest.mark.kernel

FILE = ROOT / "topologies" / "three-tier.yaml"
SMALL = ROOT / "topologies" / "two-hosts.yaml"


def same_as(before: machine.Snapshot) -> Callable[[], bool]:
    """Looked at more than once, because the machine's own life (a lease, a daemon) goes on meanwhile."""
    return lambda: not machine.differences(before, machine.snapshot())


def check(before: machine.Snapshot) -> None:
    assert eventually(same_as(before), 3), "\n".join(machine.differences(before, machine.snapshot()))


def test_the_picture_shows_what_matters() -> None:
    """Or all that follows would prove nothing."""
    lines = machine.snapshot().lines
    assert set(lines) >= {"links", "addresses", "routes", "rules", "neighbours", "nft", "sysctls", "namespaces"}
    text = "\n".join(lines["sysctls"])
    for key in (
        "ipv4/ip_forward",
        "ipv4/conf/all/rp_filter",
        "ipv4/conf/default/rp_filter",
        "ipv6/conf/all/forwarding",
    ):
        assert f"{key} = " in text
    assert any("lo" in line for line in lines["links"])


def test_the_machine_is_as_it_was() -> None:
    before = machine.snapshot()
    with up(load([FILE]).model) as lab:
        check(before)
        assert story(ask_all(lab)) == ""
        check(before)
        inside(lab, "shop/web-0", "sh", "-c", "ip link add br0 type bridge; ip route add 198.51.100.0/24 dev eth0")
        inside(lab, "shop/web-0", "sh", "-c", "sysctl -qw net.ipv4.ip_forward=1; nft add table inet mine")
        inside(lab, "host-1", "nft", "flush", "ruleset")
        check(before)
        assert lab.status().drift
    check(before)


def test_no_verb_changes_the_machine() -> None:
    before, name = machine.snapshot(), new_name("hello")
    for arguments in (("up", SMALL, "--name", name), ("test", "--lab", name), ("down", name), ("test", SMALL)):
        done = sdn(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        check(before)


def test_nothing_is_left_in_the_places_of_namespaces() -> None:
    before = places()
    with up(load([FILE]).model) as lab:
        assert places() == before
        assert "shop.web-0" in inside(lab, "host-1", "ls", "/run/netns")
    assert places() == before


def places() -> list[str]:
    """The names of network namespaces that the machine knows."""
    folders = (Path("/run/netns"), Path("/var/run/netns"))
    return sorted(str(path) for folder in folders if folder.is_dir() for path in folder.iterdir())

"""A new description of a running lab says nothing of what has failed, and heals nothing by the way."""

from __future__ import annotations

from msgspec.structs import replace

from sdn.model import Host, HostState, Link, Model, Switch, Underlay
from sdn.scheduler.again import unhealed

HOSTS = tuple(Host(name, 1000, 1024) for name in ("h1", "h2", "h3", "h4"))
SWITCHES = (Switch("l1"), Switch("l2"))
LINKS = tuple(Link(host.name, switch.name) for host in HOSTS for switch in SWITCHES)
FILE = Model("lab", Underlay(HOSTS, SWITCHES, LINKS), (), ())


def broken() -> Model:
    """h1 has no power, h2 is reached by nobody, h3 is in maintenance; a Switch and a cable are down."""
    states = {"h1": HostState.FAILED, "h2": HostState.FAILED, "h3": HostState.MAINTENANCE}
    underlay = replace(
        FILE.underlay,
        hosts=tuple(replace(host, state=states.get(host.name, host.state)) for host in HOSTS),
        switches=tuple(replace(switch, failed=switch.name == "l1") for switch in SWITCHES),
        links=tuple(replace(link, failed=(link.a, link.b) == ("h4", "l2")) for link in LINKS),
        isolated=("h2",),
    )
    return replace(FILE, underlay=underlay)


def test_what_has_failed_waits_for_being_healed() -> None:
    assert unhealed(FILE, broken()) == broken()
    assert unhealed(FILE, FILE) == FILE


def test_what_the_file_says_failed_has_failed() -> None:
    assert unhealed(broken(), FILE) == broken()


def test_what_is_no_longer_there_has_not_failed() -> None:
    smaller = replace(FILE, underlay=replace(FILE.underlay, hosts=HOSTS[3:], switches=SWITCHES[1:], links=LINKS[-1:]))
    kept = unhealed(smaller, broken()).underlay
    assert (kept.hosts, kept.switches, kept.isolated) == (HOSTS[3:], SWITCHES[1:], ())
    assert kept.links == (replace(LINKS[-1], failed=True),)

"""The same Model with something of its underlay broken or mended; names are those that people write."""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from sdn.model import HostState, Link, Model
from sdn.scheduler.states import with_hosts


def ends_of(name: str) -> tuple[str, str]:
    """The two nodes of the link `A:B`, sorted; empty ends if it is no link's name."""
    one, colon, other = name.partition(":")
    return (min(one, other), max(one, other)) if colon else ("", "")


def links_between(model: Model, name: str) -> tuple[Link, ...]:
    """All cables between the two nodes of the link `A:B`, in either order."""
    return tuple(link for link in model.underlay.links if (link.a, link.b) == ends_of(name))


def with_switch(model: Model, name: str, failed: bool) -> Model:
    """That Switch without power, or with it."""
    switches = tuple(replace(s, failed=failed) if s.name == name else s for s in model.underlay.switches)
    return replace(model, underlay=replace(model.underlay, switches=switches))


def with_link(model: Model, name: str, failed: bool) -> Model:
    """All cables between two nodes down, or up."""
    chosen = links_between(model, name)
    links = tuple(replace(link, failed=failed) if link in chosen else link for link in model.underlay.links)
    return replace(model, underlay=replace(model.underlay, links=links))


def with_isolated(model: Model, names: Collection[str]) -> Model:
    """Exactly these have power and are reached by nobody, so that they count as failed; no others change."""
    isolated = replace(model, underlay=replace(model.underlay, isolated=tuple(sorted(names))))
    return with_hosts(isolated, names, HostState.FAILED)


def failed_hosts(model: Model) -> frozenset[str]:
    """The Hosts that run nothing, for want of power or because nobody reaches them."""
    return frozenset(host.name for host in model.underlay.hosts if host.state is HostState.FAILED)

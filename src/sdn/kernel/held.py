"""Whether the sets and maps of Hosts hold what is planned, compared in the bytes in which the kernel lists them.

nft takes 15 µs for an element, and a Host has thousands; this takes one or two, and what several Hosts have in common
is worked out once. What differs is said by nft, which `listed` asks then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from sdn.kernel import ruleset
from sdn.kernel.elements import LIST_ELEMENTS, encoded, head_of
from sdn.kernel.messages import NFTABLES, attributes, records
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.ruleset import Elements
from sdn.plan.state import NodeState

_GET_ELEMENTS = NFTABLES << 8 | 13

Key = tuple[str, str]
"""Family and name of a set or map."""

Held = dict[Key, frozenset[bytes]]

_NOTHING: frozenset[bytes] = frozenset()


class Contents:
    """What the Hosts of one Plan shall hold. Any thread may ask; the plan outlives this, as with `elements.Encoder`."""

    def __init__(self) -> None:
        self._known: dict[int, Held] = {}

    def of(self, state: NodeState) -> Held:
        """By set and map; those that are to be empty are left out."""
        parts = [_held(ruleset.own_members(state))]
        for addresses in state.firewall.sets if state.firewall is not None else ():
            parts.append(self._common(addresses, lambda: [ruleset.group_members(addresses)]))  # noqa: B023
        if state.loadbalancer is not None:
            virtuals = state.loadbalancer.virtuals
            parts.append(self._common(virtuals, lambda: (*ruleset.services(virtuals), *ruleset.choices(virtuals))))
        found: Held = {}
        for part in parts:
            for key, elements in part.items():
                found[key] = found[key] | elements if key in found else elements
        return found

    def _common(self, part: object, elements: Callable[[], Iterable[Elements]]) -> Held:
        found = self._known.get(id(part))
        if found is None:
            found = self._known[id(part)] = _held(elements())
        return found


def _held(several: Iterable[Elements]) -> Held:
    found: dict[Key, set[bytes]] = {}
    for one in several:
        if one.values:
            found.setdefault((one.family, one.name), set()).update(encoded(one))
    return {key: frozenset(elements) for key, elements in found.items()}


def holds(netlink: Netlink, wanted: Mapping[Key, frozenset[bytes]], there: Iterable[Key]) -> bool:
    """Whether each of the sets and maps that are there has just the elements that are wanted in it.

    `netlink` is a socket to netfilter in the Host.
    """
    return all(_listed(netlink, *key) == wanted.get(key, _NOTHING) for key in there)


def _listed(netlink: Netlink, family: str, name: str) -> set[bytes]:
    found: set[bytes] = set()
    for data in netlink.dump(_GET_ELEMENTS, head_of(family, name), f"list elements of {family} {name}"):
        found.update(records(attributes(data[4:]).get(LIST_ELEMENTS, memoryview(b""))))
    return found

"""Whether the kernel holds the rules that somebody is about to depend on: asked by name, without listing all others.

Compared by what names a rule: its origin, which every rule that decides carries as its comment. Sets are compared by
how many elements they hold. The kernel's numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sdn.errors import KernelError
from sdn.kernel import sysctl
from sdn.kernel.messages import attribute_list, attributes, text
from sdn.kernel.owned import TABLE
from sdn.kernel.rtnetlink import Netlink
from sdn.kernel.tracked import NETFILTER
from sdn.plan.state import Chain, Firewall, NodeState

_GET_RULE, _GET_ELEMENTS = 10 << 8 | 7, 10 << 8 | 13
_INET = bytes([1, 0, 0, 0])
_USERDATA = 7
_COMMENT = 0
_LIST = 3
_STRICT = {key: value for key, value in sysctl.HOST.items() if key.startswith("net.bridge.")}
"""Without these the rules would be there, and bridged packets pass them by."""


def require(state: NodeState, owned: Collection[tuple[int, str]]) -> None:
    """KernelError that names the first chain or set, of those that judge these (zone, address), not to be as planned.

    In the namespace of the calling thread, which is that of the Host.
    """
    for difference in sysctl.drift(_STRICT):
        raise KernelError(f"{state.name}: {difference}; `sdn status` says what else differs")
    with Netlink(NETFILTER) as netlink:
        for what in _differences(netlink, _for(state.firewall or Firewall(), owned)):
            raise KernelError(f"{state.name}: {what} is not as planned; `sdn status` says what else differs")


def _for(firewall: Firewall, owned: Collection[tuple[int, str]]) -> Firewall:
    """What these addresses need of a firewall, without the dispatch that leads to it."""
    named = {one.profile for one in (*firewall.egress, *firewall.ingress) if (one.zone, one.address) in owned}
    profiles = tuple(one for one in firewall.profiles if one.name in named)
    tiers = {tier for one in profiles for tier in one.tiers}
    chains = tuple(one for one in firewall.chains if one.name in tiers)
    sets = {name for one in chains for rule in one.rules for name in (rule.set, rule.not_set)}
    return Firewall(chains, profiles, tuple(one for one in firewall.sets if one.name in sets))


def _differences(netlink: Netlink, firewall: Firewall) -> Iterator[str]:
    for profile in firewall.profiles:
        if len(_comments(netlink, profile.name)) != len(profile.tiers) + 1:
            yield f"nft chain {profile.name}"
    for chain in firewall.chains:
        if _comments(netlink, chain.name) != list(_origins(chain)):
            yield f"nft chain {chain.name}"
    for one in firewall.sets:
        if _count(netlink, one.name) != len(one.elements):
            yield f"nft set {one.name}"


def _origins(chain: Chain) -> Iterator[str]:
    """The comments of a chain's rules; what marks the connection of a stateless one decides nothing, and has none."""
    for rule in chain.rules:
        if rule.stateless:
            yield ""
        yield rule.origin


def _comments(netlink: Netlink, chain: str) -> list[str]:
    """One for each rule of a chain, empty where it has none."""
    body = _INET + text(1, TABLE) + text(2, chain)
    listed = netlink.dump(_GET_RULE, body, f"list chain {chain}")
    return [_comment(attributes(data[4:]).get(_USERDATA)) for data in listed]


def _comment(data: memoryview | None) -> str:
    """Type, length, value, each of the first two one byte."""
    at = 0
    while data is not None and at + 2 <= len(data):
        kind, size = data[at], data[at + 1]
        if kind == _COMMENT:
            return bytes(data[at + 2 : at + 2 + size]).rstrip(b"\0").decode(errors="replace")
        at += 2 + size
    return ""


def _count(netlink: Netlink, name: str) -> int:
    listed = netlink.dump(_GET_ELEMENTS, _INET + text(1, TABLE) + text(2, name), f"list set {name}")
    return sum(1 for data in listed for _ in attribute_list(attributes(data[4:]).get(_LIST, memoryview(b""))))

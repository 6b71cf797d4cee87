"""What one Host's firewall, anti-spoofing and load balancer hold, in nft's language: what fills the `skeleton`.

Verdicts hang in few shared maps keyed by (zone, address); each deciding rule carries its origin as comment and as
NFLOG prefix. A change of the lab is a change of elements of sets and maps, and of chains that nothing refers to yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from ipaddress import IPv6Address
from typing import NamedTuple

from sdn.kernel import skeleton
from sdn.kernel.owned import TABLE
from sdn.model import Action, Direction, Protocol, family_of
from sdn.plan.state import (
    LOCAL,
    LOG_GROUP,
    STATELESS,
    AddressSet,
    Chain,
    Firewall,
    FirewallRule,
    LoadBalancer,
    NodeState,
    Port,
    ProfileChain,
    Virtual,
    Vxlan,
)

BALANCED = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
"""The protocols that Services have."""

CHUNK = 500
"""Elements of one command."""


def populate(state: NodeState) -> Iterator[str]:
    """Commands that fill the skeleton for one Host, in an order in which nothing is mentioned before it exists.

    The dispatch maps come last: until then every packet of a workload is dropped.
    """
    yield from definitions(state)
    for addresses in state.firewall.sets if state.firewall is not None else ():
        yield from group_members(addresses).commands("add")
    for one in members(state):
        yield from one.commands("add")


def definitions(state: NodeState) -> Iterator[str]:
    """All sets, which are empty, and all chains with their rules; nothing leads to them yet."""
    for one in defined(state):
        yield from one.commands()
    if translates(state):
        yield skeleton.translation()


class Definition(NamedTuple):
    """A set or a chain, as `set NAME` or `chain NAME`; two of one name and equal `part` have the same commands."""

    name: str
    part: object
    commands: Callable[[], Iterable[str]]


def defined(state: NodeState) -> Iterator[Definition]:
    """What a Host has beyond the skeleton, each after those that it refers to: sets, tiers, profiles, balancers."""
    firewall = state.firewall
    if firewall is not None:
        for addresses in firewall.sets:
            yield Definition(f"set {addresses.name}", addresses.family, partial(_declared, addresses))
        for chain in firewall.chains:
            yield Definition(f"chain {chain.name}", chain, partial(define_chain, chain))
        for profile in firewall.profiles:
            yield Definition(f"chain {profile.name}", profile, partial(define_profile, profile))
    for size in balancers(state):
        yield Definition(f"chain {balancer_name(*size)}", size, partial(define_balancer, *size))


def _declared(addresses: AddressSet) -> tuple[str]:
    return (declare_set(addresses),)


class Elements(NamedTuple):
    """Elements of a set, or of a map as `key : data`."""

    name: str
    values: list[str]
    family: str = "inet"

    def commands(self, verb: str) -> Iterator[str]:
        """Add or delete them all, each command small enough for an ordinary user's socket buffer."""
        for start in range(0, len(self.values), CHUNK):
            some = ", ".join(self.values[start : start + CHUNK])
            yield f"{verb} element {self.family} {TABLE} {self.name} {{ {some} }}"


def members(state: NodeState) -> Iterator[Elements]:
    """What the sets and maps of the skeleton hold, with the dispatch maps last."""
    if state.loadbalancer is not None:
        yield from services(state.loadbalancer.virtuals)
        yield from choices(state.loadbalancer.virtuals)
    yield from own_members(state)


def own_members(state: NodeState) -> Iterator[Elements]:
    """Of these, what no other Host has: all but Services."""
    if state.loadbalancer is not None:
        yield from _hairpins(state.loadbalancer)
    yield from _interfaces(state)
    for port in state.ports:
        yield from admit(port)
    yield from dispatch(state)


def dispatch(state: NodeState) -> Iterator[Elements]:
    """The maps without which every packet of a workload is dropped."""
    firewall = state.firewall or Firewall()
    for name, entries in (("egress", firewall.egress), ("ingress", firewall.ingress)):
        for family in (4, 6):
            mine = (e for e in entries if family_of(e.address) == family)
            yield Elements(f"{name}{family}", [f"{e.zone} . {e.address} : jump {e.profile}" for e in mine])


def define_set(addresses: AddressSet) -> Iterator[str]:
    """A group's set with its elements."""
    yield declare_set(addresses)
    yield from group_members(addresses).commands("add")


def declare_set(addresses: AddressSet) -> str:
    """A group's set, empty."""
    side = "ip" if addresses.family == 4 else "ip6"
    return f"add set inet {TABLE} {addresses.name} {{ typeof ct zone . {side} saddr; }}"


def group_members(addresses: AddressSet) -> Elements:
    """The elements of a group's set."""
    return Elements(addresses.name, [f"{zone} . {address}" for zone, address in addresses.elements])


def define_chain(chain: Chain, direction: str = "") -> Iterator[str]:
    """A tier's rules; the chain is made, or emptied, first."""
    yield f"add chain inet {TABLE} {chain.name}"
    yield f"flush chain inet {TABLE} {chain.name}"
    for rule in chain.rules:
        if rule.stateless:
            yield f"add rule inet {TABLE} {chain.name} {_unremembered(rule)}"
        yield f"add rule inet {TABLE} {chain.name} {rule_text(rule)}"


def define_profile(profile: ProfileChain) -> Iterator[str]:
    """Jumps to the tiers, then the default."""
    yield f"add chain inet {TABLE} {profile.name}"
    yield f"flush chain inet {TABLE} {profile.name}"
    for tier in profile.tiers:
        yield f"add rule inet {TABLE} {profile.name} jump {tier}"
    yield f"add rule inet {TABLE} {profile.name} {_decide(Action.ALLOW, profile.default)}"


def rule_text(rule: FirewallRule) -> str:
    """One rule: matches, then the decision. The other side of an egress rule is the destination."""
    return " ".join([*_matches(rule), _decide(rule.action, rule.origin)])


def _unremembered(rule: FirewallRule) -> str:
    """What marks a connection that a stateless rule allows; answers never are what begins one."""
    bit = STATELESS[_direction(rule)]
    return " ".join(["ct direction original", *_matches(rule), f"ct mark set ct mark or {bit:#x}"])


def _direction(rule: FirewallRule) -> Direction:
    return Direction.EGRESS if rule.origin.startswith("egress") else Direction.INGRESS


def _matches(rule: FirewallRule) -> Iterator[str]:
    side = "daddr" if _direction(rule) is Direction.EGRESS else "saddr"
    # To compare a port costs less than to look an address up, and most rules of a tier differ in their ports.
    yield from _service(rule)
    yield from _peer(rule, side)


def _peer(rule: FirewallRule, side: str) -> Iterator[str]:
    ip = {0: "", 4: "ip", 6: "ip6"}[rule.family]
    if rule.set:
        yield f"ct zone . {ip} {side} @{rule.set}"
    if rule.block:
        yield f"{ip} {side} {rule.block}"
        if rule.excepts:
            yield f"{ip} {side} != {{ {', '.join(rule.excepts)} }}"
    if rule.blocks:
        yield f"{ip} {side} {{ {', '.join(rule.blocks)} }}"
    # A set lookup that is turned round holds for every address that is not an element, whoever has it.
    if rule.not_set:
        yield f"ct zone . {ip} {side} != @{rule.not_set}"
    if rule.not_blocks:
        yield f"{ip} {side} != {{ {', '.join(rule.not_blocks)} }}"
    if rule.family and not (rule.set or rule.block or rule.blocks or rule.not_set or rule.not_blocks):
        yield f"meta nfproto ipv{rule.family}"


def _service(rule: FirewallRule) -> Iterator[str]:
    if rule.protocol is None:
        return
    if rule.protocol is Protocol.ICMP:
        # Answers come here only where the question was not remembered.
        yield f"{'icmp' if rule.family == 4 else 'icmpv6'} type {{ echo-request, echo-reply }}"
    elif not rule.ports:
        yield f"meta l4proto {rule.protocol}"
    else:
        ranges = [f"{low}" if low == high else f"{low}-{high}" for low, high in rule.ports]
        # A set of its own for one port would cost the kernel more than the rule.
        yield f"{rule.protocol} dport " + (ranges[0] if len(ranges) == 1 else f"{{ {', '.join(ranges)} }}")


def _decide(action: Action, origin: str) -> str:
    comment = f'comment "{origin}"'
    log = f'counter log group {LOG_GROUP} prefix "{origin}"'
    match action:
        case Action.ALLOW:
            return f"{log} accept {comment}"
        case Action.DENY:
            return f"{log} drop {comment}"
        case Action.REJECT:
            return f"{log} reject with icmpx admin-prohibited {comment}"
        case Action.PASS:
            return f"counter return {comment}"


def _interfaces(state: NodeState) -> Iterator[Elements]:
    yield Elements("marks", [f'"{i.name}" : {i.mark:#x}' for i in state.interfaces])
    zones = {mark: i.zone for i in state.interfaces for mark in (i.mark, i.mark | LOCAL)}
    yield Elements("zones", [f"{mark:#x} : {zone}" for mark, zone in sorted(zones.items())])
    marks = {interface.name: interface.mark for interface in state.interfaces}
    bridged = [link for link in state.links if isinstance(link, Vxlan) and link.bridge]
    yield Elements("marks", [f'"{link.name}" : {marks[link.bridge]:#x}' for link in bridged], "bridge")


def admit(port: Port) -> Iterator[Elements]:
    """Let a workload's port send, under its own addresses only, and be reached by its Host."""
    family = "bridge" if port.bridge else "inet"
    plain = port.plain
    mark = f"{port.mark | LOCAL:#x}"
    yield Elements("marks", [f'"{port.name}" : {mark}'], family)
    for version in (4, 6):
        own = [f'"{port.name}" . {port.mac} . {address} : {mark}' for address in plain if family_of(address) == version]
        yield Elements(f"owners{version}", own, family)
        reached = [f"{port.mark:#x} . {address}" for address in plain if family_of(address) == version]
        yield Elements(f"own{version}", reached)
        if version == 4 and not port.bridge:
            yield Elements("owners4", own, "arp")
    if port.bridge:
        targets = [f'"{port.name}" . {_hex(address)}' for address in plain if family_of(address) == 6]
        yield Elements("targets6", targets, family)
    else:
        yield Elements("routed", [f'"{port.name}"'], "arp")


def services(all_virtuals: Sequence[Virtual]) -> Iterator[Elements]:
    """Services with their numbers of backends, and the backends; most Hosts have the same."""
    for family in (4, 6):
        mine = [v for v in all_virtuals if family_of(v.address) == family]
        yield Elements(f"nobody{family}", [_client_key(v) for v in mine if not v.backends])
        virtuals = [v for v in mine if v.backends]
        for protocol in BALANCED:
            yield Elements(
                f"backends{family}_{protocol}",
                [
                    f"{v.mark | LOCAL:#x} . {v.address} . {v.port} . {index} : {backend.address} . {backend.port}"
                    for v in virtuals
                    if v.protocol is protocol
                    for index, backend in enumerate(v.backends)
                ],
            )
        yield Elements(f"services{family}", [f"{_client_key(v)} : {len(v.backends)}" for v in virtuals])


def choices(all_virtuals: Iterable[Virtual]) -> Iterator[Elements]:
    """Which chain chooses among so many backends."""
    for family in (4, 6):
        mine = [one for one in sizes(all_virtuals) if one[0] == family]
        yield Elements(f"balancers{family}", [f"{one[1]} . {one[2]} : goto {balancer_name(*one)}" for one in mine])


def _hairpins(loadbalancer: LoadBalancer) -> Iterator[Elements]:
    for family in (4, 6):
        hairpin = [one for one in loadbalancer.hairpin if family_of(one[1]) == family]
        yield Elements(f"hairpin{family}", [f"{zone} . {own} . {own} : {gateway}" for zone, own, gateway, _ in hairpin])
        yield Elements(
            f"unjudged{family}", [f"{zone} . {own} . {own}" for zone, own, _, judged in hairpin if not judged]
        )


def balancers(state: NodeState) -> list[tuple[int, Protocol, int]]:
    """One chain for each (family, protocol, number of backends), not for each Service: few rules, all else is elements
    of maps."""
    return sizes(state.loadbalancer.virtuals) if state.loadbalancer is not None else []


def translates(state: NodeState) -> bool:
    """Whether it has a Service that leads anywhere."""
    return state.loadbalancer is not None and any(one.backends for one in state.loadbalancer.virtuals)


def sizes(all_virtuals: Iterable[Virtual]) -> list[tuple[int, Protocol, int]]:
    """(family, protocol, number of backends) of those that have any."""
    return sorted({(family_of(v.address), v.protocol, len(v.backends)) for v in all_virtuals if v.backends})


def define_balancer(family: int, protocol: Protocol, count: int) -> Iterator[str]:
    """Choose one of `count` backends."""
    ip, chain = "ip" if family == 4 else "ip6", balancer_name(family, protocol, count)
    yield f"add chain inet {TABLE} {chain}"
    yield f"flush chain inet {TABLE} {chain}"
    choose = f"meta mark . {ip} daddr . {protocol} dport . numgen random mod {count} map @backends{family}_{protocol}"
    yield f"add rule inet {TABLE} {chain} meta priority set none"
    yield f"add rule inet {TABLE} {chain} meta l4proto {protocol} dnat {ip} to {choose}"


def _client_key(virtual: Virtual) -> str:
    """A Service port as the workloads of one Application on this Host address it."""
    return f"{virtual.mark | LOCAL:#x} . {virtual.address} . {virtual.protocol} . {virtual.port}"


def remove_chain(name: str) -> Iterator[str]:
    """A chain to which nothing leads any more."""
    yield f"flush chain inet {TABLE} {name}"
    yield f"delete chain inet {TABLE} {name}"


def balancer_name(family: int, protocol: Protocol, count: int) -> str:
    """The chain that chooses among so many backends."""
    return f"b{family}_{protocol}_{count}"


def _hex(address: str) -> str:
    return f"{int(IPv6Address(address)):#x}"

"""Messages for addresses, routes, policy rules, neighbours and forwarding entries.

Each takes `remove`: the same object, taken away, and already gone is success. Prefixes are `address/length`; links
are given by index. Routes, rules and neighbours carry our protocol number.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from msgspec import Struct as Value

from sdn.kernel.links import AF_BRIDGE
from sdn.kernel.messages import ABSENT, NEW, PUT, REQUEST, Message, family, mac, packed, raw, split_prefix, u8, u32
from sdn.kernel.owned import PROTOCOL

NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
NEWRULE, DELRULE, GETRULE = 32, 33, 34

IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8
IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x02, 0x200
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH, RTA_TABLE, RTA_VIA = 1, 4, 5, 6, 9, 15, 18
RTNH_ONLINK = 4
NDA_DST, NDA_LLADDR, NDA_MASTER, NDA_PROTOCOL = 1, 2, 9, 12
NUD_REACHABLE, NUD_STALE, NUD_NOARP, NUD_PERMANENT = 0x02, 0x04, 0x40, 0x80
NTF_SELF, NTF_MASTER = 0x02, 0x04
FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_PROTOCOL = 6, 10, 15, 16, 21
FR_ACT_TO_TBL = 1

ROUTE_KINDS = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8}
SCOPE_UNIVERSE, SCOPE_LINK, SCOPE_HOST, SCOPE_NOWHERE = 0, 253, 254, 255
LOCAL_TABLE = 255

_IFADDR = Struct("=BBBBI").pack  # family, prefix length, flags, scope, index
_RTMSG = Struct("=BBBBBBBBI").pack  # family, dst len, src len, tos, table, protocol, scope, type, flags
_NEXTHOP = Struct("=HBBi").pack  # length, flags, hops, index
_NDMSG = Struct("=BxxxiHBB").pack  # family, index, state, flags, type
_RULE = Struct("=BBBBBxxBI").pack  # family, dst len, src len, tos, table, action, flags
_FAMILY = Struct("=H").pack


class Hop(Value, frozen=True, order=True):
    """A next hop: the link to leave by, and `via` whom (empty: the destination is on the link itself).

    `via` may be an IPv6 address for an IPv4 route. `onlink` takes `via` on trust, whatever
    addresses the link has.
    """

    index: int
    via: str = ""
    onlink: bool = False


def address(index: int, prefix: str, *, prefix_route: bool = False, remove: bool = False) -> Message:
    """An address, without duplicate detection (which slows large bridges) and, unless asked for, without a route."""
    data, length = split_prefix(prefix)
    flags = IFA_F_NODAD | (0 if prefix_route else IFA_F_NOPREFIXROUTE)
    body = _IFADDR(family(prefix), length, 0, 0, index) + raw(IFA_LOCAL, data) + raw(IFA_ADDRESS, data)
    if remove:
        return Message(DELADDR, REQUEST, body, f"remove address {prefix}", ABSENT)
    return Message(NEWADDR, NEW, body + u32(IFA_FLAGS, flags), f"add address {prefix} to link {index}")


def _gateway(via: str, of: int) -> bytes:
    via_family = family(via)
    if via_family == of:
        return raw(RTA_GATEWAY, packed(via))
    return raw(RTA_VIA, _FAMILY(via_family) + packed(via))


def _multipath(hops: Sequence[Hop], of: int) -> bytes:
    parts = []
    for hop in hops:
        gateway = _gateway(hop.via, of) if hop.via else b""
        parts.append(_NEXTHOP(8 + len(gateway), RTNH_ONLINK if hop.onlink else 0, 0, hop.index) + gateway)
    return raw(RTA_MULTIPATH, b"".join(parts))


def _scope(kind: str, hops: Sequence[Hop], of: int) -> int:
    # IPv6 has no scopes; IPv4 refuses a gateway in link scope and a directly connected route in none.
    if of != 2 or kind in ("unreachable", "blackhole", "prohibit"):
        return SCOPE_UNIVERSE
    if kind == "local":
        return SCOPE_HOST
    return SCOPE_UNIVERSE if any(hop.via for hop in hops) else SCOPE_LINK


def route(
    prefix: str, hops: Sequence[Hop] = (), *, table: int = 254, kind: str = "unicast", metric: int = 0
) -> Message:
    """A route; several hops share the traffic by flow. It replaces one of equal prefix, table and metric."""
    data, length = split_prefix(prefix)
    of = family(prefix)
    flags = RTNH_ONLINK if len(hops) == 1 and hops[0].onlink else 0
    body = _RTMSG(of, length, 0, 0, 0, PROTOCOL, _scope(kind, hops, of), ROUTE_KINDS[kind], flags)
    body += raw(RTA_DST, data) + u32(RTA_TABLE, table)
    if metric:
        body += u32(RTA_PRIORITY, metric)
    if len(hops) == 1:
        body += u32(RTA_OIF, hops[0].index) + (_gateway(hops[0].via, of) if hops[0].via else b"")
    elif hops:
        body += _multipath(hops, of)
    return Message(NEWROUTE, PUT, body, f"add {kind} route {prefix} to table {table}")


def lookup(address: str) -> tuple[int, bytes]:
    """Type and body of the question where packets to an address would go, as `Netlink.one` asks it."""
    data = packed(address)
    return GETROUTE, _RTMSG(family(address), len(data) * 8, 0, 0, 0, 0, 0, 0, 0) + raw(RTA_DST, data)


def delete_route(prefix: str, *, table: int = 254, metric: int = 0) -> Message:
    """Remove a route with all of its next hops, of whatever kind; already gone is success."""
    data, length = split_prefix(prefix)
    body = _RTMSG(family(prefix), length, 0, 0, 0, 0, SCOPE_NOWHERE, 0, 0) + raw(RTA_DST, data) + u32(RTA_TABLE, table)
    if metric:
        body += u32(RTA_PRIORITY, metric)
    return Message(DELROUTE, REQUEST, body, f"remove route {prefix} from table {table}", ABSENT)


class Rule(Value, frozen=True, order=True):
    """Packets whose mark under `mask` is `mark` (both 0: all packets) look up `table`; lower priority first."""

    priority: int
    table: int
    mark: int = 0
    mask: int = 0


def rule(ip: int, rule: Rule, *, remove: bool = False) -> Message:
    """A policy rule for IP family `ip` (4 or 6). Removing matches any protocol, so it also takes away the kernel's own
    rule for table local (priority 0), after it was added at another priority."""
    of = 2 if ip == 4 else 10
    body = _RULE(of, 0, 0, 0, 0, FR_ACT_TO_TBL, 0) + u32(FRA_PRIORITY, rule.priority) + u32(FRA_TABLE, rule.table)
    if rule.mask:
        body += u32(FRA_FWMARK, rule.mark) + u32(FRA_FWMASK, rule.mask)
    what = f"IPv{ip} rule {rule.priority} for table {rule.table}"
    if remove:
        return Message(DELRULE, REQUEST, body, f"remove {what}", ABSENT)
    return Message(NEWRULE, NEW, body + u8(FRA_PROTOCOL, PROTOCOL), f"add {what}")


def neighbour(index: int, ip: str, mac_address: str = "", *, remove: bool = False) -> Message:
    """A permanent neighbour: never asked for, never aged, and not counted against the machine's table size."""
    head = _NDMSG(family(ip), index, NUD_PERMANENT, 0, 0) + raw(NDA_DST, packed(ip))
    if remove:
        return Message(DELNEIGH, REQUEST, head, f"remove neighbour {ip} of link {index}", ABSENT)
    body = head + raw(NDA_LLADDR, mac(mac_address)) + u8(NDA_PROTOCOL, PROTOCOL)
    return Message(NEWNEIGH, PUT, body, f"add neighbour {ip} to link {index}")


def learnt(index: int, ip: str, mac_address: str, *, kept: bool) -> Message:
    """A neighbour that the kernel has found by itself: `kept` whatever becomes of the link, or to be asked again."""
    state = NUD_PERMANENT if kept else NUD_STALE
    body = _NDMSG(family(ip), index, state, 0, 0) + raw(NDA_DST, packed(ip)) + raw(NDA_LLADDR, mac(mac_address))
    return Message(NEWNEIGH, PUT, body, f"keep neighbour {ip} of link {index}")


def fdb(index: int, mac_address: str, *, dst: str = "", bridged: bool = True, remove: bool = False) -> Message:
    """A static forwarding entry. `dst` makes it a tunnel end's, towards that remote tunnel end.

    `bridged`: the link is a bridge's port, and the bridge above it learns the same. One of the two must be so.
    """
    flags = (NTF_SELF if dst else 0) | (NTF_MASTER if bridged else 0)
    # A bridge takes "permanent" for an address of its own; no-ARP with reachable is static for bridge and tunnel alike.
    body = _NDMSG(AF_BRIDGE, index, NUD_NOARP | NUD_REACHABLE, flags, 0) + raw(NDA_LLADDR, mac(mac_address))
    if dst:
        body += raw(NDA_DST, packed(dst))
    if remove:
        return Message(DELNEIGH, REQUEST, body, f"remove forwarding entry {mac_address} of link {index}", ABSENT)
    return Message(NEWNEIGH, PUT, body, f"add forwarding entry {mac_address} to link {index}")

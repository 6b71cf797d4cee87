"""What the kernel answers when it lists its tables, decoded into plain values. Times, counters and states that change
on their own are left out, so that two readings of an idle namespace are equal."""

from __future__ import annotations

import sys
from struct import Struct as Format

from msgspec import Struct

from sdn.kernel import links, routing
from sdn.kernel.messages import attributes, unpacked

_IFINFO = Format("=BxHiII")
_IFADDR = Format("=BBBBI")
_RTMSG = Format("=BBBBBBBBI")
_NEXTHOP = Format("=HBBi")
_NDMSG = Format("=BxxxiHBB")
_RULE = Format("=BBBBBxxBI")
UNSAID_METRIC6 = 1024
"""What the kernel gives an IPv6 route for which no metric was said."""
_NOWHERE = frozenset(routing.ROUTE_KINDS[kind] for kind in ("blackhole", "unreachable", "prohibit"))
_KINDS = {number: name for name, number in routing.ROUTE_KINDS.items()} | {3: "broadcast", 4: "anycast", 5: "multicast"}


class Link(Struct, frozen=True, order=True):
    """`kind` is `veth`, `bridge`, `vxlan` ... or empty. `port` holds the flags of a bridge's port, `master` its bridge.

    `peer` is the other end's index (of a veth), in its own namespace. `vni` and `local` are a tunnel end's.
    """

    index: int
    name: str
    mac: str
    mtu: int
    up: bool
    alias: str = ""
    kind: str = ""
    master: int = 0
    peer: int = 0
    vni: int = 0
    local: str = ""
    group: int = 0
    port: links.PortFlags | None = None


class Address(Struct, frozen=True, order=True):
    """`prefix` is `address/length`."""

    index: int
    prefix: str


class Route(Struct, frozen=True, order=True):
    """`protocol` tells whose it is: `owned.PROTOCOL` is ours, 2 the kernel's own."""

    table: int
    prefix: str
    kind: str
    hops: tuple[routing.Hop, ...] = ()
    metric: int = 0
    protocol: int = 0


class Rule(Struct, frozen=True, order=True):
    """`family` is 4 or 6."""

    family: int
    priority: int
    table: int
    mark: int = 0
    mask: int = 0
    protocol: int = 0


class Neighbour(Struct, frozen=True, order=True):
    """`mac` is empty where it is not known (yet); where it is `computed`, as of a multicast group, nobody was asked."""

    index: int
    address: str
    mac: str
    permanent: bool
    protocol: int = 0
    computed: bool = False


class FdbEntry(Struct, frozen=True, order=True):
    """`dst` is the remote tunnel end of an entry of a tunnel end; `bridge` the index of the bridge of all others."""

    index: int
    mac: str
    dst: str = ""
    bridge: int = 0
    static: bool = False
    local: bool = False


def _word(data: memoryview | None) -> int:
    return int.from_bytes(data, sys.byteorder) if data is not None else 0


def _text(data: memoryview | None) -> str:
    return bytes(data).rstrip(b"\0").decode(errors="replace") if data is not None else ""


def _mac(data: memoryview | None) -> str:
    return bytes(data).hex(":") if data is not None and len(data) == 6 else ""


def _ip(data: memoryview | None) -> str:
    return unpacked(bytes(data)) if data is not None and len(data) in (4, 16) else ""


def link(data: memoryview) -> Link:
    """Decode one RTM_NEWLINK."""
    _, _, index, flags, _ = _IFINFO.unpack_from(data)
    found = attributes(data[16:])
    info = attributes(found[links.LINKINFO]) if links.LINKINFO in found else {}
    kind = _text(info.get(links.INFO_KIND))
    specific = attributes(info[links.INFO_DATA]) if kind == "vxlan" and links.INFO_DATA in info else {}
    return Link(
        index=index,
        name=_text(found.get(links.IFNAME)),
        mac=_mac(found.get(links.ADDRESS)),
        mtu=_word(found.get(links.MTU)),
        up=bool(flags & links.IFF_UP),
        alias=_text(found.get(links.IFALIAS)),
        kind=kind,
        master=_word(found.get(links.MASTER)),
        group=_word(found.get(links.GROUP)),
        peer=_word(found.get(links.LINK)) if kind == "veth" else 0,
        vni=_word(specific.get(links.VX_ID)),
        local=_ip(specific.get(links.VX_LOCAL, specific.get(links.VX_LOCAL6))),
        port=_port(info),
    )


def _port(info: dict[int, memoryview]) -> links.PortFlags | None:
    if _text(info.get(links.INFO_SLAVE_KIND)) != "bridge" or links.INFO_SLAVE_DATA not in info:
        return None
    found = attributes(info[links.INFO_SLAVE_DATA])
    numbers = (
        links.PORT_LEARNING,
        links.PORT_FLOOD,
        links.PORT_MCAST_FLOOD,
        links.PORT_BCAST_FLOOD,
        links.PORT_NEIGH_SUPPRESS,
        links.PORT_ISOLATED,
        links.PORT_MODE,
    )
    return links.PortFlags(*(bool(_word(found.get(number))) for number in numbers))


def address(data: memoryview) -> Address:
    """Decode one RTM_NEWADDR."""
    _, length, _, _, index = _IFADDR.unpack_from(data)
    found = attributes(data[8:])
    own = found.get(routing.IFA_LOCAL, found.get(routing.IFA_ADDRESS))
    return Address(index=index, prefix=f"{_ip(own)}/{length}")


def route(data: memoryview) -> Route:
    """Decode one RTM_NEWROUTE."""
    family, length, _, _, small_table, protocol, _, kind, flags = _RTMSG.unpack_from(data)
    found = attributes(data[12:])
    prefix = _ip(found.get(routing.RTA_DST)) or ("::" if family == links.AF_INET6 else "0.0.0.0")
    metric = _word(found.get(routing.RTA_PRIORITY))
    if kind in _NOWHERE:
        hops: tuple[routing.Hop, ...] = ()  # IPv6 shows these on `lo`
    elif routing.RTA_MULTIPATH in found:
        hops = _hops(found[routing.RTA_MULTIPATH])
    elif routing.RTA_OIF in found:
        hops = (_hop(_word(found[routing.RTA_OIF]), flags, found),)
    else:
        hops = ()
    return Route(
        table=_word(found.get(routing.RTA_TABLE)) or small_table,
        prefix=f"{prefix}/{length}",
        kind=_KINDS.get(kind, str(kind)),
        hops=hops,
        metric=0 if metric == UNSAID_METRIC6 and family == links.AF_INET6 else metric,
        protocol=protocol,
    )


def _hop(index: int, flags: int, found: dict[int, memoryview]) -> routing.Hop:
    via = found.get(routing.RTA_GATEWAY)
    if via is None and routing.RTA_VIA in found:
        via = found[routing.RTA_VIA][2:]
    return routing.Hop(index, _ip(via), bool(flags & routing.RTNH_ONLINK))


def _hops(data: memoryview) -> tuple[routing.Hop, ...]:
    hops = []
    at = 0
    while at + 8 <= len(data):
        size, flags, _, index = _NEXTHOP.unpack_from(data, at)
        if size < 8:
            break
        hops.append(_hop(index, flags, attributes(data[at + 8 : at + size])))
        at += size + 3 & ~3
    return tuple(sorted(hops))


def rule(data: memoryview) -> Rule:
    """Decode one RTM_NEWRULE."""
    family, _, _, _, small_table, _, _ = _RULE.unpack_from(data)
    found = attributes(data[12:])
    return Rule(
        family=6 if family == links.AF_INET6 else 4,
        priority=_word(found.get(routing.FRA_PRIORITY)),
        table=_word(found.get(routing.FRA_TABLE)) or small_table,
        mark=_word(found.get(routing.FRA_FWMARK)),
        mask=_word(found.get(routing.FRA_FWMASK)),
        protocol=_word(found.get(routing.FRA_PROTOCOL)),
    )


def neighbour(data: memoryview) -> Neighbour:
    """Decode one RTM_NEWNEIGH of an IP family."""
    _, index, state, _, _ = _NDMSG.unpack_from(data)
    found = attributes(data[12:])
    return Neighbour(
        index=index,
        address=_ip(found.get(routing.NDA_DST)),
        mac=_mac(found.get(routing.NDA_LLADDR)),
        permanent=bool(state & routing.NUD_PERMANENT),
        protocol=_word(found.get(routing.NDA_PROTOCOL)),
        computed=bool(state & routing.NUD_NOARP),
    )


def fdb(data: memoryview) -> FdbEntry:
    """Decode one RTM_NEWNEIGH of the bridge family."""
    _, index, state, flags, _ = _NDMSG.unpack_from(data)
    found = attributes(data[12:])
    tunnel = bool(flags & routing.NTF_SELF)
    return FdbEntry(
        index=index,
        mac=_mac(found.get(routing.NDA_LLADDR)),
        dst=_ip(found.get(routing.NDA_DST)) if tunnel else "",
        bridge=_word(found.get(routing.NDA_MASTER)),
        static=bool(state & routing.NUD_NOARP),
        local=bool(state & routing.NUD_PERMANENT),
    )

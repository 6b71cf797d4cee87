"""Messages that make, change and remove links. The kernel numbers of linux/if_link.h stay in this file.

Whoever creates a link chooses its index, so that one send can create it and give it addresses, routes and neighbours.
Two facts shape the calls: a veth's peer cannot be created up, and the kernel ignores aliases and IPv6 address modes
in the message that creates a link; so a link is made, then changed (`set_link`), then brought up by a second change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

from msgspec import Struct as Value

from sdn.kernel.messages import ABSENT, NEW, REQUEST, Message, be16, mac, nest, packed, raw, text, u8, u32

NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
AF_BRIDGE, AF_INET6, AF_UNSPEC = 7, 10, 0
IFF_UP = 1

ADDRESS, IFNAME, MTU, LINK, MASTER, PROTINFO, OPERSTATE, LINKINFO, IFALIAS, AF_SPEC, GROUP, NET_NS_FD, EXT_MASK = (
    1, 3, 4, 5, 10, 12, 16, 18, 20, 26, 27, 28, 29,
)  # fmt: skip
TX_QUEUES, RX_QUEUES = 31, 32
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
VETH_PEER = 1
BR_AGEING, BR_STP, BR_MCAST_SNOOPING = 4, 5, 23
VX_ID, VX_LOCAL, VX_TTL, VX_TOS, VX_LEARNING = 1, 4, 5, 6, 7
VX_PORT, VX_LOCAL6, VX_UDP_CSUM, VX_ZERO_CSUM6_TX, VX_ZERO_CSUM6_RX, VX_DF = 15, 17, 18, 19, 20, 29
PORT_MODE, PORT_LEARNING, PORT_FLOOD, PORT_MCAST_FLOOD, PORT_BCAST_FLOOD = 4, 8, 9, 27, 30
PORT_NEIGH_SUPPRESS, PORT_ISOLATED = 32, 33
INET6_ADDR_GEN_MODE, ADDR_GEN_NONE = 8, 1

VXLAN_TTL = 64
DOOMED = 0x5D
"""The group of links that are about to be deleted together; no link stays in it."""

_IFINFO = Struct("=BxHiII").pack  # family, type, index, flags, change
_CREATE = _IFINFO(AF_UNSPEC, 0, 0, 0, 0)
_ONE_QUEUE = u32(TX_QUEUES, 1) + u32(RX_QUEUES, 1)
"""A veth uses one queue, but has one for each processor, and the kernel waits for all of them to give up the others."""

_NO_LINK_LOCAL = nest(AF_SPEC, nest(AF_INET6, u8(INET6_ADDR_GEN_MODE, ADDR_GEN_NONE)))


class Device(Value, frozen=True):
    """A link that is to be made. `index` 0 lets the kernel choose, `mtu` 0 and `mac` empty too.

    `netns` is an open descriptor of the namespace where it shall appear, -1 for the socket's own.
    """

    name: str
    index: int = 0
    mac: str = ""
    mtu: int = 0
    netns: int = -1


def _device(device: Device) -> bytes:
    body = (_IFINFO(AF_UNSPEC, 0, device.index, 0, 0) if device.index else _CREATE) + text(IFNAME, device.name)
    if device.mac:
        body += raw(ADDRESS, mac(device.mac))
    if device.mtu:
        body += u32(MTU, device.mtu)
    if device.netns >= 0:
        body += u32(NET_NS_FD, device.netns)
    return body


def _create(device: Device, kind: str, data: bytes, further: bytes = b"") -> Message:
    info = text(INFO_KIND, kind) + (nest(INFO_DATA, data) if data else b"")
    return Message(NEWLINK, NEW, _device(device) + further + nest(LINKINFO, info), f"create {kind} {device.name}")


def veth(end: Device, peer: Device) -> Message:
    """A cable between two namespaces, both ends down. The kernel heeds the peer's index only if `end` has one, too."""
    return _create(end, "veth", nest(VETH_PEER, _device(peer) + _ONE_QUEUE), _ONE_QUEUE)


def bridge(device: Device, ageing: int = 0) -> Message:
    """A bridge without spanning tree and multicast snooping; `ageing` in seconds, 0: it learns nothing."""
    data = u32(BR_AGEING, ageing * 100) + u32(BR_STP, 0) + u8(BR_MCAST_SNOOPING, 0)
    return _create(device, "bridge", data)


def vxlan(device: Device, vni: int, local: str, port: int = 4789) -> Message:
    """A tunnel end without learning and without a default destination: only FDB entries send anything.

    Outer UDP checksums are off for both families, as hardware tunnel ends have them.
    """
    data = u32(VX_ID, vni) + be16(VX_PORT, port) + u8(VX_LEARNING, 0) + u8(VX_TTL, VXLAN_TTL)
    if ":" in local:
        data += raw(VX_LOCAL6, packed(local)) + u8(VX_ZERO_CSUM6_TX, 1) + u8(VX_ZERO_CSUM6_RX, 1)
    else:
        data += raw(VX_LOCAL, packed(local)) + u8(VX_UDP_CSUM, 0)
    return _create(device, "vxlan", data)


def set_link(
    index: int,
    *,
    master: int = -1,
    mtu: int = 0,
    mac_address: str = "",
    alias: str = "",
    group: int = 0,
    link_local: bool = True,
) -> Message:
    """Change a link that exists. `master` 0 releases it from its bridge.

    `link_local` False keeps IPv6 from inventing an address; it must come before the link is up.
    """
    body = _IFINFO(AF_UNSPEC, 0, index, 0, 0)
    if master >= 0:
        body += u32(MASTER, master)
    if mtu:
        body += u32(MTU, mtu)
    if mac_address:
        body += raw(ADDRESS, mac(mac_address))
    if alias:
        body += text(IFALIAS, alias)
    if group:
        body += u32(GROUP, group)
    if not link_local:
        body += _NO_LINK_LOCAL
    return Message(NEWLINK, REQUEST, body, f"change link {index} ({alias or 'no alias'})")


def set_up(index: int, up: bool = True) -> Message:
    """Bring a link up or down."""
    body = _IFINFO(AF_UNSPEC, 0, index, IFF_UP if up else 0, IFF_UP)
    return Message(NEWLINK, REQUEST, body, f"set link {index} {'up' if up else 'down'}")


def shut(name: str) -> Message:
    """Bring a link down that is not to come up again; already gone is success."""
    body = _IFINFO(AF_UNSPEC, 0, 0, 0, IFF_UP) + text(IFNAME, name)
    return Message(NEWLINK, REQUEST, body, f"set link {name} down", ABSENT)


def move_link(index: int, netns: int, name: str = "") -> Message:
    """Put a link into the namespace behind the open descriptor `netns`, down, under a new name if one is given."""
    body = _IFINFO(AF_UNSPEC, 0, index, 0, 0) + u32(NET_NS_FD, netns) + (text(IFNAME, name) if name else b"")
    return Message(NEWLINK, REQUEST, body, f"move link {index} {name}".rstrip())


def delete_link(name: str) -> Message:
    """Remove a link, and with a veth its peer; already gone is success."""
    return Message(DELLINK, REQUEST, _CREATE + text(IFNAME, name), f"delete link {name}", ABSENT)


def delete_links(names: Iterable[str]) -> Iterator[Message]:
    """Remove several links at once, which takes the kernel as long as one; already gone is success."""
    wanted = [text(IFNAME, name) + u32(GROUP, DOOMED) for name in names]
    yield from (Message(NEWLINK, REQUEST, _CREATE + body, "mark a link for deletion", ABSENT) for body in wanted)
    if wanted:
        yield Message(DELLINK, REQUEST, _CREATE + u32(GROUP, DOOMED), f"delete {len(wanted)} links", ABSENT)


class PortFlags(Value, frozen=True, order=True):
    """How a bridge treats one of its ports; the defaults are those of a segment that a controller fills."""

    learning: bool = False
    unicast_flood: bool = False
    multicast_flood: bool = True
    broadcast_flood: bool = True
    neigh_suppress: bool = False
    isolated: bool = False
    hairpin: bool = False  # a frame may leave by the port where it came in: a client behind a Service meets itself


def set_port(index: int, flags: PortFlags) -> Message:
    """Set all flags of a bridge's port."""
    data = (
        u8(PORT_MODE, flags.hairpin)
        + u8(PORT_LEARNING, flags.learning)
        + u8(PORT_FLOOD, flags.unicast_flood)
        + u8(PORT_MCAST_FLOOD, flags.multicast_flood)
        + u8(PORT_BCAST_FLOOD, flags.broadcast_flood)
        + u8(PORT_NEIGH_SUPPRESS, flags.neigh_suppress)
        + u8(PORT_ISOLATED, flags.isolated)
    )
    body = _IFINFO(AF_BRIDGE, 0, index, 0, 0) + nest(PROTINFO, data)
    return Message(SETLINK, REQUEST, body, f"set bridge port {index}")

"""The desired state of every Host, Switch and workload: plain values, picklable, comparable, printable.

These are the nouns that `kernel` builds, `trace` walks and `delta` compares. Every object has a key inside its
namespace, every tuple is sorted by it, so equal plans are equal bytes. Addresses are text, prefixes `address/length`.
The collector does not look at them (`gc=False`): a plan has millions, and plain values make no circle.
"""

from __future__ import annotations

from msgspec import Struct

from sdn.model import Action, Direction, Protocol

GATEWAY_MAC = "02:5d:00:00:00:01"
"""Every gateway on every Host has this address, so a workload that moves finds its gateway where it was."""

VXLAN_PORT = 4789
HEARTBEAT_PORT = 4788
"""UDP; Hosts hear one another by it while somebody asks which of them are there."""

LOCAL = 1 << 31
"""Bit of the packet mark that says: it came from a workload of this Host, not out of a tunnel."""

STATELESS = {Direction.EGRESS: 1, Direction.INGRESS: 2}
"""Bits of a connection's mark that say on which side a stateless rule allowed it."""

UPLINK_ROUTES = 254
"""The main routing table: the underlay's. Workloads' packets never look it up."""

NOWHERE = "nowhere"
"""The device of a Host to which every destination without a network is routed.

Egress is judged on the way there, and then the sender is told that there is no route. The kernel's own unreachable
routes would tell it, too, but five times and then once a second (net.ipv4.route.error_burst, which no lab may set).
"""

LOG_GROUP = 7
"""NFLOG group to which every deciding rule sends its origin; it costs nothing while nobody listens."""


class Veth(Struct, frozen=True, gc=False, tag="veth"):
    """One end of a cable of the underlay. The pair is made once, by the end whose node sorts first.

    It is not `up` where the cable or this node has failed; an end whose far node has failed is, but has no carrier.
    """

    name: str
    mac: str
    alias: str
    peer_node: str
    peer_name: str
    mtu: int = 9000
    bandwidth: int = 0  # Mbit/s, 0 is unlimited
    loss: int = 0  # percent
    delay: int = 0  # milliseconds
    up: bool = True


class Bridge(Struct, frozen=True, gc=False, tag="bridge"):
    """The part of an l2 Segment on this Host; carries the gateway's MAC and addresses."""

    name: str
    mac: str
    alias: str
    mtu: int
    addresses: tuple[str, ...]


class Vxlan(Struct, frozen=True, gc=False, tag="vxlan"):
    """The tunnel end of a Segment: port of `bridge` for an l2 Segment, routed by itself (`bridge` empty) otherwise."""

    name: str
    mac: str
    alias: str
    mtu: int
    vni: int
    local: str
    bridge: str = ""
    addresses: tuple[str, ...] = ()


class Sink(Struct, frozen=True, gc=False, tag="sink"):
    """A device behind which there is nothing, as NOWHERE: a cable of which one end is up and the other, `far`, never.

    Not a bridge: for each that goes, the kernel waits for all processors to have noticed, under its lock on links.
    """

    name: str
    far: str
    alias: str
    mtu: int
    addresses: tuple[str, ...] = ()


Link = Bridge | Vxlan | Sink


class Nexthop(Struct, frozen=True, gc=False, order=True):
    """`via` empty: directly on the link. `via` may be of the other family than the route's prefix."""

    dev: str
    via: str = ""
    onlink: bool = False


class Route(Struct, frozen=True, gc=False, order=True):
    """`kind` is `unicast`, `local` (the address is this node's own) or `unreachable`; several nexthops are ECMP."""

    table: int
    prefix: str
    nexthops: tuple[Nexthop, ...] = ()
    kind: str = "unicast"
    metric: int = 0


class MarkRule(Struct, frozen=True, gc=False, order=True):
    """Packets of one Application (mark without the LOCAL bit) look up one table, before any other table.

    They are its workloads', or the Host's own: who sends from the Host says by the mark which Application it means.
    """

    mark: int
    table: int
    family: int
    application: str = ""


class Neighbour(Struct, frozen=True, gc=False, order=True):
    """A permanent entry: `address` on `dev` is at `mac`."""

    dev: str
    address: str
    mac: str


class Fdb(Struct, frozen=True, gc=False, order=True):
    """A static forwarding entry. On a bridge's port `dst` is empty; on a tunnel end it is the remote VTEP, and the
    same entry is made in the bridge above it where there is one."""

    dev: str
    mac: str
    dst: str = ""


class Port(Struct, frozen=True, gc=False):
    """A workload's interface: `eth0` in its own namespace, `name` on the Host; port of `bridge`, or routed if empty.

    `addresses` carry their prefix length; `gateways` are default routes (onlink) with permanent neighbours at
    GATEWAY_MAC; `peers` are further permanent neighbours. `listens` is what its processes would listen on.
    """

    workload: str
    namespace: str  # name under /run/netns
    name: str
    mac: str
    mtu: int
    mark: int  # of its Application, without LOCAL
    zone: int
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    bridge: str = ""
    peers: tuple[tuple[str, str], ...] = ()
    listens: tuple[tuple[str, int], ...] = ()  # (protocol, port)
    command: tuple[str, ...] = ()

    @property
    def plain(self) -> list[str]:
        """Its addresses without their lengths."""
        return [address.partition("/")[0] for address in self.addresses]


class Interface(Struct, frozen=True, gc=False, order=True):
    """What the firewall knows of a device on which workloads' packets may enter: a bridge or a routed tunnel end."""

    name: str
    mark: int
    zone: int


class FirewallRule(Struct, frozen=True, gc=False):
    """One nft rule. `set` names an address set (of one family each, suffix `4` or `6` added by family) or is empty.

    With both a set and a block both must match. `not_set` and `not_blocks` are whom it does not mean: an address that
    is in neither matches, also one that nobody has. `family` 0: both (only without any of these). `block`, `excepts`,
    `blocks` (disjoint; one must match) and `not_blocks` are prefixes of `family`. `protocol` None: any; ICMP is echo of
    the rule's family. `action` pass returns to the chain above. A connection that a `stateless` rule allows has its
    answers judged, too.
    """

    origin: str
    action: Action
    family: int = 0
    set: str = ""
    block: str = ""
    excepts: tuple[str, ...] = ()
    protocol: Protocol | None = None
    ports: tuple[tuple[int, int], ...] = ()
    not_set: str = ""
    not_blocks: tuple[str, ...] = ()
    stateless: bool = False
    blocks: tuple[str, ...] = ()


class Chain(Struct, frozen=True, gc=False):
    """The rules of one tier, in order. Falling off the end, and `pass`, return to the profile that jumped here."""

    name: str
    rules: tuple[FirewallRule, ...]


class ProfileChain(Struct, frozen=True, gc=False):
    """Jumps to `tiers` in order; then `default` (allow, with its origin) decides."""

    name: str
    direction: Direction
    tiers: tuple[str, ...]
    default: str


class AddressSet(Struct, frozen=True, gc=False):
    """The workloads of one group, as (zone, address), for one family; only the zones that this Host has."""

    name: str
    family: int
    elements: tuple[tuple[int, str], ...]


class Dispatch(Struct, frozen=True, gc=False, order=True):
    """Which profile judges the packets of one local address."""

    zone: int
    address: str
    profile: str


class Firewall(Struct, frozen=True, gc=False):
    """The distributed firewall of one Host: only what its own endpoints need."""

    chains: tuple[Chain, ...] = ()
    profiles: tuple[ProfileChain, ...] = ()
    sets: tuple[AddressSet, ...] = ()
    egress: tuple[Dispatch, ...] = ()
    ingress: tuple[Dispatch, ...] = ()


class Backend(Struct, frozen=True, gc=False, order=True):
    """Where a Service's packets go."""

    address: str
    port: int
    workload: str


class Virtual(Struct, frozen=True, gc=False):
    """One Service address and port as the clients of one Application see it; without backends it is refused."""

    mark: int
    address: str
    protocol: Protocol
    port: int
    service: str
    backends: tuple[Backend, ...]


class LoadBalancer(Struct, frozen=True, gc=False):
    """The distributed load balancer of one Host: the Services of the Applications that have endpoints on it.

    `hairpin` are local addresses (zone, address) that are backends: a client that meets itself is masqueraded to
    the gateway in the third field. The fourth says whether policy judges it on the way.
    """

    virtuals: tuple[Virtual, ...] = ()
    hairpin: tuple[tuple[int, str, str, bool], ...] = ()


class NodeState(Struct, frozen=True, gc=False):
    """Everything in the namespace of one Host or Switch. Switches have neither ports, firewall nor load balancer."""

    name: str
    role: str  # host, leaf, spine, border
    loopback: tuple[str, ...]
    uplinks: tuple[Veth, ...] = ()
    links: tuple[Link, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    ports: tuple[Port, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[MarkRule, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    fdb: tuple[Fdb, ...] = ()
    firewall: Firewall | None = None
    loadbalancer: LoadBalancer | None = None


Plan = dict[str, NodeState]
"""Node name → state, in sorted order."""

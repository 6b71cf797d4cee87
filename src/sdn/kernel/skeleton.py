"""The tables that every Host of a lab has before anything is known of its workloads, in nft's language.

Three tables, all named `sdn`. `bridge` judges frames at the ports of l2 Segments (whose MAC, IP and ARP must be the
port's own) and marks them, `arp` does so for routed ports; `inet` does the rest: zones, Services, egress and ingress.
Their sets and maps are empty here, so everything is dropped; `ruleset` fills them.

nft's accept ends only its own base chain, so a flow is accepted twice: once leaving, once arriving.
"""

from __future__ import annotations

from collections.abc import Iterable

from sdn.kernel.owned import TABLE, UNDERLAY
from sdn.model import GATEWAY, HOST, NO_BACKEND, NO_PATH, SPOOFED, UNKNOWN, Direction
from sdn.plan.state import HEARTBEAT_PORT, LOCAL, LOG_GROUP, NOWHERE, STATELESS, VXLAN_PORT, Veth

CHATTER = "nobody routes multicast"
"""Linux announces its multicast groups from an address that is not the workload's; that is no spoofing."""

UNMARK = "the tunnel's own packet is routed by the underlay's table"
"""VXLAN looks its outer packet up with the mark of the inner one."""

ASTRAY = "the frame is for another than its packet"
"""Policy judges a packet's address, bridges forward by a frame's: whoever names two neighbours, or all, would be judged
as for the one and reach the other. So nothing but ARP and neighbour discovery is ever flooded."""

UNJUDGED = "judged nowhere"
"""What no rule of a receiver here has judged may leave through a tunnel, by a bridge, and reach no port. There are such
packets for a receiver that is here, too, while its rules change: the kernel has a packet see the old rules of every
chain or the new, but looks up in a map what is there now, so it may come to a chain that had no rules yet."""

BEFORE_DEFRAG = -450
"""Fragments are put together at -400, by addresses and zone: without the zone, those of two tenants would be mixed."""

UNROUTED = 255
"""Hop limit of neighbour discovery (RFC 4861); what was routed has less, and is judged like everything else."""

ROUTED = "a routed port"
"""What is bridged has its mark already when it comes to the inet family, and no mark crosses a cable of two namespaces.
So who gets a workload's mark here came by a port without bridge. One lookup says whose address it is and what mark it
gets, for each costs every packet; only who is found in no map is asked for its port's name, to say what is wrong."""

OWN = "its own port"
"""The map's mark is of no use to what leaves the Host, but a set of the same owners would have to be filled, too."""

REMEMBERED = "not by a stateless rule on this side"
"""What a stateless rule let leave is judged each time, and so is its answer where that arrives; and the other way."""

_EGRESS, _INGRESS = STATELESS[Direction.EGRESS], STATELESS[Direction.INGRESS]
_ANY_SIDE = _EGRESS | _INGRESS

_AWAY = f"{LOCAL:#x}"  # the mark of no Application: nothing is looked up by it any more
_TUNNELS = f"{HEARTBEAT_PORT}-{VXLAN_PORT}"  # neighbours, so they are compared instead of looked up

_PICK = "numgen random mod 2"  # stands for any number in the type of a map
# Of a Service its number of backends is kept, not the chain that chooses among so many: for each element of a map of
# verdicts that comes, the kernel goes through all rules of the table. No packet enters a Host with a priority, and none
# keeps the number.
# Sets and maps exist before and after every element, so a change of the lab is a change of elements.
_BRIDGE_TABLE = f"""
table bridge {TABLE} {{
  map marks {{ type ifname : mark; }}
  map owners4 {{ type ifname . ether_addr . ipv4_addr : mark; }}
  map owners6 {{ type ifname . ether_addr . ipv6_addr : mark; }}
  set targets6 {{ typeof iifname . @th,64,128; }}
  chain c_port {{
    ether type arp meta mark set iifname . arp saddr ether . arp saddr ip map @owners4 \\
      meta mark set iifname . ether saddr . arp saddr ip map @owners4 accept
    icmpv6 type mld2-listener-report drop comment "{CHATTER}"
    counter log group {LOG_GROUP} prefix "{SPOOFED}" drop comment "{SPOOFED}"
  }}
  chain c_postrouting {{
    type filter hook postrouting priority 0; policy accept;
    meta oifkind "vxlan" meta mark set 0 accept comment "{UNMARK}"
    meta mark {_AWAY} counter drop comment "{UNJUDGED}"
    ether type ip meta mark set oifname . ether daddr . ip daddr map @owners4 accept comment "{OWN}"
    ether type ip6 meta mark set oifname . ether daddr . ip6 daddr map @owners6 accept comment "{OWN}"
    ether type arp accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 hoplimit {UNROUTED} accept
    counter drop comment "{ASTRAY}"
  }}
  chain c_prerouting {{
    type filter hook prerouting priority -300; policy drop;
    meta iifkind "vxlan" meta mark set iifname map @marks accept
    ether type ip meta mark set iifname . ether saddr . ip saddr map @owners4 accept
    icmpv6 type nd-neighbor-advert iifname . @th,64,128 != @targets6 counter drop comment "{SPOOFED}"
    ether type ip6 meta mark set iifname . ether saddr . ip6 saddr map @owners6 accept
    meta mark set iifname map @marks goto c_port
    counter log group {LOG_GROUP} prefix "{UNKNOWN}" drop comment "{UNKNOWN}"
  }}
}}
"""

# A Host remembers whoever asks it by ARP, and all namespaces of a machine together remember a thousand neighbours.
_ARP_TABLE = f"""
table arp {TABLE} {{
  set routed {{ type ifname; }}
  map owners4 {{ type ifname . ether_addr . ipv4_addr : mark; }}
  chain c_arp {{
    type filter hook input priority 0; policy accept;
    iifname != @routed accept
    meta mark set iifname . arp saddr ether . arp saddr ip map @owners4 accept
    counter drop comment "{SPOOFED}"
  }}
}}
"""

_INET_TABLE = f"""
table inet {TABLE} {{
  map marks {{ type ifname : mark; }}
  map zones {{ typeof meta mark : ct zone; }}
  map owners4 {{ type ifname . ether_addr . ipv4_addr : mark; }}
  map owners6 {{ type ifname . ether_addr . ipv6_addr : mark; }}
  map egress4 {{ typeof ct zone . ip saddr : verdict; }}
  map egress6 {{ typeof ct zone . ip6 saddr : verdict; }}
  map ingress4 {{ typeof ct zone . ip daddr : verdict; }}
  map ingress6 {{ typeof ct zone . ip6 daddr : verdict; }}
  map services4 {{ type mark . ipv4_addr . inet_proto . inet_service : classid; }}
  map services6 {{ type mark . ipv6_addr . inet_proto . inet_service : classid; }}
  map balancers4 {{ typeof meta l4proto . meta priority : verdict; }}
  map balancers6 {{ typeof meta l4proto . meta priority : verdict; }}
  set nobody4 {{ type mark . ipv4_addr . inet_proto . inet_service; }}
  set nobody6 {{ type mark . ipv6_addr . inet_proto . inet_service; }}
  map backends4_tcp {{ typeof meta mark . ip daddr . tcp dport . {_PICK} : ip daddr . tcp dport; }}
  map backends4_udp {{ typeof meta mark . ip daddr . udp dport . {_PICK} : ip daddr . udp dport; }}
  map backends4_sctp {{ typeof meta mark . ip daddr . sctp dport . {_PICK} : ip daddr . sctp dport; }}
  map backends6_tcp {{ typeof meta mark . ip6 daddr . tcp dport . {_PICK} : ip6 daddr . tcp dport; }}
  map backends6_udp {{ typeof meta mark . ip6 daddr . udp dport . {_PICK} : ip6 daddr . udp dport; }}
  map backends6_sctp {{ typeof meta mark . ip6 daddr . sctp dport . {_PICK} : ip6 daddr . sctp dport; }}
  map hairpin4 {{ typeof ct zone . ip saddr . ip daddr : ip saddr; }}
  map hairpin6 {{ typeof ct zone . ip6 saddr . ip6 daddr : ip6 saddr; }}
  set unjudged4 {{ typeof ct zone . ip saddr . ip daddr; }}
  set unjudged6 {{ typeof ct zone . ip6 saddr . ip6 daddr; }}
  set own4 {{ typeof meta mark . ip daddr; }}
  set own6 {{ typeof meta mark . ip6 daddr; }}
  chain c_underlay {{
    udp dport {_TUNNELS} notrack accept
    meta l4proto {{ icmp, icmpv6 }} accept
    counter drop comment "only tunnels, heartbeats and ICMP enter from the underlay"
  }}
  chain c_stranger {{
    iifname "lo" accept
    meta mark set iifname map @marks
    icmpv6 type mld2-listener-report drop comment "{CHATTER}"
    meta mark 0 counter log group {LOG_GROUP} prefix "{UNKNOWN}" drop comment "{UNKNOWN}"
    counter log group {LOG_GROUP} prefix "{SPOOFED}" drop comment "{SPOOFED}"
  }}
  chain c_unmarked {{
    meta iifkind "vxlan" meta mark set iifname map @marks return
    meta mark set iifname . ether saddr . ip saddr map @owners4 return comment "{ROUTED}"
    meta mark set iifname . ether saddr . ip6 saddr map @owners6 return comment "{ROUTED}"
    goto c_stranger
  }}
  chain c_raw {{
    type filter hook prerouting priority {BEFORE_DEFRAG}; policy accept;
    iifgroup {UNDERLAY} goto c_underlay
    meta mark 0 jump c_unmarked
    ct zone set meta mark map @zones
  }}
  chain c_raw_out {{
    type filter hook output priority raw; policy accept;
    udp dport {_TUNNELS} notrack accept
    ct zone set meta mark map @zones
  }}
  chain c_input {{
    type filter hook input priority filter; policy drop;
    iifgroup {UNDERLAY} accept
    iifname "lo" accept
    meta l4proto {{ icmp, icmpv6 }} accept
    ct state established accept comment "answers to the Host"
    reject with icmpx no-route comment "{GATEWAY}"
  }}
  chain c_answer {{
    meta oifkind "vxlan" meta mark set 0 comment "{UNMARK}"
    accept
  }}
  chain c_host {{
    type filter hook output priority filter; policy accept;
    oifgroup {UNDERLAY} meta mark 0 accept
    meta mark 0 oifname "lo" accept
    ct state established,related goto c_answer
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 hoplimit {UNROUTED} goto c_answer
    meta mark . ip daddr @own4 counter log group {LOG_GROUP} prefix "{HOST}" accept comment "{HOST}"
    meta mark . ip6 daddr @own6 counter log group {LOG_GROUP} prefix "{HOST}" accept comment "{HOST}"
    counter reject with icmpx no-route comment "{NO_PATH}"
  }}
  chain c_egress {{
    type filter hook forward priority filter - 10; policy drop;
    ct state established ct mark & {_ANY_SIDE:#x} == 0 accept
    ct state related accept
    ct state established ct direction original ct mark & {_EGRESS:#x} == 0 accept
    ct state established ct direction reply ct mark & {_INGRESS:#x} == 0 accept comment "{REMEMBERED}"
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 hoplimit {UNROUTED} accept
    ct state invalid counter drop comment "invalid"
    meta mark & {LOCAL:#x} == 0 accept comment "judged where it left its workload"
    meta mark . ip daddr . meta l4proto . th dport @nobody4 reject with icmpx port-unreachable comment "{NO_BACKEND}"
    meta mark . ip6 daddr . meta l4proto . th dport @nobody6 reject with icmpx port-unreachable comment "{NO_BACKEND}"
    ct zone . ip saddr . ip daddr @unjudged4 accept
    ct zone . ip6 saddr . ip6 daddr @unjudged6 accept
    ct zone . ip saddr vmap @egress4
    ct zone . ip6 saddr vmap @egress6
    counter log group {LOG_GROUP} prefix "{UNKNOWN}" drop comment "{UNKNOWN}"
  }}
  chain c_away {{
    meta mark & {LOCAL:#x} != 0 meta mark set 0 accept comment "judged where it arrives"
    meta mark set 0 comment "{UNMARK}"
    ct state established ct mark & {_ANY_SIDE:#x} == 0 accept
    ct state related accept
    counter log group {LOG_GROUP} prefix "{UNKNOWN}" drop comment "{UNKNOWN}"
  }}
  chain c_ingress {{
    type filter hook forward priority filter + 10; policy drop;
    meta oifkind "vxlan" goto c_away
    ct state established ct mark & {_ANY_SIDE:#x} == 0 accept
    ct state related accept
    ct state established ct direction original ct mark & {_INGRESS:#x} == 0 accept
    ct state established ct direction reply ct mark & {_EGRESS:#x} == 0 accept comment "{REMEMBERED}"
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} ip6 hoplimit {UNROUTED} accept
    ct state invalid counter drop comment "invalid"
    oifname "{NOWHERE}" reject with icmpx no-route comment "{NO_PATH}"
    ct zone . ip saddr . ip daddr @unjudged4 accept
    ct zone . ip6 saddr . ip6 daddr @unjudged6 accept
    ct zone . ip daddr vmap @ingress4
    ct zone . ip6 daddr vmap @ingress6
    meta mark & {LOCAL:#x} != 0 meta oifkind "bridge" meta mark set {_AWAY} accept comment "judged where it arrives"
    counter log group {LOG_GROUP} prefix "{UNKNOWN}" drop comment "{UNKNOWN}"
  }}
}}
"""

TRANSLATES = "type nat hook"
"""What a chain's definition has that translates. As soon as there is one, the kernel shows every packet of the Host to
translation at each hook, also those that are never translated, and the tunnels' own."""

_TRANSLATION = f"""
add chain inet {TABLE} c_services {{ {TRANSLATES} prerouting priority dstnat; policy accept; }}
add chain inet {TABLE} c_hairpin {{ {TRANSLATES} postrouting priority srcnat; policy accept; }}
flush chain inet {TABLE} c_services
flush chain inet {TABLE} c_hairpin
add rule inet {TABLE} c_services \
  meta priority set meta mark . ip daddr . meta l4proto . th dport map @services4
add rule inet {TABLE} c_services \
  meta priority set meta mark . ip6 daddr . meta l4proto . th dport map @services6
add rule inet {TABLE} c_services meta nfproto ipv4 meta l4proto . meta priority vmap @balancers4
add rule inet {TABLE} c_services meta nfproto ipv6 meta l4proto . meta priority vmap @balancers6
add rule inet {TABLE} c_hairpin snat ip to ct zone . ip saddr . ip daddr map @hairpin4
add rule inet {TABLE} c_hairpin snat ip6 to ct zone . ip6 saddr . ip6 daddr map @hairpin6
"""


def tables() -> str:
    """All tables and hooks without elements: everything from a workload is dropped, and no Service is known."""
    return _BRIDGE_TABLE + _ARP_TABLE + _INET_TABLE


def translation() -> str:
    """The hooks of Services, for a Host that has any; the same again changes nothing.

    They stay when its last Service goes, for connections through it are still translated.
    """
    return _TRANSLATION


def losses(uplinks: Iterable[Veth]) -> str:
    """A table that loses packets where they come in; it tracks no connections, so Switches stay fast."""
    chains = "".join(
        f"""
  chain c_{veth.name} {{
    type filter hook ingress device "{veth.name}" priority 0; policy accept;
    numgen random mod 100 < {veth.loss} counter drop comment "loss {veth.loss} %"
  }}"""
        for veth in uplinks
    )
    return f"table netdev {TABLE} {{{chains}\n}}\n"


def no_losses() -> str:
    """Without that table, whether it was there or not."""
    return f"add table netdev {TABLE}\ndelete table netdev {TABLE}\n"

"""The switches under /proc/sys/net of the namespace that the calling thread is in: written, and read back.

A value that does not take is an error and not a warning: with bridge-nf-call-iptables at 0 the very same firewall
rules load and silently let everything pass.
"""

from __future__ import annotations

from sdn.errors import KernelError
from sdn.kernel import switches

SWITCH = {
    "net.ipv4.ip_forward": "1",
    "net.ipv6.conf.all.forwarding": "1",
    "net.ipv4.conf.all.rp_filter": "0",
    "net.ipv4.conf.default.rp_filter": "0",
    # Flows are spread over equal paths by their ports, and VXLAN puts a hash of the inner flow into the source port.
    "net.ipv4.fib_multipath_hash_policy": "1",
    "net.ipv6.fib_multipath_hash_policy": "1",
}
"""Every router of the underlay."""

HOST = SWITCH | {
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    # A connection that nobody saw begin is none: what is picked up in the middle may be the half that is forbidden.
    "net.netfilter.nf_conntrack_tcp_loose": "0",
    # An ICMP error goes back by the table of the Application whose packet it is about.
    "net.ipv4.fwmark_reflect": "1",
    "net.ipv6.fwmark_reflect": "1",
    # A gateway has one address on all Hosts, so what another Host's gateway says comes from an address of our own.
    "net.ipv4.conf.all.accept_local": "1",
    # Every rejected packet is answered, not one a second.
    "net.ipv4.icmp_ratelimit": "0",
    "net.ipv6.icmp.ratelimit": "0",
    "net.ipv4.icmp_msgs_per_sec": "1000000",
    "net.ipv4.icmp_msgs_burst": "1000000",
}
"""Every Host."""

# Some kernels limit ICMP for the machine as a whole only; a lab cannot change that, and retries.
_OPTIONAL = frozenset({"net.ipv4.icmp_msgs_per_sec", "net.ipv4.icmp_msgs_burst"})


def write(values: dict[str, str]) -> None:
    """Set and read back; KernelError names the first that is missing or does not take."""
    for key, value in values.items():
        try:
            switches.put(key, value)
            taken = switches.get(key)
        except OSError as error:
            if key in _OPTIONAL:
                continue
            raise KernelError(
                f"cannot set {key} to {value}: {error.strerror}; `sdn doctor` says what is missing"
            ) from None
        if taken != value:
            raise KernelError(f"{key} is {taken} after {value} was written; `sdn doctor` says what is missing")


def drift(values: dict[str, str]) -> list[str]:
    """One sentence for each that is not as it should be."""
    found = []
    for key, value in values.items():
        if key in _OPTIONAL:
            continue
        try:
            actual = switches.get(key)
        except OSError:
            actual = "missing"
        if actual != value:
            found.append(f"sysctl {key} is {actual}, should be {value}")
    return found

"""A question about a packet, and its answers."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Address, ip_address

from msgspec import Struct

from sdn.model.address import family_of
from sdn.model.workload import Protocol

_BROADCAST = IPv4Address("255.255.255.255")


EPHEMERAL = (32768, 60999)
"""The ports that senders take (net.ipv4.ip_local_port_range of Linux), and that answers go to: first and last.

A rule is about answers if it is about all of them.
"""


class Flow(Struct, frozen=True, order=True):
    """The first packet of a connection, as its sender writes it (before any NAT).

    `source` is a workload's key: addresses alone are ambiguous where Applications overlap. `destination` is a plain
    IP address as the sender sees it: a workload's, a Service's, or any other; its family is the flow's. `port` is the
    destination port, 0 for ICMP. `source` may also be the name of a Host, which has a foot in several Applications:
    `application` says in which of them it sends. It is empty for a workload, which has only one.
    """

    source: str
    destination: str
    protocol: Protocol = Protocol.TCP
    port: int = 0
    application: str = ""

    @property
    def family(self) -> int:
        """4 or 6."""
        return family_of(self.destination)


def unsendable(address: str) -> str:
    """Why no workload sends a packet to this address through a network, as the end of a sentence; empty if it can."""
    parsed = ip_address(address)
    if "%" in address:
        return "names an interface, which only the sender has; leave out what follows the percent sign"
    kinds = {
        "is multicast, which reaches nobody": parsed.is_multicast,
        "is broadcast, which reaches nobody": parsed == _BROADCAST,
        "is the sender itself, whose packet meets no network": parsed.is_loopback or parsed.is_unspecified,
    }
    return next((f"{why}; ask for the address of one workload" for why, it_is in kinds.items() if it_is), "")


class Disposition(StrEnum):
    """What becomes of a flow.

    `allow`: it reaches a workload. `deny`: dropped without an answer. `reject`: refused by a firewall, with an answer.
    `no-route`: no network leads there. `no-backend`: a Service without anybody behind it.
    """

    ALLOW = "allow"
    DENY = "deny"
    REJECT = "reject"
    NO_ROUTE = "no-route"
    NO_BACKEND = "no-backend"


class Verdict(Struct, frozen=True):
    """A disposition and the rule, or default, that decided it.

    Allowed: `rule` is the ingress side's and `egress` the egress side's origin, for both had to allow. Denied or
    rejected: `rule` is the first that stopped it (egress is judged first) and `egress` is empty if that was egress.
    `reply`: both sides allowed it, but not for ever, and `rule` stopped the answer; then it is always a denial.
    """

    disposition: Disposition
    rule: str
    egress: str = ""
    reply: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the packet arrives."""
        return self.disposition is Disposition.ALLOW


class Answer(Struct, frozen=True):
    """The verdict on a flow through one Backend; `backend` and `port` are the flow's own where no Service is involved.

    A flow to a Service has one Answer per Backend, sorted by (backend, port); the packet meets one of them.
    """

    verdict: Verdict
    backend: str = ""  # workload key, empty where the flow ends before one is known
    port: int = 0


class Step(Struct, frozen=True):
    """One thing that happens to a packet at one node, in the words of `ip` and `nft`."""

    node: str
    what: str
    rule: str = ""


class Trace(Struct, frozen=True):
    """A flow's way through the planned state for one Backend: its answer and every step."""

    flow: Flow
    answer: Answer
    steps: tuple[Step, ...]


class Outcome(StrEnum):
    """What a real packet met, as the sender and the receiver saw it.

    `refused`: it arrived and nobody listened, which is an allowed flow. `timeout`: silence. `rejected`: ICMP
    "administratively prohibited". `unreachable`: ICMP "no route" or "host unreachable", or the sender's own kernel
    said so. `wrong-backend`: somebody answered who is not the destination.
    """

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    REJECTED = "rejected"
    UNREACHABLE = "unreachable"
    WRONG_BACKEND = "wrong-backend"


class Observation(Struct, frozen=True):
    """One real packet: what happened, who answered (workload key and port), and the rules that logged it.

    `rules` are the origins that the firewalls of all Hosts logged for this connection, egress before ingress.
    """

    flow: Flow
    outcome: Outcome
    responder: str = ""
    port: int = 0
    rules: tuple[str, ...] = ()

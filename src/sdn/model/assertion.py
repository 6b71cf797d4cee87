"""What somebody claims of a lab: who may, and who may never, reach whom."""

from __future__ import annotations

from msgspec import Struct

from sdn.model.policy import Peer, PortRange


class Who(Struct, frozen=True):
    """One alternative of an end: `peers` as in policies, or all that is `outside`, or all but what `none_of` means.

    The outside is every address that no workload has.
    """

    peers: tuple[Peer, ...] = ()
    outside: bool = False
    none_of: tuple[Who, ...] = ()


class Traffic(Struct, frozen=True):
    """From whom to whom on which ports (numbers only); each left out means all there are, the outside included."""

    sources: tuple[Who, ...] = ()
    destinations: tuple[Who, ...] = ()
    ports: tuple[PortRange, ...] = ()


class Assertion(Struct, frozen=True):
    """`allows`: all of the traffic is allowed, else none of it; of `exceptions` it says nothing. `at` is file:line."""

    name: str
    allows: bool
    traffic: Traffic
    exceptions: tuple[Traffic, ...] = ()
    at: str = ""

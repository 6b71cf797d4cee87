"""The rules that choose among so many backends, as the kernel's own messages: `ruleset.define_balancer` without nft.

One event may give a Service a number of backends that no other has, and then every Host needs that chain; libnftables
takes over 1 ms for it on each.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sdn.kernel import expressions as e
from sdn.kernel import ruleset
from sdn.kernel.messages import be32, text
from sdn.kernel.owned import TABLE
from sdn.model import Protocol

_RULE = re.compile(rf"add rule inet {TABLE} b([46])_(tcp|udp|sctp)_(\d+) .*")
_DESTINATION_PORT = 2
_RANDOM, _DNAT = 1, 1
_FAMILIES = {
    4: (2, 16, 4),
    6: (10, 24, 16),
}  # the kernel's number, where the destination is in the header, and its length

Size = tuple[int, Protocol, int]


@lru_cache(maxsize=1 << 10)
def rule(command: str) -> tuple[str, bytes] | None:
    """The chain and the expressions of a rule of such a chain; None for any other command."""
    found = _RULE.fullmatch(command)
    if found is None:
        return None
    size = int(found[1]), Protocol(found[2]), int(found[3])
    *_, forget, choose = ruleset.define_balancer(*size)
    made = {forget: _forget, choose: _choose}.get(command)
    return (ruleset.balancer_name(*size), made(size)) if made is not None else None


def _forget(_: Size) -> bytes:
    """The packet does not keep the number."""
    return e.immediate(0) + e.expression("meta", be32(2, e.PRIORITY), be32(3, e.FIRST))


def _choose(size: Size) -> bytes:
    """Mark, destination, port and a random number are the key; address and port of a backend are found under it."""
    family, protocol, count = size
    number, offset, length = _FAMILIES[family]
    port = e.SECOND + length // 4
    random = be32(1, port + 1), be32(2, count), be32(3, _RANDOM), be32(4, 0)
    found = text(1, f"backends{family}_{protocol}"), be32(2, e.FIRST), be32(3, e.FIRST)
    there = be32(1, _DNAT), be32(2, number), be32(3, e.FIRST), be32(5, 8 + length // 4)
    return b"".join(
        (
            e.holds(e.L4PROTO, e.PROTOCOLS[protocol]),
            e.holds(e.NFPROTO, number),
            e.meta(e.FIRST, e.MARK),
            e.payload(e.SECOND, e.NETWORK, offset, length),
            e.payload(port, e.TRANSPORT, _DESTINATION_PORT, 2),
            e.expression("numgen", *random),
            e.expression("lookup", *found),
            e.expression("nat", *there),
        )
    )

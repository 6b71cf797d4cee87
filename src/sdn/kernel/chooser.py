"""The chain that chooses among so many backends, as the kernel's own messages: `ruleset.define_balancer` without nft.

One event may give a Service a number of backends that no other has, and then every Host needs that chain; libnftables
takes over 1 ms for it on each. The numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sdn.kernel import ruleset
from sdn.kernel.messages import CREATE, NFTABLES, REQUEST, Message, be32, nest, raw, text, u32
from sdn.kernel.owned import TABLE
from sdn.model import Protocol

_NEW_CHAIN, _DELETE_CHAIN, _NEW_RULE, _DELETE_RULE = (NFTABLES << 8 | number for number in (3, 5, 6, 8))
_APPEND = 0x800
_INET = bytes([1, 0, 0, 0])
_TABLE, _CHAIN_NAME, _RULE_CHAIN, _EXPRESSIONS = text(1, TABLE), 3, 2, 4
_COMMAND = re.compile(rf"(add|flush|delete) chain inet {TABLE} b([46])_(tcp|udp|sctp)_(\d+)")
_RULE = re.compile(rf"add rule inet {TABLE} b([46])_(tcp|udp|sctp)_(\d+) .*")
_VALUE = 1
_PRIORITY, _MARK, _NFPROTO, _L4PROTO = 2, 3, 15, 16  # keys of meta
_NETWORK, _TRANSPORT, _DESTINATION_PORT = 1, 2, 2
_RANDOM, _DNAT = 1, 1
_FIRST, _SECOND = 1, 9  # a register of 16 bytes, and that of 4 bytes after its first 4
_FAMILIES = {
    4: (2, 16, 4),
    6: (10, 24, 16),
}  # the kernel's number, where the destination is in the header, and its length
_PROTOCOLS = {Protocol.TCP: 6, Protocol.UDP: 17, Protocol.SCTP: 132}

Size = tuple[int, Protocol, int]


@lru_cache(maxsize=1 << 10)
def message(command: str) -> Message | None:
    """What does the same as a command about such a chain; None for any other."""
    found = _COMMAND.fullmatch(command)
    if found is not None:
        verb, family, protocol, count = found.groups()
        return _chain(verb, ruleset.balancer_name(int(family), Protocol(protocol), int(count)))
    found = _RULE.fullmatch(command)
    if found is None:
        return None
    size = int(found[1]), Protocol(found[2]), int(found[3])
    *_, forget, choose = ruleset.define_balancer(*size)
    return {forget: _forget, choose: _choose}[command](size) if command in (forget, choose) else None


def _chain(verb: str, name: str) -> Message:
    body = _INET + _TABLE + text(_CHAIN_NAME, name)
    if verb == "flush":
        return Message(_DELETE_RULE, REQUEST, _INET + _TABLE + text(_RULE_CHAIN, name), f"empty chain {name}")
    kind, flags = (_NEW_CHAIN, REQUEST | CREATE) if verb == "add" else (_DELETE_CHAIN, REQUEST)
    return Message(kind, flags, body, f"{verb} chain {name}")


def _rule(size: Size, *expressions: bytes) -> Message:
    name = ruleset.balancer_name(*size)
    body = _INET + _TABLE + text(_RULE_CHAIN, name) + nest(_EXPRESSIONS, b"".join(expressions))
    return Message(_NEW_RULE, REQUEST | CREATE | _APPEND, body, f"add a rule to chain {name}")


def _expression(name: str, *attributes: bytes) -> bytes:
    return nest(1, text(1, name) + nest(2, b"".join(attributes)))


def _meta(register: int, key: int) -> bytes:
    return _expression("meta", be32(1, register), be32(2, key))


def _is(key: int, value: int) -> bytes:
    """Go on only where this is so."""
    return _meta(_FIRST, key) + _expression("cmp", be32(1, _FIRST), be32(2, 0), nest(3, raw(_VALUE, bytes([value]))))


def _forget(size: Size) -> Message:
    """The packet does not keep the number."""
    none = _expression("immediate", be32(1, _FIRST), nest(2, u32(_VALUE, 0)))
    return _rule(size, none, _expression("meta", be32(2, _PRIORITY), be32(3, _FIRST)))


def _choose(size: Size) -> Message:
    """Mark, destination, port and a random number are the key; address and port of a backend are found under it."""
    family, protocol, count = size
    number, offset, length = _FAMILIES[family]
    port = _SECOND + length // 4
    return _rule(
        size,
        _is(_L4PROTO, _PROTOCOLS[protocol]),
        _is(_NFPROTO, number),
        _meta(_FIRST, _MARK),
        _payload(_SECOND, _NETWORK, offset, length),
        _payload(port, _TRANSPORT, _DESTINATION_PORT, 2),
        _expression("numgen", be32(1, port + 1), be32(2, count), be32(3, _RANDOM), be32(4, 0)),
        _expression("lookup", text(1, f"backends{family}_{protocol}"), be32(2, _FIRST), be32(3, _FIRST)),
        _expression("nat", be32(1, _DNAT), be32(2, number), be32(3, _FIRST), be32(5, 8 + length // 4)),
    )


def _payload(register: int, base: int, offset: int, length: int) -> bytes:
    return _expression("payload", be32(1, register), be32(2, base), be32(3, offset), be32(4, length))

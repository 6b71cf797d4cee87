"""The expressions of nftables' rules as the kernel takes them: what `nft --debug=netlink` lists, in bytes.

Names and numbers are those of linux/netfilter/nf_tables.h. A rule loads what it compares into registers, and goes on
with the next expression as long as each holds.
"""

from __future__ import annotations

from functools import cache, lru_cache

from sdn.kernel.messages import be16, be32, nest, raw, text, u8, u32

FIRST, SECOND = 1, 9
"""A register of 16 bytes, and that of 4 bytes after its first 4."""

MARK, PRIORITY, NFPROTO, L4PROTO = 3, 2, 15, 16
"""Keys of `meta`."""

DIRECTION, CT_MARK, ZONE = 1, 3, 17
"""Keys of `ct`."""

NETWORK, TRANSPORT = 1, 2
"""The headers that `payload` counts from."""

EQUAL, AT_MOST, AT_LEAST = 0, 3, 5

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58, "sctp": 132}

_VALUE, _VERDICT, _CODE, _CHAIN = 1, 2, 1, 2
_CODES = {"drop": 0, "accept": 1, "jump": -3, "goto": -4, "return": -5}
_INVERTED = 1
_ICMPX, _ADMIN_PROHIBITED = 2, 3


def expression(name: str, *attributes: bytes) -> bytes:
    """Any, from its encoded attributes."""
    return nest(1, text(1, name) + nest(2, b"".join(attributes)))


@cache
def meta(register: int, key: int) -> bytes:
    """Load what the kernel knows of a packet besides its bytes."""
    return expression("meta", be32(2, key), be32(1, register))


@cache
def ct(register: int, key: int) -> bytes:
    """Load what is known of a packet's connection."""
    return expression("ct", be32(1, register), be32(2, key))


@cache
def set_ct(key: int, register: int) -> bytes:
    """Store a register with a packet's connection."""
    return expression("ct", be32(2, key), be32(4, register))


@cache
def payload(register: int, base: int, offset: int, length: int) -> bytes:
    """Load bytes of a packet."""
    return expression("payload", be32(1, register), be32(2, base), be32(3, offset), be32(4, length))


def compare(operator: int, data: bytes) -> bytes:
    """Go on only where the first register compares so."""
    return expression("cmp", be32(1, FIRST), be32(2, operator), nest(3, raw(_VALUE, data)))


@cache
def holds(key: int, value: int) -> bytes:
    """Go on only where the kernel knows this byte of a packet."""
    return meta(FIRST, key) + compare(EQUAL, bytes([value]))


def masked(mask: bytes, toggle: bytes) -> bytes:
    """The first register, and with `mask`, then exclusive or with `toggle`."""
    operands = nest(4, raw(_VALUE, mask)) + nest(5, raw(_VALUE, toggle))
    return expression("bitwise", be32(1, FIRST), be32(2, FIRST), be32(3, len(mask)), be32(6, 0), operands)


def immediate(value: int) -> bytes:
    """Load a number of 32 bits."""
    return expression("immediate", be32(1, FIRST), nest(2, u32(_VALUE, value)))


@lru_cache(maxsize=1 << 10)
def lookup(name: str, *, inverted: bool = False, number: int | None = None) -> bytes:
    """Go on only where the first register is in a set, or is not; `number` is of one that comes with the rule."""
    attributes = [text(1, name), be32(2, FIRST)]
    if number is not None:
        attributes.append(be32(4, number))
    return expression("lookup", *attributes, be32(5, _INVERTED if inverted else 0))


@lru_cache(maxsize=1 << 10)
def verdict(verb: str, chain: str = "") -> bytes:
    """What ends the rule."""
    code = be32(_CODE, _CODES[verb] & 0xFFFFFFFF)
    return expression("immediate", be32(1, 0), nest(2, nest(_VERDICT, code + (text(_CHAIN, chain) if chain else b""))))


@cache
def counter() -> bytes:
    """Packets and bytes that came so far."""
    return expression("counter")


def log(group: int, prefix: str) -> bytes:
    """Tell whoever listens to a group of NFLOG."""
    return expression("log", be16(1, group), text(2, prefix))


@cache
def reject() -> bytes:
    """Refuse and say that this is administratively prohibited, by ICMP of the packet's family."""
    return expression("reject", be32(1, _ICMPX), u8(2, _ADMIN_PROHIBITED))


def noted(comment: str) -> bytes:
    """A comment as nft keeps it in a rule's user data."""
    return udata(0, comment.encode() + b"\0")


def udata(kind: int, data: bytes) -> bytes:
    """One piece of the data that the kernel keeps for nft: kind, length, content."""
    return bytes([kind, len(data)]) + data

"""Chains of policies, and the sets of their groups, as the kernel's own messages: `ruleset` without nft.

An event may give a Host a chain that no other has, and libnftables takes as long for that one Host as the kernel for
twenty: it reads the whole table before it adds one rule. What is known here is what events bring: groups, ports, blocks
of addresses. A set of intervals is left to nft. The text stays what says what is meant, and both must make the same of
it (tests/kernel/test_kernel_rule_messages.py).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_network
from itertools import count

from sdn.kernel import chooser
from sdn.kernel import expressions as e
from sdn.kernel.messages import CREATE, NFTABLES, REQUEST, Message, be32, nest, raw, text
from sdn.kernel.owned import TABLE

_NEW_CHAIN, _DELETE_CHAIN, _NEW_RULE, _DELETE_RULE = (NFTABLES << 8 | number for number in (3, 5, 6, 8))
_NEW_SET, _DELETE_SET, _NEW_ELEMENTS = (NFTABLES << 8 | number for number in (9, 11, 12))
_APPEND = 0x800
_INET = bytes([1, 0, 0, 0]) + text(1, TABLE)
_CHAIN = re.compile(rf"(add|flush|delete) chain inet {TABLE} (\w+)")
_GROUP = re.compile(rf"add set inet {TABLE} (\w+) \{{ typeof ct zone \. (ip6?) saddr; \}}")
_UNUSED = re.compile(rf"delete set inet {TABLE} (\w+)")
_RULE = re.compile(rf"add rule inet {TABLE} (\w+) (.*)")
_WORD = re.compile(r'"[^"]*"|[^\s,]+')
_COMMENT_LIMIT = 128

_FAMILIES = {"ip": (2, 12, 4), "ip6": (10, 8, 16)}
"""The kernel's number, where the source is in the header, and how long an address is; the destination is behind it."""
_NFPROTO = {"ipv4": 2, "ipv6": 10}
_ECHO = {"icmp": {"echo-request": 8, "echo-reply": 0}, "icmpv6": {"echo-request": 128, "echo-reply": 129}}
_DESTINATION_PORT = 2
_ANONYMOUS = "__set%d"
_ANONYMOUS_CONSTANT = 3

# Of sets: types that nft knows by these numbers, and how it keeps `typeof` (struct expr_ops, struct proto_desc of nft).
_INTEGER, _TYPES = 4, {"ip": 7, "ip6": 8}
_ICMP_TYPES = {"icmp": 14, "icmpv6": 29}
_CONCAT, _CT, _PAYLOAD = 13, 12, 7
_FIELDS = {"ip": (12, 11), "ip6": (13, 8), "icmp": (4, 1), "icmpv6": (14, 1)}
_KEY_ORDER, _KEY_TYPEOF = 0, 3
_NETWORK_ORDER = 2

_numbers = count(1)


class _UnknownError(Exception):
    """A word that is left to nft."""


@lru_cache(maxsize=1 << 12)
def messages(command: str) -> tuple[Message, ...] | None:
    """As `encoded`; events bring the same again and again."""
    return encoded(command)


def encoded(command: str) -> tuple[Message, ...] | None:
    """What does the same as a command about chains, their rules, or groups; None for any other."""
    chosen = chooser.rule(command)
    if chosen is not None:
        return (_appended(*chosen),)
    for pattern, encode in _ENCODERS:
        found = pattern.fullmatch(command)
        if found is not None:
            try:
                return tuple(encode(*found.groups()))
            except _UnknownError:
                return None
    return None


def _chain(verb: str, name: str) -> Iterator[Message]:
    if verb == "flush":
        yield Message(_DELETE_RULE, REQUEST, _INET + text(2, name), f"empty chain {name}")
        return
    kind, flags = (_NEW_CHAIN, REQUEST | CREATE) if verb == "add" else (_DELETE_CHAIN, REQUEST)
    yield Message(kind, flags, _INET + text(3, name), f"{verb} chain {name}")


def _group(name: str, family: str) -> Iterator[Message]:
    size = 4 + _FAMILIES[family][2]
    kind = _INTEGER << 6 | _TYPES[family]
    parts = be32(3, 0) + be32(4, kind) + be32(5, size) + be32(10, next(_numbers)) + raw(13, _typeof(family))
    yield Message(_NEW_SET, REQUEST | CREATE, _INET + text(2, name) + parts, f"add set {name}")


def _typeof(family: str) -> bytes:
    """`ct zone . ip saddr`, as nft keeps it to list it again."""
    zone = _number(0, _CT) + e.udata(1, _number(0, e.ZONE) + _number(1, -1))
    both = _number(0, _CONCAT) + e.udata(1, e.udata(0, zone) + e.udata(1, _field(family)))
    return _number(_KEY_ORDER, 0) + e.udata(_KEY_TYPEOF, both)


def _field(header: str) -> bytes:
    """The source of a packet, or the type of its ICMP."""
    protocol, field = _FIELDS[header]
    return _number(0, _PAYLOAD) + e.udata(1, _number(0, protocol) + _number(1, field))


def _number(kind: int, value: int) -> bytes:
    return e.udata(kind, (value & 0xFFFFFFFF).to_bytes(4, sys.byteorder))


def _unused(name: str) -> Iterator[Message]:
    yield Message(_DELETE_SET, REQUEST, _INET + text(2, name), f"delete set {name}")


def _rule(chain: str, words: str) -> Iterator[Message]:
    rule = _Rule(_WORD.findall(words))
    yield from rule.sets
    yield _appended(chain, b"".join(rule.expressions), rule.note)


def _appended(chain: str, expressions: bytes, note: bytes = b"") -> Message:
    body = _INET + text(2, chain) + nest(4, expressions) + (raw(7, note) if note else b"")
    return Message(_NEW_RULE, REQUEST | CREATE | _APPEND, body, f"add a rule to {chain}")


_ENCODERS: tuple[tuple[re.Pattern[str], Callable[..., Iterator[Message]]], ...] = (
    (_CHAIN, _chain),
    (_GROUP, _group),
    (_UNUSED, _unused),
    (_RULE, _rule),
)


class _Rule:
    """The words of one rule, read from left to right."""

    def __init__(self, words: Sequence[str]) -> None:
        self.expressions: list[bytes] = []
        self.sets: list[Message] = []
        self.note = b""
        self._known: set[tuple[int, int]] = set()
        self._words = list(reversed(words))
        while self._words:
            word = self._words.pop()
            read = _READERS.get(word)
            if read is None:
                raise _UnknownError
            read(self, word)

    def _next(self, *expected: str) -> str:
        if not self._words or (expected and self._words[-1] not in expected):
            raise _UnknownError
        return self._words.pop()

    def _add(self, *expressions: bytes) -> None:
        self.expressions += expressions

    def _is(self, key: int, value: int) -> None:
        """Said once: what a rule says of a header holds for the words that need it later."""
        if (key, value) not in self._known:
            self._known.add((key, value))
            self._add(e.holds(key, value))

    def meta(self, _: str) -> None:
        known, key = {"nfproto": (_NFPROTO, e.NFPROTO), "l4proto": (e.PROTOCOLS, e.L4PROTO)}[
            self._next("nfproto", "l4proto")
        ]
        value = known.get(self._next())
        if value is None:
            raise _UnknownError
        self._known.discard((key, value))  # nft says again what a rule says in so many words
        self._is(key, value)

    def connection(self, _: str) -> None:
        what = self._next("zone", "direction", "mark")
        if what == "direction":
            self._next("original")
            self._add(e.ct(e.FIRST, e.DIRECTION), e.compare(e.EQUAL, b"\0"))
        elif what == "mark":
            for word in ("set", "ct", "mark", "or"):
                self._next(word)
            bits = int(self._next(), 0)
            mask, toggle = ((n & 0xFFFFFFFF).to_bytes(4, sys.byteorder) for n in (~bits, bits))
            self._add(e.ct(e.FIRST, e.CT_MARK), e.masked(mask, toggle), e.set_ct(e.CT_MARK, e.FIRST))
        else:
            self._next(".")
            self._member()

    def _member(self) -> None:
        """Of a group: zone and address together."""
        offset, size = self._side(self._next("ip", "ip6"))
        inverted = self._words[-1:] == ["!="]
        if inverted:
            self._next()
        name = self._next()
        if not name.startswith("@"):
            raise _UnknownError
        self._add(e.ct(e.FIRST, e.ZONE), e.payload(e.SECOND, e.NETWORK, offset, size))
        self._add(e.lookup(name[1:], inverted=inverted))

    def _side(self, family: str) -> tuple[int, int]:
        number, source, size = _FAMILIES[family]
        self._is(e.NFPROTO, number)
        return source + size * (self._next("saddr", "daddr") == "daddr"), size

    def address(self, family: str) -> None:
        offset, size = self._side(family)
        try:
            block = ip_network(self._next())
        except ValueError:
            raise _UnknownError from None
        whole, rest = divmod(block.prefixlen, 8)
        if rest or not whole:
            self._add(e.payload(e.FIRST, e.NETWORK, offset, size), e.masked(block.netmask.packed, bytes(size)))
            self._add(e.compare(e.EQUAL, block.network_address.packed))
            return
        self._add(e.payload(e.FIRST, e.NETWORK, offset, whole))
        self._add(e.compare(e.EQUAL, block.network_address.packed[:whole]))

    def port(self, protocol: str) -> None:
        self._next("dport")
        self._is(e.L4PROTO, e.PROTOCOLS[protocol])
        self._add(e.payload(e.FIRST, e.TRANSPORT, _DESTINATION_PORT, 2))
        low, _, high = self._next().partition("-")
        try:
            if high:
                self._add(e.compare(e.AT_LEAST, _port(low)), e.compare(e.AT_MOST, _port(high)))
            else:
                self._add(e.compare(e.EQUAL, _port(low)))
        except ValueError:
            raise _UnknownError from None

    def icmp(self, protocol: str) -> None:
        self._next("type")
        self._next("{")
        types = []
        while (word := self._next()) != "}":
            types.append(bytes([_ECHO[protocol][word]]))
        self._is(e.NFPROTO, _NFPROTO["ipv4" if protocol == "icmp" else "ipv6"])
        self._is(e.L4PROTO, e.PROTOCOLS[protocol])
        self._add(e.payload(e.FIRST, e.TRANSPORT, 0, 1))
        number = next(_numbers)
        self.sets += _types(number, protocol, types)
        self._add(e.lookup(_ANONYMOUS, number=number))

    def counter(self, _: str) -> None:
        self._add(e.counter())

    def log(self, _: str) -> None:
        self._next("group")
        group = int(self._next())
        self._next("prefix")
        self._add(e.log(group, self._quoted()))

    def comment(self, _: str) -> None:
        said = self._quoted()
        if len(said.encode()) >= _COMMENT_LIMIT:
            raise _UnknownError
        self.note = e.noted(said)

    def _quoted(self) -> str:
        word = self._next()
        if not word.startswith('"'):
            raise _UnknownError
        return word[1:-1]

    def decide(self, verb: str) -> None:
        self._add(e.verdict(verb))

    def lead(self, verb: str) -> None:
        self._add(e.verdict(verb, self._next()))

    def reject(self, _: str) -> None:
        for word in ("with", "icmpx", "admin-prohibited"):
            self._next(word)
        self._add(e.reject())


_READERS: dict[str, Callable[[_Rule, str], None]] = {
    "meta": _Rule.meta,
    "ct": _Rule.connection,
    **dict.fromkeys(("ip", "ip6"), _Rule.address),
    **dict.fromkeys(("tcp", "udp", "sctp"), _Rule.port),
    **dict.fromkeys(("icmp", "icmpv6"), _Rule.icmp),
    "counter": _Rule.counter,
    "log": _Rule.log,
    "comment": _Rule.comment,
    **dict.fromkeys(("accept", "drop", "return"), _Rule.decide),
    **dict.fromkeys(("jump", "goto"), _Rule.lead),
    "reject": _Rule.reject,
}


def _port(number: str) -> bytes:
    return int(number).to_bytes(2, "big")


def _types(number: int, protocol: str, values: Sequence[bytes]) -> Iterator[Message]:
    """A set of types of ICMP that comes and goes with its rule."""
    head = _INET + text(2, _ANONYMOUS)
    note = raw(13, _number(_KEY_ORDER, _NETWORK_ORDER) + e.udata(_KEY_TYPEOF, _field(protocol)))
    size = be32(5, 1) + be32(10, number) + nest(9, be32(1, len(values)))
    body = head + be32(3, _ANONYMOUS_CONSTANT) + be32(4, _ICMP_TYPES[protocol]) + size + note
    yield Message(_NEW_SET, REQUEST | CREATE, body, "add a set of a rule")
    elements = b"".join(nest(1, nest(1, raw(1, value))) for value in values)
    yield Message(_NEW_ELEMENTS, REQUEST | CREATE, head + be32(4, number) + nest(3, elements), "fill a set of a rule")

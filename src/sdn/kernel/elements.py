"""Elements of nft's sets and maps as the kernel's own messages: what `ruleset.Elements` says, without nft's parser.

libnftables takes 15 µs for an element and lists all sets again for each command; the kernel alone takes one or two. A
Host has thousands of them, and most are equal on many Hosts, so they are encoded once for all. The text stays what says
what is meant, and a test that nft makes the same of it. Formats are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from struct import Struct

from sdn.kernel import rule_messages, ruleset
from sdn.kernel.expressions import PROTOCOLS
from sdn.kernel.messages import CREATE, NFTABLES, REQUEST, Message, mac, packed, raw, text
from sdn.kernel.owned import TABLE
from sdn.kernel.ruleset import Definition, Elements
from sdn.plan.state import NodeState

MESSAGE = 24_000
"""Bytes of one message: an attribute holds 65,535, and several messages shall fill a send evenly."""

_NEW_ELEMENTS, _DELETE_ELEMENTS = NFTABLES << 8 | 12, NFTABLES << 8 | 14
_FAMILIES = {"inet": 1, "arp": 3, "bridge": 7}
_LIST_TABLE, _LIST_SET, LIST_ELEMENTS, _ELEMENT = 1, 2, 3, 1
_KEY, _DATA = 1, 2
_VALUE, _VERDICT, _CODE, _CHAIN = 1, 2, 1, 2
_CODES = {"jump": -3, "goto": -4}
_BE32 = Struct(">i").pack
_BE16 = Struct(">Hxx").pack
_U32 = Struct("=I").pack
_U16 = Struct("=Hxx").pack

Field = Callable[[str], bytes]


@lru_cache(maxsize=1 << 14)
def _interface(word: str) -> bytes:
    return word.strip('"').encode().ljust(16, b"\0")


@lru_cache(maxsize=1 << 14)
def _ether(word: str) -> bytes:
    return mac(word) + b"\0\0"


@lru_cache(maxsize=1 << 12)
def _number(word: str) -> bytes:
    """A mark, a priority, or what numgen gives."""
    return _U32(int(word, 0))


@lru_cache(maxsize=1 << 12)
def _zone(word: str) -> bytes:
    return _U16(int(word))


@cache
def _protocol(word: str) -> bytes:
    return bytes([PROTOCOLS[word], 0, 0, 0])


@lru_cache(maxsize=1 << 12)
def _port(word: str) -> bytes:
    return _BE16(int(word))


def _target(word: str) -> bytes:
    return int(word, 0).to_bytes(16, "big")


@lru_cache(maxsize=1 << 14)
def _data(field: bytes) -> bytes:
    return raw(_DATA, raw(_VALUE, field))


@lru_cache(maxsize=1 << 14)
def _verdict(words: str) -> bytes:
    verb, chain = words.split()
    return raw(_DATA, raw(_VERDICT, raw(_CODE, _BE32(_CODES[verb])) + text(_CHAIN, chain)))


_OWNER = (_interface, _ether, packed)
_CLIENT = (_number, packed, _protocol, _port)
_KEYS: dict[str, tuple[Field, ...]] = {
    "routed": (_interface,),
    "marks": (_interface,),
    "zones": (_number,),
    "targets6": (_interface, _target),
    **{f"owners{family}": _OWNER for family in (4, 6)},
    **{f"own{family}": (_number, packed) for family in (4, 6)},
    **{f"{name}{family}": (_zone, packed) for name in ("egress", "ingress") for family in (4, 6)},
    **{f"{name}{family}": (_zone, packed, packed) for name in ("hairpin", "unjudged") for family in (4, 6)},
    **{f"{name}{family}": _CLIENT for name in ("services", "nobody") for family in (4, 6)},
    **{f"balancers{family}": (_protocol, _number) for family in (4, 6)},
    **{f"backends{f}_{protocol}": (_number, packed, _port, _number) for f in (4, 6) for protocol in ruleset.BALANCED},
}
"""What the words of a key are, as `skeleton` declares the sets and maps; each takes a multiple of four bytes."""

_GROUP = (_zone, packed)


def _plain(*fields: Field) -> Field:
    def encode(words: str) -> bytes:
        return _data(b"".join(field(word) for field, word in zip(fields, words.split(" . "), strict=True)))

    return encode


def _short(words: str) -> bytes:
    """A zone by itself: without the padding that it has among others."""
    return _data(_zone(words)[:2])


_DATA_OF: dict[str, Field] = {
    "marks": _plain(_number),
    "zones": _short,
    **{f"owners{family}": _plain(_number) for family in (4, 6)},
    **{f"services{family}": _plain(_number) for family in (4, 6)},
    **{f"{name}{family}": _verdict for name in ("egress", "ingress", "balancers") for family in (4, 6)},
    **{f"hairpin{family}": _plain(packed) for family in (4, 6)},
    **{f"backends{f}_{protocol}": _plain(packed, _port) for f in (4, 6) for protocol in ruleset.BALANCED},
}


class Encoder:
    """Encodes Hosts of one Plan, one after the other from any thread; what two have in common, once.

    Common is what is the same object in the plan, which outlives this, and what has the same name and says the same.
    """

    def __init__(self) -> None:
        self._known: dict[int, list[Message]] = {}
        self._named: dict[str, tuple[object, list[Message]]] = {}

    def definitions(self, state: NodeState) -> tuple[list[Message], list[str], list[Message]]:
        """All sets and chains of a Host, to be made in this order: what is known here, what is left to nft, and what
        comes after that. Nothing leads to any of it yet."""
        first, left, last = list[Message](), list[str](), list[Message]()
        for one in ruleset.defined(state):
            known = self._of_name(one)
            if not known:
                left += one.commands()
            elif left:
                last += known  # it may lead to what is left to nft
            else:
                first += known
        return first, left, last

    def contents(self, state: NodeState) -> Iterator[Message]:
        """All that the sets and maps of a Host hold, with the dispatch maps last."""
        for addresses in state.firewall.sets if state.firewall is not None else ():
            yield from self._common(addresses, lambda: [ruleset.group_members(addresses)])  # noqa: B023
        if state.loadbalancer is not None:
            virtuals = state.loadbalancer.virtuals
            yield from self._common(virtuals, lambda: (*ruleset.services(virtuals), *ruleset.choices(virtuals)))
        yield from additions(ruleset.own_members(state))

    def _common(self, part: object, elements: Callable[[], Iterable[Elements]]) -> list[Message]:
        found = self._known.get(id(part))
        if found is None:
            found = self._known[id(part)] = list(additions(elements()))
        return found

    def _of_name(self, one: Definition) -> list[Message]:
        known = self._named.get(one.name)
        if known is None or known[0] != one.part:
            known = self._named[one.name] = one.part, _together(one.commands())
        return known[1]


def _together(commands: Iterable[str]) -> list[Message]:
    """Nothing where one of them is left to nft: the rules of a chain have an order."""
    found: list[Message] = []
    for command in commands:
        known = rule_messages.encoded(command)
        if known is None:
            return []
        found += known
    return found


def additions(several: Iterable[Elements]) -> Iterator[Message]:
    """Messages that add all of them, in order, for `Netlink.transact`."""
    for one in several:
        if one.values:
            yield from _cut(one, encoded(one))


def removals(several: Iterable[Elements]) -> Iterator[Message]:
    """Messages that take all of them away, which are named by their keys alone."""
    for one in several:
        for message in _cut(one, encoded(one, with_data=False)):
            yield Message(_DELETE_ELEMENTS, REQUEST, message.body, f"remove elements of {one.family} {one.name}")


def encoded(one: Elements, *, with_data: bool = True) -> Iterator[bytes]:
    """Each of them, in the very bytes in which the kernel lists it: so nothing here is marked as nested."""
    fields = _KEYS.get(one.name, _GROUP)
    data_of = _DATA_OF.get(one.name) if with_data else None
    for value in one.values:
        words, _, data = value.partition(" : ")
        key = b"".join([field(word) for field, word in zip(fields, words.split(" . "), strict=True)])
        found = raw(_KEY, raw(_VALUE, key))
        yield raw(_ELEMENT, found if data_of is None else found + data_of(data))


def head_of(family: str, name: str) -> bytes:
    """How every message begins that is about the elements of a set or map."""
    return bytes([_FAMILIES[family], 0, 0, 0]) + text(_LIST_TABLE, TABLE) + text(_LIST_SET, name)


def _cut(one: Elements, elements: Iterable[bytes]) -> Iterator[Message]:
    head = head_of(one.family, one.name)
    parts: list[bytes] = []
    size = 0
    for element in elements:
        if size + len(element) > MESSAGE:
            yield _message(one, head, parts)
            parts, size = [], 0
        parts.append(element)
        size += len(element)
    yield _message(one, head, parts)


def _message(one: Elements, head: bytes, parts: list[bytes]) -> Message:
    body = head + raw(LIST_ELEMENTS, b"".join(parts))
    return Message(_NEW_ELEMENTS, REQUEST | CREATE, body, f"add {len(parts)} elements to {one.family} {one.name}")

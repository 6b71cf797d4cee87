"""A Model that is sent again and again: what came in the same bytes before is the same object, and is not read again.

So whoever compares it with the one before sees at once where they differ, and reading costs what is new in it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, get_type_hints

import msgspec
from msgspec.msgpack import Decoder, encode

from sdn.model import Model, Workload
from sdn.model.differing import alike

_FIELDS = Model.__struct_fields__
_workload = Decoder(Workload)
_texts = Decoder(tuple[msgspec.Raw, ...])
_field = {name: Decoder(kind) for name, kind in get_type_hints(Model).items() if name in _FIELDS}

_SHORT, _MASK, _HEADS = 0x90, 0x0F, {0xDC: 3, 0xDD: 5}
"""How MessagePack begins an array: up to 15 in one byte, or a byte and the number of the elements in two or four."""

_PIECE = 1 << 16
"""Bytes that are compared at once."""


class Reader:
    """Of one lab's Models; it keeps the last one, and the bytes of it."""

    def __init__(self) -> None:
        self._workloads = _List()
        self._fields: dict[str, tuple[bytes, Any]] = {}

    def learn(self, model: Model) -> None:
        """A Model that came another way, as it would be sent; costs what of it is another object than before."""
        self._workloads = self._workloads.become(model.workloads)
        for name in _FIELDS:
            value = getattr(model, name)
            if name != "workloads" and (name not in self._fields or self._fields[name][1] is not value):
                self._fields[name] = (encode(value), value)

    def follow(self, model: Model) -> None:
        """The same, if this knows any Model."""
        if self._fields:
            self.learn(model)

    def read(self, sent: Mapping[str, bytes]) -> Model:
        """From its fields. ValueError for what is no Model."""
        if sent.keys() != {*_FIELDS}:
            raise ValueError("not the fields of a Model")
        fields = {name: self._read_field(name, text) for name, text in sent.items() if name != "workloads"}
        self._workloads = self._workloads.followed_by(sent["workloads"])
        return Model(workloads=self._workloads.things, **fields)

    def _read_field(self, name: str, text: bytes) -> Any:
        known = self._fields.get(name)
        if known is None or known[0] != text:
            known = self._fields[name] = (text, _field[name].decode(text))
        return known[1]


class _List:
    """Workloads, the bytes that they were read from, and where in these each begins and the last one ends."""

    def __init__(self, things: tuple[Workload, ...] = (), body: bytes = b"", bounds: Iterable[int] = (0,)) -> None:
        self.things, self._body, self._bounds = things, body, list(bounds)

    def become(self, things: tuple[Workload, ...]) -> _List:
        """As these would be read."""
        bounds = self._bounds
        head, tail = alike(self.things, things)
        last = len(self.things) - tail
        texts = list(map(encode, things[head : len(things) - tail]))
        body = b"".join((self._body[: bounds[head]], *texts, self._body[bounds[last] :]))
        return _List(things, body, self._bounds_of(head, last, texts, len(body)))

    def _bounds_of(self, head: int, last: int, texts: Iterable[bytes], length: int) -> Iterator[int]:
        """With these between those that stay."""
        shift = length - len(self._body)
        yield from self._bounds[:head]
        yield from accumulate(map(len, texts), initial=self._bounds[head])
        yield from (at + shift for at in self._bounds[last + 1 :])

    def followed_by(self, sent: bytes) -> _List:
        """Read what is between the bytes with which both begin and those with which both end."""
        count, body = _opened(sent)
        bounds, most = self._bounds, min(len(self.things), count)
        head = min(bisect_right(bounds, _same(self._body, body)) - 1, most)
        differs = len(self._body) - _same(self._body, body, from_end=True)
        tail = min(len(self.things) - bisect_left(bounds, differs), most - head)
        try:
            return self._between(count, body, head, tail)
        except ValueError:  # what is the same at the end begins within another workload
            return self._between(count, body, head, 0)

    def _between(self, count: int, body: bytes, head: int, tail: int) -> _List:
        """With as many from the beginning and the end as before. If the bytes between are as many whole elements as
        there must be, those at the end begin where they did."""
        bounds, last = self._bounds, len(self.things) - tail
        begin, end = bounds[head], len(body) - (bounds[-1] - bounds[last])
        if begin > end:
            raise ValueError("the same bytes would be read twice")
        texts = list(map(bytes, _texts.decode(_array(count - head - tail) + body[begin:end])))
        known = {self._body[bounds[at] : bounds[at + 1]]: self.things[at] for at in range(head, last)}
        read = [known.get(text) or _workload.decode(text) for text in texts]
        things = (*self.things[:head], *read, *self.things[last:])
        return _List(things, body, self._bounds_of(head, last, texts, len(body)))


def _opened(sent: bytes) -> tuple[int, bytes]:
    """The number of elements of an array, and all of them; ValueError for what is none."""
    kind = sent[0] if sent else 0
    if kind & ~_MASK == _SHORT:
        return kind & _MASK, sent[1:]
    if kind not in _HEADS:
        raise ValueError("not an array")
    size = _HEADS[kind]
    return int.from_bytes(sent[1:size], "big"), sent[size:]


def _array(count: int) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big")


def _same(one: bytes, other: bytes, *, from_end: bool = False) -> int:
    """How many bytes are equal at the beginning, or at the end."""
    most = min(len(one), len(other))

    def equal(low: int, high: int) -> bool:
        if from_end:
            return one[len(one) - high : len(one) - low] == other[len(other) - high : len(other) - low]
        return one[low:high] == other[low:high]

    low = 0
    while low < most and equal(low, min(low + _PIECE, most)):
        low = min(low + _PIECE, most)
    high = min(low + _PIECE, most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if equal(low, middle) else (low, middle - 1)
    return low

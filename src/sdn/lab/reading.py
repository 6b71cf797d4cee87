"""A Model that is sent again and again: what came in the same bytes before is the same object, and is not read again.

So whoever compares it with the one before sees at once where they differ, and reading costs what is new in it.
"""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
from msgspec.msgpack import Decoder, encode

from sdn.model import Model, Workload

_FIELDS = Model.__struct_fields__
_Parts = msgspec.defstruct(
    "_Parts", [(name, tuple[msgspec.Raw, ...] if name == "workloads" else msgspec.Raw) for name in _FIELDS]
)
_parts = Decoder(_Parts)
_workload = Decoder(Workload)
_field = {name: Decoder(kind) for name, kind in get_type_hints(Model).items() if name in _FIELDS}


class Reader:
    """Of one lab's Models; it keeps the last one, and the bytes of it."""

    def __init__(self) -> None:
        self._workloads: dict[bytes, Workload] = {}
        self._fields: dict[str, tuple[bytes, Any]] = {}

    def learn(self, model: Model) -> None:
        """A Model that came another way, as it would be sent."""
        self._workloads = {encode(one): one for one in model.workloads}
        rest = (name for name in _FIELDS if name != "workloads")
        self._fields = {name: (encode(value := getattr(model, name)), value) for name in rest}

    def read(self, sent: msgspec.Raw) -> Model:
        """ValueError for what is no Model."""
        parts: Any = _parts.decode(sent)
        fields = {name: self._read_field(name, bytes(getattr(parts, name))) for name in _FIELDS if name != "workloads"}
        known = self._workloads
        texts = list(map(bytes, parts.workloads))
        workloads = tuple([known.get(text) or _workload.decode(text) for text in texts])
        self._workloads = dict(zip(texts, workloads, strict=True))
        return Model(workloads=workloads, **fields)

    def _read_field(self, name: str, text: bytes) -> Any:
        known = self._fields.get(name)
        if known is None or known[0] != text:
            known = self._fields[name] = (text, _field[name].decode(text))
        return known[1]

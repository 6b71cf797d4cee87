"""JSON text as plain values, fast: who writes 30,000 workloads into one file has a program do it.

It answers only where the YAML reader would have answered the same without a mistake; everything doubtful is left to
that one, which says what is wrong and where.
"""

from __future__ import annotations

import json
import re
from typing import Any

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""JSON writes characters beyond U+FFFF as two escapes."""

_NESTED = (dict, list)


class DoubtError(Exception):
    """The YAML reader has to look at this text."""


def values(raw: bytes, depth: int, digits: int) -> Any:
    """The value of a JSON text, nested at most `depth` levels, its numbers at most `digits` characters long.

    Raises DoubtError for text that is no JSON, has a key twice, or writes characters that YAML reads otherwise.
    """
    if raw.lstrip()[:1] not in (b"{", b"[") or not raw.isascii() or b"\x7f" in raw:
        raise DoubtError
    if b"\\u" in raw and _HALF.search(raw):
        raise DoubtError

    def whole(text: str) -> int:
        return int(_short(text, digits))

    def broken(text: str) -> float:
        return float(_short(text, digits))

    try:
        data = json.loads(raw, object_pairs_hook=_once, parse_int=whole, parse_float=broken, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise DoubtError from None
    _check_depth(data, depth)
    return data


def _short(text: str, digits: int) -> str:
    if len(text) > digits:
        raise DoubtError
    return text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs) or "<<" in found:
        raise DoubtError
    return found


def _refuse(_: str) -> Any:
    """NaN and Infinity, which are no JSON."""
    raise DoubtError


def _check_depth(data: Any, depth: int) -> None:
    level = [data]
    for _ in range(depth):
        parts = [outer.values() if type(outer) is dict else outer for outer in level]
        level = [inner for part in parts for inner in part if type(inner) in _NESTED]
        if not level:
            return
    raise DoubtError

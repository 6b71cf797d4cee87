"""YAML (and so JSON) text as plain values that remember where they were written.

PyYAML's C parser finds the tokens; the values are ours, because PyYAML alone turns `no` into False and `22:22` into
1342 and keeps the last of two equal keys. Refused, each as a Problem with its line: what is no YAML, duplicate keys,
keys that are no text, files and nesting beyond any sensible manifest, and aliases that expand without end.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sdn.errors import Problem
from sdn.spec import json_text

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 64
MAX_ALIASED = 1_000_000
"""Values that all aliases of one file may stand for together."""
MAX_DIGITS = 64
MAX_PROBLEMS = 1_000
"""Mistakes of one file; who has more than that handed over something that is no manifest."""

Place = tuple[int, int]
"""Line and column, both from 1."""


@dataclass(slots=True)
class _Spot:
    """Where a value begins, and where its children do; a mapping's children come with the place of their key."""

    place: Place
    items: dict[str, tuple[Place, _Spot]] | list[_Spot] | None = None

    def child(self, step: str | int) -> tuple[Place, _Spot] | None:
        """The child at one step and the place of its key, None where there is none."""
        if isinstance(self.items, dict) and isinstance(step, str):
            return self.items.get(step)
        if isinstance(self.items, list) and isinstance(step, int) and 0 <= step < len(self.items):
            return self.items[step].place, self.items[step]
        return None


@dataclass
class Document:
    """One YAML document of a file; `data` is made of dict, list, str, int, float, bool and None.

    Nobody may change it: aliased values are one object that appears at several places.
    """

    file: str
    index: int  # counted from 0, null documents included
    data: Any
    _spots: Callable[[], _Spot] | _Spot = field(default_factory=lambda: _Spot((1, 1)), repr=False, compare=False)

    def where(self, path: Sequence[str | int]) -> Place:
        """Line and column of the value at `path`, or of its nearest parent that was written."""
        return self._find(path)[1]

    def where_key(self, path: Sequence[str | int]) -> Place:
        """Line and column of the key that leads to `path`, or of its nearest parent that was written."""
        return self._find(path)[0]

    def problem(self, path: Sequence[str | int], message: str, *, key: bool = False) -> Problem:
        """A mistake at the value at `path`, or with `key` at the key that leads there."""
        line, column = self.where_key(path) if key else self.where(path)
        return Problem(self.file, line, column, message)

    @property
    def _root(self) -> _Spot:
        """Found when it is first asked for, where reading did without."""
        if not isinstance(self._spots, _Spot):
            self._spots = self._spots()
        return self._spots

    def _find(self, path: Sequence[str | int]) -> tuple[Place, Place]:
        key, spot = self._root.place, self._root
        for step in path:
            found = spot.child(step)
            if found is None:
                return key, spot.place
            key, spot = found
        return key, spot.place


def read_file(path: Path, problems: list[Problem]) -> list[Document]:
    """All documents of a file; what is wrong with it is appended to `problems`."""
    raw = read_bytes(path, problems)
    return [] if raw is None else read_text(str(path), raw, problems)


def read_bytes(path: Path, problems: list[Problem]) -> bytes | None:
    """What is in a file, and of one that is too large a little more than may be in it."""
    file = str(path)
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        problems.append(Problem(file, 0, 0, "no such file; check the path"))
    except OSError as error:
        problems.append(Problem(file, 0, 0, f"cannot be read ({error.strerror}); name a file that this user may read"))
    return None


def read_text(file: str, raw: bytes, problems: list[Problem]) -> list[Document]:
    """All documents in `raw` except null ones; what is wrong with it is appended to `problems`.

    After a syntax error the documents before it are still returned.
    """
    if len(raw) <= MAX_BYTES:
        try:
            return [Document(file, 0, json_text.values(raw, MAX_DEPTH, MAX_DIGITS), lambda: _spots(file, raw))]
        except json_text.DoubtError:
            pass
    text = _decode(file, raw, problems)
    if text is None:
        return []
    reader = _Reader(file, text, problems)
    before = len(problems)
    documents = reader.documents()
    if not documents and len(problems) == before:
        problems.append(Problem(file, 0, 0, "is empty; write at least one YAML document, or leave the file out"))
    return documents


def _spots(file: str, raw: bytes) -> _Spot:
    """Where everything stands in a text that was read without looking."""
    documents = _Reader(file, raw.decode(), []).documents()
    return documents[0]._root if documents else _Spot((1, 1))


def _decode(file: str, raw: bytes, problems: list[Problem]) -> str | None:
    if len(raw) > MAX_BYTES:
        limit = MAX_BYTES // 2**20
        problems.append(Problem(file, 0, 0, f"is larger than {limit} MiB; split it into several files"))
        return None
    try:
        return _joined(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        start = error.start if not raw.startswith(b"\xef\xbb\xbf") else error.start + 3
        line, column = _line_column(raw, start)
        message = f"byte 0x{raw[start]:02x} is not valid UTF-8; save the file as UTF-8"
        problems.append(Problem(file, line, column, message))
        return None


_PAIR = re.compile(r"\\\\|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")


def _joined(text: str) -> str:
    """JSON writes characters beyond U+FFFF as two escapes, which YAML's parser refuses."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    return _PAIR.sub(lambda m: m[0] if m[1] is None else f"\\U{_code_point(m[1], m[2]):08X}", text)


def _code_point(high: str, low: str) -> int:
    return 0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00


def _line_column(raw: bytes, offset: int) -> Place:
    """Line and column of a byte, the column in characters."""
    begin = raw.rfind(b"\n", 0, offset) + 1
    return raw.count(b"\n", 0, offset) + 1, len(raw[begin:offset].decode(errors="replace")) + 1


_WORDS: dict[str, bool | float | None] = {"": None, "~": None}
_WORDS |= dict.fromkeys(("null", "Null", "NULL"))
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
_WORDS |= {sign + word: value for word in (".inf", ".Inf", ".INF") for sign, value in (("", math.inf), ("+", math.inf))}
_WORDS |= dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf) | dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan)
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0(?:o[0-7]+|x[0-9a-fA-F]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)


def plain(text: str) -> Any:
    """What an unquoted scalar means in YAML 1.2's core schema: `no`, `on`, `22:22` and dates are text.

    Raises ValueError for a number with more than `MAX_DIGITS` digits.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789" or not (_FLOAT.fullmatch(text) or _BASED.fullmatch(text)):
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters is too long (the most is {MAX_DIGITS}); quote it if text")
    if _DECIMAL.fullmatch(text):
        return int(text)
    return int(text, 0) if _BASED.fullmatch(text) else float(text)


class _StopError(Exception):
    """The rest of the file cannot be read; the problem has been noted."""


_PREFIX = "tag:yaml.org,2002:"
_TAGGED: dict[str, type | tuple[type, ...]] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}


class _Reader:
    """Builds values from the events of one file."""

    def __init__(self, file: str, text: str, problems: list[Problem]) -> None:
        self.file, self.text, self.problems = file, text, problems
        self.limit = len(problems) + MAX_PROBLEMS
        self.events: Iterator[Any] = iter(())
        self.anchors: dict[str, tuple[Any, _Spot, int] | None] = {}  # None while the value is being read
        self.count = 0  # values so far, as aliases expand them
        self.aliased = 0

    def documents(self) -> list[Document]:
        """Every document up to the first syntax error."""
        found: list[Document] = []
        self.events = yaml.parse(self.text, Loader=yaml.CSafeLoader)
        try:
            for event in self.events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self._document(found)
        except _StopError:
            pass
        except yaml.reader.ReaderError as error:
            raw = self.text.encode()
            place = _line_column(raw, int(error.position))
            self._note(place, f"character U+{ord(raw[error.position : error.position + 1]):04X} is not allowed in YAML")
        except yaml.MarkedYAMLError as error:
            templated = _TEMPLATE in self.text
            self._note(_place(error.problem_mark or error.context_mark), _syntax(error, templated=templated))
        return found

    def _document(self, found: list[Document]) -> None:
        self.anchors.clear()
        index = self.index = getattr(self, "index", -1) + 1
        data, root = self._value(next(self.events), 1)
        if data is not None:
            found.append(Document(self.file, index, data, root))

    def _note(self, place: Place, message: str) -> None:
        self.problems.append(Problem(self.file, *place, message))
        if len(self.problems) >= self.limit:
            raise _StopError

    def _value(self, event: Any, depth: int) -> tuple[Any, _Spot]:
        place = _place(event.start_mark)
        if depth > MAX_DEPTH:
            self._note(place, f"is nested deeper than {MAX_DEPTH} levels; no manifest is")
            raise _StopError
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, place)
        before, anchor = self.count, event.anchor
        self.count += 1
        if anchor is not None:
            self.anchors[anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, place), _Spot(place)
        elif isinstance(event, yaml.MappingStartEvent):
            value = self._mapping(place, depth)
        else:
            value = self._sequence(place, depth)
        if anchor is not None:
            self.anchors[anchor] = (*value, self.count - before)
        return value

    def _alias(self, event: Any, place: Place) -> tuple[Any, _Spot]:
        target = self.anchors.get(event.anchor)
        if target is None:
            why = "contains itself" if event.anchor in self.anchors else f"needs an anchor &{event.anchor} before it"
            self._note(place, f"alias *{event.anchor} {why}; write the value out")
            raise _StopError
        data, spot, size = target
        self.count += size
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            self._note(place, f"aliases expand to more than {MAX_ALIASED:,} values here; write the file without them")
            raise _StopError
        return data, _Spot(place, spot.items)

    def _scalar(self, event: Any, place: Place) -> Any:
        text: str = event.value
        try:
            if event.tag is None:
                return plain(text) if event.implicit[0] else text
            if event.tag == "!":
                return text
            return _tagged(event.tag.removeprefix(_PREFIX), text)
        except ValueError as error:
            self._note(place, str(error))
            return text

    def _sequence(self, place: Place, depth: int) -> tuple[Any, _Spot]:
        values: list[Any] = []
        spots: list[_Spot] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            value, spot = self._value(event, depth + 1)
            values.append(value)
            spots.append(spot)
        return values, _Spot(place, spots)

    def _mapping(self, place: Place, depth: int) -> tuple[Any, _Spot]:
        values: dict[str, Any] = {}
        spots: dict[str, tuple[Place, _Spot]] = {}
        merged: list[tuple[Any, _Spot]] = []
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key_place = _place(event.start_mark)
            key, _ = self._value(event, depth + 1)
            value, spot = self._value(next(self.events), depth + 1)
            if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                merged.append((value, spot))
            elif not isinstance(key, str):
                self._note(key_place, f"key {_show(key)} is not text; put it in quotes")
            elif key in values:
                self._note(key_place, f'key "{key}" was already given in line {spots[key][0][0]}; keep one of them')
            else:
                values[key], spots[key] = value, (key_place, spot)
        for value, spot in merged:
            self._merge(value, spot, values, spots)
        return values, _Spot(place, spots)

    def _merge(self, value: Any, spot: _Spot, values: dict[str, Any], spots: dict[str, tuple[Place, _Spot]]) -> None:
        """`<<` is not YAML 1.2, but Kubernetes reads it; what is written out wins over what is merged."""
        if isinstance(value, dict) and isinstance(spot.items, dict):
            for key in [key for key in value if key not in values]:
                values[key], spots[key] = value[key], spot.items[key]
        elif isinstance(value, list) and isinstance(spot.items, list):
            for one, where in zip(value, spot.items, strict=True):
                self._merge(one, where, values, spots)
        else:
            self._note(spot.place, "<< merges mappings only; give it an alias of a mapping")


def _tagged(tag: str, text: str) -> Any:
    """A scalar with an explicit tag, such as `!!str 5`; ValueError says what is wrong with it."""
    if tag == "str":
        return text
    if tag not in _TAGGED:
        raise ValueError(f"tag {tag if tag[:1] == '!' else '!!' + tag} is not used here; remove it")
    value = plain(text)
    kind = _TAGGED[tag]
    if not isinstance(value, kind) or (tag != "bool" and isinstance(value, bool)):
        raise ValueError(f'"{text}" is not a value of !!{tag}; remove the tag')
    return value


def _place(mark: Any) -> Place:
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _show(value: Any) -> str:
    if isinstance(value, dict | list):
        return "of a list or mapping"
    return str(value).lower() if isinstance(value, bool) else str(value)


_HINTS = {
    "found character that cannot start any token": "indent with spaces, not tabs, and quote text that begins so",
    "mapping values are not allowed in this context": "indent the line as its neighbours, or quote text with a colon",
    "could not find expected ':'": "end the key with a colon",
    "did not find expected key": "indent the line as its neighbours",
    "did not find expected '-' indicator": "indent the line as its neighbours",
    "did not find expected ',' or ']'": "close the bracket",
    "did not find expected ',' or '}'": "close the brace",
    "found unexpected end of stream": "close the quote or bracket",
    "did not find expected <document start>": "write --- between documents, and several JSON values as one list",
}


_TEMPLATE = "{{"
"""What files of charts are full of, and what hardly any manifest has."""


def _syntax(error: yaml.MarkedYAMLError, *, templated: bool) -> str:
    """PyYAML's own words as one sentence with a next step."""
    problem = error.problem or "cannot be read"
    context = f" {error.context}" if error.context else ""
    begun = ""
    if error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
        begun = f" (begun in line {error.context_mark.line + 1})"
    hint = "render templates first (`helm template`)" if templated else _HINTS.get(problem, "correct the line")
    return f"not valid YAML{context}{begun}: {problem}; {hint}"

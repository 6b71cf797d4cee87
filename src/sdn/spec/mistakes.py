"""Pydantic's findings as our sentences, each at the line and column of the value that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from sdn.errors import Problem
from sdn.spec.source import Document

M = TypeVar("M", bound=BaseModel)
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Site:
    """A place in a document and what a person calls the object there; `steps` lead from the object to the place."""

    document: Document
    root: Path
    title: str
    problems: list[Problem]
    steps: Path = ()

    def at(self, *steps: str | int) -> Site:
        """A place further in."""
        return Site(self.document, self.root, self.title, self.problems, self.steps + steps)

    def report(self, message: str, *, key: bool = False) -> None:
        """Note a mistake here; with `key` the key is wrong rather than its value."""
        path = dotted(self.steps)
        text = ": ".join(part for part in (self.title, path, message) if part)
        self.problems.append(self.document.problem((*self.root, *self.steps), text, key=key))

    @property
    def line(self) -> str:
        """`file:line`."""
        return f"{self.document.file}:{self.document.where((*self.root, *self.steps))[0]}"


def dotted(steps: Sequence[str | int]) -> str:
    """`spec.ingress[0].from`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def validate(model: type[M], data: Any, site: Site) -> M | None:
    """`data` as a `model`, every mistake reported; None where more is wrong than the names of fields.

    Where only those are, it is read as it was probably meant, so that its other mistakes are found, too.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        mistakes = error.errors(include_url=False)
    for found in mistakes:
        _report(model, found, site)
    if any(found["type"] != "extra_forbidden" for found in mistakes):
        return None
    for found in mistakes:
        data = _spelt(model, data, found["loc"])
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _spelt(model: type[BaseModel], data: Any, steps: Path) -> Any:
    """A copy in which the key that `steps` lead to is the field that it resembles, or left out if it resembles none."""
    step, rest = steps[0], steps[1:]
    if rest:
        inner = _inner(model).get(step, None) if isinstance(step, str) else model
        changed = _spelt(inner or model, data[step], rest)
        return [*data[:step], changed, *data[step + 1 :]] if isinstance(step, int) else {**data, step: changed}
    others = {key: value for key, value in data.items() if key != step}
    meant = closest(str(step), _inner(model))
    return others if not meant or meant in others else {**others, meant: data[step]}


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean "replicas"?`, or nothing."""
    close = closest(word, known)
    return f'; did you mean "{close}"?' if close else ""


def closest(word: str, known: Iterable[str]) -> str:
    """The one of some names that a word was probably meant to be; empty where it resembles none."""
    names = {name.lower(): name for name in known}
    return next((names[close] for close in get_close_matches(word.lower(), names, n=1, cutoff=0.7)), "")


def near_misses(model: type[BaseModel], data: Any, steps: Path = ()) -> Iterator[tuple[Path, str]]:
    """Keys that `model` ignores but that look like one it reads: where, and the key that was probably meant.

    Pod specs are full of fields that are not used here, so an unknown one alone is no mistake.
    """
    if not isinstance(data, dict):
        return
    known = _inner(model)
    for key, value in data.items():
        if key not in known:
            meant = _resembled(model, key)
            if meant and meant not in data:
                yield (*steps, key), meant
            continue
        inner = known[key]
        if inner is not None and isinstance(value, list):
            for position, element in enumerate(value):
                yield from near_misses(inner, element, (*steps, key, position))
        elif inner is not None:
            yield from near_misses(inner, value, (*steps, key))


def unread(model: type[BaseModel], data: Any, steps: Path = ()) -> Iterator[tuple[Path, str]]:
    """Keys that `model` neither reads nor lists in its `UNUSED`: where, and the key."""
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        if key not in _inner(model):
            if key not in getattr(model, "UNUSED", ()):
                yield steps, key
            continue
        inner = _inner(model)[key]
        if inner is not None and isinstance(value, list):
            for position, element in enumerate(value):
                yield from unread(inner, element, (*steps, key, position))
        elif inner is not None:
            yield from unread(inner, value, (*steps, key))


@cache
def _inner(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """The fields of a model as they are written, and the model inside each."""
    return {field.alias or name: _model_in(field.annotation) for name, field in model.model_fields.items()}


@lru_cache(maxsize=10_000)
def _resembled(model: type[BaseModel], key: str) -> str:
    """The field of a model that a key is almost spelt like, or nothing; it may be one that is known and not used."""
    if key in getattr(model, "UNUSED", ()):
        return ""
    names = {name.lower(): name for name in _inner(model)}
    return next((names[close] for close in get_close_matches(key.lower(), names, n=1, cutoff=0.88)), "")


def _report(model: type[BaseModel], found: Any, site: Site) -> None:
    steps: Path = found["loc"]
    is_key = bool(steps) and steps[-1] == "[key]"
    if is_key:
        steps = steps[:-1]
    kind, value = found["type"], found["input"]
    if kind == "extra_forbidden":
        fields = _fields(model, steps[:-1])
        hint = nearest(str(steps[-1]), fields) or f" (there are: {', '.join(fields)})"
        site.at(*steps).report(f"this field is not known{hint}", key=True)
    elif kind == "missing":
        site.at(*steps[:-1]).report(f'"{steps[-1]}" is missing; add it')
    elif kind == "value_error":
        site.at(*steps).report(str(found["ctx"]["error"]), key=is_key)
    else:
        wanted, hint = _WANTED.get(kind, (found["msg"], ""))
        if kind == "string_type" and value is None:
            hint = '; write "" for an empty text'
        site.at(*steps).report(f"must be {wanted}, not {describe(value)}{hint}", key=is_key)


_WANTED = {
    "string_type": ("text", "; put it in quotes"),
    "int_type": ("a whole number", ""),
    "bool_type": ("true or false", ""),
    "list_type": ("a list", ""),
    "dict_type": ("a mapping", ""),
    "model_type": ("a mapping", ""),
    "model_attributes_type": ("a mapping", ""),
    "greater_than_equal": ("0 or more", ""),
}


def kind(value: Any) -> str:
    """What a person calls the type of a YAML value: `the number 5`, `a list`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


def show(value: Any) -> str:
    """A value as it may stand in a message: quoted if it is text, cut if it is long."""
    if not isinstance(value, str):
        return kind(value)
    return '"' + (value if len(value) <= 60 else value[:57] + "...") + '"'


def describe(value: Any) -> str:
    """The same in the middle of a sentence: `the text "abc"`."""
    return f"the text {show(value)}" if isinstance(value, str) else kind(value)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `list[Port] | None` and the like; None where there is none."""
    if isinstance(annotation, type) and not get_args(annotation):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((model for part in get_args(annotation) if (model := _model_in(part)) is not None), None)


def _fields(model: type[BaseModel], steps: Path) -> list[str]:
    """The fields, as they are written, of the model that `steps` lead to."""
    current: type[BaseModel] | None = model
    for step in steps:
        if isinstance(step, str) and current is not None:
            current = _inner(current).get(step)
    return sorted(_inner(current)) if current else []

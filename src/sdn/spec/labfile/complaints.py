"""From what pydantic says about a form to sentences with file, line and column; and what can still be checked after.

A mistake must not hide the next one. So what is wrong is cut out of the data and the rest is read again, until a form
stands; checks of sense then run on that form, and keep silent about everything that touches a cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sdn.errors import Problem
from sdn.spec.mistakes import Site, kind, show
from sdn.spec.source import Document

Path = tuple[str | int, ...]
FormT = TypeVar("FormT", bound=BaseModel)

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_LIMITS = {
    "greater_than_equal": ("ge", "is too small; the least is"),
    "less_than_equal": ("le", "is too large; the most is"),
}
_UNKNOWN = "unknown field"
_EMPTY = {
    "too_short": "is an empty list; write at least one item",
    "string_too_short": "is an empty text; write something or leave it out",
}


class Complaints:
    """Collects the Problems of one Document; paths are those of the form, which may have lost parts of the document."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self._document, self._problems = document, problems
        self._cut: set[Path] = set()

    def into(self, problems: list[Problem]) -> Complaints:
        """The same, that collects into another list."""
        other = Complaints(self._document, problems)
        other._cut = self._cut
        return other

    @property
    def elsewhere(self) -> bool:
        """Whether other files have mistakes, so that what they define may be missing."""
        return any(problem.file != self._document.file for problem in self._problems)

    @property
    def any(self) -> bool:
        """Whether there is a mistake anywhere."""
        return bool(self._problems)

    def at(self, path: Sequence[str | int], message: str, *, key: bool = False) -> None:
        """Note a mistake, unless it may only be the consequence of one that was noted before."""
        written = self.source(path)
        if not self.touched(written):
            self._add(written, message, key)

    def place(self, path: Sequence[str | int]) -> str:
        """`file:line` of the key that leads to `path`."""
        line, _ = self._document.where_key(self.source(path))
        return f"{self._document.file}:{line}"

    def site(self, path: Sequence[str | int], aside: list[Problem] | None = None) -> Site:
        """The same place for those who read manifests, too; without its name where mistakes only count, `aside`."""
        written = self.source(path)
        if aside is not None:
            return Site(self._document, written, "", aside)
        return Site(self._document, written, self._name(written), self._problems)

    def written(self, *path: str | int) -> Any:
        """What the document says at `path`, mistakes included; None if it says nothing."""
        data = self._document.data
        for step in path:
            data = _child(data, step)
        return data

    def names(self, *path: str | int) -> set[str]:
        """The keys of the mapping that the document has at `path`, also those of values that are wrong."""
        data = self.written(*path)
        return set(data) if isinstance(data, dict) else set()

    def touched(self, path: Sequence[str | int]) -> bool:
        """Whether something was cut out of, or around, the value at a path of the document."""
        part = tuple(path)
        return any(cut[: len(part)] == part or part[: len(cut)] == cut for cut in self._cut)

    def read(self, form: type[FormT]) -> FormT | None:
        """The form without the parts that are wrong; None if nothing of it can be used."""
        while () not in self._cut:
            try:
                return form.model_validate(self._without_cuts(self._document.data, ()), context={})
            except ValidationError as error:
                self._note(form, error)
        return None

    def _note(self, form: type[BaseModel], error: ValidationError) -> None:
        before = frozenset(self._cut)
        data = self._without_cuts(self._document.data, ())
        for one in error.errors(include_url=False):
            path, missing = _located(data, one["loc"], one["type"] == "missing")
            written = self.source(path, before)
            full = (*written, missing) if missing else written
            if not any(cut[: len(full)] == full for cut in before):
                key = one["type"] == "extra_forbidden" or one["loc"][-1:] == ("[key]",)
                self._add(written, _sentence(one, form, missing), key)
            self._cut.add(written)

    def _add(self, path: Path, message: str, key: bool) -> None:
        name = self._name(path[:-1] if key and message.startswith(_UNKNOWN) else path)
        self._problems.append(self._document.problem(path, f"{name}: {message}" if name else message, key=key))

    def _name(self, path: Path) -> str:
        """A path as people read it: `policies[db-from-app].rules[1]`, list items by their name where they have one."""
        name, data = "", self._document.data
        for step in path:
            data = _child(data, step)
            if isinstance(step, int):
                called = data.get("name") if isinstance(data, dict) else None
                name += f"[{called}]" if isinstance(called, str) and called else f"[{step}]"
            else:
                name += f".{step}" if name else step
        return name

    def source(self, path: Sequence[str | int], cuts: Iterable[Path] | None = None) -> Path:
        """The place in the document of a place in the form: items that were cut still count there."""
        cut = self._cut if cuts is None else cuts
        if not cut:
            return tuple(path)
        result: Path = ()
        for step in path:
            if isinstance(step, int):
                gone = {one[-1] for one in cut if len(one) == len(result) + 1 and one[:-1] == result}
                result += ([index for index in range(step + len(gone) + 1) if index not in gone][step],)
            else:
                result += (step,)
        return result

    def _without_cuts(self, data: Any, path: Path) -> Any:
        if not any(cut[: len(path)] == path for cut in self._cut):
            return data
        if isinstance(data, dict):
            kept = [(key, one) for key, one in data.items() if (*path, key) not in self._cut]
            return {key: self._without_cuts(one, (*path, key)) for key, one in kept}
        if isinstance(data, list):
            kept = [(key, one) for key, one in enumerate(data) if (*path, key) not in self._cut]
            return [self._without_cuts(one, (*path, key)) for key, one in kept]
        return data


def _located(data: Any, loc: Sequence[str | int], missing: bool) -> tuple[Path, str]:
    """Pydantic's place without its own words (`[key]`, tags of unions) in it, and the name of a missing field."""
    path: Path = ()
    for step in loc[:-1] if missing else loc:
        if _has(data, step):
            data = _child(data, step)
            path += (step,)
    return path, str(loc[-1]) if missing else ""


def suggest(word: str, legal: Iterable[str]) -> str:
    """What to write instead: ` (did you mean "web"? there are: app, db, web)`; long lists are cut."""
    known = sorted(legal)
    near = get_close_matches(word, known, 1)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f" ({hint}there {'are' if len(known) > 1 else 'is'}: {shown})" if known else " (there is none)"


def _sentence(error: Any, form: type[BaseModel], missing: str) -> str:
    """One pydantic error in our words."""
    what, given, context = error["type"], error["input"], error.get("ctx", {})
    if what == "missing":
        return f'field "{missing}" is missing; add it'
    if what == "extra_forbidden":
        *home, name = error["loc"]
        return f'{_UNKNOWN} "{name}"{suggest(str(name), _fields(form, home))}'
    if what == "literal_error":
        legal = [word.strip("'") for word in context["expected"].replace(" or ", ", ").split(", ")]
        return f"{show(given)} is not known here{suggest(str(given), legal)}"
    if what == "value_error":
        return str(context["error"])
    if what in _KINDS:
        return f"expected {_KINDS[what]}, not {kind(given)}{_quotes(what, given)}"
    if what in _LIMITS:
        limit, words = _LIMITS[what]
        return f"{given} {words} {context[limit]}"
    return _EMPTY.get(what) or f"{error['msg']}, not {kind(given)}"


def _quotes(what: str, given: Any) -> str:
    if what == "string_type" and isinstance(given, int | float):
        return "; put it in quotes"
    return "; write it without quotes" if what == "int_type" and isinstance(given, str) and given.isdigit() else ""


def _fields(form: type[BaseModel], loc: Sequence[str | int]) -> set[str]:
    """The fields that are legal in the mapping at `loc`."""
    types: list[Any] = [form]
    for step in loc:
        types = [inner for one in types for inner in _step(one, step)]
    return {field.alias or name for one in _forms(types) for name, field in one.model_fields.items()}


def _step(annotation: Any, step: str | int) -> list[Any]:
    """The types of the value at `step` in a value of a type; a union's tag leads to the union itself."""
    found: list[Any] = []
    for one in _unwrap(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel):
            found += [f.annotation for name, f in one.model_fields.items() if (f.alias or name) == step]
        elif get_origin(one) is list and isinstance(step, int):
            found += get_args(one)
        elif get_origin(one) is dict and isinstance(step, str):
            found.append(get_args(one)[1])
    return found or [annotation]


def _unwrap(annotation: Any) -> list[Any]:
    """The alternatives of a type, without Annotated around them."""
    if hasattr(annotation, "__metadata__"):
        return _unwrap(annotation.__origin__)
    if get_origin(annotation) in (list, dict) or not get_args(annotation):
        return [annotation]
    return [inner for one in get_args(annotation) for inner in _unwrap(one)]


def _forms(types: Iterable[Any]) -> list[type[BaseModel]]:
    return [one for each in types for one in _unwrap(each) if isinstance(one, type) and issubclass(one, BaseModel)]


def _has(data: Any, step: str | int) -> bool:
    if isinstance(data, dict):
        return step in data
    return isinstance(data, list) and isinstance(step, int) and step < len(data)


def _child(data: Any, step: str | int) -> Any:
    if not _has(data, step):
        return None
    return data[step]

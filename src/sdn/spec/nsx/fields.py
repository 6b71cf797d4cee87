"""Objects read by their schema, with unknown fields reported; the small texts of NSX: addresses, ranges, names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import Any, TypeVar

from sdn.model import IPBlock, family_of
from sdn.spec.mistakes import Site, describe, near_misses, unread, validate
from sdn.spec.nsx import schema

M = TypeVar("M", bound=schema.Loose)
Network = IPv4Network | IPv6Network
ANY = "ANY"


@dataclass
class Notes:
    """Warnings of one import, each said once in the order met; equal ones are counted at their first place."""

    lines: dict[str, tuple[str, int]] = field(default_factory=dict)

    def warn(self, site: Site, message: str) -> None:
        """About one object."""
        self.lines.setdefault(f"{site.line}: {site.title}: {message}", ("", 1))

    def once(self, site: Site, message: str) -> None:
        """About something that many objects may share: the first is named."""
        place, count = self.lines.get(message, (f"{site.line}: {site.title}", 0))
        self.lines[message] = (place, count + 1)

    def say(self, message: str) -> None:
        """About the whole export."""
        self.lines.setdefault(message, ("", 1))

    @property
    def texts(self) -> list[str]:
        """Every warning as one line."""
        return [
            f"{place}: {message}" + (f" ({count} times in all)" if count > 1 else "") if place else message
            for message, (place, count) in self.lines.items()
        ]


def read_strictly(model: type[M], data: Mapping[str, Any], site: Site, notes: Notes) -> M | None:
    """An object of policy; a field that looks misspelt is a mistake, another unknown one is reported by its name."""
    known = {*model.model_fields, *model.UNUSED, *schema.COMMON}
    for key in data:
        if key in known or key.startswith("_"):
            continue
        meant = get_close_matches(key, {*model.model_fields} - data.keys(), n=1, cutoff=0.85)
        if meant:
            site.at(key).report(f'this field is not known; did you mean "{meant[0]}"?', key=True)
        else:
            kind = data.get("resource_type", model.__name__)
            notes.once(site, f'field "{key}" of {kind} is not known and not used here')
    return validate(model, data, site)


def read_loosely(model: type[M], data: Mapping[str, Any], site: Site, notes: Notes) -> M | None:
    """An object of the inventory, with all that is in it; a field that looks misspelt is a mistake here, too."""
    misspelt = dict(near_misses(model, data))
    for steps, meant in misspelt.items():
        site.at(*steps).report(f'this field is not known; did you mean "{meant}"?', key=True)
    kind = data.get("resource_type", model.__name__)
    for steps, key in unread(model, data):
        if (*steps, key) not in misspelt and key not in schema.COMMON and not key.startswith("_"):
            inside = "".join(f" {step}" for step in steps if isinstance(step, str))
            notes.once(site, f'field "{key}" of {kind}{inside} is not known and not used here')
    return validate(model, data, site)


def piece(element: Mapping[str, Any]) -> str:
    """What an element of a group or a service says that it is."""
    kind = element.get("resource_type")
    return kind if isinstance(kind, str) else describe(kind)


def blocks(text: str) -> list[IPBlock]:
    """An address, a prefix or a range as prefixes; ValueError says what is wrong."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        if not dash:
            return [IPBlock(str(ip_network(first, strict=False)))]
        low, high = ip_address(first), ip_address(last)
        if low.version != high.version or int(high) < int(low):
            raise ValueError
        parts: Iterable[Network] = summarize_address_range(low, high)
        return [IPBlock(str(part)) for part in parts]
    except ValueError:
        raise ValueError(
            f'"{text[:80]}" is no address; write 10.0.0.1, 10.0.0.0/24 or 10.0.0.1-10.0.0.9 (or the same in IPv6)'
        ) from None


def is_address(text: str) -> bool:
    """Whether a source or destination is an address rather than a path."""
    return not text.startswith("/")


def family(block: IPBlock) -> int:
    """4 or 6."""
    return family_of(block.cidr)


def version(text: str) -> int:
    """4 or 6; ValueError where it is no address."""
    return 4 if isinstance(ip_address(text), IPv4Address) else 6


class Names:
    """Legal, unique names from what people typed; who asks in a fixed order gets the same names every time."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}  # name → the last number that was tried after it

    def take(self, text: str, fallback: str) -> str:
        """A DNS label made of `text`; the second of equal ones ends in -2."""
        stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:55].strip("-") or fallback
        name, number = stem, self._taken.get(stem, 1)
        while name in self._taken:
            number += 1
            name = f"{stem}-{number}"
        self._taken[stem] = number
        self._taken.setdefault(name, 1)
        return name


def plain(text: str) -> str:
    """A name as it can stand in a rule's comment, which nft puts in double quotes."""
    return re.sub(r'["\\\x00-\x1f\x7f]', "'", text).strip()


def labelled(items: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Path → what to call it, from (path, name, id): the name where it is unique, else with id or path."""
    listed = list(items)
    result = {path: plain(name) for path, name, _ in listed}
    for further in ({path: plain(f"{name} ({ident})") for path, name, ident in listed}, {p: p for p, _, _ in listed}):
        count = Counter(result.values())
        result = {path: name if count[name] == 1 else further[path] for path, name in result.items()}
    return result

"""Connections in every form: lines for people, JSON and CSV for programs, a graph for dot, a table for Markdown.

All are made line by line, for a large lab has hundreds of thousands.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from io import StringIO

import msgspec
from msgspec import Struct

from sdn.policy.reach_list import Allowed, Connection, Party


class WorkloadDocument(Struct, frozen=True):
    """`workload` is `namespace/name`; `kind` is that of the owner of Pods, Pod for one without, VM for a VM."""

    workload: str
    kind: str


class OutsideDocument(Struct, frozen=True):
    """Ranges of addresses, both ends inclusive, that no workload has."""

    external: tuple[str, ...]


class AllowedDocument(Struct, frozen=True, omit_defaults=True):
    """`protocol` is TCP, UDP, SCTP, ICMP or any; `ports` as `80,443,8000-8999`, absent for `any` and ICMP.

    `family` (4 or 6) is only there where the two IP families differ.
    """

    protocol: str
    ports: str = ""
    family: int = 0


class ConnectionDocument(Struct, frozen=True):
    """Who may send what to whom."""

    src: WorkloadDocument | OutsideDocument
    dst: WorkloadDocument | OutsideDocument
    allowed: tuple[AllowedDocument, ...]


@cache
def party_document(party: Party) -> WorkloadDocument | OutsideDocument:
    """A party as it stands in JSON."""
    return OutsideDocument(party.ranges) if party.is_outside else WorkloadDocument(party.name, party.kind)


@cache
def allowed_documents(allowed: tuple[Allowed, ...]) -> tuple[AllowedDocument, ...]:
    """What is allowed as it stands in JSON."""
    return tuple(AllowedDocument(one.protocol, one.text, one.family) for one in allowed)


def document(connection: Connection) -> ConnectionDocument:
    """One connection as it stands in JSON."""
    ends = party_document(connection.source), party_document(connection.destination)
    return ConnectionDocument(*ends, allowed_documents(connection.allowed))


def name(party: Party) -> str:
    """`shop/web [Deployment]`, or `outside 10.0.0.0-10.255.255.255`."""
    if party.is_outside:
        return f"outside {', '.join(party.ranges)}"
    return f"{party.name} [{party.kind}]"


@cache
def allowed_text(allowed: tuple[Allowed, ...]) -> str:
    """`TCP 80,443; ICMP; UDP 53 (IPv6 only)`."""
    return "; ".join(_one(one) for one in allowed)


def _one(one: Allowed) -> str:
    words = f"{one.protocol} {one.text}".rstrip()
    return f"{words} (IPv{one.family} only)" if one.family else words


def text(connections: Iterable[Connection]) -> Iterator[str]:
    """A line for each pair, and for each range of outside addresses."""
    for one in connections:
        ends = [_lines(one.source), _lines(one.destination)]
        for source in ends[0]:
            for destination in ends[1]:
                yield f"{source} → {destination}: {allowed_text(one.allowed)}"


@cache
def _lines(party: Party) -> tuple[str, ...]:
    return tuple(f"outside {part}" for part in party.ranges) if party.is_outside else (name(party),)


def json(connections: Iterable[Connection]) -> Iterator[str]:
    """One object with a connection on each line."""
    encode = msgspec.json.Encoder().encode
    before = '{"connections": ['
    for one in connections:
        yield before
        before = encode(document(one)).decode() + ","
    yield before.removesuffix(",")
    yield "]}"


def rows(connections: Iterable[Connection]) -> Iterator[str]:
    """CSV with a heading: a row for each protocol (and family) of a pair; blanks between several outside ranges."""
    yield _row("src", "src_kind", "dst", "dst_kind", "protocol", "ports", "family")
    for one in connections:
        ends = (*_cells(one.source), *_cells(one.destination))
        for allowed in one.allowed:
            yield _row(*ends, allowed.protocol, allowed.text, str(allowed.family or ""))


def _cells(party: Party) -> tuple[str, str]:
    return (" ".join(party.ranges), "external") if party.is_outside else (party.name, party.kind)


def _row(*cells: str) -> str:
    line = StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()


def dot(connections: Iterable[Connection]) -> Iterator[str]:
    """A graph for Graphviz."""
    yield "digraph reach {"
    yield '  graph [rankdir="LR"]; node [shape="box"];'
    for one in connections:
        label = msgspec.json.encode(allowed_text(one.allowed)).decode()
        yield f"  {_node(one.source)} -> {_node(one.destination)} [label={label}];"
    yield "}"


@cache
def _node(party: Party) -> str:
    # JSON's strings are dot's: both escape quotes with a backslash.
    return msgspec.json.encode("\n".join((party.name, party.kind) if party.name else party.ranges)).decode()


def markdown(connections: Iterable[Connection]) -> Iterator[str]:
    """A table."""
    yield "| from | to | allowed |"
    yield "|---|---|---|"
    for one in connections:
        yield f"| {name(one.source)} | {name(one.destination)} | {allowed_text(one.allowed)} |"


FORMS: dict[str, Callable[[Iterable[Connection]], Iterator[str]]] = {
    "text": text,
    "json": json,
    "csv": rows,
    "dot": dot,
    "md": markdown,
}
"""`--format` → what makes its lines."""

"""One number beside its peer: what every benchmark hands back, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from sdn.errors import LabError


class Row(Struct, frozen=True):
    """`ratio` is value / peer_value, both in `unit`; a row without a peer is context for the others."""

    case: str
    value: float | str
    unit: str = ""
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None


def compared(case: str, value: float, unit: str, peer: str, peer_value: float) -> Row:
    """A row with its ratio; a peer that took no time has none."""
    ratio = float(f"{value / peer_value:.3g}") if peer_value else None
    return Row(case, _rounded(value), unit, peer, _rounded(peer_value), ratio)


def plain(case: str, value: float | str, unit: str = "") -> Row:
    """A row without a peer."""
    return Row(case, value if isinstance(value, str) else _rounded(value), unit)


def require(wrong: Mapping[str, float]) -> None:
    """LabError if anything is there of what must not be: what was measured of a wrong result says nothing."""
    found = [f"{number:,.10g} {what}" for what, number in wrong.items() if number]
    if found:
        raise LabError(f"the result is wrong, so its times do not count: {', '.join(found)}")


def as_json(rows: Iterable[Row]) -> str:
    """A list with one row per line, so that two runs can be compared with diff."""
    lines = ",\n ".join(map(as_line, rows))
    return f"[{lines}]"


def as_line(row: Row) -> str:
    """The same for one row."""
    return msgspec.json.encode(row).decode()


def as_text(row: Row) -> str:
    """One line with columns that align."""
    text = f"{row.case:<46} {_number(row.value):>10} {row.unit:<12}"
    if row.peer is not None and row.peer_value is not None:
        ratio = f"{row.ratio:.3g} x" if row.ratio is not None else "-"
        text += f" {ratio:>9}  {row.peer} ({_number(row.peer_value)})"
    return text.rstrip()


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.10g}"


def _rounded(value: float) -> float:
    """Four significant digits: nothing measured here is truer than that."""
    return float(f"{value:.4g}")


def best_and_median(values: Iterable[float]) -> Iterator[tuple[str, float]]:
    """(word, value) for a series of times; one alone is just that."""
    series = sorted(values)
    if len(series) == 1:
        yield "", series[0]
        return
    yield f", best of {len(series)}", series[0]
    yield f", median of {len(series)}", series[len(series) // 2]

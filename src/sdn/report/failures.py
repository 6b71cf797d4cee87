"""What would happen if one Host failed, Host by Host: what stops, and what could not start again."""

from __future__ import annotations

from collections.abc import Sequence

from sdn.report.columns import columns
from sdn.report.json import VERSION
from sdn.report.words import count
from sdn.scheduler import HostFailure, Readiness
from sdn.scheduler.filters import cpu_text, memory_text

NAMES = 6
"""Workloads that one row names before it only counts."""


def table(told: Readiness) -> list[str]:
    """A row for each Host that runs something, the reasons of those that must not fail, then what it comes to."""
    rows = [("if it fails", "stops", "cannot start again"), *map(_row, told.failures)]
    reasons = [f"without {one.host}, {reason}" for one in told.failures for reason in one.reasons[:NAMES]]
    return [*columns(rows), *reasons, *summary(told)]


def _row(failure: HostFailure) -> tuple[str, ...]:
    return failure.host, str(failure.workloads), _names(failure.stranded) or "-"


def _names(keys: Sequence[str]) -> str:
    return ", ".join(keys[:NAMES]) + (f" and {len(keys) - NAMES} more" if len(keys) > NAMES else "")


def summary(told: Readiness) -> list[str]:
    """Whether any one may fail, and how many workloads of the largest size there would still be room for."""
    running, bad = len(told.failures), [failure.host for failure in told.failures if failure.stranded]
    cpu, memory = told.slot
    slots = (
        f"{told.free:,} of {count(told.slots, 'slots')} are free (a slot is {cpu_text(cpu)} CPU, {memory_text(memory)})"
    )
    if bad:
        return [f"{len(bad)} of {count(running, 'hosts')} must not fail: {_names(bad)}", slots]
    return [
        f"any one of {count(running, 'hosts')} may fail, and everything starts again" if running else "nothing runs",
        slots,
    ]


def document(told: Readiness) -> dict[str, object]:
    """As the value that is written: CPU in millicores, memory in MiB."""
    return {
        "version": VERSION,
        "ready": told.ready,
        "failures": list(told.failures),
        "slot": {"cpu": told.slot[0], "memory": told.slot[1]},
        "slots": told.slots,
        "free": told.free,
    }

"""Placements and plans of benchmarks, looked at by the tests' checker: being fast counts only for what is right."""

from __future__ import annotations

from checker import check

from sdn.model import Model, Placement


def of_placement(model: Model, placement: Placement) -> list[str]:
    """Every broken rule of a placement from empty."""
    return check(model, placement)

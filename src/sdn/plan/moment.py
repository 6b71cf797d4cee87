"""A lab as it was at one moment of its changes, made whole when somebody asks: few ask between two events."""

from __future__ import annotations

from functools import cached_property

from msgspec.structs import replace

from sdn.model import Endpoint, Model, Placed, Placement
from sdn.plan.desired import Prepared
from sdn.plan.state import Plan


class Moment:
    """What is known of it at once, and the rest. Of `base` the numbers count alone; nobody changes what is given."""

    def __init__(
        self,
        base: Placed,
        plan: Plan,
        endpoints: dict[str, Endpoint] | None = None,
        slices: dict[tuple[str, str, str], tuple[str, ...]] | None = None,
    ) -> None:
        self.plan = plan
        self._base = base
        self._endpoints = base.endpoints if endpoints is None else endpoints
        self._slices = base.slices if slices is None else slices

    @classmethod
    def of(cls, prepared: Prepared) -> Moment:
        """A lab that is whole already."""
        found = cls(prepared.placed, prepared.plan)
        found.__dict__["prepared"] = prepared
        return found

    @property
    def model(self) -> Model:
        """What the lab is asked to be."""
        return self._base.model

    @property
    def placement(self) -> Placement:
        """Where all runs."""
        return self._base.placement

    @cached_property
    def prepared(self) -> Prepared:
        """All of it."""
        placed = replace(
            self._base,
            endpoints=dict(sorted(self._endpoints.items())),
            slices=dict(sorted(self._slices.items())),
        )
        return Prepared(placed, self.plan)

"""Random worlds and flows that look for their edges: `@given(placed_and_flow())`.

A world comes from one seed, ten times faster than drawn piece by piece; which of its policies and rules are kept is
drawn, so hypothesis still shrinks a failure to the few that matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec.structs import replace

from sdn.model import Flow, Placed
from strategies_flows import ASKED, flow, host_flow, neighbours, nobodys, service_ports
from strategies_words import Dice
from strategies_world import world

__all__ = [
    "ASKED",
    "flows",
    "host_flow",
    "host_flows",
    "neighbours",
    "nobodys",
    "placed_and_flow",
    "placed_and_flows",
    "service_ports",
    "worlds",
]

T = TypeVar("T")


@st.composite
def placed_and_flow(draw: DrawFn) -> tuple[Placed, Flow]:
    """One world and one flow in it."""
    placed = draw(worlds())
    return placed, draw(flows(placed))


@st.composite
def placed_and_flows(draw: DrawFn, most: int = 20, hosts: bool = False) -> tuple[Placed, list[Flow]]:
    """One world and several flows; those of Hosts, which policy never judges, only where they are asked for."""
    placed = draw(worlds())
    some = flows(placed) | host_flows(placed) if hosts else flows(placed)
    return placed, draw(st.lists(some, min_size=1, max_size=most))


@st.composite
def worlds(draw: DrawFn) -> Placed:
    """A lab with addresses, policies and services."""
    placed = world(draw(st.integers(0, 2**24 - 1)))
    return thinned(placed, Mask(draw(masks(20))), Mask(draw(masks(60))))


def masks(bits: int) -> SearchStrategy[int]:
    """Most bits set, but shrinking towards none."""
    word = st.integers(0, 2**bits - 1)
    return st.builds(lambda a, b, c: a | b | c, word, word, word)


class Mask:
    """Bits that say which of the things that it is shown are kept, each bit used once."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def kept(self, things: Sequence[T]) -> tuple[T, ...]:
        """Those whose bit is 1."""
        chosen = tuple(thing for bit, thing in enumerate(things) if self._bits >> bit & 1)
        self._bits >>= len(things)
        return chosen


def thinned(placed: Placed, objects: Mask, rules: Mask) -> Placed:
    """Without the policies, groups, services and rules whose bit is 0: what hypothesis shrinks."""
    model = placed.model
    model = replace(
        model,
        policies=tuple(replace(p, rules=rules.kept(p.rules)) for p in objects.kept(model.policies)),
        network_policies=tuple(
            replace(p, ingress=rules.kept(p.ingress), egress=rules.kept(p.egress))
            for p in objects.kept(model.network_policies)
        ),
        services=objects.kept(model.services),
        groups=objects.kept(model.groups),
        exclusions=objects.kept(model.exclusions),
    )
    return replace(placed, model=model)


def flows(placed: Placed) -> SearchStrategy[Flow]:
    """Flows of a world, each from one seed."""
    return st.integers(0, 2**24 - 1).map(lambda seed: flow(Dice(seed), placed))


def host_flows(placed: Placed) -> SearchStrategy[Flow]:
    """Flows of the Hosts of a world, each from one seed."""
    return st.integers(0, 2**24 - 1).map(lambda seed: host_flow(Dice(seed), placed))

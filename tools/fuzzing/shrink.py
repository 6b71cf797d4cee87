"""The smallest world that still shows a disagreement: whatever can be left out is left out, greedily.

It knows the shapes of the model and not what they mean, except for the few values that would no longer be legal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import fields, replace

from fuzzing.compare import Compare, Disagreement, Pair
from sdn.model import AllOf, AnyOf, LabelSelector, Model, NetworkPolicyPeer, Peer, PortRange, Requirement

WHOLE = (PortRange, Requirement)
"""Values of which no part can be left out."""

ONE_OF = (Peer, NetworkPolicyPeer)
"""Values that must keep what they say, though it may say less."""

PARTS = ("policies", "network_policies", "groups", "exclusions", "services", "options")
"""The fields of a Model that shrink; its networks stay, because a flow needs them."""

TRIES = 4000
"""A bound on the candidates that one disagreement may cost, some ten seconds."""


def shrunk(found: Disagreement, compare: Compare) -> Disagreement:
    """The same kind of disagreement in a smaller world."""
    tries = TRIES
    while tries > 0:
        for candidate in _smaller_pairs(found.pair):
            tries -= 1
            result = compare(candidate)
            if result is not None and result.kind == found.kind:
                found = result
                break
            if tries <= 0:
                break
        else:
            return found
    return found


def _smaller_pairs(pair: Pair) -> Iterator[Pair]:
    """Without one thing each, large things first."""
    for model in _smaller_models(pair.placed.model):
        yield replace(pair, placed=replace(pair.placed, model=model))
    for key in sorted(set(pair.placed.endpoints) - {pair.flow.source}):
        yield _without(pair, key)


def _smaller_models(model: Model) -> Iterator[Model]:
    for name in PARTS:
        for value in smaller(getattr(model, name)):
            yield replace(model, **{name: value})


def _without(pair: Pair, key: str) -> Pair:
    """Without one workload; its address is then nobody's."""
    placed = pair.placed
    workloads = tuple(workload for workload in placed.model.workloads if workload.key != key)
    endpoints = {other: endpoint for other, endpoint in placed.endpoints.items() if other != key}
    return replace(pair, placed=replace(placed, model=replace(placed.model, workloads=workloads), endpoints=endpoints))


def smaller(value: Any) -> Iterator[Any]:
    """Values of the same type that say less."""
    if isinstance(value, tuple):
        for index in range(len(value)):
            yield (*value[:index], *value[index + 1 :])
        for index, item in enumerate(value):
            yield from ((*value[:index], less, *value[index + 1 :]) for less in smaller(item))
    elif isinstance(value, msgspec.Struct) and not isinstance(value, WHOLE):
        yield from _smaller_struct(value)


def _smaller_struct(value: msgspec.Struct) -> Iterator[msgspec.Struct]:
    if isinstance(value, AllOf | AnyOf):
        yield from value.parts
    for field in fields(value):
        now = getattr(value, field.name)
        simplest = field.default
        if not isinstance(value, ONE_OF) and simplest is not msgspec.NODEFAULT and now != simplest:
            yield replace(value, **{field.name: simplest})
        if not isinstance(value, LabelSelector) or field.name != "labels":
            yield from (replace(value, **{field.name: less}) for less in smaller(now))

"""Which Groups a Group is made of, and the circles that may not be: nobody could say who is in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sdn.model import AllOf, AnyOf, Expression, Group, InGroup, Selector, Where


def references(group: Group) -> set[str]:
    """The names of the Groups that it is made of directly."""
    return {name for one in _leaves(group.members) for name in _names(one)} | set(group.within)


def selectors(group: Group) -> Iterator[Selector]:
    """Every selector that says who is in it."""
    return (leaf.selector for leaf in _leaves(group.members) if isinstance(leaf, Where))


def circles(groups: Iterable[Group]) -> list[tuple[str, ...]]:
    """Every Group that contains itself through others, with the way back to it: `(a, b, a)`; one way per circle."""
    edges = {group.name: sorted(references(group)) for group in groups}
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for name in sorted(edges):
        way = _way_back(name, edges)
        if way:
            found.setdefault(frozenset(way), way)
    return list(found.values())


def _way_back(start: str, edges: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The shortest way from a Group to itself; empty where there is none."""
    ways: dict[str, tuple[str, ...]] = {start: (start,)}
    todo = [start]
    for here in todo:  # grows while it is walked
        for other in edges.get(here, ()):
            if other == start:
                return (*ways[here], start)
            if other not in ways:
                ways[other] = (*ways[here], other)
                todo.append(other)
    return ()


def _leaves(expression: Expression | None) -> Iterator[Where | InGroup]:
    if isinstance(expression, AllOf | AnyOf):
        for part in expression.parts:
            yield from _leaves(part)
    elif expression is not None:
        yield expression


def _names(leaf: Where | InGroup) -> tuple[str, ...]:
    return leaf.selector.groups if isinstance(leaf, Where) else (leaf.group,)

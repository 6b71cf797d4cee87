"""Which Groups a Group is made of, and the circles that may not be: nobody could say who is in one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sdn.model import AllOf, AnyOf, Expression, Group, InGroup, Selector, Where


def references(group: Group) -> set[str]:
    """The names of the Groups that it is made of directly."""
    return {name for one in _leaves(group.members) for name in _names(one)} | set(group.within)


def selectors(group: Group) -> Iterator[Selector]:
    """Every selector that says who is in it."""
    return (leaf.selector for leaf in _leaves(group.members) if isinstance(leaf, Where))


def circles(groups: Iterable[Group]) -> list[tuple[str, ...]]:
    """Every Group that contains itself through others, with the way back to it: `(a, b, a)`; one way per circle."""
    return ways_back({group.name: references(group) for group in groups})


def ways_back(steps: Mapping[str, Collection[str]]) -> list[tuple[str, ...]]:
    """The circles of any names that lead to others; one way per circle."""
    edges = {name: sorted(others) for name, others in _endless(steps).items()}
    found: dict[frozenset[str], tuple[str, ...]] = {}
    for name in sorted(edges):
        way = _way_back(name, edges)
        if way:
            found.setdefault(frozenset(way), way)
    return list(found.values())


def _endless(steps: Mapping[str, Collection[str]]) -> dict[str, Collection[str]]:
    """Without the names from which every way ends; that is nearly all of them, and takes one look at each step."""
    waiting = {name: sum(other in steps for other in others) for name, others in steps.items()}
    before: dict[str, list[str]] = {}
    for name, others in steps.items():
        for other in others:
            before.setdefault(other, []).append(name)
    ended = [name for name, count in waiting.items() if not count]
    for name in ended:  # grows while it is walked
        for earlier in before.get(name, ()):
            waiting[earlier] -= 1
            if not waiting[earlier]:
                ended.append(earlier)
    done = set(ended)
    return {name: others for name, others in steps.items() if name not in done}


def _way_back(start: str, edges: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The shortest way from a name to itself; empty where there is none."""
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

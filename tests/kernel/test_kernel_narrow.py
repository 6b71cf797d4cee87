"""What is made of the difference of two states is the same whether all of both is looked at, or what differs alone."""

from __future__ import annotations

from collections import Counter

import pytest

from live_events import Events
from sdn.kernel.apply_links import difference
from sdn.kernel.apply_rules import rule_changes
from sdn.kernel.migrate_parts import parts
from sdn.plan.live import LivePlan
from sdn.plan.narrow import narrow_by
from sdn.plan.state import NodeState
from strategies_world import world


def commands(before: NodeState, after: NodeState) -> Counter[str]:
    """Of all stages; several elements in one command are several."""
    changes = rule_changes(before, after)
    found: Counter[str] = Counter()
    for line in (*changes.new, *changes.switch, *changes.dispatch, *changes.old):
        head, brace, rest = line.partition(" { ")
        found.update(f"{head} {one}" for one in rest.removesuffix(" }").split(", ")) if brace else found.update([line])
    return found


@pytest.mark.parametrize("seed", range(12))
def test_what_differs_is_enough(seed: int) -> None:
    events = Events(seed, world(seed))
    seen = 0
    for _ in range(20):
        before = events.prepared
        events.step()
        after = events.prepared.placed
        live = LivePlan(before)
        changes = live.become(after.model, after.placement)
        narrow = narrow_by(changes)
        for name, (old, new) in narrow.items():
            seen += 1
            assert commands(old, new) == commands(changes.before[name], changes.after[name])
        old_states, new_states = ({n: pair[i] for n, pair in narrow.items()} for i in (0, 1))
        whole = difference(
            {name: changes.before[name] for name in narrow}, {name: changes.after[name] for name in narrow}
        )
        some = difference(old_states, new_states)
        for found, wanted in ((some.gone, whole.gone), (some.come, whole.come)):
            assert {name: lies(state) for name, state in found.items()} == {
                name: lies(state) for name, state in wanted.items()
            }
        assert (parts(changes.before, changes.after, narrow) is None) == (parts(changes.before, changes.after) is None)
    assert seen > 5


def lies(state: NodeState) -> tuple[frozenset[object], ...]:
    """What a node's devices and entries are, in whatever order."""
    each = (state.uplinks, state.links, state.ports, state.routes, state.rules, state.neighbours, state.fdb)
    return tuple(frozenset(one) for one in each)

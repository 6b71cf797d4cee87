"""Batches of a rollout: a canary, then as many at a time as may be away, everybody once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.scheduler import rollout_batches


@pytest.mark.parametrize(
    ("keys", "away", "batches"),
    [
        ("", 1, ()),
        ("a", 3, (("a",),)),
        ("dcba", 1, (("a",), ("b",), ("c",), ("d",))),
        ("abcdef", 2, (("a",), ("b", "c"), ("d", "e"), ("f",))),
        ("abc", 9, (("a",), ("b", "c"))),
    ],
)
def test_batches(keys: str, away: int, batches: tuple[tuple[str, ...], ...]) -> None:
    assert rollout_batches(keys, away) == batches


def test_with_nobody_away_nothing_can_be_replaced() -> None:
    with pytest.raises(ValueError, match="allow at least 1"):
        rollout_batches(["a"], 0)


@given(st.sets(st.text(max_size=3)), st.integers(1, 9))
def test_everybody_once_and_never_too_many(keys: set[str], away: int) -> None:
    batches = rollout_batches(keys, away)
    assert sorted(key for batch in batches for key in batch) == sorted(keys)
    assert all(0 < len(batch) <= away for batch in batches)
    assert not batches or len(batches[0]) == 1

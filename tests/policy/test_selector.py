"""Label selectors over many label sets at once agree with the same selectors over one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.model import LabelSelector, Operator, Requirement
from sdn.policy.selector import LabelIndex, mask_of, positions_of

SETS: tuple[dict[str, str], ...] = (
    {},
    {"app": "web"},
    {"app": "web", "tier": "front"},
    {"app": "db", "tier": ""},
    {"tier": "front"},
)


def need(operator: Operator, key: str, *values: str) -> LabelSelector:
    return LabelSelector(expressions=(Requirement(key, operator, values),))


@pytest.mark.parametrize(
    ("selector", "matching"),
    [
        pytest.param(LabelSelector(), [0, 1, 2, 3, 4], id="empty-matches-all"),
        pytest.param(LabelSelector((("app", "web"),)), [1, 2], id="one-label"),
        pytest.param(LabelSelector((("app", "web"), ("tier", "front"))), [2], id="labels-are-and"),
        pytest.param(LabelSelector((("tier", ""),)), [3], id="empty-value-is-a-value"),
        pytest.param(LabelSelector((("app", "mail"),)), [], id="nobody-has-the-value"),
        pytest.param(need(Operator.IN, "app", "web", "db"), [1, 2, 3], id="in"),
        pytest.param(need(Operator.IN, "app"), [], id="in-nothing"),
        pytest.param(need(Operator.NOT_IN, "app", "web"), [0, 3, 4], id="not-in-matches-absent"),
        pytest.param(need(Operator.NOT_IN, "zone", "a"), [0, 1, 2, 3, 4], id="not-in-unknown-key"),
        pytest.param(need(Operator.EXISTS, "tier"), [2, 3, 4], id="exists"),
        pytest.param(need(Operator.EXISTS, "zone"), [], id="exists-unknown-key"),
        pytest.param(need(Operator.DOES_NOT_EXIST, "tier"), [0, 1], id="does-not-exist"),
        pytest.param(
            LabelSelector(
                (("tier", "front"),),
                (Requirement("app", Operator.EXISTS), Requirement("app", Operator.NOT_IN, ("db",))),
            ),
            [2],
            id="labels-and-expressions",
        ),
    ],
)
def test_match(selector: LabelSelector, matching: list[int]) -> None:
    assert list(positions_of(LabelIndex(SETS).match(selector))) == matching


@given(st.sets(st.integers(0, 3000), max_size=40))
def test_masks_round_trip(positions: set[int]) -> None:
    mask = mask_of(sorted(positions))
    assert mask == sum(1 << position for position in positions)
    assert list(positions_of(mask)) == sorted(positions)


KEYS, VALUES = st.sampled_from("abc"), st.sampled_from(["", "x", "y", "z"])
LABELS = st.dictionaries(KEYS, VALUES)
EXPRESSIONS = st.builds(
    Requirement, KEYS, st.sampled_from(Operator), st.lists(VALUES, min_size=1, max_size=3).map(tuple)
)
SELECTORS = st.builds(
    LabelSelector, LABELS.map(lambda found: tuple(sorted(found.items()))), st.lists(EXPRESSIONS, max_size=3).map(tuple)
)


@given(st.lists(LABELS, max_size=30), st.lists(SELECTORS, max_size=5))
def test_many_at_once_equals_one_by_one(label_sets: list[dict[str, str]], selectors: list[LabelSelector]) -> None:
    index = LabelIndex(label_sets)
    for selector in selectors:
        expected = [position for position, labels in enumerate(label_sets) if slow_match(selector, labels)]
        assert list(positions_of(index.match(selector))) == expected


def slow_match(selector: LabelSelector, labels: dict[str, str]) -> bool:
    checks = {
        Operator.IN: lambda e: labels.get(e.key) in e.values,
        Operator.NOT_IN: lambda e: e.key not in labels or labels[e.key] not in e.values,
        Operator.EXISTS: lambda e: e.key in labels,
        Operator.DOES_NOT_EXIST: lambda e: e.key not in labels,
    }
    return all(labels.get(k) == v for k, v in selector.labels) and all(
        checks[expression.operator](expression) for expression in selector.expressions
    )

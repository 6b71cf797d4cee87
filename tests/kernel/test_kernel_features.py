"""`sdn doctor`'s answers: quick, complete, and each with its next step."""

from __future__ import annotations

import time

import pytest

from sdn.kernel import features, trials
from sdn.kernel.features import Feature


@pytest.fixture(scope="module")
def found() -> list[Feature]:
    return features.features()


def test_everything_is_judged_and_has_a_next_step(found: list[Feature]) -> None:
    if not found[0].ok:
        assert found[0].next_step
        pytest.skip(f"no namespaces for this user: {found[0].detail}")
    assert {feature.name for feature in found} >= {
        *trials.MESSAGES,
        *trials.RULESETS,
        *trials.CALLS,
        "libnftables",
        "memory",
    }
    assert all(feature.detail for feature in found)
    assert [feature.name for feature in found if feature.ok == bool(feature.next_step)] == []
    assert not [feature for feature in found if feature.detail.endswith("not tried")]


def test_this_kernel_can_build_a_lab(found: list[Feature]) -> None:
    if not found[0].ok:
        pytest.skip(f"no namespaces for this user: {found[0].detail}")
    assert [feature for feature in found if feature.required and not feature.ok] == []
    assert features.works(found)


def test_it_is_quick() -> None:
    begin = time.perf_counter()
    features.features()
    assert time.perf_counter() - begin < 5  # 0.1 to 0.3 s on an idle machine


def test_what_is_required_decides() -> None:
    good, bad = Feature("a", True, True, ""), Feature("b", False, False, "")
    assert features.works([good, bad])
    assert not features.works([good, Feature("c", False, True, "")])

"""Division by reservation, limit and shares: small cases by hand, the rules themselves on everything."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.model import Kind, Pool, Resources, Scheduling, Workload
from sdn.scheduler.entitlement import Claim, Entitled, divide, entitlements


@pytest.mark.parametrize(
    ("capacity", "claims", "parts"),
    [
        pytest.param(100, [Claim(30), Claim(40)], [30, 40], id="enough-for-all"),
        pytest.param(100, [Claim(100), Claim(100)], [50, 50], id="equal-shares"),
        pytest.param(90, [Claim(100, shares=2000), Claim(100)], [60, 30], id="shares"),
        pytest.param(90, [Claim(20, shares=2000), Claim(100)], [20, 70], id="what-is-not-wanted-goes-to-others"),
        pytest.param(100, [Claim(100, reservation=80), Claim(100)], [80, 20], id="reservation"),
        pytest.param(100, [Claim(10, reservation=80), Claim(100)], [10, 90], id="reserved-and-not-wanted"),
        pytest.param(100, [Claim(100, limit=10), Claim(100)], [10, 90], id="limit"),
        pytest.param(100, [Claim(100, shares=0), Claim(60)], [40, 60], id="no-shares-get-what-is-left"),
        pytest.param(
            100, [Claim(150, reservation=150), Claim(50, reservation=50)], [75, 25], id="more-reserved-than-there"
        ),
        pytest.param(0, [Claim(5)], [0], id="nothing"),
        pytest.param(100, [], [], id="nobody"),
    ],
)
def test_division(capacity: int, claims: list[Claim], parts: list[int]) -> None:
    assert divide(capacity, claims) == parts


amounts = st.integers(0, 200)
claims_ = st.builds(Claim, amounts, amounts, st.none() | amounts, st.integers(0, 5))


@given(amounts, st.lists(claims_, max_size=6))
def test_nobody_gets_too_little_or_too_much_and_nothing_is_wasted(capacity: int, claims: list[Claim]) -> None:
    parts = divide(capacity, claims)
    assert all(part <= claim.most for part, claim in zip(parts, claims, strict=True))
    assert sum(parts) == min(capacity, sum(claim.most for claim in claims))
    if sum(claim.least for claim in claims) <= capacity:
        assert all(part >= claim.least for part, claim in zip(parts, claims, strict=True))


@given(amounts, st.lists(claims_, max_size=6))
def test_who_is_not_content_gets_as_much_per_share_as_anybody_beyond_his_reservation(
    capacity: int, claims: list[Claim]
) -> None:
    parts = divide(capacity, claims)
    if sum(claim.least for claim in claims) > capacity:
        return
    hungry = [(p, c) for p, c in zip(parts, claims, strict=True) if p < c.most and c.shares]
    above = [(p, c) for p, c in zip(parts, claims, strict=True) if p > c.least and c.shares]
    for poor, claim in hungry:
        assert all(Fraction(poor) / claim.shares >= Fraction(rich) / other.shares for rich, other in above)


def vm(name: str, cpu: int, pool: str = "", **resources: int) -> Workload:
    scheduling = Scheduling(pool=pool, resources=Resources(**resources))
    return Workload("vms", name, Kind.VM, "", "", cpu=cpu, memory=100, scheduling=scheduling)


def test_pools_first_and_then_within() -> None:
    pools = [Pool("gold", "", Resources(cpu_shares=3000)), Pool("inner", "gold", Resources(cpu_limit=200))]
    vms = [vm("a", 1000), vm("b", 1000, "gold"), vm("c", 1000, "inner"), vm("d", 1000, "inner")]
    given_ = entitlements((1000, 1000), vms, {}, pools)
    assert {key: part.cpu for key, part in given_.items()} == {"vms/a": 250, "vms/b": 550, "vms/c": 100, "vms/d": 100}


def test_reservations_deep_inside_hold() -> None:
    vms = [vm("a", 1000), vm("b", 1000, "gold", cpu_reservation=800)]
    assert entitlements((1000, 1000), vms, {}, [Pool("gold")])["vms/b"].cpu == 800


def test_demand_counts_and_not_the_size() -> None:
    vms = [vm("a", 1000), vm("b", 1000)]
    assert entitlements((1000, 200), vms, {"vms/a": (100, 50)}) == {
        "vms/a": Entitled(100, 50),
        "vms/b": Entitled(900, 100),
    }

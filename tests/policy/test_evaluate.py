"""Every corner case of policy that a single flow can show, asked of the oracle.

Lines 12, 15, 17 and 18 are mostly about replies, neighbours and moments of change: what of them is a flow is here, the
rest belongs to the kernel's tests. What lines 22, 26, 30 and 32 say of files is for those who read them.
"""

from __future__ import annotations

import pytest

from sdn.model import (
    Disposition,
    Flow,
    IPBlock,
    NetworkPolicyRule,
    Options,
    Protocol,
    ServicePort,
    Verdict,
)
from sdn.policy.evaluate import Oracle, evaluate
from worlds import CASES, Case
from worlds_base import ALL, DB, LAN, NUMBERED, SITE, kube, lan, service
from worlds_build import EGRESS, act, block, build, model, netpol, pods, rule, spaces, tcp, tier, workload


def line(number: str) -> pytest.MarkDecorator:
    """All cases of one line, by name."""
    chosen = [case for case in CASES if case.line == number]
    return pytest.mark.parametrize("case", chosen, ids=[case.name for case in chosen])


def check(case: Case) -> None:
    """The oracle's answer to the case is the one that is written in it."""
    answers = evaluate(case.placed, case.flow)
    assert case.of(answers).verdict == case.verdict, (case.flow, answers)


@line("01")
def test_01_policy_types_absent(case: Case) -> None:
    check(case)


@line("02")
def test_02_empty_and_absent_rules_and_peers(case: Case) -> None:
    check(case)


@line("03")
def test_03_selectors_in_one_element_are_and_in_two_or(case: Case) -> None:
    check(case)


@line("04")
def test_04_policies_stay_in_their_namespace_and_add_up(case: Case) -> None:
    check(case)


@line("05")
def test_05_protocols_and_absent_ports(case: Case) -> None:
    check(case)


@line("06")
def test_06_end_port(case: Case) -> None:
    check(case)


@line("07")
def test_07_named_ports_are_the_destinations(case: Case) -> None:
    check(case)


@line("08")
def test_08_except_does_not_deny(case: Case) -> None:
    check(case)


@line("09")
def test_09_ip_blocks_against_workloads_are_a_switch(case: Case) -> None:
    check(case)


@line("10")
def test_10_operators_and_absent_keys(case: Case) -> None:
    check(case)


@line("11")
def test_11_policy_judges_after_dnat(case: Case) -> None:
    check(case)


@line("12")
def test_12_replies_pass(case: Case) -> None:
    check(case)


@line("13")
def test_13_own_address_and_hairpin(case: Case) -> None:
    check(case)


@line("14")
def test_14_host_network_pods_are_never_selected(case: Case) -> None:
    check(case)


@line("15")
def test_15_isolation_says_nothing_of_address_resolution(case: Case) -> None:
    check(case)


@line("16")
def test_16_labels_that_changed(case: Case) -> None:
    check(case)


@line("19")
def test_19_admin_then_network_policy_then_baseline(case: Case) -> None:
    check(case)


@line("20")
def test_20_both_sides_must_accept(case: Case) -> None:
    check(case)


@line("21")
def test_21_no_implicit_isolation(case: Case) -> None:
    check(case)


@line("22")
def test_22_what_is_not_known_fails_closed(case: Case) -> None:
    check(case)


@line("23")
def test_23_protocols_ranges_and_priority_0(case: Case) -> None:
    check(case)


@line("24")
def test_24_networks_match_pods(case: Case) -> None:
    check(case)


@line("25")
def test_25_own_address(case: Case) -> None:
    check(case)


@line("26")
def test_26_equal_priorities_are_ordered_by_name(case: Case) -> None:
    check(case)


@line("27")
def test_27_both_vnics_and_applied_to(case: Case) -> None:
    check(case)


@line("28")
def test_28_categories_and_the_default_rule(case: Case) -> None:
    check(case)


@line("29")
def test_29_sources_and_destinations_excluded(case: Case) -> None:
    check(case)


@line("30")
def test_30_groups(case: Case) -> None:
    check(case)


@line("31")
def test_31_exclusion_list_and_stateless_policies(case: Case) -> None:
    check(case)


@line("32")
def test_32_applied_to_left_open(case: Case) -> None:
    check(case)


@line("tier")
def test_tiers(case: Case) -> None:
    check(case)


@line("path")
def test_paths(case: Case) -> None:
    check(case)


@line("service")
def test_services(case: Case) -> None:
    check(case)


def test_every_case_belongs_to_a_test() -> None:
    asked = {f"{number:02}" for number in (*range(1, 17), *range(19, 33))} | {"tier", "path", "service"}
    assert {case.line for case in CASES} == asked


def test_names_of_cases_are_unique() -> None:
    names = [f"{case.name} {case.backend}" for case in CASES]
    assert len(set(names)) == len(names)


def test_16_an_address_that_another_pod_has_now() -> None:
    """The address counts for nothing; whose it is today does."""
    ip = ("10.244.9.10", "fd00:9::10")
    before, after = (
        build(
            model("reuse", [LAN], [workload(key, 1, "cluster/lan", ip=ip, app=app), NUMBERED[2]],
                  netpol("shop/p", DB, ingress=[rule(pods(app="web"))]))
        )
        for key, app in (("shop/web", "web"), ("shop/cron", "cron"))
    )  # fmt: skip
    assert evaluate(before, Flow("shop/web", "10.244.9.12"))[0].verdict.allowed
    assert not evaluate(after, Flow("shop/cron", "10.244.9.12"))[0].verdict.allowed


class TestExternal:
    """Policy alone on addresses that no workload owns."""

    OUTSIDE = Flow("shop/web", "203.0.113.7", Protocol.TCP, 80)

    @pytest.mark.parametrize(
        ("egress", "allowed"),
        [
            pytest.param([rule()], True, id="anybody is also outside"),
            pytest.param([rule(block("203.0.113.0/24"))], True, id="in the block"),
            pytest.param([rule(block("203.0.113.0/24", "203.0.113.7/32"))], False, id="in its except"),
            pytest.param([rule(spaces())], False, id="every namespace is still nobody outside"),
            pytest.param([rule(tcp("http"))], False, id="a named port never matches outside"),
            pytest.param([], False, id="nothing"),
        ],
    )
    def test_network_policy(self, egress: list[NetworkPolicyRule], allowed: bool) -> None:
        placed = build(kube(netpol("shop/p", ALL, [EGRESS], egress=egress)))
        assert Oracle(placed).judge_egress(self.OUTSIDE).allowed is allowed

    def test_a_switched_off_ip_block_still_matches_outside(self) -> None:
        policy = netpol("shop/p", ALL, [EGRESS], egress=[rule(block("0.0.0.0/0"))])
        placed = build(lan(policy, options=Options(ipblock_matches_pods=False)))
        assert Oracle(placed).judge_egress(self.OUTSIDE).allowed

    def test_tier(self) -> None:
        placed = build(kube(tier("emergency/t", act("reject", EGRESS, IPBlock("203.0.113.0/29")))))
        assert Oracle(placed).judge_egress(self.OUTSIDE) == Verdict(Disposition.REJECT, "egress emergency t[0]")


def test_answers_of_a_service_are_sorted_by_backend() -> None:
    placed = build(kube(SITE))
    answers = evaluate(placed, Flow("ops/mon", "10.96.0.10", Protocol.TCP, 80))
    assert [(a.backend, a.port) for a in answers] == [("shop/api", 8000), ("shop/web", 80)]


def test_of_two_services_with_one_address_the_first_by_name_answers() -> None:
    twins = [service(f"shop/{n}", "cluster", 10, ServicePort(80, p), site="yes") for n, p in (("a", 1), ("b", 2))]
    answers = evaluate(build(kube(*twins)), Flow("ops/mon", "10.96.0.10", Protocol.TCP, 80))
    assert {a.port for a in answers} == {1}


def test_an_address_may_be_spelt_in_any_way() -> None:
    assert evaluate(build(lan()), Flow("shop/web", "FD00:9:0::0012"))[0].backend == "shop/db"


def test_a_source_without_an_endpoint_is_a_bug_of_the_caller() -> None:
    with pytest.raises(KeyError):
        evaluate(build(lan()), Flow("shop/nobody", "10.244.9.12"))

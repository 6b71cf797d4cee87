"""Every corner case of policy, decided by what the compiler and the firewall's plan made of it.

Paths and translation are other people's business: only cases that some rule or default of policy decides are here.
"""

from __future__ import annotations

import pytest

from policy_walk import by_firewall, by_policy, firewalls, packets
from sdn.policy.compiler import compile_policy
from worlds import CASES, Case

JUDGED = [case for case in CASES if case.rule.startswith(("ingress ", "egress "))]


def test_most_cases_are_decided_by_policy() -> None:
    assert len(JUDGED) > len(CASES) * 3 // 4


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    placed = case.placed
    compiled = compile_policy(placed)
    packet = next(p for p in packets(placed, case.flow) if case.backend in {"", p.destination})
    assert by_policy(compiled, packet) == case.verdict
    assert by_firewall(placed, firewalls(placed, compiled), packet) == case.verdict

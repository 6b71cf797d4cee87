"""The corner cases of policy as data: small worlds, one flow each, and what must become of it by which rule."""

from worlds_admin import ADMIN_CASES
from worlds_base import Case
from worlds_hosts import HOST_CASES
from worlds_kubernetes import NETWORK_POLICY_CASES
from worlds_nsx import NSX_CASES
from worlds_stateless import STATELESS_CASES
from worlds_tiers import PATH_CASES, SERVICE_CASES, TIER_CASES

CASES: list[Case] = [
    *NETWORK_POLICY_CASES,
    *HOST_CASES,
    *ADMIN_CASES,
    *NSX_CASES,
    *STATELESS_CASES,
    *TIER_CASES,
    *PATH_CASES,
    *SERVICE_CASES,
]

__all__ = ["CASES", "Case"]

"""The engine against a real router: each outcome in both families, and what must not be read as a denial."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import probe_network
import probe_sandbox
import pytest

pytestmark = pytest.mark.kernel

ALLOWED = ["egress default allow", "ingress default allow"]
DENIED = ["egress default allow", "ingress test deny[0]"]
REJECTED = ["egress default allow", "ingress test reject[0]"]
NOBODY = ["", 0]
FAMILIES = pytest.mark.parametrize("family", [4, 6])

DIRECT = [
    ("tcp connected", "connected", ["lab/b", 80], ALLOWED),
    ("tcp timeout", "timeout", NOBODY, DENIED),
    ("tcp rejected", "rejected", NOBODY, REJECTED),
    ("tcp refused", "refused", NOBODY, ALLOWED),
    ("tcp wrong-backend", "wrong-backend", ["lab/c", 85], ALLOWED),
    ("tcp lossy", "connected", ["lab/b", 8000], ALLOWED),
    ("tcp unreachable", "unreachable", NOBODY, []),
    ("tcp nobody", "unreachable", NOBODY, []),
    ("udp connected", "connected", ["lab/b", 53], ALLOWED),
    ("udp timeout", "timeout", NOBODY, DENIED),
    ("udp rejected", "rejected", NOBODY, REJECTED),
    ("udp refused", "refused", NOBODY, ALLOWED),
    ("udp lossy", "connected", ["lab/b", 8000], ALLOWED),
    ("udp unreachable", "unreachable", NOBODY, []),
    ("sctp connected", "connected", ["lab/b", 90], ALLOWED),
    ("sctp timeout", "timeout", NOBODY, DENIED),
    ("sctp rejected", "rejected", NOBODY, REJECTED),
    ("sctp refused", "refused", NOBODY, ALLOWED),
    ("sctp lossy", "connected", ["lab/b", 8000], ALLOWED),
    ("icmp connected", "connected", ["lab/b", 0], ALLOWED),
    ("icmp unreachable", "unreachable", NOBODY, []),
]


def _forbidden() -> str:
    """Why this user cannot have namespaces here; empty if all is well."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(["unshare", *user, "--net", "true"], capture_output=True, text=True, check=False)
    return done.stderr.strip()


@pytest.fixture(scope="module")
def seen() -> Any:
    if why := _forbidden():
        pytest.skip(f"no network namespaces for this user: {why}")
    return probe_sandbox.run("probe_network.py")


@FAMILIES
@pytest.mark.parametrize(("name", "outcome", "responder", "rules"), DIRECT, ids=[case[0] for case in DIRECT])
def test_one_packet(seen: Any, family: int, name: str, outcome: str, responder: list[Any], rules: list[str]) -> None:
    assert seen[f"{name} {family}"] == [[outcome, *responder, rules]]


@FAMILIES
def test_a_dead_listener_is_never_read_as_a_denial(seen: Any, family: int) -> None:
    assert seen[f"tcp dead {family}"] == []


def test_an_icmp_error_tells_a_silent_denial_from_a_refusal(seen: Any) -> None:
    assert seen["icmp stopped 4"] == [["timeout", *NOBODY, DENIED]]
    assert seen["icmp stopped 6"] == [["refused", *NOBODY, REJECTED]]


@pytest.mark.parametrize("name", ["service tcp 4", "service tcp 6", "service udp 4"])
def test_a_service_is_asked_until_every_backend_was_met(seen: Any, name: str) -> None:
    assert {responder for _, responder, _, _ in seen[name]} == {"lab/b", "lab/c"}
    assert all(rules == ALLOWED for _, _, _, rules in seen[name])


def test_a_service_of_which_one_backend_is_denied(seen: Any) -> None:
    """Each try shows one Backend, and the rules of that one only."""
    allowed, denied = ["connected", "lab/c", 89, ALLOWED], ["timeout", *NOBODY, [ALLOWED[0], "ingress test deny[1]"]]
    assert allowed in seen["service half 4"]
    assert denied in seen["service half 4"]  # absent once in 4,096 runs, as a coin that shows one side twelve times
    assert all(one in (allowed, denied) for one in seen["service half 4"])


def test_a_question_asked_again_is_judged_again(seen: Any) -> None:
    """A source port that a firewall remembers would be waved through as established, without a rule."""
    assert seen["again"] == [["connected", "lab/b", 80, ALLOWED]] * 3


def test_no_loss_is_read_as_silence_however_often_one_asks(seen: Any) -> None:
    """Three packets of ten are lost in each direction, and each connection needs half a dozen."""
    assert seen["lossy"] == [["connected", "lab/b", 8000, ALLOWED]] * 60


@pytest.mark.parametrize("name", probe_network.MANY)
def test_many_at_once_are_answered_as_one_alone(seen: Any, name: str) -> None:
    assert seen[f"150 of {name}"] == seen[name]

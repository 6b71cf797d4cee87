"""The failure detector: when silence becomes suspicion and failure, and that asking often or seldom changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdn.scheduler.heartbeat import Change, Health, Heartbeats, Patience

PATIENCE = Patience(interval=1.0, suspect=2, fail=5)


def watching(*hosts: str) -> Heartbeats:
    return Heartbeats(hosts, 0.0, PATIENCE)


@pytest.mark.parametrize(
    ("now", "health"),
    [(1.9, Health.ALIVE), (2.0, Health.SUSPECTED), (4.9, Health.SUSPECTED), (5.0, Health.FAILED), (99, Health.FAILED)],
)
def test_silence(now: float, health: Health) -> None:
    beats = watching("h1")
    beats.check(now)
    assert beats.health("h1") is health


def test_a_change_carries_the_instant_at_which_it_became_true() -> None:
    assert watching("h1").check(60.0) == (Change(2.0, "h1", Health.SUSPECTED), Change(5.0, "h1", Health.FAILED))


def test_the_order_is_that_of_the_failures() -> None:
    beats = watching("h1", "h2")
    beats.heard("h1", 0.5)
    assert [(change.at, change.host) for change in beats.check(60.0)] == [
        (2.0, "h2"),
        (2.5, "h1"),
        (5.0, "h2"),
        (5.5, "h1"),
    ]


def test_a_suspected_host_that_speaks_is_alive() -> None:
    beats = watching("h1")
    beats.check(3.0)
    assert beats.heard("h1", 3.5) == (Change(3.5, "h1", Health.ALIVE),)


def test_a_failed_host_that_speaks_runs_nothing_until_it_is_readmitted() -> None:
    beats = watching("h1")
    beats.check(6.0)
    assert beats.heard("h1", 7.0) == (Change(7.0, "h1", Health.RETURNED),)
    assert beats.heard("h1", 8.0) == ()
    assert beats.health("h1") is Health.RETURNED
    assert beats.readmit("h1", 8.5) == (Change(8.5, "h1", Health.ALIVE),)
    assert beats.readmit("h1", 8.6) == ()


def test_a_returned_host_that_falls_silent_fails_again() -> None:
    beats = watching("h1")
    beats.check(6.0)
    beats.heard("h1", 7.0)
    assert beats.check(12.0) == (Change(12.0, "h1", Health.FAILED),)


def test_a_heartbeat_ends_a_silence_that_nobody_had_looked_at() -> None:
    assert watching("h1").heard("h1", 9.0) == (
        Change(2.0, "h1", Health.SUSPECTED),
        Change(5.0, "h1", Health.FAILED),
        Change(9.0, "h1", Health.RETURNED),
    )


def test_an_overtaken_heartbeat_says_nothing() -> None:
    beats = watching("h1")
    beats.heard("h1", 4.0)
    assert beats.heard("h1", 3.0) == ()
    assert beats.due() == 6.0


def test_who_is_not_watched_is_not_heard() -> None:
    beats = watching("h1")
    beats.forget("h1")
    assert beats.heard("h1", 9.0) == ()
    assert beats.check(9.0) == ()
    assert beats.due() is None


@pytest.mark.parametrize("patience", [Patience(interval=0), Patience(suspect=0), Patience(suspect=6, fail=5)])
def test_impatience_is_refused(patience: Patience) -> None:
    with pytest.raises(ValueError, match="interval above 0"):
        Heartbeats(["h1"], 0.0, patience)


EVENTS = st.lists(st.tuples(st.integers(0, 400).map(lambda tenths: tenths / 10), st.sampled_from(["h1", "h2", "h3"])))


@given(EVENTS, st.lists(st.integers(0, 400).map(lambda tenths: tenths / 10)))
def test_asking_often_changes_nothing(events: list[tuple[float, str]], questions: list[float]) -> None:
    def changes(asked: list[float]) -> list[Change]:
        beats = watching("h1", "h2", "h3")
        found: list[Change] = []
        for at, host in sorted([*events, *((at, "") for at in asked)]):
            found += beats.heard(host, at) if host else beats.check(at)
        return sorted((*found, *beats.check(60.0)))

    assert changes([]) == changes(questions)


@given(EVENTS)
def test_due_is_the_next_change(events: list[tuple[float, str]]) -> None:
    beats = watching("h1", "h2", "h3")
    for at, host in sorted(events):
        beats.heard(host, at)
    while (due := beats.due()) is not None:
        assert not beats.check(due - 0.001)
        assert beats.check(due)

"""Two threads that share a list: in order, each thing once, and nothing more once one of them has failed."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

from sdn.kernel.team import MEMBERS, Team


def test_each_thing_once_and_two_at_the_same_time() -> None:
    together = threading.Barrier(MEMBERS)
    done: list[int] = []
    told: list[int] = []

    def work(item: int) -> None:
        together.wait(10)
        done.append(item)

    with Team("test") as team:
        team.share(range(100, 100 + 4 * MEMBERS), work, told.append)
        team.share([], work, told.append)
    assert sorted(done) == list(range(100, 100 + 4 * MEMBERS))
    assert told == list(range(1, 4 * MEMBERS + 1))


def test_what_was_begun_before_is_waited_for() -> None:
    gate = threading.Event()
    done: list[str] = []

    def slow() -> None:
        gate.wait(10)
        done.append("slow")

    with Team("test") as team:
        team.begin(slow)
        team.share([1, 2, 3], lambda item: gate.set() if item == 3 else None, lambda _: None)
    assert done == ["slow"]


@pytest.mark.parametrize("begun", [True, False])
def test_the_first_error_is_raised_and_nothing_more_is_begun(begun: bool) -> None:
    done: list[int] = []

    def work(item: int) -> None:
        done.append(item)
        if item == 5:
            raise LookupError(item)

    def refused() -> None:
        raise PermissionError

    with Team("test") as team:
        if begun:
            team.begin(refused)
            with pytest.raises(PermissionError):
                team.share([1], work, lambda _: None)
        else:
            with pytest.raises(LookupError):
                team.share(range(10_000), work, lambda _: None)
            assert done[-1] < 5 + 2 * MEMBERS
        with suppress(LookupError):
            team.share([7], work, lambda _: None)
        assert done[-1] == 7

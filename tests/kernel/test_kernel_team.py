"""Two threads that share a list: in order, each thing once, and nothing more once one of them has failed."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial

import pytest

from sdn.kernel.team import MEMBERS, Job, Team


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


def test_each_job_comes_after_what_it_needs_and_one_at_a_time_is_at_links() -> None:
    """Six of them, each after two jobs; there is always something else to do for whoever is not at links."""
    lock = threading.Lock()
    done: list[str] = []
    at_links, most = 0, 0

    def work(name: str) -> None:
        nonlocal at_links, most
        with lock:
            at_links += name.startswith("wire")
            most = max(most, at_links)
        time.sleep(0.005)
        with lock:
            at_links -= name.startswith("wire")
            done.append(name)

    jobs = []
    for number in range(6):
        rules = Job(partial(work, f"rules {number}"))
        room = Job(partial(work, f"room {number}"))
        jobs += [Job(partial(work, f"wire {number}"), (rules, room), links=True), rules, room]
    others = [Job(partial(work, f"other {number}")) for number in range(30)]
    with Team("test") as team:
        team.follow([*jobs, *others], lambda _: None)
    assert sorted(done) == sorted(
        [f"{what} {number}" for what in ("rules", "room", "wire") for number in range(6)]
        + [f"other {number}" for number in range(30)]
    )
    for number in range(6):
        assert done.index(f"wire {number}") > max(done.index(f"rules {number}"), done.index(f"room {number}"))
    assert most == 1
    assert done.index("wire 5") < len(done) - 10, "links are taken as soon as they can be"


def test_where_only_links_are_left_all_members_help() -> None:
    together = threading.Barrier(MEMBERS)

    def meet() -> None:
        together.wait(10)

    with Team("test") as team:
        team.follow([Job(meet, links=True) for _ in range(2 * MEMBERS)], lambda _: None)


def test_the_first_error_is_raised_and_nothing_more_is_begun() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        done.append(item)
        if item == 5:
            raise LookupError(item)

    with Team("test") as team:
        with pytest.raises(LookupError):
            team.share(range(10_000), work, lambda _: None)
        assert done[-1] < 5 + 2 * MEMBERS
        with suppress(LookupError):
            team.share([7], work, lambda _: None)
        assert done[-1] == 7


def test_who_waits_for_a_job_that_fails_goes_home() -> None:
    def refused() -> None:
        raise PermissionError

    first = Job(refused)
    later: list[int] = []
    with Team("test") as team, pytest.raises(PermissionError):
        team.follow([first, Job(partial(later.append, 1), (first,))], lambda _: None)
    assert not later

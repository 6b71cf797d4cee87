"""Replicas that come are their siblings' like, also where they are listed by name; those that go leave no trace."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from sdn.model import Application, Direction, Disposition, Expectation, Model, Protocol, Selector
from sdn.scheduler.replicas import replicas_of, with_replicas
from worlds_build import act, model, segment, tier, workload

LAN = Application("a", (segment("lan", "10.1.1.0/24"),))


def lab(names: int, *listed: str) -> Model:
    pods = [
        replace(workload(f"a/w-{n}", 1, "a/lan", ":80", app="w", me=f"w-{n}"), owner=("Workload", "w"))
        for n in range(names)
    ]
    rule = tier("application/p", act("deny", Direction.INGRESS, Selector(keys=listed)), to=[Selector(keys=listed)])
    return model("replicas", [LAN], [*pods, workload("a/x", 1, "a/lan", ip=("10.1.1.9",))], rule)


def keys(of: Model, name: str = "a/w") -> list[str]:
    return [one.key for one in replicas_of(of, name)]


def test_more_are_alike_but_for_their_names() -> None:
    grown = with_replicas(lab(2), "a/w", 4)
    assert keys(grown) == ["a/w-0", "a/w-1", "a/w-2", "a/w-3"]
    assert replicas_of(grown, "a/w")[3].labels == {"app": "w", "me": "w-3"}
    assert [one.key for one in grown.workloads] == sorted(one.key for one in grown.workloads)
    assert with_replicas(grown, "a/w", 2) == lab(2)


def test_the_highest_numbers_go_first() -> None:
    assert keys(with_replicas(lab(12), "a/w", 10))[-1] == "a/w-9"


@pytest.mark.parametrize(
    ("listed", "after"),
    [
        pytest.param(("a/w-0", "a/w-1"), ("a/w-0", "a/w-1", "a/w-2"), id="all"),
        pytest.param(("a/w-0", "a/w-1", "a/x"), ("a/w-0", "a/w-1", "a/w-2", "a/x"), id="all-and-others"),
        pytest.param(("a/w-1",), ("a/w-1",), id="one-of-them"),
        pytest.param((), (), id="everybody"),
    ],
)
def test_a_list_of_all_by_name_names_the_new_one_too(listed: tuple[str, ...], after: tuple[str, ...]) -> None:
    (policy,) = with_replicas(lab(2, *listed), "a/w", 3).policies
    assert policy.applies_to[0].keys == after
    assert policy.rules[0].peers[0].selector == Selector(keys=after)


def test_one_that_nobody_owns_becomes_the_first_of_several() -> None:
    grown = with_replicas(lab(1), "a/x", 3)
    assert {one.key for one in grown.workloads} == {"a/w-0", "a/x", "a/x-0", "a/x-1"}
    assert keys(grown, "a/x") == ["a/x", "a/x-0", "a/x-1"]
    assert with_replicas(grown, "a/x", 1) == lab(1)
    assert [one.ip for one in grown.workloads if one.name.startswith("x-")] == [(), ()]


def test_what_nobody_can_ask_any_more_is_not_expected() -> None:
    told = tuple(Expectation("a/x", f"a/w-{n}", Protocol.TCP, 80, Disposition.ALLOW) for n in range(2))
    assert with_replicas(replace(lab(2), expectations=told), "a/w", 1).expectations == told[:1]


@pytest.mark.parametrize(
    ("name", "count", "words"),
    [("a/nobody", 2, "no workload or owner 'a/nobody'"), ("a/w", 0, "keep at least 1")],
)
def test_what_cannot_be_scaled(name: str, count: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        with_replicas(lab(2), name, count)

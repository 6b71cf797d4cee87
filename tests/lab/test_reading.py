"""What a holder reads of a Model that it has read before: the same Model, of the same objects where nothing is new."""

from __future__ import annotations

from operator import is_
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from sdn.lab.messages import written
from sdn.lab.reading import Reader
from sdn.model import Model
from strategies_world import world
from worlds_build import labelled, netpol


@pytest.fixture(params=range(8))
def lab(request: pytest.FixtureRequest) -> Model:
    return world(request.param).model


def test_it_is_the_model_that_was_sent(lab: Model) -> None:
    reader = Reader()
    again = replace(lab, workloads=lab.workloads[1:], services=())
    for model in (lab, again, lab, lab):
        assert reader.read(written(model)) == model


def test_what_is_not_new_is_what_was_there(lab: Model) -> None:
    reader = Reader()
    reader.learn(lab)
    first, *rest = lab.workloads
    changed = replace(first, labels={"another": "label"})
    policies = (*lab.network_policies, netpol("n/one-more", labelled()))
    model = reader.read(written(replace(lab, workloads=(changed, *rest), network_policies=policies)))
    assert model.workloads[0] == changed
    assert all(one is other for one, other in zip(model.workloads[1:], rest, strict=True))
    others = [name for name in Model.__struct_fields__ if name not in ("workloads", "network_policies")]
    assert all(getattr(model, name) is getattr(lab, name) for name in others)
    assert model.network_policies == policies


def test_what_was_read_last_is_known(lab: Model) -> None:
    reader = Reader()
    first = reader.read(written(lab))
    second = reader.read(written(lab))
    assert all(one is other for one, other in zip(first.workloads, second.workloads, strict=True))


@pytest.mark.parametrize("seed", range(40))
def test_whatever_comes_goes_or_changes_it_is_what_was_sent(seed: int) -> None:
    """Many are alike, so that the bytes in common end within one and begin within another."""
    chance = Random(seed)
    lab = world(0).model
    kinds = [
        replace(lab.workloads[0], name="x" * length, labels={"a": "x" * chance.randrange(3)}) for length in range(1, 5)
    ]
    reader = Reader()
    workloads = [chance.choice(kinds) for _ in range(chance.choice((0, 1, 14, 15, 16, 17)))]
    reader.learn(replace(lab, workloads=tuple(workloads)))
    for _ in range(60):
        for _ in range(chance.randrange(3)):
            at = chance.randrange(len(workloads) + 1)
            workloads[at : at + chance.randrange(3)] = [chance.choice(kinds) for _ in range(chance.randrange(3))]
        wanted = replace(lab, workloads=tuple(workloads))
        if chance.randrange(2):
            reader.follow(wanted)
            assert all(map(is_, reader.read(written(wanted)).workloads, wanted.workloads))
        assert reader.read(written(wanted)) == wanted


def test_many_are_read_like_few() -> None:
    lab = world(0).model
    many = tuple(replace(lab.workloads[0], name=f"w-{number}") for number in range(70_000))
    reader = Reader()
    for some in (many, many[:100] + many[101:], many[1:], many[:65_535], ()):
        assert reader.read(written(replace(lab, workloads=some))).workloads == some


@pytest.mark.parametrize(
    "wrong", [{}, {"name": b"x"}, {"workloads": b""}, {"workloads": b"\x91"}, {"workloads": b"\xc0"}]
)
def test_what_is_no_model_is_refused(wrong: dict[str, bytes], lab: Model) -> None:
    with pytest.raises(ValueError):
        Reader().read({**written(lab), **wrong} if "workloads" in wrong else wrong)


def test_a_wrong_part_is_refused_and_the_next_model_is_read_as_before(lab: Model) -> None:
    reader = Reader()
    reader.learn(lab)
    with pytest.raises(ValueError):
        reader.read({**written(lab), "services": msgspec.msgpack.encode(7)})
    assert reader.read(written(lab)) == lab

"""What two descriptions of a lab do not have in common, held against looking at every workload of both."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.msgpack import decode, encode
from msgspec.structs import replace

from sdn.model import Workload
from sdn.model.differing import Pair, differing, moved
from worlds_build import workload

Workloads = tuple[Workload, ...]


def one_by_one(before: Workloads, after: Workloads) -> dict[str, Pair]:
    old, new = ({one.key: one for one in several} for several in (before, after))
    return {key: (old.get(key), new.get(key)) for key in sorted(old | new) if old.get(key) != new.get(key)}


@pytest.mark.parametrize("seed", range(200))
def test_random_changes(seed: int) -> None:
    """Some leave, come or change; some are equal and another object; now and then all of them are."""
    chance = Random(seed)
    before = tuple(workload(f"n/w{number:02}", 1, "a/s", a="x") for number in range(chance.randint(0, 12)))
    after = [one for one in before if chance.random() < 0.9]
    after = [replace(one, labels={"a": "y"}) if chance.random() < 0.1 else one for one in after]
    after = [replace(one) if chance.random() < 0.2 else one for one in after]
    after += [workload(f"n/v{number}", 1, "a/s") for number in range(chance.choice((0, 0, 0, 1, 3)))]
    sent: Workloads = tuple(sorted(after, key=lambda one: one.key))
    if chance.random() < 0.2:
        sent = decode(encode(sent), type=Workloads)
    found = differing(before, sent)
    assert found == one_by_one(before, sent)
    assert list(found) == sorted(found)


@pytest.mark.parametrize("seed", range(200))
def test_random_moves(seed: int) -> None:
    """Places as they are kept, in another order, and as they are read from somewhere."""
    chance = Random(seed)
    before = {f"w{number}": chance.choice("abc") for number in range(chance.randint(0, 12))}
    after = {key: chance.choice("abc") if chance.random() < 0.2 else host for key, host in before.items()}
    after = {key: host for key, host in after.items() if chance.random() < 0.9}
    for number in range(chance.choice((0, 0, 1, 3))):
        after[f"v{number}"] = "a"
    if chance.random() < 0.3:
        after = dict(chance.sample(list(after.items()), len(after)))
    if chance.random() < 0.3:
        after = decode(encode(after))
    assert moved(before, after) == {key for key in before | after if before.get(key) != after.get(key)}

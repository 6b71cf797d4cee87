"""Random worlds on the wire: a few hundred (model, flow) pairs in which a real packet does what policy and plan say.

Which worlds and flows is fixed by numbers, so that a failure comes again on every machine.
"""

from __future__ import annotations

from random import Random

import pytest

from labs import side_by_side, story
from sdn.lab import client
from sdn.lab.suite import ask_flows
from sdn.model import Endpoint, Flow, Placed, Result
from sdn.plan.desired import prepare
from strategies import ASKED, host_flow, neighbours, nobodys, service_ports
from strategies_words import Dice
from strategies_world import world

pytestmark = pytest.mark.kernel

SEEDS = range(1040, 1064)
FLOWS = 25
FROM_HOSTS = 12
GROUPS = [tuple(SEEDS[start : start + 6]) for start in range(0, len(SEEDS), 6)]


def picked(placed: Placed, dice: Random) -> Flow:
    """Mostly to somebody near, often at a port on which they listen; also to Services, to itself and to nobody."""
    source = placed.endpoints[dice.choice(sorted(placed.endpoints))]
    protocol, port = dice.choice(ASKED)
    match dice.randrange(10):
        case 0 | 1 | 2 if virtual := service_ports(placed, source):
            address, wanted = dice.choice(virtual)
            return Flow(source.workload, address, wanted.protocol, wanted.port)
        case 3:
            owned = sorted({address for endpoint in placed.endpoints.values() for address in endpoint.addresses})
            return Flow(source.workload, dice.choice(owned + nobodys(placed, source, owned)), protocol, port)
        case 4 | 5 | 6:
            return listener(placed, source, dice) or Flow(source.workload, source.addresses[0], protocol, port)
        case _:
            near = neighbours(placed, source) or [(source.workload, source.addresses[0])]
            return Flow(source.workload, dice.choice(near)[1], protocol, port)


def listener(placed: Placed, source: Endpoint, dice: Random) -> Flow | None:
    """A port on which somebody near listens."""
    ports = {workload.key: workload.ports for workload in placed.model.workloads}
    near = [(address, port) for target, address in neighbours(placed, source) for port in ports[target]]
    if not near:
        return None
    address, port = dice.choice(near)
    return Flow(source.workload, address, port.protocol, port.number)


def asked(seed: int) -> list[Result]:
    """The three answers to the flows of one world."""
    model = world(seed).model
    placed = prepare(model).placed
    dice = Random(seed)
    flows = list(dict.fromkeys(picked(placed, dice) for _ in range(FLOWS)))
    flows += dict.fromkeys(host_flow(Dice(seed + number), placed) for number in range(FROM_HOSTS))
    with client.temporary(model) as lab:
        lab.built()
        return ask_flows(lab, lab.placed(), flows)


@pytest.mark.parametrize("seeds", GROUPS, ids=lambda seeds: f"worlds-{seeds[0]}-to-{seeds[-1]}")
def test_random_worlds(seeds: tuple[int, ...]) -> None:
    results = side_by_side(asked, seeds)
    told = [f"world {seed}:\n{words}" for seed, found in zip(seeds, results, strict=True) if (words := story(found))]
    assert not told, "\n\n".join(told)
    assert sum(map(len, results)) >= len(seeds) * FLOWS * 0.6
    dispositions = {answer.verdict.disposition for found in results for result in found for answer in result.evaluate}
    assert len(dispositions) >= 3, "these worlds ask too little"

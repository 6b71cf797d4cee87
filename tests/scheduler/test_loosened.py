"""What rankings must look at again is found, and takes no more room the longer somebody plans."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from scheduler_words import host, lab, vm

from sdn.model import Placement
from sdn.scheduler import Cluster
from sdn.scheduler.loosened import Loosened
from sdn.scheduler.target import Target

TARGETS = [Target.of_host(host(f"h{number}")) for number in range(4)]


@given(st.lists(st.sampled_from(range(4)), max_size=30), st.integers(0, 30))
def test_it_says_what_a_log_of_everything_would(added: list[int], split: int) -> None:
    log = Loosened()
    log.add(TARGETS[number] for number in added[:split])
    then = log.now
    log.add(TARGETS[number] for number in added[split:])
    assert sorted(log.since(then)) == sorted({f"h{number}" for number in added[split:]})
    assert len(log) == len(added)
    log.clear()
    assert (len(log), list(log.since(then))) == (0, [])


def test_who_is_bound_and_taken_off_for_ever_finds_the_same_and_fills_nothing() -> None:
    workloads = [vm(f"v{number}", memory=100, cpu=10) for number in range(3)]
    cluster = Cluster.of(lab([host(f"h{number}") for number in range(4)], workloads), Placement({}))
    sizes = []
    for _ in range(300):
        found = [cluster.best(workload) for workload in workloads]
        assert {target.name for target in found if target} == {"h0"}
        for workload, target in zip(workloads, found, strict=True):
            assert target
            cluster.bind(workload, target)
        for workload in workloads:
            cluster.unbind(workload.key)
        sizes.append(len(list(cluster.loosened.since(0))))
    assert max(sizes) <= 4 and len(cluster.loosened) == 900

"""The checker's rules about room: capacity, reservations, NUMA nodes, pools, and what is kept free for failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, combinations

from checker_state import State, Violation

from sdn.model import Host, HostState, Pool, Reserve, Resources, Workload

CPU, MEMORY = "CPU", "memory"
BOTH = (CPU, MEMORY)


def asked(workload: Workload, what: str) -> int:
    """Its size: millicores or MiB."""
    return workload.cpu if what == CPU else workload.memory


def capacity(host: Host, what: str) -> int:
    """What there is of it."""
    return host.cpu if what == CPU else host.memory


def overcommit(host: Host, what: str) -> int:
    """Percent of it that sizes may add up to."""
    return host.cpu_overcommit if what == CPU else host.memory_overcommit


def reservation_of(resources: Resources | None, what: str) -> int | None:
    """What is written, None where nothing is."""
    if resources is None:
        return None
    return resources.cpu_reservation if what == CPU else resources.memory_reservation


def limit_of(resources: Resources, what: str) -> int | None:
    """What is written, None where nothing is."""
    return resources.cpu_limit if what == CPU else resources.memory_limit


def reserved(state: State, workload: Workload, what: str) -> int:
    """What is guaranteed to a workload on its Host.

    Not written: all of its size where the Host is not over-committed, else of a node what its Pods ask for, and of
    anything else nothing.
    """
    written = reservation_of(workload.scheduling.resources, what)
    if written is not None:
        return written
    if overcommit(state.hosts[state.placement.hosts[workload.key]], what) <= 100:
        return asked(workload, what)
    return sum(asked(pod, what) for pod in state.inside.get(workload.key, []))


def host_capacity(state: State) -> Iterator[Violation]:
    """Sizes within the over-committed capacity, reservations within the real one, and the number of workloads."""
    for host in state.hosts.values():
        there = state.directly[host.name]
        if len(there) > host.pods:
            yield over("capacity", f"{host.name} workloads", len(there), host.pods)
        for what in BOTH:
            size, most = sum(asked(w, what) for w in there), capacity(host, what) * overcommit(host, what) // 100
            if size > most:
                yield over("capacity", f"{host.name} {what}", size, most)
            promised = sum(reserved(state, w, what) for w in there)
            if promised > capacity(host, what) and promised != size:  # else it is told as size
                yield over("reservation", f"{host.name} {what}", promised, capacity(host, what))


def node_capacity(state: State) -> Iterator[Violation]:
    """Pods within what their node offers."""
    for key, pods in state.inside.items():
        node = state.workloads[key]
        if len(pods) > node.pods:
            yield over("capacity", f"{key} Pods", len(pods), node.pods)
        for what in BOTH:
            size = sum(asked(pod, what) for pod in pods)
            if size > asked(node, what):
                yield over("capacity", f"{key} {what}", size, asked(node, what))


def over(rule: str, subject: str, is_now: float, most: float) -> Violation:
    """More than there may be."""
    return Violation(rule, subject, is_now - most, f"{is_now:g} of {most:g}")


def numa(state: State) -> Iterator[Violation]:
    """VMs that stay within some NUMA nodes of their Host can be divided among them, in at least one way."""
    for host in state.hosts.values():
        narrow = [w for w in state.directly[host.name] if w.scheduling.numa]
        cells = host.numa or ((host.cpu, host.memory),)
        if narrow and not divisible(host, cells, narrow):
            yield Violation("NUMA", host.name, len(narrow), " ".join(w.key for w in narrow))


def divisible(host: Host, cells: tuple[tuple[int, int], ...], narrow: list[Workload]) -> bool:
    """Try every choice of NUMA nodes for every VM: right if no set of NUMA nodes has to hold more than it has.

    A VM may divide itself as it likes among the nodes that were chosen for it, so by Hall's theorem that is enough.
    """
    room = [(cpu * host.cpu_overcommit // 100, memory * host.memory_overcommit // 100) for cpu, memory in cells]
    everyone = range(len(cells))
    sets = [frozenset(s) for size in range(1, len(cells) + 1) for s in combinations(everyone, size)]

    def fits(chosen: list[tuple[frozenset[int], Workload]]) -> bool:
        return all(
            sum(w.cpu for choice, w in chosen if choice <= some) <= sum(room[i][0] for i in some)
            and sum(w.memory for choice, w in chosen if choice <= some) <= sum(room[i][1] for i in some)
            for some in sets
        )

    def choose(chosen: list[tuple[frozenset[int], Workload]]) -> bool:
        if len(chosen) == len(narrow):
            return True
        vm = narrow[len(chosen)]
        choices = combinations(everyone, min(vm.scheduling.numa, len(cells)))
        return any(fits(more) and choose(more) for more in ([*chosen, (frozenset(c), vm)] for c in choices))

    return choose([])


def pools(state: State) -> Iterator[Violation]:
    """What is promised in a pool fits into what the pool has: its own, and its parent's where it is expandable."""
    known = state.model.constraints.pools
    for what in BOTH:
        for pool in known:
            promised = demand(state, pool.name, what)
            most = reservation_of(pool.resources, what) or 0
            if not pool.expandable and promised > most:
                yield over("pool reservation", f"{pool.name} {what}", promised, most)
            limit = limit_of(pool.resources, what)
            if limit is not None and promised > limit:
                yield over("pool limit", f"{pool.name} {what}", promised, limit)


def demand(state: State, name: str, what: str) -> int:
    """What a pool must promise: its workloads' reservations, and of each pool in it what that was promised or takes."""
    own = sum(
        reserved(state, w, what) for w in chain.from_iterable(state.directly.values()) if w.scheduling.pool == name
    )
    inner = [pool for pool in state.model.constraints.pools if pool.parent == name]
    return own + sum(taken(state, pool, what) for pool in inner)


def taken(state: State, pool: Pool, what: str) -> int:
    """What a pool takes out of its parent: its reservation whether it is used or not, and what it expands by."""
    return max(reservation_of(pool.resources, what) or 0, demand(state, pool.name, what))


def admission(state: State) -> Iterator[Violation]:
    """The room for failures is free. Once a Host has failed it is there to be used, so nothing is asked of it then."""
    rule = state.model.constraints.admission
    if not rule.failures or any(host.state is HostState.FAILED for host in state.hosts.values()):
        return
    yield from RESERVES[rule.reserve](state)


def dedicated(state: State) -> Iterator[Violation]:
    """Hosts that stay empty."""
    for name in state.model.constraints.admission.dedicated:
        if state.on[name]:
            yield Violation("admission", name, len(state.on[name]), "is kept empty for a failure")


def percentage(state: State) -> Iterator[Violation]:
    """A share of all Hosts' CPU and memory is promised to nobody; 0 percent means as much as the largest Hosts have."""
    rule = state.model.constraints.admission
    for what in BOTH:
        every = sorted((capacity(host, what) for host in state.hosts.values()), reverse=True)
        kept = sum(every) * rule.percentage / 100 if rule.percentage else sum(every[: rule.failures])
        promised = sum(reserved(state, w, what) for w in chain.from_iterable(state.directly.values()))
        if promised > sum(every) - kept:
            yield over("admission", what, promised, sum(every) - kept)


def slots(state: State) -> Iterator[Violation]:
    """A slot is the largest reservation of CPU and of memory; without the largest Hosts each workload has one."""
    running = list(chain.from_iterable(state.directly.values()))
    slot = {what: max((reserved(state, w, what) for w in running), default=0) for what in BOTH}
    per_host = sorted(
        (min((capacity(host, what) // slot[what] for what in BOTH if slot[what]), default=len(running)))
        for host in state.hosts.values()
    )
    left = sum(per_host[: max(0, len(per_host) - state.model.constraints.admission.failures)])
    if len(running) > left:
        yield over("admission", "slots", len(running), left)


RESERVES: dict[Reserve, Callable[[State], Iterator[Violation]]] = {
    Reserve.SLOTS: slots,
    Reserve.PERCENTAGE: percentage,
    Reserve.DEDICATED: dedicated,
}

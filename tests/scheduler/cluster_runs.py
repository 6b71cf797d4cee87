"""One random cluster through all that the scheduler does, every result looked at by the checker: for tests and fuzz."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from checker import always, check, check_steps, left_behind
from clusters import Size, cluster
from msgspec import Struct
from msgspec.structs import replace

from sdn.errors import UnschedulableError
from sdn.model import HostState, Model, Placement, Workload
from sdn.scheduler import Proposal, drain, migrate, moves, place, rebalance, reconcile, recover, repair
from strategies_words import Dice


class Finding(Struct, frozen=True):
    """What is wrong with something that the scheduler made of the cluster of a seed; nothing where all was right.

    `steps` counts the moves that were looked at, `refused` is whether there were none because the answer was no. `left`
    are those whom the plan leaves where Kubernetes would not bind them today, which is no rule that it breaks.
    """

    seed: int
    what: str
    wrong: tuple[str, ...] = ()
    steps: int = 0
    refused: bool = False
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"cluster {self.seed}, {self.what}:", *(f"  {sentence}" for sentence in self.wrong)])


class Plan(Struct, frozen=True):
    """What was asked for: the lab as it is then, where all ran, and what the scheduler proposes.

    `complete`: all must run at the end, as all did before. `clean`: no rule about what runs may be broken at the end,
    whatever was broken before. `wrong` is what the kind of plan itself should have done and did not.
    """

    model: Model
    before: Placement
    proposal: Proposal
    complete: bool = True
    clean: bool = True
    wrong: tuple[str, ...] = ()


def findings(seed: int, size: Size | None = None, plans: int | None = None) -> Iterator[Finding]:
    """What was done and what came of it; nothing where the cluster cannot be placed, not even without some apps.

    `plans` is how many kinds of plans are tried, others for another seed; all of them without.
    """
    found = placeable(cluster(seed, size))
    if found is None:
        return
    model, placement = found
    yield Finding(seed, "place", tuple(check(model, placement)))
    stays = place(model, placement) == placement
    yield Finding(seed, "place again", () if stays else ("placing what is placed moves somebody",))
    names = sorted(PLANS)
    for number in range(len(names) if plans is None else plans):
        name = names[(seed + number) % len(names)]
        try:
            plan = PLANS[name](Dice(f"{seed} {name}"), model, placement)
        except UnschedulableError:
            continue
        yield looked_at(seed, name, plan)


def placeable(model: Model) -> tuple[Model, Placement] | None:
    """The cluster and where all runs; apps that find no place are left out, twice at most."""
    for _ in range(3):
        try:
            return (model, place(model)) if model.workloads else None
        except UnschedulableError as error:
            refused = {reason.partition(": ")[0] for reason in error.reasons}
            apps = {w.labels.get("app", w.key) for w in model.workloads if w.key in refused}
            kept = tuple(w for w in model.workloads if w.labels.get("app", w.key) not in apps)
            model = replace(model, workloads=kept)
    return None


def looked_at(seed: int, name: str, plan: Plan) -> Finding:
    """Every step of a plan, and its end."""
    proposal = plan.proposal
    if proposal.refused:
        quiet = not proposal.moves and proposal.placement == plan.before
        return Finding(seed, name, () if quiet else ("refused, and yet something moves",), refused=True)
    wrong = [*plan.wrong, *check_steps(plan.model, plan.before, proposal.moves, proposal.placement)]
    if plan.complete:
        wrong += [f"gone: {w.key}" for w in plan.model.workloads if w.key not in proposal.placement.hosts]
    if plan.clean:
        wrong += [f"at the end {broken}" for broken in always(plan.model, proposal.placement, plan.before)]
    left = left_behind(plan.model, plan.before, proposal.placement)
    return Finding(seed, name, tuple(wrong), len(proposal.moves), left=tuple(left))


def a_migration(dice: Dice, model: Model, placement: Placement) -> Plan:
    """Any workload to any Host."""
    key, host = dice.pick(sorted(placement.hosts)), dice.pick(model.underlay.hosts).name
    return Plan(model, placement, migrate(model, placement, key, host))


def a_drain(dice: Dice, model: Model, placement: Placement) -> Plan:
    """A Host that runs something is emptied."""
    host = dice.pick(sorted(set(placement.hosts.values())))
    proposal = drain(model, placement, host)
    wrong = ("something is left there",) if host in proposal.placement.hosts.values() else ()
    return Plan(in_state(model, (host,), HostState.MAINTENANCE), placement, proposal, wrong=wrong)


def a_recovery(dice: Dice, model: Model, placement: Placement) -> Plan:
    """One or two Hosts fail; who can restart does, and the notes name everybody who cannot.

    What the failure itself stops comes first in the plan, and is no step of it: the plan begins with what is left.
    """
    used = sorted(set(placement.hosts.values()))
    failed = tuple(dice.sample(used, min(len(used), dice.randint(1, 2))))
    proposal = recover(model, placement, failed)
    lost = {key for key, host in placement.hosts.items() if host in failed}
    stopped, steps = proposal.moves[: len(lost)], proposal.moves[len(lost) :]
    missing = sorted(set(placement.hosts) - set(proposal.placement.hosts))
    wrong = [f"{key} is gone without a word" for key in missing if not any(key in note for note in proposal.notes)]
    if {move.workload for move in stopped} != lost or any(move.target for move in stopped):
        wrong.append("it does not begin with what the failure stopped")
    changed, left = in_state(model, failed, HostState.FAILED), without(placement, lost)
    return Plan(changed, left, replace(proposal, moves=steps), complete=False, clean=False, wrong=tuple(wrong))


def a_rebalance(dice: Dice, model: Model, placement: Placement) -> Plan:
    """A Host comes back from maintenance, empty; once balanced, there is nothing to balance."""
    avoided = dice.pick(model.underlay.hosts).name
    before = place(in_state(model, (avoided,), HostState.MAINTENANCE))
    proposal = rebalance(model, before)
    again = rebalance(model, proposal.placement)
    wrong = tuple(f"again it moves {move.workload}" for move in again.moves)
    return Plan(model, before, proposal, wrong=wrong)


def a_repair(dice: Dice, model: Model, placement: Placement) -> Plan:
    """The load rises by a tenth, or a Host is in maintenance."""
    if dice.one_in(2):
        changed = in_state(model, (dice.pick(model.underlay.hosts).name,), HostState.MAINTENANCE)
    else:
        changed = replace(model, workloads=tuple(w if w.is_node else a_tenth_more(w) for w in model.workloads))
    return Plan(changed, placement, repair(changed, placement))


def a_tenth_more(workload: Workload) -> Workload:
    """It asks for more; what it has reserved stays as it is."""
    return replace(workload, cpu=workload.cpu * 11 // 10, memory=workload.memory * 11 // 10)


def a_reconciliation(dice: Dice, model: Model, placement: Placement) -> Plan:
    """Some workloads are no longer asked for, and some that were not there before are."""
    running = {w.key for w in model.workloads if w.is_node or not dice.one_in(5)}
    before = without(placement, set(placement.hosts) - running)
    asked = replace(model, workloads=tuple(w for w in model.workloads if w.is_node or not dice.one_in(6)))
    return Plan(asked, before, reconcile(asked, before))


def another_placement(dice: Dice, model: Model, placement: Placement) -> Plan:
    """From one right placement to another that was made without knowing it."""
    avoided = dice.pick(model.underlay.hosts).name
    other = place(in_state(model, (avoided,), HostState.MAINTENANCE))
    return Plan(model, placement, moves(model, placement, other))


def without(placement: Placement, gone: set[str]) -> Placement:
    """Where all others are."""
    return Placement(
        {key: host for key, host in placement.hosts.items() if key not in gone},
        {key: node for key, node in placement.nodes.items() if key not in gone},
    )


def in_state(model: Model, names: tuple[str, ...], state: HostState) -> Model:
    """With some Hosts in a state."""
    hosts = tuple(replace(host, state=state) if host.name in names else host for host in model.underlay.hosts)
    return replace(model, underlay=replace(model.underlay, hosts=hosts))


PLANS: dict[str, Callable[[Dice, Model, Placement], Plan]] = {
    "migrate": a_migration,
    "drain": a_drain,
    "rebalance": a_rebalance,
    "recover": a_recovery,
    "repair": a_repair,
    "reconcile": a_reconciliation,
    "moves": another_placement,
}

"""Random clusters for the scheduler: `cluster(seed)` is small and has all kinds of constraints, mostly solvable.

Workloads come as replicas of apps, like those of a real cluster, because rules speak of apps. What an app asks for is
drawn so that it could be had on some Host; that everything together can be had is left to chance.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace
from scheduler_words import apart, app, host, lab, near, node, pod, spread, term, vm

from sdn.model import (
    HOSTNAME,
    Admission,
    Affinity,
    Constraints,
    Effect,
    Host,
    HostState,
    Image,
    ImageGate,
    Model,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    PlacementRule,
    Pool,
    Reserve,
    Resources,
    Scheduling,
    Selector,
    Separation,
    Severity,
    Taint,
    Together,
    Toleration,
    TopologySpread,
    Volume,
    Weighted,
    Workload,
)
from strategies_words import Dice

LEVELS = ("high", "low")
GPU = Taint("gpu", "yes")
LEAVE = Taint("leave", "", Effect.NO_EXECUTE)


class Size(Struct, frozen=True):
    """How large the clusters are; `load` is the share of all CPU that is asked for, in percent."""

    hosts: int = 6
    apps: int = 6
    replicas: int = 4
    load: int = 45


SMALL = Size()
TIGHT = Size(hosts=4, apps=5, replicas=4, load=85)
MIDDLE = Size(hosts=40, apps=30, replicas=8, load=60)


def cluster(seed: int, size: Size | None = None) -> Model:
    """The cluster of a seed; every fifth is tight."""
    return Builder(Dice(seed), size or (TIGHT if seed % 5 == 4 else SMALL)).model()


class Builder:
    """What one cluster is made of. `levels`, `with_nodes` and the like are drawn once, and hold for all of it."""

    def __init__(self, dice: Dice, size: Size) -> None:
        self.dice = dice
        self.size = size
        self.zones = "ab" if dice.one_in(2) else "abc"
        self.hosts = [self.host(number) for number in range(dice.randint(max(3, size.hosts - 2), size.hosts + 2))]
        self.with_nodes = not dice.one_in(3)
        self.levels = dice.one_in(5)
        self.pools = dice.one_in(3)
        self.volumes = [self.volume(number) for number in range(dice.randrange(3))]
        self.apps = [f"app-{number}" for number in range(dice.randint(2, size.apps))]

    def host(self, number: int) -> Host:
        """One of a few sizes; every zone has one of the first Hosts, racks belong to zones."""
        dice = self.dice
        zone = self.zones[number % len(self.zones)]
        cpu, memory = dice.pick(((8000, 16384), (16000, 32768), (16000, 32768), (32000, 65536)))
        return host(
            f"h{number:02}",
            cpu=cpu,
            memory=memory,
            pods=dice.pick((8, 20, 40)),
            labels={
                "zone": zone,
                "rack": f"{zone}{dice.randrange(2)}",
                "cores": str(cpu // 1000),
                **({} if dice.one_in(3) else {"disk": "ssd"}),
            },
            taints=(GPU,) if dice.one_in(10) else (LEAVE,) if dice.one_in(30) else (),
            cpu_overcommit=dice.pick((100, 100, 150, 300)),
            memory_overcommit=dice.pick((100, 100, 120)),
            numa=((cpu // 2, memory // 2),) * 2 if dice.one_in(2) else (),
            state=dice.pick((HostState.UP,) * 30 + (HostState.MAINTENANCE, HostState.FAILED)),
        )

    def volume(self, number: int) -> Volume:
        """With replicas on some Hosts, at least two."""
        names = sorted(host.name for host in self.dice.sample(self.hosts, self.dice.randint(2, len(self.hosts))))
        return Volume(f"volume-{number}", tuple(names))

    def model(self) -> Model:
        """All of it."""
        nodes = self.nodes() if self.with_nodes else []
        workloads = [*nodes, *(replica for name in self.apps for replica in self.replicas(name))]
        constraints = self.constraints()
        return replace(lab(self.hosts, workloads), constraints=constraints)

    def nodes(self) -> list[Workload]:
        """Kubernetes nodes, some with a label or taint of their own."""
        dice = self.dice
        return [
            node(
                f"n{number:02}",
                cpu=dice.pick((4000, 6000)),
                memory=dice.pick((6144, 8192)),
                pods=dice.pick((6, 20)),
                labels={"disk": "ssd"} if dice.one_in(3) else {},
                taints=(("gpu", "yes", "NoSchedule"),) if dice.one_in(8) else (),
                numa=int(dice.one_in(3)),
                affinity=self.preference() if dice.one_in(4) else None,
                tolerations=(Toleration("gpu", exists=True),) if dice.one_in(4) else (),
            )
            for number in range(dice.randint(len(self.hosts) - 1, len(self.hosts) + 2))
        ]

    def replicas(self, name: str) -> list[Workload]:
        """Of one app: as many VMs or Pods, all alike."""
        dice = self.dice
        count = dice.randint(1, self.size.replicas)
        is_vm = dice.one_in(2)
        share = sum(host.cpu for host in self.hosts) * self.size.load // 100 // (len(self.apps) * self.size.replicas)
        cpu = dice.randint(0, min(share * 2, 8000 if is_vm else 3000))
        memory = dice.randint(0, 4096 if is_vm else 1500)
        labels = {"app": name, **({"level": dice.pick(LEVELS)} if self.levels and not dice.one_in(3) else {})}
        scheduling = self.scheduling(name, count, is_vm, Resources(cpu // 2, memory // 2))
        make = vm if is_vm else pod
        base = make(
            "x",
            cpu=cpu,
            memory=memory,
            labels=labels,
            owner=("Deployment", name),
            selector={"disk": "ssd"} if dice.one_in(10) else {},
            tolerations=(Toleration("gpu", exists=True),) if dice.one_in(4) else (),
        )
        return [replace(base, name=f"{name}-{number}", scheduling=scheduling) for number in range(count)]

    def scheduling(self, name: str, count: int, is_vm: bool, reservation: Resources) -> Scheduling:
        """What an app asks for beside its size: mostly one thing or two."""
        dice = self.dice
        in_pool = self.pools and is_vm and not dice.one_in(4)
        return Scheduling(
            affinity=self.affinity(name, count) if dice.one_in(2) else None,
            spread=tuple(self.spread(name) for _ in range(dice.randint(1, 2))) if dice.one_in(4) else (),
            priority=dice.pick((0, 0, 0, 10, 100)),
            preempts=not dice.one_in(6),
            resources=reservation if in_pool or dice.one_in(4) else None,
            pool=dice.pick(("inner", "outer")) if in_pool else "",
            numa=int(is_vm and dice.one_in(3)),
            volumes=(dice.pick(self.volumes).name,) if self.volumes and dice.one_in(6) else (),
            images=(dice.pick(("good",) * 20 + ("flawed", "unknown")),) if dice.one_in(5) else (),
        )

    def affinity(self, name: str, count: int) -> Affinity:
        """One kind of wish or must about Hosts or other apps."""
        dice = self.dice
        other = dice.pick(self.apps)
        match dice.randrange(8):
            case 0 if count <= len(self.hosts) // 2:
                return apart(name)
            case 1 if count <= len(self.zones):
                return apart(name, topology="zone")
            case 2 if other != name:
                return apart(other, topology=dice.pick((HOSTNAME, "rack")))
            case 3 if self.apps.index(other) < self.apps.index(name):
                return near(other, topology=dice.pick(("zone", "rack")))
            case 4:
                return near(name, topology=dice.pick(("zone", "rack")))
            case 5:
                return Affinity(nodes=tuple(self.node_term() for _ in range(dice.randint(1, 2))))
            case _:
                return self.preference()

    def node_term(self) -> NodeTerm:
        """One or two conditions that some Host fulfils alone."""
        dice = self.dice
        there = dice.pick(self.hosts).labels
        drawn = (
            NodeRequirement("zone", NodeOperator.IN, (there["zone"], self.zones[0])),
            NodeRequirement("rack", NodeOperator.NOT_IN, (dice.pick(self.hosts).labels["rack"],)),
            NodeRequirement("cores", NodeOperator.GT, ("8",)),
            NodeRequirement("cores", NodeOperator.LT, ("32",)),
            NodeRequirement("disk", NodeOperator.EXISTS),
            NodeRequirement("disk", NodeOperator.DOES_NOT_EXIST),
        )
        return NodeTerm(tuple(dice.sample(drawn, dice.randint(1, 2))))

    def preference(self) -> Affinity:
        """Wishes, which the checker does not look at; they must not make anybody break a rule."""
        dice = self.dice
        weight, about = dice.randint(1, 100), term(dice.pick(self.apps), dice.pick((HOSTNAME, "zone")))
        wishes = (Weighted(weight, node=self.node_term()), Weighted(weight, pods=about))
        return Affinity(wishes=(dice.pick(wishes),), apart_wishes=(Weighted(weight, pods=about),))

    def spread(self, name: str) -> TopologySpread:
        """Over zones, racks or Hosts, mostly a must."""
        dice = self.dice
        return spread(
            name,
            dice.pick(("zone", "zone", "rack", HOSTNAME)),
            dice.randint(1, 2),
            required=not dice.one_in(4),
            min_domains=dice.pick((1, 1, 2)),
        )

    def constraints(self) -> Constraints:
        """What holds for the whole lab."""
        dice = self.dice
        total = sum(host.cpu for host in self.hosts)
        outer = Pool("outer", "", Resources(total // 2, 8192, cpu_limit=total), expandable=dice.one_in(2))
        inner = Pool("inner", "outer", Resources(total // 8, 1024, memory_limit=dice.pick((4096, 32768, 32768))))
        return Constraints(
            pools=(inner, outer) if self.pools else (),
            rules=tuple(self.rule(f"rule-{number}") for number in range(dice.randrange(3))),
            separations=(Separation("level", dice.pick(("host", "vm"))),) if self.levels else (),
            volumes=tuple(self.volumes),
            images=(Image("flawed", True, True, Severity.HIGH), Image("good", True, True, Severity.LOW)),
            gate=ImageGate(dice.one_in(2), dice.one_in(2), dice.pick((Severity.MEDIUM, Severity.CRITICAL))),
            admission=self.admission(),
        )

    def rule(self, name: str) -> PlacementRule:
        """Over one app; `must` half of the time."""
        dice = self.dice
        chosen = Selector(labels=app(dice.pick(self.apps)))
        must = dice.one_in(2)
        match dice.randrange(4):
            case 0:
                return PlacementRule(name, Together.TOGETHER, chosen, must=must, topology=dice.pick((HOSTNAME, "rack")))
            case 1:
                return PlacementRule(name, Together.APART, chosen, must=must)
            case 2:
                return PlacementRule(name, Together.ON, chosen, {"zone": dice.pick(self.zones)}, must=must)
            case _:
                return PlacementRule(name, Together.NOT_ON, chosen, {}, (dice.pick(self.hosts).name,), must=must)

    def admission(self) -> Admission:
        """Room for one Host to fail, in one of three ways; mostly none."""
        dice = self.dice
        match dice.randrange(9):
            case 0:
                return Admission(1)
            case 1:
                return Admission(1, Reserve.PERCENTAGE, dice.pick((0, 25)))
            case 2:
                return Admission(1, Reserve.DEDICATED, dedicated=(self.hosts[-1].name,))
            case _:
                return Admission()

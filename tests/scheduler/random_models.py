"""Small labs with every kind of constraint at once, made of a seed; few values, so that rules often meet."""

from __future__ import annotations

from random import Random

from sdn.model import (
    HOSTNAME,
    WORKER,
    Admission,
    Affinity,
    Constraints,
    Effect,
    Host,
    HostState,
    Image,
    ImageGate,
    Kind,
    LabelSelector,
    Model,
    NodeOperator,
    NodeRequirement,
    NodeTerm,
    PlacementRule,
    PodTerm,
    Pool,
    Reserve,
    Resources,
    Scheduling,
    Selector,
    Separation,
    Taint,
    Together,
    Toleration,
    TopologySpread,
    Underlay,
    Volume,
    Weighted,
    Workload,
)

ZONE = "zone"
RACK = "rack"
TOPOLOGIES = (HOSTNAME, ZONE, RACK)
APPS = ("a", "b", "c")
TAINT = Taint("gpu", "yes")


def random_model(seed: int) -> Model:
    """The same one for a seed on every machine."""
    return _Maker(Random(seed)).model()


class _Maker:
    def __init__(self, dice: Random) -> None:
        self.dice = dice

    def model(self) -> Model:
        hosts = tuple(self.host(number) for number in range(self.dice.randint(2, 7)))
        owners = [self.owner(name) for name in APPS[: self.dice.randint(1, 3)]]
        vms = [self.vm(number) for number in range(self.dice.randint(0, 6))]
        pods = [pod for owner in owners for pod in owner]
        workloads = tuple(sorted([*vms, *pods], key=lambda w: w.key))
        return Model("lab", Underlay(hosts), (), workloads, constraints=self.constraints(hosts))

    def one_in(self, many: int) -> bool:
        return self.dice.randrange(many) == 0

    def host(self, number: int) -> Host:
        d = self.dice
        labels = {ZONE: d.choice("xy"), RACK: d.choice("123")}
        if self.one_in(6):
            del labels[ZONE]
        if self.one_in(3):
            labels[WORKER] = ""
        return Host(
            f"h{number}",
            cpu=d.choice((4000, 8000)),
            memory=d.choice((8192, 16384)),
            pods=d.choice((6, 20)),
            labels=labels,
            taints=(d.choice((TAINT, Taint("x", "", Effect.PREFER_NO_SCHEDULE))),) if self.one_in(5) else (),
            cpu_overcommit=d.choice((100, 100, 150)),
            memory_overcommit=d.choice((100, 100, 120)),
            numa=d.choice(((), ((2000, 4096), (2000, 4096)))),
            state=HostState.FAILED if self.one_in(9) else HostState.UP,
        )

    def labels(self, app: str) -> dict[str, str]:
        found = {"app": app}
        if self.one_in(3):
            found["level"] = self.dice.choice(("secret", "public"))
        return found

    def vm(self, number: int) -> Workload:
        d = self.dice
        node = self.one_in(2)
        labels = {} if node and self.one_in(2) else self.labels(d.choice(APPS))
        resources = None
        if self.one_in(4):
            resources = Resources(cpu_reservation=d.choice((None, 500)), memory_reservation=d.choice((None, 0, 1024)))
        return Workload(
            "vms",
            f"vm{number}",
            Kind.VM,
            "vms",
            "net",
            labels,
            cpu=d.choice((1000, 2000)),
            memory=d.choice((1024, 4096)),
            is_node=node,
            pods=d.choice((2, 10)),
            tolerations=(Toleration(exists=True),) if self.one_in(3) else (),
            scheduling=Scheduling(
                affinity=self.affinity() if self.one_in(4) else None,
                priority=d.choice((0, 0, 5)),
                resources=resources,
                pool=d.choice(("", "", "gold", "silver")),
                numa=d.choice((0, 0, 1)),
                volumes=("v",) if self.one_in(6) else (),
            ),
        )

    def owner(self, app: str) -> list[Workload]:
        d = self.dice
        labels, scheduling = self.labels(app), self.scheduling()
        cpu, memory = d.choice((0, 250, 500)), d.choice((0, 256, 1024))
        selector = {ZONE: d.choice("xy")} if self.one_in(6) else {}
        spread = d.choice(("", ZONE))
        return [
            Workload(
                "shop",
                f"{app}{number}",
                Kind.POD,
                "shop",
                "pods",
                labels,
                ("Deployment", app),
                cpu=cpu,
                memory=memory,
                selector=selector,
                spread=spread,
                scheduling=scheduling,
            )
            for number in range(d.randint(1, 5))
        ]

    def scheduling(self) -> Scheduling:
        d = self.dice
        return Scheduling(
            affinity=self.affinity() if self.one_in(2) else None,
            spread=(self.topology_spread(),) if self.one_in(3) else (),
            priority=d.choice((0, 0, 1, 10)),
            volumes=("v",) if self.one_in(8) else (),
            images=(d.choice(("good", "good", "bad")),) if self.one_in(6) else (),
        )

    def term(self) -> PodTerm:
        d = self.dice
        return PodTerm(
            d.choice(TOPOLOGIES),
            LabelSelector((("app", d.choice(APPS)),)),
            namespace_labels=LabelSelector() if self.one_in(2) else None,
        )

    def some_terms(self) -> tuple[PodTerm, ...]:
        return (self.term(),) if self.one_in(3) else ()

    def affinity(self) -> Affinity:
        zone = NodeTerm((NodeRequirement(ZONE, NodeOperator.IN, (self.dice.choice("xy"),)),))
        return Affinity(
            nodes=(zone,) if self.one_in(4) else (),
            near=self.some_terms(),
            apart=self.some_terms(),
            wishes=(Weighted(self.dice.randint(1, 9), pods=self.term()), Weighted(3, node=zone)),
            apart_wishes=(Weighted(self.dice.randint(1, 9), pods=self.term()),),
        )

    def topology_spread(self) -> TopologySpread:
        return TopologySpread(
            self.dice.choice(TOPOLOGIES),
            self.dice.randint(1, 2),
            LabelSelector((("app", self.dice.choice(APPS)),)),
            required=not self.one_in(3),
            min_domains=self.dice.randint(1, 2),
        )

    def constraints(self, hosts: tuple[Host, ...]) -> Constraints:
        d = self.dice
        names = [host.name for host in hosts]
        gold = Pool("gold", "", Resources(cpu_reservation=2000, memory_reservation=4096), expandable=self.one_in(2))
        silver = Pool("silver", "gold", Resources(cpu_limit=2500))
        reserve = d.choice(tuple(Reserve))
        return Constraints(
            pools=(gold, silver),
            rules=tuple(self.rule(number, names) for number in range(d.randint(0, 3))),
            separations=(Separation("level", d.choice(("host", "vm"))),) if self.one_in(2) else (),
            volumes=(Volume("v", tuple(sorted(d.sample(names, 2)))),),
            images=(Image("good", signed=True, scanned=True),),
            gate=ImageGate(signed=self.one_in(2)),
            admission=Admission(d.randint(0, 1), reserve, dedicated=tuple(names[:1]))
            if self.one_in(4)
            else Admission(),
        )

    def rule(self, number: int, names: list[str]) -> PlacementRule:
        d = self.dice
        return PlacementRule(
            f"rule{number}",
            d.choice(tuple(Together)),
            d.choice(
                (
                    Selector(labels=LabelSelector((("app", d.choice(APPS)),))),
                    Selector(keys=("vms/vm0", "vms/vm1")),
                    Selector(name="*1", kind=Kind.POD),
                )
            ),
            host_names=tuple(sorted(d.sample(names, 2))),
            must=self.one_in(2),
            topology=d.choice(TOPOLOGIES),
        )

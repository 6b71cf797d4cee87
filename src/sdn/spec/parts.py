"""What one reader of files hands to `load`: pieces of a Model, not yet merged, sorted or checked against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sdn.errors import Problem
from sdn.model import (
    Application,
    Constraints,
    Expectation,
    Group,
    Namespace,
    NetworkPolicy,
    Options,
    Policy,
    Selector,
    Service,
    Underlay,
    Workload,
)
from sdn.spec.priorities import PriorityClass


class Places(Mapping[str, str]):
    """Where things are written, worked out when somebody asks: of large files that takes longer than reading them.

    Of several `makers` that know one thing the last counts.
    """

    def __init__(self, *makers: Callable[[], Mapping[str, str]]) -> None:
        self._makers = makers

    @cached_property
    def _known(self) -> dict[str, str]:
        return {key: place for make in self._makers for key, place in make().items()}

    def __getitem__(self, key: str) -> str:
        return self._known[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@dataclass
class LabParts:
    """Pieces of a Model; None and empty mean "nothing was said", and `load` fills in what a Model needs.

    `where` says for everything named where it was written, `file:line`, under the keys that `place_key` makes.
    Expectations that speak of workloads and services of other files cannot be read before: `expect` reads them once
    everything is known.
    """

    name: str = ""
    underlay: Underlay | None = None
    applications: Sequence[Application] = ()
    workloads: Sequence[Workload] = ()
    namespaces: Sequence[Namespace] = ()
    services: Sequence[Service] = ()
    network_policies: Sequence[NetworkPolicy] = ()
    policies: Sequence[Policy] = ()
    groups: Sequence[Group] = ()
    exclusions: Sequence[Selector] = ()
    expectations: Sequence[Expectation] = ()
    options: Options | None = None
    constraints: Constraints = field(default_factory=Constraints)
    priorities: Mapping[str, PriorityClass] = field(default_factory=dict)
    running: Mapping[str, str] = field(default_factory=dict)  # workload key → the Host or node it runs on now, by name
    refuse_running: Callable[[str, str, list[Problem]], None] | None = None  # workload key, what is wrong
    service_prefixes: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    expect: Callable[[Sequence[Workload], Sequence[Service], list[Problem]], Sequence[Expectation]] | None = None


def place_key(kind: str, name: str) -> str:
    """The key of something named in `LabParts.where`: `NetworkPolicy shop/db`, `service shop/web`, `host rack-1`.

    `kind` is one of NetworkPolicy, policy, group, service, workload, namespace, application, host, switch, rule, volume
    and admission; `name` is `namespace/name` for NetworkPolicy, service and workload.
    """
    return f"{kind} {name}"

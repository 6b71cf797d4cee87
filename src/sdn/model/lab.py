"""Everything that one lab was asked to be, and the same after placement."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from sdn.model.constraints import Constraints
from sdn.model.flow import Disposition
from sdn.model.overlay import Application, Endpoint
from sdn.model.policy import Group, NetworkPolicy, Policy, Selector
from sdn.model.service import Service
from sdn.model.underlay import Underlay
from sdn.model.workload import Namespace, Protocol, Workload


class Heartbeat(Struct, frozen=True):
    """How closely the Hosts of a running lab are watched: one that is not heard for `fail` intervals has failed."""

    interval: int = 1000  # milliseconds
    fail: int = 5


class Options(Struct, frozen=True):
    """Where real systems differ, the lab says which one it is."""

    ipblock_matches_pods: bool = True  # NetworkPolicy's ipBlock also matches addresses of workloads
    judge_hairpin: bool = True  # policy judges a client that meets itself behind a Service
    cut_established: bool = False  # a change of policy ends the connections that it no longer allows
    heartbeat: Heartbeat | None = None  # the Hosts are watched all the time; None: only while something is broken


class Expectation(Struct, frozen=True):
    """`web → app 9090/tcp: allow`: every workload matching `source` to every one matching `destination`.

    Both are workload keys; `destination` may be a Service's key (`is_service`) or an IP address. `at` is file:line.
    """

    source: str
    destination: str
    protocol: Protocol
    port: int
    disposition: Disposition
    is_service: bool = False
    at: str = ""


class Placement(Struct, frozen=True):
    """Where all runs. `hosts`: workload key → Host, also of Pods in VMs. `nodes`: Pod key → the VM it runs in.

    Of what a file says runs now, a Pod may be in `nodes` alone: nothing was said of where its VM is.
    """

    hosts: dict[str, str]
    nodes: dict[str, str] = {}

    @classmethod
    def in_order(cls, hosts: Mapping[str, str], nodes: Mapping[str, str]) -> Placement:
        """By key, as all are that are sent or written."""
        return cls({key: hosts[key] for key in sorted(hosts)}, {key: nodes[key] for key in sorted(nodes)})


class Model(Struct, frozen=True):
    """The desired lab. Each tuple is sorted by name, so the order of what was read never matters.

    `exclusions` are workloads that no micro-segmentation policy is for, neither as subject nor by default (NSX's
    exclusion list); Kubernetes' tiers still are. `service_prefixes` are the ranges that Service addresses come from, at
    most one per family. `running` is where things run now, as far as the files say so; None where they do not.
    """

    name: str
    underlay: Underlay
    applications: tuple[Application, ...]
    workloads: tuple[Workload, ...]
    namespaces: tuple[Namespace, ...] = ()
    services: tuple[Service, ...] = ()
    network_policies: tuple[NetworkPolicy, ...] = ()
    policies: tuple[Policy, ...] = ()
    groups: tuple[Group, ...] = ()
    exclusions: tuple[Selector, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    service_prefixes: tuple[str, ...] = ("10.96.0.0/16", "fd00:10:96::/112")
    options: Options = Options()
    constraints: Constraints = Constraints()
    running: Placement | None = None


class Placed(Struct, frozen=True):
    """A Model with every workload on a Host and every Endpoint with its addresses: what all three answers start from.

    `endpoints` is keyed by workload key, in sorted order; host-network Pods have none. `vnis` is keyed by
    (application, segment); `zones` numbers the sets of connected Applications from 1, `marks` the Applications.
    """

    model: Model
    placement: Placement
    endpoints: dict[str, Endpoint]
    vnis: dict[tuple[str, str], int] = {}
    zones: dict[str, int] = {}
    marks: dict[str, int] = {}
    slices: dict[tuple[str, str, str], tuple[str, ...]] = {}  # (application, segment, host) → prefixes it owns

"""Workloads of the cluster: the Pods that are there, and those that a controller without Pods would make.

`kubectl get all -o yaml` lists a Deployment, its ReplicaSet and its Pods; then the Pods count, and nothing is made
twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from msgspec.structs import replace

from sdn.model import HOSTNAME, Kind, Port, Protocol, Toleration, Workload
from sdn.spec.kubernetes import schema
from sdn.spec.kubernetes.names import host_name
from sdn.spec.kubernetes.objects import Object, Objects
from sdn.spec.kubernetes.requests import requests, running
from sdn.spec.kubernetes.scheduling import Desk, scheduling
from sdn.spec.matching import admits
from sdn.spec.mistakes import Site
from sdn.spec.parts import place_key

APPLICATION = "cluster"
"""The one Application that all namespaces of a cluster share."""

SEGMENT = "pods"
MAX_REPLICAS = 100_000

CONTROLLERS = ("StatefulSet", "Deployment", "ReplicaSet", "DaemonSet", "Job", "CronJob")
"""The first of two that have one name keeps its plain Pod names, for a StatefulSet's are part of its meaning."""

_FINISHED = ("Succeeded", "Failed")
_BOUND = ("Running", "Pending")
_FIXED = ("DaemonSet", "Node")
_PRESSED = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
_LOST = ("not-ready", "unreachable")

Identity = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass
class Crew:
    """All Pods of some manifests; each of `daemons` is to run once per node, under its name and an index."""

    workloads: list[Workload] = field(default_factory=list)
    daemons: list[Workload] = field(default_factory=list)
    sites: dict[str, Site] = field(default_factory=dict)  # of the daemons, by key
    where: dict[str, Site] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)  # key → the node it runs on now

    def add(self, workload: Workload, site: Site) -> None:
        """`site` is that of the object that it comes from."""
        key = place_key("workload", workload.key)
        if key in self.where:
            site.report(f"makes a Pod {workload.key}, but {self.where[key].line} does already; rename one of them")
            return
        self.where[key] = site
        self.workloads.append(workload)


def crew(objects: Objects, desk: Desk) -> Crew:
    """Every Pod, bare, owned or made; mistakes are reported at the objects' sites."""
    result, manned = Crew(), set()
    for item in objects.of("Pod"):
        owner = _owner(item, objects)
        manned.add(owner)
        pod: schema.Pod = item.content
        if pod.status.phase not in _FINISHED:
            by = ("", "") if owner == item.key else (owner[0], owner[2])
            made = _workload(item, (pod.metadata.labels, pod.spec, item.site.at("spec")), by, desk)
            result.add(_found(replace(made, ip=_addresses(pod, item.site)), pod, result), item.site)
    names: set[tuple[str, str]] = set()
    for item in sorted(objects.of(*CONTROLLERS), key=lambda item: CONTROLLERS.index(item.kind)):
        if item.key in manned or _owner(item, objects) != item.key:
            continue
        base = item.name if (item.namespace, item.name) not in names else f"{item.name}-{item.kind.lower()}"
        names.add((item.namespace, base))
        _man(item, base, result, desk)
    return result


def _found(made: Workload, pod: schema.Pod, result: Crew) -> Workload:
    """Where a scheduler put a Pod, it runs now; only a DaemonSet's Pod, a node's own and one not started are fixed."""
    if not made.host or pod.status.phase not in _BOUND:
        return made
    result.running[made.key] = made.host
    return made if made.owner[0] in _FIXED else replace(made, host="")


Node = tuple[str, dict[str, str], Iterable[tuple[str, str, str]]]
"""Name, labels, and taints as (key, value, effect)."""


def add_daemons(crew: Crew, nodes: Sequence[Node]) -> None:
    """Add one Pod of every DaemonSet for each node that its selector and tolerations admit, fixed to that node."""
    for daemon in crew.daemons:
        fitting = [name for name, labels, taints in nodes if _admits(daemon, name, labels, taints)]
        for index, name in enumerate(fitting):
            crew.add(replace(daemon, name=f"{daemon.name}-{index}", host=name), crew.sites[daemon.key])


def _admits(daemon: Workload, name: str, labels: dict[str, str], taints: Iterable[tuple[str, str, str]]) -> bool:
    affinity = daemon.scheduling.affinity
    if not admits(affinity.nodes if affinity else (), name, labels):
        return False
    return daemon.selector.items() <= labels.items() and all(
        effect == "PreferNoSchedule" or any(_tolerates(one, key, value, effect) for one in daemon.tolerations)
        for key, value, effect in taints
    )


def _tolerates(toleration: Toleration, key: str, value: str, effect: str) -> bool:
    if toleration.effect not in ("", effect):
        return False
    if toleration.exists:
        return toleration.key in ("", key)
    return toleration.key == key and toleration.value == value


def _owner(item: Object, objects: Objects) -> Identity:
    """What stands at the top of an object's chain of owners; itself where nobody owns it."""
    here, seen = item, {item.key}
    while here.content.metadata.owner_references:
        reference = here.content.metadata.owner_references[0]
        above = (reference.kind, here.namespace, reference.name)
        if above not in objects.found:
            guess = _grandparent(above)
            if guess not in objects.found:
                # A Pod names its owner even if that was not exported; a controller then stands for itself.
                return above if here.kind == "Pod" else here.key
            above = guess
        if above in seen:
            return here.key
        seen.add(above)
        here = objects.found[above]
    return here.key


def _grandparent(owner: Identity) -> Identity:
    """Deployments and CronJobs name what they make `name-suffix`, so they are known without the object between."""
    kind, namespace, name = owner
    above = {"ReplicaSet": "Deployment", "Job": "CronJob"}.get(kind, "")
    return above, namespace, name.rpartition("-")[0]


def _man(item: Object, base: str, result: Crew, desk: Desk) -> None:
    """Add the Pods that a controller would make."""
    template, count, labels = _template(item)
    site = item.site.at(*_STEPS.get(item.kind, ("spec", "template", "spec")))
    if count > MAX_REPLICAS:
        item.site.at("spec").report(f"{count} Pods are more than the {MAX_REPLICAS} that one controller may make here")
        return
    owner = (item.kind, item.name)
    one = _workload(item, ({**template.metadata.labels, **labels}, template.spec, site), owner, desk)
    if item.kind == "DaemonSet":
        daemon = replace(one, name=base, tolerations=one.tolerations + _tolerated(one))
        result.daemons.append(daemon)
        result.sites[daemon.key] = item.site
        return
    first = item.content.spec.ordinals.start if item.kind == "StatefulSet" else 0
    for index in range(first, first + count):
        name = f"{base}-{index}"
        pod = replace(one, name=name)
        if item.kind == "StatefulSet":
            ordinal = {"statefulset.kubernetes.io/pod-name": name, "apps.kubernetes.io/pod-index": str(index)}
            pod = replace(_with_claims(pod, item, desk), labels={**one.labels, **ordinal})
        result.add(pod, item.site)


_STEPS: dict[str, tuple[str, ...]] = {"CronJob": ("spec", "jobTemplate", "spec", "template", "spec")}
"""To a controller's Pod, where it is not at the usual place."""


def _tolerated(daemon: Workload) -> tuple[Toleration, ...]:
    """What Kubernetes has every DaemonSet's Pod tolerate (pkg/controller/daemon/util)."""
    prefix = "node.kubernetes.io/"
    network = ("network-unavailable",) if daemon.host_network else ()
    stays = [Toleration(prefix + name, exists=True, effect="NoExecute") for name in _LOST]
    return (*stays, *(Toleration(prefix + name, exists=True, effect="NoSchedule") for name in _PRESSED + network))


def _with_claims(pod: Workload, item: Object, desk: Desk) -> Workload:
    """A StatefulSet's Pods have claims of their own."""
    names = [f"{one.metadata.name}-{pod.name}" for one in item.content.spec.volume_claim_templates]
    more = set(desk.claims.volumes(pod.namespace, names)) - set(pod.scheduling.volumes)
    if not more:
        return pod
    volumes = tuple(sorted({*pod.scheduling.volumes, *more}))
    return replace(pod, scheduling=replace(pod.scheduling, volumes=volumes))


def _template(item: Object) -> tuple[schema.PodTemplate, int, dict[str, str]]:
    """A controller's Pod, how many run at once, and labels that Kubernetes adds."""
    if item.kind == "CronJob":
        cron: schema.CronJobSpec = item.content.spec
        return cron.job_template.spec.template, 0 if cron.suspend else 1, {}
    if item.kind == "Job":
        job: schema.JobSpec = item.content.spec
        ended = any(c.type in ("Complete", "Failed") and c.status == "True" for c in item.content.status.conditions)
        count = job.parallelism if job.completions is None else min(job.parallelism, job.completions)
        names = {"batch.kubernetes.io/job-name": item.name, "job-name": item.name}
        return job.template, 0 if ended or job.suspend else count, names
    spec: schema.ControllerSpec = item.content.spec
    if not spec.selector.match_labels.items() <= spec.template.metadata.labels.items():
        item.site.at("spec", "selector").report("does not match the labels of its own template; make them agree")
    return spec.template, spec.replicas, {}


def _workload(
    item: Object, pod: tuple[dict[str, str], schema.PodSpec, Site], owner: tuple[str, str], desk: Desk
) -> Workload:
    """`pod`: its labels, its spec, and where that is written."""
    labels, spec, site = pod
    cpu, memory = requests(spec)
    spread = [constraint.topology_key for constraint in spec.topology_spread_constraints][:1]
    return Workload(
        namespace=item.namespace,
        name=item.name,
        kind=Kind.POD,
        application=APPLICATION,
        segment=SEGMENT,
        labels=dict(sorted(labels.items())),
        owner=owner,
        ports=_ports(running(spec)),
        cpu=cpu,
        memory=memory,
        selector=dict(sorted(spec.node_selector.items())),
        tolerations=tuple(
            Toleration(toleration.key, toleration.value, toleration.operator == "Exists", toleration.effect)
            for toleration in spec.tolerations
        ),
        spread="".join(key for key in spread if key != HOSTNAME),
        host=host_name(spec.node_name),
        host_network=spec.host_network,
        scheduling=scheduling(spec, labels, item.namespace, site, desk),
    )


def _ports(containers: Iterable[schema.Container]) -> tuple[Port, ...]:
    """Every declared port once per name; a name stands for the first port that carries it, as in Kubernetes."""
    found: dict[tuple[int, Protocol], list[str]] = {}
    taken: set[tuple[str, Protocol]] = set()
    for port in (port for container in containers for port in container.ports):
        names = found.setdefault((port.container_port, port.protocol), [])
        if port.name and (port.name, port.protocol) not in taken:
            taken.add((port.name, port.protocol))
            names.append(port.name)
    return tuple(sorted(Port(*key, name) for key, names in found.items() for name in names or [""]))


def _addresses(pod: schema.Pod, site: Site) -> tuple[str, ...]:
    """The addresses that a running Pod has in its cluster, IPv4 first; a host-network Pod has none of its own."""
    texts = [one.ip for one in pod.status.pod_ips if one.ip] or [pod.status.pod_ip] * bool(pod.status.pod_ip)
    if pod.spec.host_network:
        return ()
    found = []
    for text in texts:
        try:
            found.append(ip_address(text))
        except ValueError:
            site.at("status").report(f'"{text}" is not an IP address; remove the status or correct it')
    return tuple(str(address) for address in sorted(found, key=lambda address: address.version))

"""From the form of a scenario to its steps; names that no step can mean are mistakes of the file.

A replica that an earlier step may have made (`web-7`) is no mistake, if there is a workload `web`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sdn.model import Service, Underlay, Workload
from sdn.model.lifecycle import Drain, Fail, Heal, Label, Migrate, Operation, Rebalance, Rollout, Scale, What
from sdn.model.scenario import ANY, Act, Scenario
from sdn.spec.expect import Directory, parse_line
from sdn.spec.labfile.complaints import Complaints, Path, suggest
from sdn.spec.labfile.forms_scenario import FailForm, ScenarioForm, StepForm, line_of

_OPERATIONS = ("fail", "heal", "drain", "migrate", "rebalance", "scale", "label", "rollout")
_NUMBER = re.compile(r"-\d+$")


@dataclass
class World:
    """What steps can name; without an underlay its names are not known yet."""

    workloads: Sequence[Workload]
    services: Sequence[Service]
    underlay: Underlay | None


def build(form: ScenarioForm, world: World, complaints: Complaints) -> Scenario:
    """The steps in their order; everything wrong is complained about."""
    reader = _Reader(world, complaints)
    steps = []
    before = 0
    for index, one in enumerate(form.steps):
        path: Path = ("scenario", "steps", index)
        if one.at < before:
            complaints.at((*path, "at"), "is before the step above it; write the steps in the order of their times")
        before = max(before, one.at)
        steps.append(reader.step(one, path))
    return Scenario(form.seed, tuple(steps))


class _Reader:
    def __init__(self, world: World, complaints: Complaints) -> None:
        self._complaints = complaints
        self._directory = Directory(world.workloads, world.services)
        self._keys = {one.key for one in world.workloads}
        self._owners = {f"{one.namespace}/{one.owner[1] or one.name}" for one in world.workloads}
        self._applications = {one.application for one in world.workloads} | {one.namespace for one in world.workloads}
        underlay = world.underlay
        self._known_underlay = underlay is not None
        self._hosts = {host.name for host in underlay.hosts} if underlay else set()
        self._switches = {switch.name for switch in underlay.switches} if underlay else set()
        pairs = {(link.a, link.b) for link in underlay.links} if underlay else set()
        self._links = {f"{a}:{b}" for a, b in pairs} | {f"{b}:{a}" for a, b in pairs}

    def step(self, form: StepForm, path: Path) -> Act:
        given = [name for name in _OPERATIONS if getattr(form, name)]
        if len(given) > 1:
            message = f"has {given[0]} and {given[1]}; write two steps at the same time"
            self._complaints.at((*path, given[1]), message, key=True)
        if form.refused and not given:
            self._complaints.at((*path, "refused"), "speaks of an operation, and there is none; add one, or remove it")
        if not given and not form.expect and not form.test:
            self._complaints.at(path, f"does nothing; add one of {', '.join(_OPERATIONS)}, expect or test")
        operation = getattr(self, f"_{given[0]}")(form, (*path, given[0])) if given else None
        lines = tuple(line_of(one) for one in form.expect)
        for index, line in enumerate(lines):
            self._line(line, (*path, "expect", index))
        return Act(form.at, operation, lines, form.test, form.refused, self._complaints.place(path))

    def _line(self, text: str, path: Path) -> None:
        try:
            line = parse_line(text)
        except ValueError as error:
            self._complaints.at(path, str(error))
            return
        try:
            self._directory.expectations(line)
        except ValueError as error:
            if not any(self._may_come(name) for name in (line.source, line.destination)):
                self._complaints.at(path, str(error))

    def _may_come(self, name: str) -> bool:
        """Whether it is a replica that a step may make."""
        stem = _NUMBER.sub("", name)
        return stem != name and any(stem in (owner, owner.partition("/")[2]) for owner in self._owners)

    def _fail(self, form: StepForm, path: Path) -> Operation:
        assert form.fail is not None
        given = [name for name in FailForm.model_fields if getattr(form.fail, name)]
        if len(given) != 1:
            self._complaints.at(path, "needs exactly one of host, vm, pod, switch and link")
            return Fail(What.HOST, ANY)
        what = What(given[0])
        name = getattr(form.fail, what.value)
        check = {What.HOST: self._host, What.SWITCH: self._switch, What.LINK: self._link}.get(what, self._workload)
        return Fail(what, check(name, (*path, what.value)))

    def _heal(self, form: StepForm, path: Path) -> Operation:
        name = str(form.heal)
        if name in self._hosts | self._switches | self._links:
            return Heal(name)
        return Heal(self._find(name, path, self._keys, self._hosts | self._switches))

    def _drain(self, form: StepForm, path: Path) -> Operation:
        return Drain(self._host(str(form.drain), path))

    def _migrate(self, form: StepForm, path: Path) -> Operation:
        assert form.migrate is not None
        nodes = {name for key in self._keys for name in (key, key.partition("/")[2])}
        host = form.migrate.host
        target = host if host in nodes else self._host(host, (*path, "host"))
        return Migrate(self._workload(form.migrate.workload, (*path, "workload")), target)

    def _rebalance(self, form: StepForm, path: Path) -> Operation:
        return Rebalance()

    def _scale(self, form: StepForm, path: Path) -> Operation:
        assert form.scale is not None
        return Scale(self._owner(form.scale.workload, (*path, "workload")), form.scale.replicas)

    def _label(self, form: StepForm, path: Path) -> Operation:
        assert form.label is not None
        return Label(self._owner(form.label.workload, (*path, "workload")), form.label.labels)

    def _rollout(self, form: StepForm, path: Path) -> Operation:
        assert form.rollout is not None
        name = form.rollout.application or ""
        if form.rollout.hosts == bool(name):
            self._complaints.at(path, "needs exactly one of application and hosts")
        if form.rollout.hosts:
            return Rollout("", form.rollout.max_unavailable, hosts=True)
        if name not in self._applications:
            name = self._find(name, (*path, "application"), self._owners, self._applications)
        return Rollout(name, form.rollout.max_unavailable)

    def _host(self, name: str, path: Path) -> str:
        return self._one_of(name, path, self._hosts, "host")

    def _switch(self, name: str, path: Path) -> str:
        return self._one_of(name, path, self._switches, "switch")

    def _link(self, name: str, path: Path) -> str:
        return self._one_of(name, path, self._links, "link")

    def _one_of(self, name: str, path: Path, known: Collection[str], what: str) -> str:
        if name != ANY and self._known_underlay and name not in known:
            self._complaints.at(path, f'{what} "{name}" is not defined{suggest(name, known)}')
        return name

    def _workload(self, name: str, path: Path) -> str:
        return name if name == ANY else self._find(name, path, self._keys)

    def _owner(self, name: str, path: Path) -> str:
        return self._find(name, path, {*self._owners, *self._keys})

    def _find(self, name: str, path: Path, keys: Collection[str], also: Collection[str] = ()) -> str:
        """The key that a name, with or without its namespace, stands for."""
        found = [key for key in sorted(keys) if name in (key, key.partition("/")[2])]
        if len(found) == 1 or name in found:
            return name if name in found else found[0]
        if len(found) > 1:
            self._complaints.at(path, f'"{name}" is in several namespaces; write {" or ".join(found)}')
        elif not self._may_come(name):
            self._complaints.at(path, f'"{name}" is not defined{suggest(name, {*keys, *also})}')
        return name

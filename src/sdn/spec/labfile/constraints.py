"""What a lab file says under `scheduling`, and what contradicts itself there before anything is placed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sdn.model import (
    HOSTNAME,
    Admission,
    Constraints,
    Image,
    ImageGate,
    PlacementRule,
    Pool,
    Reserve,
    Selector,
    Separation,
    Severity,
    Together,
    Underlay,
    Volume,
)
from sdn.spec.groups import ways_back
from sdn.spec.labfile.complaints import Complaints, Path, suggest
from sdn.spec.labfile.forms import LabForm
from sdn.spec.labfile.forms_scheduling import AdmissionForm, PlacementRuleForm, PoolForm, RuleHostsForm
from sdn.spec.labfile.scheduling import amount, resources
from sdn.spec.labfile.selectors import Known, selector
from sdn.spec.labfile.workloads import Group

_AT: Path = ("scheduling",)
_OPPOSITE = {
    Together.TOGETHER: Together.APART,
    Together.APART: Together.TOGETHER,
    Together.ON: Together.NOT_ON,
    Together.NOT_ON: Together.ON,
}


def build(
    form: LabForm, underlay: Underlay | None, groups: Sequence[Group], known: Known, complaints: Complaints
) -> Constraints:
    """Without an underlay of its own the lab's Hosts are not known yet; their names are checked later then."""
    written = form.scheduling
    unsure = underlay is None or complaints.touched(("underlay",))
    hosts = None if unsure or underlay is None else {host.name for host in underlay.hosts}
    images = written.images or {}
    return Constraints(
        pools=_pools(written.pools or {}, groups, complaints),
        rules=_Rules(hosts, known, complaints).build(written.rules or ()),
        separations=tuple(sorted((Separation(s.label, s.within) for s in written.separate or ()), key=repr)),
        volumes=_volumes(written.volumes or {}, hosts, complaints),
        images=tuple(Image(name, i.signed, i.scanned, Severity(i.severity)) for name, i in sorted(images.items())),
        gate=ImageGate(written.gate.signed, written.gate.scanned, Severity(written.gate.severity)),
        admission=_admission(written.admission, hosts, complaints),
    )


def _pools(forms: dict[str, PoolForm], groups: Sequence[Group], complaints: Complaints) -> tuple[Pool, ...]:
    names = complaints.names("scheduling", "pools")
    found = []
    for name, one in sorted(forms.items()):
        path = (*_AT, "pools", name)
        if one.parent is not None and one.parent not in names:
            complaints.at((*path, "parent"), f'pool "{one.parent}" is not defined{suggest(one.parent, names - {name})}')
        found.append(Pool(name, one.parent or "", resources(one, path, complaints), one.expandable))
    for way in ways_back({pool.name: [pool.parent] for pool in found if pool.parent}):
        message = f"is inside itself ({' → '.join(way)}); remove one of these parents"
        complaints.at((*_AT, "pools", way[0]), message, key=True)
    for pool in found:
        _check_promises(pool, found, groups, complaints)
    return tuple(found)


def _check_promises(pool: Pool, pools: Iterable[Pool], groups: Iterable[Group], complaints: Complaints) -> None:
    """What is reserved inside a pool that may take nothing from its parent is reserved by the pool itself."""
    if pool.expandable:
        return
    for what in ("cpu", "memory"):
        own: int | None = getattr(pool.resources, f"{what}_reservation")
        if own is None:
            continue
        inside = [getattr(one.resources, f"{what}_reservation") or 0 for one in pools if one.parent == pool.name]
        inside += [_reserved(group, what) for group in groups if group.form.pool == pool.name]
        if sum(inside) > own:
            message = f"{amount(what, sum(inside))} are reserved inside it, and it is not expandable; raise it"
            complaints.at((*_AT, "pools", pool.name, "reservation", what), message)


def _reserved(group: Group, what: str) -> int:
    """By all replicas together."""
    form = group.form.resources
    each: int = getattr(form.reservation, what) or 0 if form and form.reservation else 0
    return each * (1 if group.form.replicas is None else group.form.replicas)


@dataclass
class _Rules:
    """Reads the rules; `hosts` None is not known yet."""

    hosts: Collection[str] | None
    known: Known
    complaints: Complaints

    def build(self, forms: Sequence[PlacementRuleForm]) -> tuple[PlacementRule, ...]:
        """Sorted by name."""
        found: list[PlacementRule] = []
        at: dict[str, int] = {}
        asked: dict[tuple[Selector, object, Together], str] = {}
        for index, form in enumerate(forms):
            path = (*_AT, "rules", index)
            rule = self._rule(form, path)
            if rule.name in at:
                place = self.complaints.place((*_AT, "rules", at[rule.name]))
                self.complaints.at((*path, "name"), f'rule "{rule.name}" is also at {place}; rename one of them')
            at.setdefault(rule.name, index)
            if rule.must:
                self._check_opposite(rule, asked, path)
            found.append(rule)
        return tuple(sorted(found, key=lambda rule: rule.name))

    def _rule(self, form: PlacementRuleForm, path: Path) -> PlacementRule:
        if (form.must is None) == (form.should is None):
            self.complaints.at(path, "needs `must` or `should`; write one of them: together, apart, on or not_on")
        word = "must" if form.must is not None else "should"
        kind = Together((form.must or form.should or "apart").replace("_", "-"))
        self._check_shape(form, kind, word, path)
        labels = dict(form.hosts.labels) if isinstance(form.hosts, RuleHostsForm) else {}
        names = tuple(sorted(set(form.hosts))) if isinstance(form.hosts, list) else ()
        check_hosts(form.hosts, self.hosts, (*path, "hosts"), self.complaints)
        found = selector(form.workloads, (*path, "workloads"), self.known, self.complaints)
        return PlacementRule(form.name, kind, found, labels, names, word == "must", form.within or HOSTNAME)

    def _check_shape(self, form: PlacementRuleForm, kind: Together, word: str, path: Path) -> None:
        """Hosts belong to on and not_on, `within` to the other two."""
        with_hosts = kind in (Together.ON, Together.NOT_ON)
        given = form.hosts.labels if isinstance(form.hosts, RuleHostsForm) else form.hosts
        if with_hosts and not given:
            self.complaints.at((*path, word), "needs `hosts`; give a list of their names, or {labels: ...}")
        if not with_hosts and form.hosts is not None:
            self.complaints.at((*path, "hosts"), "belongs to on and not_on; remove it, or change the rule", key=True)
        if with_hosts and form.within is not None:
            self.complaints.at((*path, "within"), "belongs to together and apart; remove it", key=True)

    def _check_opposite(
        self, rule: PlacementRule, asked: dict[tuple[Selector, object, Together], str], path: Path
    ) -> None:
        """The same workloads cannot have to be together and apart, or on Hosts and not on them."""
        where = (rule.topology, rule.host_names, tuple(sorted(rule.hosts.items())))
        other = asked.get((rule.workloads, where, _OPPOSITE[rule.kind]))
        if other is not None:
            self.complaints.at(path, f'says the opposite of rule "{other}"; remove one of them, or write `should`')
        asked.setdefault((rule.workloads, where, rule.kind), rule.name)


def check_hosts(names: object, known: Collection[str] | None, path: Path, complaints: Complaints) -> None:
    """Each in a list at `path`."""
    for index, name in enumerate(names if isinstance(names, list) else ()):
        if known is not None and name not in known:
            complaints.at((*path, index), f'host "{name}" is not defined{suggest(name, known)}')


def _volumes(forms: dict[str, list[str]], known: Collection[str] | None, complaints: Complaints) -> tuple[Volume, ...]:
    for name, hosts in sorted(forms.items()):
        path = (*_AT, "volumes", name)
        if not hosts:
            complaints.at(path, "is an empty list, so nobody that needs it could run; name the hosts that hold it")
        check_hosts(hosts, known, path, complaints)
    return tuple(Volume(name, tuple(sorted(set(hosts)))) for name, hosts in sorted(forms.items()))


def _admission(form: AdmissionForm, known: Collection[str] | None, complaints: Complaints) -> Admission:
    path = (*_AT, "admission")
    for field in ("percentage", "dedicated"):
        if getattr(form, field) is not None and form.reserve != field:
            complaints.at((*path, field), f"counts for `reserve: {field}` only; write that, or remove this", key=True)
    if form.reserve == "dedicated" and not form.dedicated:
        complaints.at((*path, "reserve"), "needs `dedicated`; name the hosts that stay empty")
    if form.reserve != "slots" and not form.failures:
        complaints.at((*path, "reserve"), "keeps nothing while `failures` is 0; write how many hosts may fail")
    if form.percentage is not None and form.percentage > 100:
        complaints.at((*path, "percentage"), f"{form.percentage}% is more than there is; write at most 100%")
    if known is not None and form.failures >= len(known):
        complaints.at((*path, "failures"), f"{form.failures} of {len(known)} hosts leave none; lower it")
    check_hosts(form.dedicated, known, (*path, "dedicated"), complaints)
    dedicated = tuple(sorted(set(form.dedicated or ())))
    return Admission(form.failures, Reserve(form.reserve), form.percentage or 0, dedicated)

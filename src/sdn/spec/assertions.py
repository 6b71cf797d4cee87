"""Assertions about a lab as people write them: who may, and who may never, reach whom.

    assertions:
      - name: only the gateway reaches pci, on 443
        deny:
          from: [{not: [{namespaces: [pci]}]}]
          to: [{namespaces: [pci]}]
          except: [{from: [{labels: {app: gateway}}], ports: [443/tcp]}]

The words for workloads and addresses are those of a lab file's policies, and `outside` and `not` besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sdn.errors import Problem, SpecError
from sdn.model import Model
from sdn.model.assertion import Assertion, Traffic, Who
from sdn.spec.labfile import selectors
from sdn.spec.labfile.complaints import Complaints
from sdn.spec.labfile.fields import NotEmpty, RulePort
from sdn.spec.labfile.forms_policies import PeerForm, PolicyForm, SelectorForm
from sdn.spec.source import read_file

Steps = tuple[str | int, ...]


class EndForm(PeerForm):
    """As in a policy; or `outside`: every address that no workload has; or `not`: all others."""

    outside: Annotated[Literal[True] | None, NotEmpty] = None
    none_of: Annotated[list[EndForm] | None, NotEmpty] = Field(default=None, alias="not")


class PartForm(PolicyForm):
    """No `from` or `to`: anybody, the outside included. No `ports`: every port and protocol."""

    sources: Annotated[list[EndForm] | None, NotEmpty] = Field(default=None, alias="from")
    destinations: Annotated[list[EndForm] | None, NotEmpty] = Field(default=None, alias="to")
    ports: Annotated[list[RulePort] | None, NotEmpty] = None


class ClaimForm(PartForm):
    """What must be so, `except` for some of it."""

    exceptions: Annotated[list[PartForm] | None, NotEmpty] = Field(default=None, alias="except")


class AssertionForm(PolicyForm):
    """`deny`: none of it is allowed. `allow`: all of it is."""

    name: str | None = None
    deny: ClaimForm | None = None
    allow: ClaimForm | None = None


class AssertionsForm(PolicyForm):
    """A file of assertions."""

    assertions: Annotated[list[AssertionForm], Field(min_length=1)]


def load(path: Path, model: Model) -> list[Assertion]:
    """All assertions of a file, about this lab. Raises SpecError with every mistake that was found."""
    problems: list[Problem] = []
    found: list[Assertion] = []
    for document in read_file(path, problems):
        complaints = Complaints(document, problems)
        form = complaints.read(AssertionsForm)
        if form is not None:
            reader = _Reader(model, complaints)
            found += [reader.assertion(one, ("assertions", index)) for index, one in enumerate(form.assertions)]
    if problems:
        raise SpecError(problems)
    return found


class _Reader:
    """Forms of one document as values."""

    def __init__(self, model: Model, complaints: Complaints) -> None:
        self._complaints = complaints
        self._known = selectors.Known(
            applications={application.name for application in model.applications},
            segments={segment.name for application in model.applications for segment in application.segments},
            groups={group.name for group in model.groups},
            replicas=_replicas(model),
        )

    def assertion(self, form: AssertionForm, path: Steps) -> Assertion:
        written = [(word, claim) for word, claim in (("deny", form.deny), ("allow", form.allow)) if claim is not None]
        if len(written) != 1:
            self._complaints.at(path, "needs exactly one of deny and allow; write two assertions for both")
        word, claim = written[0] if written else ("deny", ClaimForm())
        exceptions = tuple(
            self._part(one, (*path, word, "except", index)) for index, one in enumerate(claim.exceptions or ())
        )
        name = form.name or f"assertion {path[-1]}"
        return Assertion(
            name, word == "allow", self._part(claim, (*path, word)), exceptions, self._complaints.place(path)
        )

    def _part(self, form: PartForm, path: Steps) -> Traffic:
        for index, port in enumerate(form.ports or ()):
            if isinstance(port.port, str):
                message = f'"{port.port}" is a name, which differs from workload to workload; write the number'
                self._complaints.at((*path, "ports", index), message)
        return Traffic(
            self._ends(form.sources or (), (*path, "from")),
            self._ends(form.destinations or (), (*path, "to")),
            tuple(form.ports or ()),
        )

    def _ends(self, forms: Iterable[EndForm], path: Steps) -> tuple[Who, ...]:
        return tuple(self._end(one, (*path, index)) for index, one in enumerate(forms))

    def _end(self, form: EndForm, path: Steps) -> Who:
        beside = [name for name in (*SelectorForm.model_fields, "address") if getattr(form, name) is not None]
        alone = [word for word, value in (("outside", form.outside), ("not", form.none_of)) if value is not None]
        if alone and (beside or len(alone) > 1):
            other = [*beside, *alone[1:]][0]
            self._complaints.at(path, f"has `{alone[0]}` beside `{other}`; write two items, for either may match")
        if form.none_of is not None:
            return Who(none_of=self._ends(form.none_of, (*path, "not")))
        if form.outside:
            return Who(outside=True)
        return Who(peers=tuple(selectors.peer(form, path, self._known, self._complaints)))


def _replicas(model: Model) -> dict[str, list[str]]:
    """`namespace/owner` → the keys of its workloads."""
    found: dict[str, list[str]] = {}
    for workload in model.workloads:
        found.setdefault(f"{workload.namespace}/{workload.owner[1] or workload.name}", []).append(workload.key)
    return found

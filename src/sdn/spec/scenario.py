"""The scenario of a lab file, for whoever runs it; reading the lab itself has found all that is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sdn.errors import Problem, SpecError
from sdn.model import Model
from sdn.model.scenario import Scenario
from sdn.spec.files import files
from sdn.spec.labfile.complaints import Complaints
from sdn.spec.labfile.forms import LabForm
from sdn.spec.labfile.scenario import World, build
from sdn.spec.load import is_lab
from sdn.spec.source import read_file


def load_scenario(paths: Sequence[Path], model: Model) -> Scenario:
    """Of the only lab file among `paths`, which were loaded as `model`. SpecError where it has none."""
    problems: list[Problem] = []
    documents = [one for file in files(paths, problems) for one in read_file(file, problems)]
    labs = [document for document in documents if is_lab(document)]
    for document in labs:
        complaints = Complaints(document, problems)
        form = complaints.read(LabForm)
        if form is not None and form.scenario is not None:
            found = build(form.scenario, World(model.workloads, model.services, model.underlay), complaints)
            if problems:
                raise SpecError(problems)
            return found
        problems.append(document.problem((), "has no scenario; add `scenario: {steps: [{at: 0s, test: true}]}`"))
    if not labs:
        names = ", ".join(map(str, paths))
        problems.append(Problem(names, 0, 0, "has no lab file, and so no scenario; write `lab: NAME` and `scenario:`"))
    raise SpecError(problems)

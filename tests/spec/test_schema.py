"""The schema that editors use is what the forms say now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from sdn.spec.schema import schema

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "schema" / "lab.schema.json"


def test_the_file_is_what_the_command_prints() -> None:
    printed = subprocess.run([sys.executable, "-m", "sdn.spec.schema"], capture_output=True, check=True, text=True)
    assert printed.stdout == WRITTEN.read_text(), "run: python -m sdn.spec.schema > schema/lab.schema.json"


def test_a_lab_needs_its_name_and_nothing_unknown_passes() -> None:
    assert schema()["required"] == ["lab"]
    open_to_anything = [name for name, one in schema()["$defs"].items() if one.get("additionalProperties") is not False]
    assert open_to_anything == []


def test_every_field_of_the_topologies_is_in_the_schema() -> None:
    known = set(fields(schema()))
    for file in (ROOT / "topologies").glob("*.yaml"):
        lab = yaml.safe_load(file.read_text())
        shop = next(iter(lab["applications"].values()))
        used = {*lab, *lab["underlay"], *shop, *next(iter(shop["workloads"].values())), *lab["policies"][0]}
        assert used <= known, file


def fields(part: Any) -> list[str]:
    """Every property of every mapping."""
    if isinstance(part, dict):
        own = list(part.get("properties", {})) if isinstance(part.get("properties"), dict) else []
        return own + [name for one in part.values() for name in fields(one)]
    return [name for one in part for name in fields(one)] if isinstance(part, list) else []
